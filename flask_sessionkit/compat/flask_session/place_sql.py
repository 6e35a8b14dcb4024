"""The table of Flask-Session, and of nobody else: read, emptied, never made."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    DateTime,
    Executable,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import StoreError
from ...stores.sql_connections import Connections
from ...stores.sql_errors import is_before_the_table, named
from ...stores.sql_urls import is_in_memory, usable
from .former_ids import is_id_after
from .places import Lying

T = TypeVar("T")

_PAGE = 200


class SQLPlace:
    """Rows in a table, on connections of its own.

    :param url: of the database; or what returns it, called at the first use.
    :param prefix: what the names of sessions begin with.
    :param relative_to: the folder of a relative SQLite path.
    """

    def __init__(
        self,
        url: str | URL | Callable[[], str | URL],
        *,
        table: str,
        schema: str | None,
        prefix: str,
        timeout: float,
        relative_to: Path,
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._folder = relative_to
        self._opening: dict[int, threading.Lock] = {}
        self._opened: Connections | None = None
        # As flask_session.sqlalchemy has it, 0.2 to 0.8.
        self._table = Table(
            table,
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("session_id", String(255)),
            Column("data", LargeBinary),
            Column("expiry", DateTime),
            schema=schema,
        )

    def read(self, name: str, *, now: float) -> Lying | None:
        """Return what lies under a name; see ``Place.read``."""
        columns = self._table.c
        query = select(columns.session_id, columns.data, columns.expiry).where(columns.session_id == name)
        rows: list[Any] = self._run(partial(_rows, query), [])
        # MariaDB takes letters of either case for the same.
        found = (_lying(*row) for row in rows if row[0] == name)
        return next((lying for lying in found if lying and _lives(lying, now)), None)

    def remove(self, name: str) -> bool:
        """Remove what lies under a name; see ``Place.remove``."""
        statement = delete(self._table).where(self._table.c.session_id == name)
        return self._run(lambda connection: connection.execute(statement).rowcount, 0) > 0

    def walk(self, *, now: float) -> Iterator[Lying]:
        """Yield everything that lies there; see ``Place.walk``."""
        columns, after = self._table.c, -1
        query = select(columns.id, columns.session_id, columns.data, columns.expiry).order_by(columns.id).limit(_PAGE)
        while True:
            page = query.where(columns.id > after)
            rows: list[Any] = self._run(partial(_rows, page), [])
            if not rows:
                return
            after = rows[-1][0]
            for _, name, data, expiry in rows:
                lying = _lying(name, data, expiry)
                if lying is not None and is_id_after(self._prefix, lying.spot) and _lives(lying, now):
                    yield lying

    def rewrite(self, lying: Lying, data: bytes, *, now: float) -> bool:
        """Put other data in a record's place; see ``Place.rewrite``."""
        columns = self._table.c
        statement = (
            update(self._table).where(columns.session_id == lying.spot, columns.data == lying.data).values(data=data)
        )
        return self._run(lambda connection: connection.execute(statement).rowcount, 0) > 0

    def _run(self, work: Callable[[Connection], T], without: T) -> T:
        """Return what a statement finds, or what there is without a table."""
        connections = self._connections()
        if connections is None:
            return without  # as in an application's tests, which nobody was signed in to before
        try:
            return connections.run(work)
        except DBAPIError as error:
            if is_before_the_table(error):
                return without
            raise self._failure(connections) from error
        except (SQLAlchemyError, OSError) as error:
            raise self._failure(connections) from error

    def _connections(self) -> Connections | None:
        """Return what leads to the database; ``None`` if that is one in memory, whose connection is another's."""
        if self._opened is None:
            with self._opening.setdefault(os.getpid(), threading.Lock()):
                if self._opened is None:
                    given = self._url() if callable(self._url) else self._url
                    if is_in_memory(given):
                        return None
                    url = usable(given, self._folder)
                    self._opened = Connections(url, timeout=self._timeout, connect_args={})
        return self._opened

    def _failure(self, connections: Connections) -> StoreError:
        return StoreError(f"The table of Flask-Session in {named(connections.url)} cannot be read. See that it runs.")


def _rows(query: Executable, connection: Connection) -> list[Any]:
    return list(connection.execute(query))


def _lying(name: Any, data: Any, expiry: datetime | None) -> Lying | None:
    """Return a row as it lies there; ``None`` without an end, which for Flask-Session is one that has ended."""
    if expiry is None or data is None or not isinstance(name, str):
        return None
    return Lying(name, bytes(data), expiry.replace(tzinfo=UTC).timestamp())


def _lives(lying: Lying, now: float) -> bool:
    return lying.until is not None and lying.until > now
