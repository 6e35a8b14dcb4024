"""What a purge costs while the site goes on: a million expired records among a million live ones.

Beside ``flask sessions purge`` stand one single DELETE on the same table, and Django's ``clearsessions`` on a table or
folder of its own with as many sessions. Meanwhile a request that saves is made over and over: the longest stall is the
longest time that one of them took until it was answered with 200, failed attempts included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, func, select
from sqlalchemy.engine import Engine

from flask_sessionkit.stores.base import GRACE
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from tests.servers import MariaDBServer, PostgreSQLServer

from . import crowds, peers
from .tables import Cell, Report, Table, arguments

PURGE = ("-m", "flask", "--app", "benchmarks.purged_app", "sessions", "purge")


@dataclass
class Cost:
    """What one purge took.

    :param seconds: by the clock.
    :param peak: MB of memory that the command had at most; ``None`` where no command did it.
    :param saves: milliseconds of each request that saved meanwhile, retries included.
    """

    seconds: float = 0.0
    peak: float | None = None
    saves: list[float] = field(default_factory=list)

    def cells(self) -> list[float | None]:
        """Return what stands in the table."""
        return [self.seconds, self.peak, median(self.saves), max(self.saves)]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--expired", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL", "MariaDB", "files"), action="append")
    parser.add_argument("--folder", help="where files and databases lie; by default the system's temporary folder")
    options = parser.parse_args()
    if options.quick:
        options.expired, options.live, options.only = 2000, 2000, options.only or ["SQLite"]
    report = Report("purge", options.save, "flask", "sqlalchemy", "django")
    for kind, rows in _measured(options, options.only or ["SQLite", "PostgreSQL", "MariaDB", "files"]):
        report.add(
            Table(
                f"purge-{kind.lower()}",
                f"{kind}: a purge of {options.expired:,} expired among {options.live:,} live",
                ("seconds", "peak, MB", "save, ms", "longest, ms"),
                rows,
            )
        )


def _measured(options: argparse.Namespace, wanted: Sequence[str]) -> Iterator[tuple[str, list[Sequence[Cell]]]]:
    with TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if "SQLite" in wanted:
            yield "SQLite", _databases(f"sqlite:///{folder}/sessions.db", f"sqlite3:{folder}/django.db", options)
        if "PostgreSQL" in wanted:
            # Later settings go before earlier ones: here it waits for the disk, as in production.
            with PostgreSQLServer("-c", "fsync=on", "-c", "synchronous_commit=on") as server:
                yield "PostgreSQL", _databases(server.url, f"postgresql:{server.port}", options)
        if "MariaDB" in wanted:
            with MariaDBServer("--innodb-buffer-pool-size=4G", "--innodb-log-file-size=1G") as server:
                yield "MariaDB", _databases(server.url, f"mysql:{server.port}", options)
        if "files" in wanted:
            yield "files", _files(folder, options)


def _databases(url: str, django: str, options: argparse.Namespace) -> list[Sequence[Cell]]:
    rows: list[Sequence[Cell]] = []
    engine = create_engine(url)
    store = SQLAlchemyStore(url)
    now = time.time()
    crowds.fill_table(engine, store, options.live, now=now, expired=False)
    for title, purge in (
        ("flask sessions purge", lambda: _command(url)),
        ("one DELETE", lambda: _one_delete(engine, store)),
    ):
        crowds.fill_table(engine, store, options.expired, now=now, expired=True)
        crowds.settle(engine)
        if title.startswith("flask"):
            print(_plan(engine, store))
        rows.append((title, *_beside_saves(peers.sessionkit(url), purge).cells()))
        left = _count(engine, store)
        if left < options.live:
            raise AssertionError(f"{left} left of {options.live} live ones.")
    engine.dispose()
    return [*rows, _django(django, options)]


def _files(folder: Path, options: argparse.Namespace) -> list[Sequence[Cell]]:
    home = folder / "sessions"
    now = time.time()
    crowds.fill_folder(home, options.live, now=now, expired=False)
    crowds.fill_folder(home, options.expired, now=now, expired=True)
    url = f"file://{home}"
    ours = _beside_saves(peers.sessionkit(url), lambda: _command(url)).cells()
    return [("flask sessions purge", *ours), _django(f"file:{folder}/django", options)]


def _beside_saves(visitor: peers.Subject, purge: Callable[[], float | None]) -> Cost:
    """Run a purge while a visitor saves over and over."""
    cost = Cost()
    with saving(visitor.call("change"), cost.saves):
        started = time.perf_counter()
        cost.peak = purge()
        cost.seconds = time.perf_counter() - started
    return cost


@contextmanager
def saving(save: Callable[[], None], took: list[float]) -> Iterator[None]:
    """Save in a thread, again and again, and note how many milliseconds each took until it was done."""
    over = threading.Event()

    def go_on() -> None:
        is_over = False
        while not is_over:
            started = time.perf_counter()
            while not _is_done(save):
                pass
            took.append((time.perf_counter() - started) * 1000)
            is_over = over.wait(0.005)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run(*command: str, env: dict[str, str] | None = None) -> float:
    """Run a Python command to its end and return the most memory that it had, in MB."""
    process = subprocess.Popen([sys.executable, *command], env=os.environ | (env or {}), stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        # Not by rusage: there a child has what its parent had when it forked.
        with suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = float(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed.")
    return peak


def _command(url: str) -> float:
    return run(*PURGE, env={"PURGED_STORE": url})


def _one_delete(engine: Engine, store: SQLAlchemyStore) -> None:
    with engine.begin() as connection:
        table = store._table
        connection.execute(table.delete().where(table.c.expires_at < time.time() - GRACE))


def _is_done(save: Callable[[], None]) -> bool:
    try:
        save()
    except AssertionError:  # a 503: the store was locked for longer than it waits
        return False
    return True


def _count(engine: Engine, store: SQLAlchemyStore) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(store._table)).scalar_one())


def _plan(engine: Engine, store: SQLAlchemyStore) -> str:
    """Return by which index the purge finds what it removes."""
    statement = store._sql.purge if engine.dialect.name == "sqlite" else store._sql.purge_by_join
    compiled = statement.compile(engine)
    values = compiled.construct_params({"cutoff": time.time() - GRACE, "most": 1000})
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    order = compiled.positiontup
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"{explain} {compiled}", values if order is None else tuple(values[name] for name in order)
        ).all()
    plan = " ".join(str(cell) for row in rows for cell in row)
    index = f"ix_{store._table.name}_expires_at"
    return f"{explain}: by {index}" if index in plan else f"{explain} names no index: {plan}"


def _django(place: str, options: argparse.Namespace) -> Sequence[Cell]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.purge_django", place, str(options.expired), str(options.live)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return "Django's clearsessions", *json.loads(done.stdout)


if __name__ == "__main__":
    main()
