"""Where the time comes from, and how far a foreign one is believed."""

from __future__ import annotations

import time
from typing import Protocol

#: A time further ahead than this many seconds is not believed; clocks of two servers differ by less.
CLOCK_SKEW = 60.0


class Clock(Protocol):
    """A source of time; ``flask_sessionkit.testing.FrozenClock`` is another."""

    def now(self) -> float:
        """Return the time in Unix seconds, UTC."""
        ...

    def elapsed(self) -> float:
        """Return seconds since some fixed moment; never goes back. For budgets, not for limits."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait, between two attempts at a write that others got in the way of."""
        ...


class SystemClock:
    """The machine's own clock."""

    now: staticmethod[[], float] = staticmethod(time.time)
    elapsed: staticmethod[[], float] = staticmethod(time.monotonic)
    pause: staticmethod[[float], None] = staticmethod(time.sleep)


def settled(seen_at: float, now: float) -> float:
    """Return a ``seen_at`` that can be believed: one more than ``CLOCK_SKEW`` ahead, or no number, counts as now."""
    return seen_at if seen_at <= now + CLOCK_SKEW else now


def touch_is_due(seen_at: float, now: float, every: float) -> bool:
    """Return whether "last seen" is to be written: it is old, or cannot be believed.

    :param every: seconds; ``SESSIONKIT_TOUCH_INTERVAL``.
    """
    return not (now - seen_at < every and seen_at <= now + CLOCK_SKEW)
