"""What a session's life depends on: what the application decided for all, what HTTP knows of one request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blinker import NamedSignal
from msgspec import Struct

from . import codec
from .discreet import DiscreetStruct
from .policy import Limits, Timeouts

#: Flask's key of a session that outlives the browser.
PERMANENT = "_permanent"
_TRUE = codec.encode(True)


class Rules(Struct, frozen=True):
    """What an application decided for all of its sessions.

    :param rotate_every: seconds after which a token is renewed; ``None`` for never.
    :param max_sessions: of one user at once; ``None`` for any number.
    :param stamp_of: ``user_stamp``: what a user's sessions have to agree with; ``None`` ends them.
    """

    timeouts: Timeouts
    identity_keys: tuple[str, ...]
    stamp_of: Callable[[str], str | None] | None = None
    rotate_every: float | None = None
    max_sessions: int | None = None

    def stamp(self, user: str) -> str | None:
        """Return what ``user_stamp`` says of a user, or ``None`` without one.

        :raises TypeError: it says something else than it may.
        """
        stamp = self.stamp_of(user) if self.stamp_of else None
        if not isinstance(stamp, str | None):
            raise TypeError(f"The user_stamp function must return str or None, not {type(stamp).__name__}. Use str().")
        return stamp


class Circumstances(DiscreetStruct, frozen=True):
    """What is known about a request, in words that mean nothing of HTTP.

    :param tokens: well-formed and different, as the client sent them.
    :param sender: of signals.
    :param opened_at: when the request began, in Unix seconds; its first look at the session may come much later.
    :param permanent_idle: seconds; the idle limit of permanent sessions.
    :param is_passive: the request does not count as activity.
    :param csrf_key: the key of the session that holds Flask-WTF's token.
    :param device: tells the user agent and the address.
    :param forget_csrf: drops copies of the CSRF token that lie outside the session.
    """

    rules: Rules
    tokens: Sequence[str]
    sender: object
    opened_at: float
    permanent_idle: float
    is_passive: bool
    csrf_key: str
    device: Callable[[], tuple[str, str]]
    forget_csrf: Callable[[], None]

    def __repr__(self) -> str:
        return "<Circumstances>"  # reporters of errors show the variables of a frame, and this holds tokens

    def limits(self, data: Mapping[str, bytes]) -> Limits:
        """Return today's limits of a session with this data."""
        if PERMANENT not in data:
            return self.rules.timeouts.ordinary
        return limits_of(self.rules.timeouts, data, permanent_idle=self.permanent_idle)

    @property
    def shortest_idle(self) -> float:
        """Return the idle limit that no session of today falls below, in seconds."""
        return min(self.rules.timeouts.idle, self.permanent_idle)

    def tell(self, signal: NamedSignal, **about: Any) -> None:
        """Send a signal, if anybody listens."""
        if signal.receivers:
            signal.send(self.sender, **about)


def limits_of(timeouts: Timeouts, data: Mapping[str, bytes], *, permanent_idle: float) -> Limits:
    """Return today's limits of a session with this data.

    :param permanent_idle: seconds; the idle limit of permanent sessions.
    """
    return timeouts.limits(permanent=is_permanent(data), permanent_idle=permanent_idle)


def is_permanent(data: Mapping[str, bytes]) -> bool:
    """Return whether a session's data says, as Flask's does, that its cookie outlives the browser."""
    return data.get(PERMANENT) == _TRUE
