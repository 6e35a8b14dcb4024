"""Where the time comes from."""

from __future__ import annotations

import time
from typing import Protocol


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

    now = staticmethod(time.time)
    elapsed = staticmethod(time.monotonic)
    pause = staticmethod(time.sleep)
