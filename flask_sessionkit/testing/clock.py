"""A clock that only a test moves."""

from __future__ import annotations

import threading
import time
from datetime import timedelta


class FrozenClock:
    """A ``Clock`` that stands still until it is told to move. Safe for threads.

    >>> clock = FrozenClock()
    >>> clock.tick(1800)
    >>> clock.now()
    1700001800.0
    >>> clock.tick(minutes=30, hours=1)
    >>> clock.now()
    1700007200.0
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        """Stop the clock.

        :param start: Unix seconds, UTC.
        """
        self._lock = threading.Lock()
        self._now = start
        self._elapsed = 0.0

    def now(self) -> float:
        """Return the time in Unix seconds, UTC."""
        return self._now

    def elapsed(self) -> float:
        """Return the seconds that were ticked or paused so far; never goes back."""
        return self._elapsed

    def tick(
        self, seconds: float | timedelta = 0.0, *, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0
    ) -> None:
        """Let time pass; what is given is added up.

        :param seconds: or a duration; less than zero sets ``now()`` back, as an administrator might, and leaves
            ``elapsed()``.
        :raises TypeError: it is neither.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if not isinstance(seconds, float | int):
            raise TypeError(
                f"seconds of tick() must be a number or a timedelta, not {type(seconds).__name__}. Use tick(hours=1)."
            )
        seconds += 60 * minutes + 3_600 * hours + 86_400 * days
        with self._lock:
            self._now += seconds
            self._elapsed += max(0.0, seconds)

    def pause(self, seconds: float) -> None:
        """Count a wait without waiting, and let other threads go first.

        ``now()`` stays, so that a retry with jitter does not change the times that a test expects.
        """
        with self._lock:
            self._elapsed += seconds
        time.sleep(0)
