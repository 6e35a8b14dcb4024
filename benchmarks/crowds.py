"""Many records at once, live ones and expired ones, as a busy site leaves them."""

from __future__ import annotations

import multiprocessing
import os
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import Engine

from flask_sessionkit import codec
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.device import Device
from flask_sessionkit.interface import SessionKitInterface
from flask_sessionkit.record import Record
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.stores.redis_scripts import WRITE
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore

from .views import TYPICAL

#: Bytes of a typical session, sealed; what is in them makes no difference to a store.
_PAYLOAD, _INFO = 300, 120


def records(number: int, *, now: float, expired: bool) -> Iterator[Record]:
    """Make records of users with about three sessions each; those that expired did so in the last 30 days."""
    owners = [secrets.token_hex(16) for _ in range(number // 3 + 1)]
    for _ in range(number):
        seen_at = now - random.uniform(3600, 30 * 86_400) if expired else now - random.uniform(0, 1500)
        yield Record(
            key=secrets.token_hex(32),
            payload=os.urandom(_PAYLOAD),
            created_at=seen_at - 600,
            seen_at=seen_at,
            idle=1800.0,
            absolute_at=seen_at + 42_600,
            owner=random.choice(owners),
            info=os.urandom(_INFO),
            version=os.urandom(8),
        )


def sign_in(app: Flask, user: str) -> str:
    """Make a session in an application's store as a login does; return the cookie that leads to it."""
    site = cast(SessionKitInterface, app.session_interface)
    now = site.clock.now()
    timeouts = site.settings.timeouts
    device = Device(os.urandom(16), now, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", "192.0.2.7")
    contents = Contents(
        Kind.LIVE,
        timeouts.idle,
        now + timeouts.absolute,
        now,
        device.lineage,
        now,
        user=user,
        data={name: codec.encode(value) for name, value in TYPICAL.items()},
    )
    found = site.backend(app).create(contents, seen_at=now, info=device.encode())
    return f"{site.get_cookie_name(app)}={found.token}"


def fill_table(engine: Engine, store: SQLAlchemyStore, number: int, *, now: float, expired: bool) -> None:
    """Have the database write records of its own making into a store's table; a million in some seconds."""
    store.create_table()
    words = WORDS[engine.dialect.name]
    ago = f"(3600 + {words.chance} * 2588400)" if expired else f"({words.chance} * 1500)"
    # All at once MariaDB takes minutes, for the undo of a transaction that large.
    piece = 20_000 if engine.dialect.name == "mysql" else max(1, number)
    made = f"""
        INSERT INTO {store._table.name}
            ({words.key}, payload, created_at, seen_at, idle, absolute_at, expires_at, owner, info, version)
        SELECT name, {words.bytes(_PAYLOAD)}, at - 600, at, 1800, at + 42600, at + 1800,
               substr(name, 1, 32), {words.bytes(_INFO)}, {words.bytes(8)}
        FROM (SELECT {words.name} AS name, {now} - {ago} AS at FROM {words.rows(min(piece, number))}) AS made
    """
    for _ in range(-(-number // piece)):
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA cache_size = -2000000")  # KB: random keys touch every page
            connection.exec_driver_sql(made.replace("%", "%%"))


@dataclass(frozen=True)
class Words:
    """What a database calls things.

    :param chance: a number from 0 to 1, another one in each row.
    :param name: 64 random hex characters.
    """

    key: str
    chance: str
    name: str
    bytes: Callable[[int], str]
    rows: Callable[[int], str]


#: By SQLAlchemy's name of the dialect.
WORDS = {
    "sqlite": Words(
        "key",
        "abs(random() / 9223372036854775808.0)",
        "lower(hex(randomblob(32)))",
        lambda size: f"randomblob({size})",
        lambda number: (
            f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) SELECT i FROM n)"
        ),
    ),
    "postgresql": Words(
        "key",
        "random()",
        "encode(sha256(random()::text::bytea), 'hex')",
        lambda size: f"substr(decode(repeat(md5(random()::text), {size // 16 + 1}), 'hex'), 1, {size})",
        lambda number: f"generate_series(1, {number}) AS i",
    ),
    "mysql": Words(
        "`key`",
        "rand()",
        "sha2(concat(rand(), rand()), 256)",
        lambda size: f"random_bytes({size})",
        lambda number: f"seq_1_to_{number}",
    ),
}


def settle(engine: Engine) -> None:
    """Have the server count its rows, as it does by itself after a while."""
    analyze = {"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE", "mysql": "ANALYZE TABLE sessionkit_records"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(analyze[engine.dialect.name]))


def fill_folder(folder: Path, number: int, *, now: float, expired: bool) -> None:
    """Write records into a folder, each as the store does it."""

    def write(share: int) -> None:
        store = FileStore(folder)
        for record in records(share, now=now, expired=expired):
            store.create(record)

    _share(number, write)


def fill_redis(url: str, number: int, *, now: float) -> None:
    """Write records into a database of Redis by the store's own scripts, many of them in one trip."""

    def write(share: int) -> None:
        store = _Hoarding(url)
        crowd = records(share, now=now, expired=False)
        while batch := list(islice(crowd, 1000)):
            for record in batch:
                store.create(record)
            store.send(len(batch))

    _share(number, write)


class _Hoarding(RedisStore):
    """Keeps its commands until it is told to send them."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=60.0)
        self._server.call("SCRIPT", "LOAD", WRITE.text)
        self._commands: list[tuple[bytes | str | int, ...]] = []

    def send(self, number: int) -> None:
        done = self._server.call_all(self._commands)
        if done != [[b"ok"]] * number:
            raise AssertionError("Redis did not take all records.")
        self._commands.clear()

    def _run(self, script: Any, keys: list[str], *args: bytes) -> Any:
        self._commands.append(("EVALSHA", script.sha, len(keys), *keys, *args))
        return [b"ok"]


def _share(number: int, write: Callable[[int], None]) -> None:
    """Write a number of records in as many processes as there are processors."""
    count = os.cpu_count() or 1
    shares = [number // count + (place < number % count) for place in range(count)]
    processes = [_forked.Process(target=write, args=(share,)) for share in shares if share]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("A process that filled a store failed.")


_forked = multiprocessing.get_context("fork")
