"""What requests cost above the bare framework's, as tables, and which goals that meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, sub, truediv
from typing import Final, TypeAlias

from .tables import Cell, Table
from .timing import Cost, each, middle, spread
from .views import SIZES

OURS: Final = "SessionKit"
FLASK, DJANGO, STARLETTE = "bare Flask", "bare Django", "bare Starlette"
BARE: Final = (FLASK, DJANGO, STARLETTE)
FLOOR: Final = "the driver's floor"
FLOOR_IN_VIEW: Final = "the floor in a view"
OWN_COOKIE: Final = "Flask's own cookie"

#: As they are called, and as tables have them.
REQUESTS: Final = {
    "ignore": "no look",
    "read": "read",
    "change": "change",
    "write": "first write",
    "login": "login",
    "logout": "logout",
}

#: The cheaper of those on the same store is what ours is compared with; in the browser it is Flask's own.
_RIVALS: Final = ("Flask-Session", "Django")
#: With a setting that is not its default: it does not write at each request.
LAZY: Final = "Flask-Session*"

#: A subject's costs of one request, round by round.
Costs: TypeAlias = Mapping[str, Sequence[Cost]]
#: The same by subject and number of keys; of what is bare there are none.
Sized: TypeAlias = Mapping[tuple[str, int], Sequence[Cost]]
Clock: TypeAlias = Callable[[Cost], float]

#: What is told of each cost: first what the issue's goals are about.
CLOCKS: Final[Mapping[str, tuple[str, Clock]]] = {
    "": ("wall clock", attrgetter("wall")),
    "-cpu": ("CPU of this process", attrgetter("cpu")),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured on one store.

    :param costs: by request.
    :param sizes: by request, of sessions whose size is told; empty where that was not measured.
    """

    store: str
    costs: Mapping[str, Costs]
    sizes: Mapping[str, Sized]

    def surplus(self, request: str, name: str) -> list[Cost]:
        """Return what a request of a subject costs above the bare framework's, round by round."""
        costs = self.costs[request]
        return each(sub, costs[name], costs[_bare_of(name)])

    def surplus_of_size(self, request: str, name: str, keys: int) -> list[Cost]:
        """Return the same of a session with so many keys."""
        costs = self.sizes[request]
        return each(sub, costs[name, keys], costs[_bare_of(name), 0])

    def figures(self, request: str, name: str) -> Sequence[Cost]:
        """Return what tables show: a surplus, or all of it where nothing is taken off."""
        return self.costs[request][name] if name in (*BARE, FLOOR) else self.surplus(request, name)

    def of_bare(self, name: str) -> list[Cost]:
        """Return what a view that does not look costs, as a multiple of the bare framework's."""
        costs = self.costs["ignore"]
        return each(truediv, costs[name], costs[_bare_of(name)])

    def cheaper(self, request: str, clock: Clock) -> str:
        """Return who among those with whom ours is compared has the smallest surplus."""
        costs = self.costs[request]
        rivals = [OWN_COOKIE] if OWN_COOKIE in costs else [name for name in _RIVALS if name in costs]
        return min(rivals, key=lambda name: clock(middle(self.surplus(request, name))))

    def of_cheaper(self, request: str, clock: Clock, name: str = OURS) -> list[Cost]:
        """Return our surplus as a multiple of theirs, round by round."""
        return self.of(self.cheaper(request, clock), request, name)

    def of(self, other: str, request: str, name: str = OURS) -> list[Cost]:
        """Return our surplus as a multiple of another's, round by round."""
        return each(truediv, self.surplus(request, name), self.surplus(request, other))

    def above_floor(self, request: str, clock: Clock, floor: str = FLOOR) -> float | None:
        """Return the microseconds of our surplus above the driver's own calls; ``None``: there is no driver."""
        if floor not in self.costs[request]:
            return None
        return clock(middle(each(sub, self.surplus(request, OURS), self.figures(request, floor))))

    def floor_of_cheaper(self, request: str, clock: Clock) -> float | None:
        """Return the driver's own calls as a multiple of their surplus: less than that nobody can reach."""
        if FLOOR_IN_VIEW not in self.costs[request]:
            return None
        theirs = self.surplus(request, self.cheaper(request, clock))
        return clock(middle(each(truediv, self.surplus(request, FLOOR_IN_VIEW), theirs)))

    def tables(self) -> list[Table]:
        """Return what each request costs, by the wall clock and by the processor's."""
        return [self._table(kind) for kind in CLOCKS]

    def _table(self, kind: str) -> Table:
        title, clock = CLOCKS[kind]
        rows: list[Sequence[Cell]] = []
        for name in dict.fromkeys(name for costs in self.costs.values() for name in costs):
            ratio = clock(middle(self.of_bare(name))) if name in self.costs["ignore"] else None
            rows.append([name, *self._cells(name, clock), ratio])
        for name in [name for name in self.costs["ignore"] if name.startswith(OURS)]:
            ratios = [self.of_cheaper(request, clock, name) for request in REQUESTS if request != "ignore"]
            rows.append([f"{name} / the cheaper", None, *(clock(middle(ratio)) for ratio in ratios), None])
            rows.append(["  middle half of the rounds", None, *(spread(ratio, clock) for ratio in ratios), None])
        if LAZY in self.costs["ignore"]:
            ratios = [self.of(LAZY, request) for request in REQUESTS if request != "ignore"]
            rows.append([f"{OURS} / {LAZY}", None, *(clock(middle(ratio)) for ratio in ratios), None])
        who = {REQUESTS[request]: self.cheaper(request, clock) for request in REQUESTS if request != "ignore"}
        for floor in (FLOOR, FLOOR_IN_VIEW):
            if floor in self.costs["read"]:
                above = [self.above_floor(request, clock, floor) for request in ("read", "change", "write")]
                rows.append([f"{OURS} - {floor}", None, *above, None, None, None])
        return Table(
            f"requests-{self.store.lower()}{kind}",
            f"{self.store}: us of a request above the framework's own bare one, {title}",
            [*REQUESTS.values(), "no look / bare"],
            rows,
            "The cheaper is " + ", ".join(f"of {request} {name}" for request, name in who.items()) + ".",
        )

    def _cells(self, name: str, clock: Clock) -> list[Cell]:
        return [
            clock(middle(self.figures(request, name))) if name in self.costs[request] else None for request in REQUESTS
        ]


