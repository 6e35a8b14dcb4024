"""How long a session may live. Pure: times in, verdicts out."""

from __future__ import annotations

from msgspec import Struct

from .beginning import started_at
from .clock import CLOCK_SKEW, settled
from .reasons import Reason


class Limits(Struct, frozen=True):
    """How long one kind of session may live.

    :param idle: seconds without activity.
    :param absolute: seconds from the login (else the creation), never moved by activity.
    """

    idle: float
    absolute: float


class Timeouts(Struct, frozen=True):
    """The settings that end sessions, in seconds.

    :param remember: absolute limit of permanent sessions.
    :param touch_interval: how often "last seen" is written.
    """

    idle: float
    absolute: float
    fresh: float
    remember: float
    touch_interval: float

    def limits(self, *, permanent: bool, permanent_idle: float) -> Limits:
        """Return today's limits of a session.

        :param permanent_idle: Flask's ``PERMANENT_SESSION_LIFETIME`` in seconds.
        """
        if permanent:
            return Limits(idle=permanent_idle, absolute=self.remember)
        return self.ordinary

    @property
    def ordinary(self) -> Limits:
        """Today's limits of a session that ends with the browser."""
        return Limits(self.idle, self.absolute)


class Times(Struct, frozen=True):
    """What a session's life is judged by. Moments in Unix seconds, ``idle`` in seconds."""

    created_at: float
    login_at: float | None
    seen_at: float
    idle: float
    absolute_at: float

    @property
    def started_at(self) -> float:
        """The moment from which the absolute limit counts."""
        return started_at(self.created_at, self.login_at)

    def is_from_future(self, now: float) -> bool:
        """Return whether the session claims to begin later than clocks can differ."""
        latest = now + CLOCK_SKEW
        return self.created_at > latest or self.started_at > latest

    def under(self, limits: Limits) -> Times:
        """Return these times with the smaller of what was stored and what holds today."""
        idle, absolute_at = min(self.idle, limits.idle), min(self.absolute_at, self.started_at + limits.absolute)
        return Times(self.created_at, self.login_at, self.seen_at, idle, absolute_at)

    def expires_at(self, now: float) -> float:
        """Return when the session ends if nothing more happens, in Unix seconds."""
        return min(settled(self.seen_at, now) + self.idle, self.absolute_at)

    def ends_because(self, now: float) -> Reason:
        """Return which limit comes first if nothing more happens."""
        return Reason.ABSOLUTE if self.absolute_at <= settled(self.seen_at, now) + self.idle else Reason.IDLE

    def verdict(self, now: float) -> Reason | None:
        """Return why the session has ended, or ``None`` while it lives. A limit's own second is past it."""
        if now >= self.absolute_at:
            return Reason.ABSOLUTE
        if now >= settled(self.seen_at, now) + self.idle:
            return Reason.IDLE
        return None
