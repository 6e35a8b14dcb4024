"""How long ``flask sessions copy`` takes: all sessions of one store to another, by one process, with nobody about."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from flask_sessionkit.clock import SystemClock
from flask_sessionkit.record import Record
from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.migrating import Copied, MigratingStore
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from tests.servers import PostgreSQLServer, RedisServer

from .tables import Report, Table, arguments, at_pace

#: How many sessions are copied.
SIZES = (20_000, 40_000)
#: Seconds: nobody waits for a copy.
_PATIENCE = 30.0
_DAY = 86_400.0

Maker = Callable[[], Store]


def main() -> None:
    """Measure and tell."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", help="where the files and databases are made; its disk is part of the figures")
    options = parser.parse_args()
    report = Report("copies", options.save, "redis", "sqlalchemy", "psycopg")
    sizes = (200, 400) if options.quick else SIZES
    with (
        TemporaryDirectory(dir=options.folder) as folder,
        RedisServer() as redis,
        PostgreSQLServer("-c", "fsync=on", "-c", "synchronous_commit=on") as postgresql,
    ):
        rows = [
            (name, *at_pace([_took(new, old, size) for size in sizes], sizes))
            for name, new, old in _pairs(Path(folder), redis.url, postgresql.url)
        ]
    report.add(
        Table(
            "copies",
            "Wall clock of a copy, s, of so many sessions",
            (*(f"{size:,}" for size in sizes), "a second", "minutes a million"),
            rows,
            f"Records of 400 bytes, of a user each. The last two columns are reckoned from {sizes[-1]:,}. Load of the "
            f"machine meanwhile: {os.getloadavg()[1]:.1f}.",
        )
    )


def _pairs(folder: Path, redis: str, postgresql: str) -> list[tuple[str, Maker, Maker]]:
    def files() -> Store:
        return FileStore(folder / secrets.token_hex(4), timeout=_PATIENCE)

    def in_redis() -> Store:
        return RedisStore(redis, prefix=f"{secrets.token_hex(4)}:", timeout=_PATIENCE)

    def in_sqlite() -> Store:
        return SQLAlchemyStore(f"sqlite:///{folder}/{secrets.token_hex(4)}.db", timeout=_PATIENCE)

    def in_postgresql() -> Store:
        return SQLAlchemyStore(postgresql, table=f"t{secrets.token_hex(4)}", timeout=_PATIENCE)

    return [
        ("files to Redis", in_redis, files),
        ("SQLite to PostgreSQL", in_postgresql, in_sqlite),
        ("Redis to PostgreSQL", in_postgresql, in_redis),
    ]


def _took(new: Maker, old: Maker, size: int) -> float:
    store, now = MigratingStore(new(), old()), time.time()
    for _ in range(size):
        store.old.create(_record(now))
    began = time.perf_counter()
    outcomes = list(store.copy(SystemClock()))
    took = time.perf_counter() - began
    if outcomes != [Copied.MOVED] * size:
        raise RuntimeError("Not all sessions were moved. Is anybody else about?")
    return took


def _record(now: float) -> Record:
    return Record(
        key=secrets.token_hex(32),
        payload=secrets.token_bytes(400),
        created_at=now,
        seen_at=now,
        idle=_DAY,
        absolute_at=now + _DAY,
        owner=secrets.token_hex(16),
        info=secrets.token_bytes(120),
        version=secrets.token_bytes(8),
    )


if __name__ == "__main__":
    main()