def request_tables(findings: Sequence[Finding]) -> list[Table]:
    """Return what one request costs on each store, a table for each request, by the wall clock."""
    return [_over_stores(findings, request) for request in REQUESTS]


def _over_stores(findings: Sequence[Finding], request: str) -> Table:
    _, clock = CLOCKS[""]
    shown = [OURS, *_RIVALS[:1], LAZY, *_RIVALS[1:], "starsessions", OWN_COOKIE, FLOOR, FLOOR_IN_VIEW]
    there = [name for name in shown if any(name in finding.costs[request] for finding in findings)]
    rows: list[Sequence[Cell]] = []
    for finding in findings:
        costs = finding.costs[request]
        row = [clock(middle(finding.figures(request, name))) if name in costs else None for name in there]
        is_nothing = request == "ignore"  # so near to it that no ratio would tell anything
        rows.append([finding.store, *row, None if is_nothing else clock(middle(finding.of_cheaper(request, clock)))])
    return Table(
        f"requests-{REQUESTS[request].replace(' ', '-')}",
        f"{REQUESTS[request].capitalize()}: us above the framework's own bare request, wall clock",
        [*there, "ours / the cheaper"],
        rows,
    )


def sizes_table(findings: Sequence[Finding]) -> Table:
    """Return what sessions of 1, 10 and 100 keys cost."""
    _, clock = CLOCKS[""]
    rows: list[Sequence[Cell]] = []
    for finding in findings:
        for name in dict.fromkeys(name for name, keys in finding.sizes.get("read", ()) if keys):
            row: list[Cell] = [f"{finding.store}: {name}"]
            for request, costs in finding.sizes.items():
                there = [keys for keys in SIZES if (name, keys) in costs]
                surplus = {keys: finding.surplus_of_size(request, name, keys) for keys in there}
                row += [clock(middle(surplus[keys])) if keys in surplus else None for keys in SIZES]
                row.append(_growth(surplus, clock))
            rows.append(row)
    columns = [
        f"{request} {what}"
        for request in ("read", "change")
        for what in (*(f"{keys} key{'s' if keys > 1 else ''}" for keys in SIZES), f"{SIZES[-1]} / 1")
    ]
    return Table(
        "requests-sizes",
        "One key of a larger session: us above the framework's own bare request, wall clock",
        columns,
        rows,
        "200 bytes a key with its value: 0.2, 2 and 20 kB. What has no figure fits into no cookie.",
    )


