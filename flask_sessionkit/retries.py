"""How long one request goes on trying where others keep coming between."""

from __future__ import annotations

import random

from .clock import Clock
from .errors import SessionConflict

#: Seconds that one request may spend on writes that others got in the way of.
_BUDGET = 1.0
#: Seconds; the longest pause between two attempts. Without jitter one loop met 64 conflicts in a row.
_LONGEST_PAUSE = 0.05


class Retries:
    """One request's attempts at writes that others got in the way of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._spent = 0.0

    def begin(self) -> bool:
        """Note another conflict; return whether it is the first, after which no pause is needed."""
        if self._since is not None:
            return False
        self._since = self._clock.elapsed() - self._spent
        return True

    def pause(self) -> None:
        """Wait a little, longer each time.

        :raises SessionConflict: the budget is spent.
        """
        spent = 0.0 if self._since is None else self._clock.elapsed() - self._since
        if spent > _BUDGET:
            raise SessionConflict(
                f"Others changed this session without a pause for {_BUDGET:g} s. Nothing was saved; send it again."
            )
        self._clock.pause(random.uniform(0, min(_LONGEST_PAUSE, 0.001 + spent)))  # noqa: S311  # jitter, no secret

    def stop(self) -> None:
        """Note that a write went through: what comes next is no retry of it, and what was spent stays spent."""
        if self._since is not None:
            self._spent, self._since = self._clock.elapsed() - self._since, None
