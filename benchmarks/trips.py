"""What a call costs the store's server: microseconds of its processors, by which one core's limit can be told.

One caller on one connection, one call after the other. Many callers at once cost a server less each, since it takes
several commands from the network in one go: what is printed is the dear end. What a disk takes is not in it.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from flask_sessionkit.record import Outcome, Record
from flask_sessionkit.store_urls import Site, make_store
from flask_sessionkit.stores.base import Store
from tests.servers import MariaDBServer, MemcachedServer, PostgreSQLServer, RedisServer, Server

from . import crowds
from .tables import Cell, Report, Table, arguments

#: Later settings go before earlier ones: here PostgreSQL waits for the disk, as in production.
SERVERS: dict[str, Callable[[], Server]] = {
    "Redis": RedisServer,
    "Redis, appendfsync everysec": lambda: RedisServer("--appendonly", "yes"),
    "Memcached": MemcachedServer,
    "PostgreSQL": lambda: PostgreSQLServer("-c", "fsync=on", "-c", "synchronous_commit=on"),
    "MariaDB": MariaDBServer,
}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--sessions", type=int, default=10_000, help="that lie in each store")
    parser.add_argument("--calls", type=int, default=5_000, help="of each kind")
    options = parser.parse_args()
    if options.quick:
        options.sessions, options.calls = 500, 250
    report = Report("trips", options.save, "redis", "pymemcache", "sqlalchemy", "psycopg", "pymysql")
    rows: list[Sequence[Cell]] = []
    for kind, server in SERVERS.items():
        with server() as place:
            store = make_store(
                place.url,  # type: ignore[attr-defined]  # each kind's own
                Site(Path(), timeout=10.0, prefix="session:", database=lambda _: None),
            )
            rows.append((kind, *_costs(place, store, options.sessions, options.calls)))
    report.add(
        Table(
            "trips",
            "A call's cost to the server, us of its processors",
            ("begins", "reads", "touches", "saves"),
            rows,
            f"{options.calls:,} calls of each kind among {options.sessions:,} sessions.",
        )
    )


def _costs(place: Server, store: Store, sessions: int, calls: int) -> list[float]:
    now = time.time()
    crowd = list(crowds.records(sessions, now=now, expired=False))
    for record in crowd:
        store.create(record)
    new = list(crowds.records(calls, now=now, expired=False))
    some = random.choices(crowd, k=calls)
    later = itertools.count(now + 1, 0.001)
    begins = _cost(place, store.create, new)
    reads = _cost(place, lambda record: store.load(record.key, now=now), some)
    touches = _cost(place, lambda record: store.load(record.key, now=next(later), touch_every=0.0), some)
    read = [_loaded(store, record, now) for record in crowd[:calls]]
    saves = _cost(place, lambda record: _save(store, record, now), read)
    return [begins, reads, touches, saves]


def _loaded(store: Store, record: Record, now: float) -> Record:
    there = store.load(record.key, now=now)
    if there is None:
        raise AssertionError(f"{record.key} is gone.")
    return there


def _save(store: Store, record: Record, now: float) -> None:
    write = store.replace(replace(record, version=os.urandom(8)), expected=record.version, now=now)
    if write.outcome is not Outcome.OK:
        raise AssertionError(f"{record.key} was not saved: {write.outcome}.")


def _cost(place: Server, call: Callable[[Record], object], records: list[Record]) -> float:
    """Return microseconds of the server's processors for each call."""
    before = _processor_time(place.pid)
    for record in records:
        call(record)
    return (_processor_time(place.pid) - before) * 1e6 / len(records)


def _processor_time(pid: int) -> float:
    """Return the seconds that a process and its children spent, those included that have ended."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(map(_processor_time, map(int, children)))


if __name__ == "__main__":
    main()