def goal_tables(findings: Sequence[Finding]) -> list[Table]:
    """Return which goals are met, by the wall clock and by the processor's."""
    return [_goals(findings, kind) for kind in CLOCKS]


def _goals(findings: Sequence[Finding], kind: str) -> Table:
    title, clock = CLOCKS[kind]
    goals: dict[str, tuple[float, Callable[[Finding], float | None]]] = {
        "no look / bare Flask": (1.10, lambda finding: clock(middle(finding.of_bare(OURS)))),
        "read / the cheaper": (0.6, lambda finding: _of_cheaper(finding, "read", clock)),
        "read - the floor, us": (30, lambda finding: finding.above_floor("read", clock)),
        "change / the cheaper": (0.6, lambda finding: _of_cheaper(finding, "change", clock)),
        "change - the floor, us": (60, lambda finding: finding.above_floor("change", clock)),
        f"read one of {SIZES[-1]} keys / of 1": (1.5, lambda finding: _growth_of_ours(finding, clock)),
    }
    rows: list[Sequence[Cell]] = []
    for title_of_goal, (most, reached_in) in goals.items():
        reached = {finding.store: reached_in(finding) for finding in findings}
        missed = [store for store, figure in reached.items() if figure is not None and figure > most]
        rows.append([title_of_goal, most, *reached.values(), "missed: " + ", ".join(missed) if missed else "met"])
    for request in ("read", "change"):
        above = [finding.above_floor(request, clock, FLOOR_IN_VIEW) for finding in findings]
        rows.append([f"({request} - {FLOOR_IN_VIEW}, us)", None, *above, ""])
        least = [finding.floor_of_cheaper(request, clock) for finding in findings]
        rows.append([f"({FLOOR_IN_VIEW} / the cheaper, {request})", None, *least, ""])
        lazy = [_of_lazy(finding, request, clock) for finding in findings]
        rows.append([f"({request} / {LAZY})", None, *lazy, ""])
    return Table(
        f"requests-goals{kind}",
        f"Goals and what was reached, {title}",
        ["at most", *(finding.store for finding in findings), ""],
        rows,
        "In cookies the cheaper is Flask's own; memory is no store for a server and has no goal of that kind. "
        "Where the floor alone is as dear as a goal, no library could meet it.",
    )


def _of_cheaper(finding: Finding, request: str, clock: Clock) -> float | None:
    return None if finding.store == "memory" else clock(middle(finding.of_cheaper(request, clock)))


def _of_lazy(finding: Finding, request: str, clock: Clock) -> float | None:
    if finding.store == "memory" or LAZY not in finding.costs[request]:
        return None
    return clock(middle(finding.of(LAZY, request)))


def _growth_of_ours(finding: Finding, clock: Clock) -> float | None:
    if ("read" not in finding.sizes) or (OURS, SIZES[-1]) not in finding.sizes["read"]:
        return None
    return _growth({keys: finding.surplus_of_size("read", OURS, keys) for keys in SIZES}, clock)


def _growth(surplus: Mapping[int, Sequence[Cost]], clock: Clock) -> float | None:
    if SIZES[-1] not in surplus:
        return None
    return clock(middle(each(truediv, surplus[SIZES[-1]], surplus[SIZES[0]])))


def _bare_of(name: str) -> str:
    if name.startswith("Django") or name == DJANGO:
        return DJANGO
    return STARLETTE if name in ("starsessions", STARLETTE) else FLASK
