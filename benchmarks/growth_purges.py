"""Whether a purge stays linear as the expired grow, among as many live ones each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine

from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from tests.servers import PostgreSQLServer

from . import crowds
from .tables import Cell, Table

#: Times of what a session of the smallest purge takes, at most, in the largest.
GOAL = 1.25

#: Expired sessions, and how many such purges are made.
_EXPIRED = {10_000: 3, 100_000: 2, 1_000_000: 1}
_LIVE = 100_000


def table(folder: str | None, *, is_quick: bool) -> Table:
    """Measure and return the table."""
    turns, live = ({1000: 3, 10_000: 1}, 1000) if is_quick else (_EXPIRED, _LIVE)
    few = {number: times for number, times in turns.items() if number < max(turns)}
    rows: list[Sequence[Cell]] = []
    with TemporaryDirectory(dir=folder) as name:
        rows.append(_row("SQLite", _in_table(f"sqlite:///{name}/sessions.db", turns, live)))
        with PostgreSQLServer("-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB") as server:
            rows.append(_row("PostgreSQL", _in_table(server.url, turns, live)))
        rows.append(_row("files", [*_in_folder(Path(name, "sessions"), few, live), None]))
    return Table(
        "growth-purges",
        f"Wall clock of a purge, us a session, of so many expired among {live:,} live",
        (*(f"{number:,}" for number in turns), "ratio", f"goal: {GOAL}"),
        rows,
        f"Medians of {', '.join(map(str, turns.values()))} purges; the ratio is of the largest to the smallest.",
    )


def _row(name: str, costs: Sequence[float | None]) -> Sequence[Cell]:
    known = [cost for cost in costs if cost is not None]
    ratio = known[-1] / known[0]
    return name, *costs, ratio, "met" if ratio <= GOAL else "missed"


def _in_table(url: str, turns: Mapping[int, int], live: int) -> list[float]:
    engine, store = create_engine(url), SQLAlchemyStore(url)

    def fill(number: int, is_expired: bool) -> None:
        crowds.fill_table(engine, store, number, now=time.time(), expired=is_expired)
        crowds.settle(engine)

    costs = _costs(store, fill, turns, live)
    engine.dispose()
    return costs


def _in_folder(folder: Path, turns: Mapping[int, int], live: int) -> list[float]:
    def fill(number: int, is_expired: bool) -> None:
        crowds.fill_folder(folder, number, now=time.time(), expired=is_expired)

    return _costs(FileStore(folder), fill, turns, live)


def _costs(store: Store, fill: Callable[[int, bool], None], turns: Mapping[int, int], live: int) -> list[float]:
    fill(live, False)
    costs = []
    for number, times in turns.items():
        took = []
        for _ in range(times):
            fill(number, True)
            took.append(_purge(store, number) * 1e6 / number)
        costs.append(median(took))
    return costs


def _purge(store: Store, number: int) -> float:
    started = time.perf_counter()
    removed, more = 0, True
    while more:
        purged = store.purge(now=time.time())
        removed, more = removed + purged.count, purged.more
    took = time.perf_counter() - started
    if removed != number:
        raise AssertionError(f"{removed} of {number} were purged.")
    return took
