"""Whether more sessions make anything dearer: a request, a user's list and its end, a purge.

A request is of one of a thousand sessions that were signed in among the mass, drawn at random; three stores with a
thousand, a hundred thousand and a million sessions take turns. ``growth_users`` and ``growth_purges`` are the rest.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, text

from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from tests.servers import PostgreSQLServer, RedisServer

from . import crowds, growth_purges, growth_users, peers
from .tables import Cell, Report, Table, arguments
from .timing import Cost, each, in_turns, middle, spread
from .visitor import Subject

#: Times of what a request costs in the smallest store, at most, in the largest.
GOAL = 1.15
#: Bytes and inodes of a session on a disk, with its user's folder.
_BYTES, _INODES = 8192, 2.4


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=[1000, 100_000, 1_000_000], help="live sessions")
    parser.add_argument("--files-most", type=int, default=1_000_000, help="live sessions in a folder, at most")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=50, help="requests of each subject in a round")
    parser.add_argument("--crowd", type=int, default=1000, help="sessions of each store that are requested")
    parser.add_argument("--folder", help="where files and databases lie; by default the system's temporary folder")
    parser.add_argument("--only", choices=("requests", "users", "purges"), action="append")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.files_most, options.crowd = [200, 2000, 8000], 4000, 200
        options.rounds, options.calls = 4, 20
    wanted = options.only or ["requests", "users", "purges"]
    report = Report("growth", options.save, "flask", "redis", "sqlalchemy", "psycopg")
    if "requests" in wanted:
        report.add(_requests(options))
    if "users" in wanted:
        report.add(growth_users.table(options.folder, is_quick=options.quick))
    if "purges" in wanted:
        report.add(growth_purges.table(options.folder, is_quick=options.quick))


def _requests(options: argparse.Namespace) -> Table:
    sizes, crowd, rounds, calls = options.sizes, options.crowd, options.rounds, options.calls
    rows: list[Sequence[Cell]] = []
    for name, places in (("files", _files), ("SQLite", _sqlite), ("PostgreSQL", _postgresql), ("Redis", _redis)):
        most = min(options.files_most, _most_files(options.folder)) if name == "files" else sizes[-1]
        here = [*sizes[:-1], min(sizes[-1], most)]
        with _folder(options.folder) as place, places(place, [size - crowd for size in here]) as urls:
            stores = {size: _visitors(url, crowd) for size, url in zip(here, urls, strict=True)}
            for view in ("read", "change"):
                random_calls = {size: _call(visitors, view) for size, visitors in stores.items()}
                costs = in_turns(random_calls, rounds=rounds, calls=calls)
                ratio = each(truediv, costs[here[-1]], costs[here[0]])
                figures = [middle(costs[size]).wall for size in here]
                title = f"{name}, {view}" if here[-1] == sizes[-1] else f"{name}, {view} (at most {here[-1]:,})"
                rows.append((title, *figures, middle(ratio).wall, middle(ratio).cpu, spread(ratio), _verdict(ratio)))
            for visitors in stores.values():
                for visitor in visitors[:20]:
                    visitor.check()
    return Table(
        "growth-requests",
        "Wall clock of a whole request, us, among so many live sessions",
        (*(f"{size:,}" for size in sizes), "ratio", "of CPU", "mid half, CPU", f"goal: {GOAL}"),
        rows,
        f"Medians of {rounds} rounds of {calls} requests; a ratio, of the largest to the smallest, is taken inside a "
        f"round. The requests are of {crowd:,} sessions of each store.",
    )


def _verdict(ratio: list[Cost]) -> str:
    return "met" if middle(ratio).wall <= GOAL else "missed"


def _visitors(url: str, number: int) -> list[Subject]:
    app = peers.sessionkit_app(url)
    return [Subject(app, cookie=crowds.sign_in(app, str(user))) for user in range(number)]


def _call(visitors: list[Subject], view: str) -> Callable[[], None]:
    calls = [visitor.call(view) for visitor in visitors]
    return lambda: random.choice(calls)()


# Three stores beside each other, each with so many sessions beside those that are requested.


@contextmanager
def _files(place: Path, sizes: Sequence[int]) -> Iterator[list[str]]:
    for size in sizes:
        crowds.fill_folder(place / str(size), size, now=time.time(), expired=False)
    yield [f"file://{place}/{size}" for size in sizes]


@contextmanager
def _sqlite(place: Path, sizes: Sequence[int]) -> Iterator[list[str]]:
    urls = [f"sqlite:///{place}/{size}.db" for size in sizes]
    _fill_tables(urls, sizes)
    yield urls


@contextmanager
def _postgresql(place: Path, sizes: Sequence[int]) -> Iterator[list[str]]:
    with PostgreSQLServer("-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB") as server:
        for size in sizes:
            server.sql(f"CREATE DATABASE sessions{size}")
        urls = [f"{server.url}{size}" for size in sizes]
        _fill_tables(urls, sizes)
        yield urls


@contextmanager
def _redis(place: Path, sizes: Sequence[int]) -> Iterator[list[str]]:
    with RedisServer() as server:
        urls = [f"{server.url.rpartition('/')[0]}/{number}" for number in range(len(sizes))]
        for url, size in zip(urls, sizes, strict=True):
            crowds.fill_redis(url, size, now=time.time())
        yield urls


def _fill_tables(urls: Sequence[str], sizes: Sequence[int]) -> None:
    for url, size in zip(urls, sizes, strict=True):
        engine = create_engine(url)
        crowds.fill_table(engine, SQLAlchemyStore(url), size, now=time.time(), expired=False)
        crowds.settle(engine)
        if engine.dialect.name == "postgresql":
            # What the filling left to be written would be written while we measure.
            with engine.connect() as connection:
                connection.execute(text("CHECKPOINT"))
        engine.dispose()


# The disk


@contextmanager
def _folder(parent: str | None) -> Iterator[Path]:
    with TemporaryDirectory(dir=parent) as name:
        yield Path(name)
        subprocess.run(
            ["/bin/rm", "-rf", *map(str, Path(name).iterdir())], check=True
        )  # much quicker than Python's own


def _most_files(folder: str | None) -> int:
    """Return how many sessions a folder has room for."""
    with TemporaryDirectory(dir=folder) as name:
        free = os.statvfs(name)
    room = int(min(free.f_bavail * free.f_frsize / _BYTES, (free.f_favail or free.f_ffree) / _INODES))
    return room * 9 // 10


if __name__ == "__main__":
    main()
