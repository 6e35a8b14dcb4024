"""Signals (blinker). The sender is the application; every receiver takes ``**extra``."""

from __future__ import annotations

from blinker import NamedSignal, Namespace

_signals = Namespace()

#: A session was stored for the first time. ``user_id``.
session_created: NamedSignal = _signals.signal("session-created")
#: A session goes on under a new token: a login, ``regenerate()``, age. ``user_id``.
session_regenerated: NamedSignal = _signals.signal("session-regenerated")
#: A session is no more. ``reason`` (logout, idle, absolute, revoked, replaced, limit, stamp, administrator, rotated),
#: ``user_id``.
session_ended: NamedSignal = _signals.signal("session-ended")
#: A token was not honoured. ``reason``: "unreadable", "future", "duplicate" or "rotated".
session_refused: NamedSignal = _signals.signal("session-refused")
#: Two requests changed the same keys and the later one won. ``keys``.
session_conflict: NamedSignal = _signals.signal("session-conflict")
#: The store could not answer. ``error``.
store_failed: NamedSignal = _signals.signal("store-failed")
