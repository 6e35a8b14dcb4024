"""Many records at once, live ones and expired ones, as a busy site leaves them."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Engine

from flask_sessionkit.record import Record
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.sql_statements import values_of
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore

#: Bytes of a typical session, sealed; what is in them makes no difference to a store.
_PAYLOAD, _INFO = 300, 120
_BATCH = 5000


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


def fill_table(engine: Engine, store: SQLAlchemyStore, crowd: Iterator[Record]) -> None:
    """Write records into a store's table, many in a statement."""
    store.create_table()
    table = store._table
    rows = (_row(record) for record in crowd)
    with engine.connect() as connection:
        while batch := list(islice(rows, _BATCH)):
            with connection.begin():
                connection.execute(insert(table), batch)


def fill_folder(folder: Path, crowd: Iterator[Record]) -> None:
    """Write records into a folder, each as the store does it."""
    store = FileStore(folder)
    for record in crowd:
        store.create(record)


def _row(record: Record) -> dict[str, Any]:
    named = {name.removeprefix("new_"): value for name, value in values_of(record).items()}
    return named | {"expires_at": record.expires_at}
