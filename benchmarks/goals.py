"""What we want to reach and what was reached, of each goal the worst case, read from tables that were saved before.

``python -m benchmarks goals --save FOLDER`` reads the tables there and adds ``goals`` to them; it measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from . import growth, growth_purges, imports
from .saved import Saved
from .tables import Cell, Report, Table, arguments, written

#: By where it was measured.
Reached: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    :param most: that may be reached.
    :param table: where that is told.
    :param reached: finds it there.
    """

    name: str
    most: float
    unit: str
    table: str
    reached: Callable[[Saved], Reached]


def main() -> None:
    """Read and tell."""
    folder = arguments(__doc__).parse_args().save
    if folder is None:
        print("Goals are told of tables that were kept. Give --save FOLDER.")
        return
    Report("goals", folder).add(_table(Path(folder)))


def _table(folder: Path) -> Table:
    return Table(
        "goals",
        "What we want to reach, and what was reached in the worst case",
        ("at most", "reached", "in", ""),
        [_row(goal, folder / f"{goal.table}.csv") for goal in GOALS],
    )


def _row(goal: Goal, file: Path) -> Sequence[Cell]:
    most = _with_unit(goal.most, goal.unit)
    reached = goal.reached(Saved.read(file)) if file.exists() else {}
    if not reached:
        return goal.name, most, "not measured", None, None
    worst = max(reached, key=lambda where: reached[where])
    missed = sum(figure > goal.most for figure in reached.values())
    told = [goal.name, most, _with_unit(reached[worst], goal.unit)]
    if len(reached) == 1:
        return [*told, None, "missed" if missed else "met"]
    return [*told, worst, f"missed in {missed} of {len(reached)}" if missed else "met"]


def _with_unit(figure: float, unit: str) -> str:
    return f"{written(figure)} {unit}".rstrip()


def _along(row: str, table: Saved, *, without: str = "") -> Reached:
    """Return the figures of a row, by their columns."""
    named = {column: table.figure(row, column) for column in table.columns if column not in ("at most", "", without)}
    return {column: figure for column, figure in named.items() if figure is not None}


def _down(column: str, rows: str, table: Saved) -> Reached:
    """Return the figures of a column, by those rows whose names begin so."""
    named = {row: table.figure(row, column) for row in table.rows if row.startswith(rows)}
    return {row.removeprefix(f"{rows}, "): figure for row, figure in named.items() if figure is not None}


def _in_cookies(row: str, table: Saved) -> Reached:
    return {where: figure for where, figure in _along(row, table).items() if where == "cookie"}


def _requests(request: str, floor: float) -> Sequence[Goal]:
    cheaper = f"{request} / the cheaper"
    return (
        Goal(f"{request}, of the cheaper peer", 0.6, "", _OF_REQUESTS, partial(_along, cheaper, without="cookie")),
        Goal(
            f"{request}, above the driver's floor",
            floor,
            "us",
            _OF_REQUESTS,
            partial(_along, f"{request} - the floor, us"),
        ),
        Goal(f"{request} in cookies, of Flask's own", 0.6, "", _OF_REQUESTS, partial(_in_cookies, cheaper)),
    )


_OF_REQUESTS = "requests-goals"
GOALS = (
    Goal("no look, of bare Flask", 1.1, "", _OF_REQUESTS, partial(_along, "no look / bare Flask")),
    *_requests("read", floor=30),
    *_requests("change", floor=60),
    Goal("read where a trip takes 1 ms", 1.1, "ms", "wire-goals", partial(_down, "reached", "read")),
    Goal("change where a trip takes 1 ms", 2.2, "ms", "wire-goals", partial(_down, "reached", "change")),
    Goal(
        "one of 100 keys read, of the only one", 1.5, "", _OF_REQUESTS, partial(_along, "read one of 100 keys / of 1")
    ),
    Goal("a request as sessions grow", growth.GOAL, "", "growth-requests", partial(_down, "ratio", "")),
    Goal("a purge, each, as the expired grow", growth_purges.GOAL, "", "growth-purges", partial(_down, "ratio", "")),
    Goal("bytes in Redis, of Flask-Session's", 0.8, "", "footprint", partial(_down, "to Flask-Session", "Redis")),
    Goal("import flask_sessionkit", imports.GOAL, "ms", "imports", partial(_down, "ms", "import flask_sessionkit")),
)


if __name__ == "__main__":
    main()
