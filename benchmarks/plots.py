"""Draws the saved tables of which a picture says more: bars by store, and growth as lines on logarithmic axes.

``python -m benchmarks plots`` reads ``docs/figures`` and writes ``docs/pictures/benchmarks``: an SVG for each table in
``PLOTS``. The same tables give the same bytes. On white, since a transparent picture is black on black at night.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from .charts import STYLE, bars, has_colour, lines
from .saved import Saved, number

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Draw, and tell which tables have no plot and which plots no table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=DOCS / "figures", help="where --save left them")
    parser.add_argument("--pictures", type=Path, default=DOCS / "pictures" / "benchmarks")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    there = {file.stem: file for file in options.tables.glob("*.csv")}
    with mpl.rc_context(STYLE):
        for name in PLOTS.keys() & there.keys():
            plot = PLOTS[name](Saved.read(there[name]))
            plot.savefig(options.pictures / f"{name}.svg", metadata={"Date": None, "Creator": None})
    print(f"{len(PLOTS.keys() & there.keys())} plots in {options.pictures}")
    print("no plot:", *sorted(there.keys() - PLOTS.keys()))
    print("no table:", *sorted(PLOTS.keys() - there.keys()))


# Kinds of plots


def by_store(unit: str, table: Saved) -> Figure:
    """Draw a table whose rows are stores and whose columns are libraries, as a panel of bars."""
    names = [name for name in table.columns if _is_subject(name)]
    return bars({"": {row: _figures((name, table.figure(row, name)) for name in names) for row in table.rows}}, unit)


def by_request(unit: str, requests: Sequence[str], table: Saved) -> Figure:
    """Draw a table whose rows are ``store: library`` and whose columns are requests, as a panel of bars for each."""
    panels = {}
    for request in requests:
        groups: dict[str, dict[str, float]] = {}
        for row in table.rows:
            group, _, name = row.rpartition(": ") if "revocable" not in row else row.partition(": ")
            figure = table.figure(row, request)
            if figure is not None:
                groups.setdefault(group or "no store", {})[name] = figure
        panels[request] = groups
    return bars(panels, unit)


def by_row(unit: str, column: str, table: Saved) -> Figure:
    """Draw one column of a table whose rows tell by their names whose they are."""
    whose = {row: "SessionKit" if "sessionkit" in row.lower() else "Flask" for row in table.rows}
    return bars({"": {row: _figures([(who, table.figure(row, column))]) for row, who in whose.items()}}, unit)


def growing(x: str, y: str, table: Saved) -> Figure:
    """Draw a table whose columns are sizes and whose rows are stores, or ``store, request``, as lines."""
    sizes = {name: number(name) for name in table.columns}
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in table.rows:
        store, _, request = row.partition(" (")[0].partition(", ")
        panels.setdefault(request, {})[store] = [
            (size, figure)
            for name, size in sizes.items()
            if size is not None and (figure := table.figure(row, name)) is not None
        ]
    return lines(panels, x, y)


def by_size(x: str, y: str, columns: Mapping[str, str], table: Saved) -> Figure:
    """Draw a table whose rows are ``store, size`` as lines, a panel for each of some columns."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {title: {} for title in columns.values()}
    for row in table.rows:
        store, _, size = row.partition(", ")
        for column, title in columns.items():
            figure, at = table.figure(row, column), number(size)
            if figure is not None and at is not None:
                panels[title].setdefault(store, []).append((at, figure))
    return lines(panels, x, y)


def by_keys(x: str, y: str, table: Saved) -> Figure:
    """Draw our sessions of 1, 10 and 100 keys as lines, a panel for each request."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in table.rows:
        store, _, name = row.partition(": ")
        if name != "SessionKit":
            continue
        for column in table.columns:
            request, _, keys = column.partition(" ")
            at, figure = number(keys.partition(" key")[0]), table.figure(row, column)
            if at is not None and figure is not None:
                panels.setdefault(request, {}).setdefault(store, []).append((at, figure))
    return lines(panels, x, y)


_US = "us above the framework's own bare request"
_LIVE = "live sessions"

#: By the name of the table.
PLOTS: Mapping[str, Callable[[Saved], Figure]] = {
    "requests-no-look": partial(by_store, _US),
    "requests-read": partial(by_store, _US),
    "requests-change": partial(by_store, _US),
    "requests-first-write": partial(by_store, _US),
    "requests-login": partial(by_store, _US),
    "requests-logout": partial(by_store, _US),
    "requests-sizes": partial(by_keys, "keys of the session, 200 bytes each", _US),
    "wire-trips": partial(by_request, "round trips", ("read", "change")),
    "wire-latency": partial(by_request, "ms above the framework's own bare request", ("read", "change")),
    "throughput": partial(by_request, "requests a second", ("read", "mixed")),
    "throughput-p99": partial(by_request, "ms", ("read", "mixed")),
    "growth-requests": partial(growing, _LIVE, "us of a request"),
    "growth-users": partial(
        by_size, "sessions of the user", "ms", {"list, ms": "sessions_of", "revoke, ms": "revoke_user"}
    ),
    "growth-purges": partial(growing, "expired sessions", "us a session"),
    "footprint": partial(by_store, "bytes a session"),
    "imports": partial(by_row, "CPU ms", "ms"),
}


def _figures(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    return {name: figure for name, figure in pairs if figure is not None}


def _is_subject(column: str) -> bool:
    return has_colour(column) and "/" not in column


if __name__ == "__main__":
    main()
