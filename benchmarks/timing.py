"""What a call costs: in turns with the others, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from operator import attrgetter
from statistics import median, quantiles
from typing import Any, TypeVar

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a call, or ratios of such. The processor's are the steadier; the clock's hold waits for the disk."""

    wall: float
    cpu: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, other: Cost) -> Cost:
        return Cost(self.wall / other.wall, self.cpu / other.cpu)


def in_turns(subjects: Mapping[Name, Callable[[], object]], *, rounds: int, calls: int) -> dict[Name, list[Cost]]:
    """Return the cost of a call of each subject in each round."""
    gc.collect()
    gc.freeze()  # what was set up before is no part of any subject's garbage
    costs = by_rounds({name: partial(cost_of, call) for name, call in subjects.items()}, rounds=rounds, calls=calls)
    gc.unfreeze()
    return costs


def by_rounds(subjects: Mapping[Name, Callable[[int], Cost]], *, rounds: int, calls: int) -> dict[Name, list[Cost]]:
    """Return each subject's cost in each round; who comes first moves on by one from round to round.

    :param subjects: each makes a number of calls and tells what one of them cost.
    """
    costs: dict[Name, list[Cost]] = {name: [] for name in subjects}
    turns = list(subjects.items())
    for _ in range(rounds):
        for name, cost in turns:
            costs[name].append(cost(calls))
        turns.append(turns.pop(0))
    return costs


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the medians."""
    return Cost(median(cost.wall for cost in costs), median(cost.cpu for cost in costs))


def spread(costs: Sequence[Cost], clock: Callable[[Cost], float] = attrgetter("cpu")) -> str:
    """Return the middle half, for a table; by default of what the processor spent."""
    low, _, high = quantiles(map(clock, costs), n=4)
    return f"{low:.2f}-{high:.2f}" if high < 10 else f"{low:.0f}-{high:.0f}"


def each(how: Callable[[Cost, Cost], Cost], these: Sequence[Cost], those: Sequence[Cost]) -> list[Cost]:
    """Return the differences or ratios, each taken inside one round."""
    return [how(this, that) for this, that in zip(these, those, strict=True)]


def stay_on_one_core() -> None:
    """Keep this process, and all that it starts, on one core, where the system can do that.

    Else the system moves two processes that wait for each other together or apart as it likes, and what a trip to a
    server costs is either of two figures: 36 or 116 us of the wall clock for a GET of Redis on a virtual machine with
    two cores, most of the second for a core that has to wake up.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine(*packages: str) -> str:
    """Return where the figures come from, and the command that made them."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"$ {' '.join(['python', *sys.orig_argv[1:]])}\n"
        f"{_processor()}, {os.cpu_count()} cores, load {load}; {platform.system()} {platform.release()}; "
        f"{platform.python_implementation()} {platform.python_version()}\n{versions}"
    )


class Prepared:
    """A call that uses something up, such as a session that it ends. What it needs is made before the clock runs."""

    def __init__(self, make: Callable[[], Any], use: Callable[[Any], object]) -> None:
        self._make = make
        self._use = use
        self._made: list[Any] = []

    def prepare(self, calls: int) -> None:
        """Make what so many calls need."""
        self._made = [self._make() for _ in range(calls)]

    def __call__(self) -> None:
        self._use(self._made.pop())


def cost_of(call: Callable[[], object], calls: int) -> Cost:
    """Return what a call costs, of ``calls`` in a row."""
    if isinstance(call, Prepared):
        call.prepare(calls + 1)
    call()  # brings its code and data back into the processor's caches
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        call()
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    return Cost(wall / calls / 1000, cpu / calls / 1000)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
