"""What this library raises. Absent, expired, tampered and malformed are not errors."""

from __future__ import annotations

from click import ClickException


class SessionKitError(Exception):
    """The base of every error that this library raises."""


class ConfigError(SessionKitError, ClickException, ValueError):
    """One or more settings that cannot work, each with its name, its fault and the mend."""

    # Click's too, as Flask loads the application before it knows any command of ours, and lets Click tell only its own.


class StoreError(SessionKitError):
    """A store that cannot answer. The driver's error is ``__cause__``."""


class SessionTooLarge(SessionKitError, ValueError):
    """A session above ``SESSIONKIT_MAX_SIZE``, or above what a cookie takes; tells the largest keys. Nothing saved."""


class UnsupportedType(SessionKitError, TypeError):
    """A value that cannot come back as it went in; the message names its key and type. What was stored stays."""


class SessionConflict(SessionKitError, RuntimeError):
    """A change that other requests kept getting in the way of, or whose session ended meanwhile. Nothing was saved."""


class SessionClosed(SessionKitError, RuntimeError):
    """A change to a session that was already saved, while its streamed response is being sent."""
