"""Many records at once, live ones and expired ones, as a busy site leaves them."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Engine

from flask_sessionkit.record import Record
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore

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


def fill_table(engine: Engine, store: SQLAlchemyStore, number: int, *, now: float, expired: bool) -> None:
    """Have the database write records of its own making into a store's table; a million in some seconds."""
    store.create_table()
    words = WORDS[engine.dialect.name]
    ago = f"(3600 + {words.chance} * 2588400)" if expired else f"({words.chance} * 1500)"
    # All at once MariaDB takes minutes, for the undo of a transaction that large.
    piece = 20_000 if engine.dialect.name == "mysql" else number
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


def fill_folder(folder: Path, crowd: Iterator[Record]) -> None:
    """Write records into a folder, each as the store does it."""
    store = FileStore(folder)
    for record in crowd:
        store.create(record)
