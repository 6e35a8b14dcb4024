"""Sessions in a table, through SQLAlchemy Core and on connections of their own."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from msgspec.structs import replace
from sqlalchemy import URL, Connection, CursorResult, Engine, Executable, MetaData, inspect
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from ..errors import StoreError
from ..record import Outcome, Purged, Record, Version, Write
from .base import GRACE, Capability, Judgement, Mark, settled, touch_is_due
from .sql_advice import message
from .sql_connections import Connections
from .sql_direct import Direct
from .sql_errors import (
    is_before_the_folder,
    is_before_the_table,
    is_forbidden,
    is_full,
    is_locked,
)
from .sql_findings import judged, judged_file
from .sql_statements import Statements, Values, record_of, times, values_of
from .sql_table import TABLE as TABLE
from .sql_table import session_table as session_table
from .sql_urls import usable
from .sqlite_file import has_file, make_file, not_waiting, switch_to_wal

P = ParamSpec("P")
T = TypeVar("T")
Answer: TypeAlias = Callable[[CursorResult[Any]], T]

#: Records that a walk reads at once, with their payloads.
_PAGE = 100


def _as_store_error(
    method: Callable[Concatenate[SQLAlchemyStore, P], T],
) -> Callable[Concatenate[SQLAlchemyStore, P], T]:
    """Raise what SQLAlchemy or the disk refuses as ``StoreError``."""

    @wraps(method)
    def answered(self: SQLAlchemyStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(message(error, url=self.url, table=self._table, timeout=self._timeout)) from error

    return answered


class SQLAlchemyStore:
    """A table in any database that SQLAlchemy knows, apart from the application's own transactions.

    Each statement is a transaction of its own and one round trip. The engine is not shared with the application: what
    a view has not committed stays so. It has up to 10 connections in each process, of which it keeps 5: a server's
    ``max_connections`` has to be above processes times 10, and what the application's own engine takes (15 by
    SQLAlchemy's default) comes on top.

    A statement whose connection was broken is repeated once, so that a restart of the server fails no request that
    comes after it; so is one that lost a race to another. One that was not answered in time is not. These limits are
    known for psycopg 3 and PyMySQL; another driver has to be told in its URL.

    A SQLite file that the store makes is its owner's alone (mode 0600). One with no tables but ours is
    switched to write-ahead logging when the table is made. There the last commits before a power cut may be lost, never
    the file; a crash of the process loses nothing.

    :param url: as for ``sqlalchemy.create_engine``. Or a function that returns it, called once, at the first use: for
        Flask-SQLAlchemy ``lambda: db.engine.url``, where an application context is at hand. Its engine's options, such
        as ``connect_args`` or ``schema_translate_map``, are not copied.
    :param schema: where the table lies, made by you; on MariaDB and MySQL the name of a database.
    :param timeout: seconds to wait for a connection, for the server to let us in, for each answer, for a locked file.
        A server may take 20 times as long to make the table, to purge, and to count what a purge would remove.
    :param relative_to: the folder of a relative SQLite path; the current one by default.
    :param connect_args: more for the driver, as for ``sqlalchemy.create_engine``: a certificate, or, for psycopg with
        no pooler of transactions between, ``{"prepare_threshold": 5}``, which makes a statement a quarter faster.
    :raises ConfigError: no database URL, an unknown dialect, SQLite in memory, or an asynchronous driver; of a URL that
        a function returns, at the first use.
    :raises ImportError: the driver is not installed.
    """

    def __init__(
        self,
        url: str | URL | Callable[[], str | URL],
        *,
        table: str = TABLE,
        schema: str | None = None,
        timeout: float = 0.5,
        relative_to: Path | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> None:
        self._timeout = timeout
        self._folder = relative_to or Path()
        self._connect_args = connect_args or {}
        self._table = session_table(MetaData(), name=table, schema=schema)
        self._sql = Statements(self._table)
        self._is_there = False
        # By process: a lock that another thread holds during a fork is never released in the child.
        self._opening: dict[int, threading.Lock] = {}
        self._url = url
        self._opened = None if callable(url) else self._open(url)

    @property
    def url(self) -> URL:
        """The database, its SQLite path made absolute.

        :raises ConfigError: the function that was to return it cannot, or returned what can never work.
        """
        return self._connections.url

    @property
    def capabilities(self) -> Capability:
        """What this store can do; a SQLite file is of one machine.

        :raises ConfigError: see ``url``.
        """
        kept = Capability.INDEX | Capability.PURGE | Capability.DURABLE
        if self._connections.is_sqlite:
            return kept
        return kept | Capability.SHARED | (Capability.TOUCH_ON_LOAD if self._touches_on_load else Capability.NONE)

    @_as_store_error
    def load(
        self, key: str, *, now: float, touch_every: float | None = None, touch_within: float = math.inf
    ) -> Record | None:
        """Return the record of a key, or ``None``; see ``Store.load``.

        On PostgreSQL one trip; elsewhere a second one, only for a touch that is due. A touch that the database forbids,
        while it is read-only, or has no room for is skipped: what was stored can still be read.
        """
        if touch_every is not None and self._touches_on_load:
            return self._load_and_touch(key, now, touch_every, touch_within)
        record = self._load(key)
        if record is None or touch_every is None or record.expires_at <= now:
            return record
        is_due = touch_is_due(record.seen_at, now, touch_every)
        is_due = is_due and now - settled(record.seen_at, now) < touch_within
        return replace(record, seen_at=now) if is_due and self._touch(record, now) else record

    @_as_store_error
    def touch(self, record: Record, *, now: float) -> bool:
        """Write down that a record was seen; see ``Touches.touch``."""
        return self._touch(record, now)

    @_as_store_error
    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        # The second look is no part of the handling of an error: what the server says of a taken key quotes it.
        if self._insert(values_of(record) | {"new_expires_at": record.expires_at}):
            return True
        there = self._load(record.key)
        return there is not None and there.version == record.version

    @_as_store_error
    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``."""
        seen_at = settled(record.seen_at, now)
        values = values_of(record) | {"new_seen_at": seen_at, "least": max(seen_at, now)} | times(now)
        lost: list[DBAPIError] = []
        if expected is None:
            changed = self._run(self._sql.overwrite, values, _count, nothing=0, lost=lost)
        else:
            changed = self._run(self._sql.replace, values | {"expected": expected}, _count, nothing=0, lost=lost)
        if changed:
            return Write(Outcome.OK)
        write = self._why_unchanged(record, now)
        if write.outcome is Outcome.CONFLICT and lost:
            # Ours may have been written before the other's, and to merge it once more could count it twice.
            raise lost[0]
        return write

    @_as_store_error
    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it; see ``Store.delete``.

        ``False`` also where the answer was lost and the repeat finds nothing: a delete has no version to know it by.
        """
        return self._run(self._sql.delete, {"this_key": key}, _count, nothing=0) == 1

    @_as_store_error
    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        values = {"this_owner": owner, "now": now, "after": after or "", "most": limit}
        found: list[Any] = self._run(self._sql.list, values, _all, nothing=[])
        return [record for key, *fields in found if (record := record_of(key, b"", *fields))]

    @_as_store_error
    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Remove records that ended more than ``GRACE`` seconds ago; see ``Store.purge``."""
        purge = self._sql.purge_by_join if self._is_mariadb else self._sql.purge
        count = self._run(purge, {"cutoff": now - GRACE, "most": limit}, _count, nothing=0, is_hurried=False)
        return Purged(count, more=count >= limit)

    @_as_store_error
    def count_ended(self, *, now: float) -> int:
        """Return how many records ended more than ``GRACE`` seconds ago."""
        rows: list[Any] = self._run(self._sql.count_ended, {"cutoff": now - GRACE}, _all, nothing=[], is_hurried=False)
        return sum(row[0] for row in rows)

    def scan(self) -> Iterator[Record]:
        """Yield every record, by pages in the order of keys; see ``Scans.scan``."""
        after = ""
        while rows := self._page(after):
            for row in rows:
                record = record_of(*row)
                if record is not None:
                    yield record
            after = rows[-1].key

    @_as_store_error
    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is to be said of the server, or of the file; see ``Judges.judge``."""
        said: list[Judgement] = []
        if self._connections.is_sqlite:
            said += judged_file(self.url.database or "")
            has_table = has_file(self.url) and self._connections.run(self._has_table)
        else:
            # Keys, info and the statement itself take less than 4 KiB besides.
            said += self._connections.run(lambda found: list(judged(found, now=now, largest=largest + 4096)))
            has_table = self._connections.run(self._has_table)
        if not has_table:
            said.append((Mark.NOTE, f"There is no table {self._table.fullname} yet; the first write makes it."))
        return said

    @_as_store_error
    def create_table(self) -> None:
        """Make the table and its indexes, unless they are there.

        :raises StoreError: the database cannot answer, or does not let us.
        """
        self._make_table()

    @_as_store_error
    def _page(self, after: str) -> list[Any]:
        return self._run(self._sql.scan, {"after": after, "most": _PAGE}, _all, nothing=[], is_hurried=False)

    @property
    def _connections(self) -> Connections:
        if self._opened is None:
            with self._opening.setdefault(os.getpid(), threading.Lock()):
                if self._opened is None:
                    self._opened = self._open(self._url() if callable(self._url) else self._url)
        return self._opened

    def _open(self, url: str | URL) -> Connections:
        return Connections(usable(url, self._folder), timeout=self._timeout, connect_args=self._connect_args)

    @property
    def _engine(self) -> Engine:
        return self._connections.engine

    @property
    def _touches_on_load(self) -> bool:
        return self._connections.url.get_backend_name() == "postgresql"

    @property
    def _is_mariadb(self) -> bool:
        return self._connections.url.get_backend_name() in {"mariadb", "mysql"}

    def _load(self, key: str) -> Record | None:
        row = self._run(self._sql.load, {"this_key": key}, _first, nothing=None)
        return None if row is None else record_of(*row)

    def _load_and_touch(self, key: str, now: float, every: float, within: float) -> Record | None:
        values = {"this_key": key, "every": every, "within": within} | times(now)
        try:
            row = self._run(self._sql.load_and_touch, values, _first, nothing=None)
        except DBAPIError as error:
            if not (is_forbidden(error) or is_full(error)):
                raise
            return self._load(key)
        return None if row is None else record_of(*row)

    def _touch(self, record: Record, now: float) -> bool:
        values = {"this_key": record.key, "expected": record.version} | times(now)
        try:
            return self._run(self._sql.touch, values, _count, nothing=0, waits=False) == 1
        except DBAPIError as error:
            if is_locked(error) or is_forbidden(error) or is_full(error):
                return False
            raise

    def _why_unchanged(self, record: Record, now: float) -> Write:
        current = self._load(record.key)
        if current is not None and current.version == record.version:
            return Write(Outcome.OK)
        if current is None or current.expires_at <= now:
            return Write(Outcome.GONE)
        return Write(Outcome.CONFLICT, current)

    def _insert(self, values: Values) -> bool:
        """Run the one statement that needs the table, and make it if it is not there."""
        try:
            try:
                self._make_file()
                self._run_once(self._sql.insert, values, _count)
            except (OperationalError, ProgrammingError) as error:
                if not (is_before_the_table(error) or is_before_the_folder(error)):
                    raise
                self._make_table()
                self._run_once(self._sql.insert, values, _count)
        except IntegrityError:
            return False
        self._is_there = True
        return True

    def _run(
        self,
        statement: Executable | Direct,
        values: Values,
        answer: Answer[T],
        *,
        nothing: T,
        waits: bool = True,
        lost: list[DBAPIError] | None = None,
        is_hurried: bool = True,
    ) -> T:
        """Run a statement of those that need no table.

        :param nothing: the answer before the table is made. A command that only looks, and may run as another user,
            must not make the file of a SQLite database.
        """
        if not self._is_there and self._connections.is_sqlite and not has_file(self.url):
            return nothing
        try:
            found = self._run_once(statement, values, answer, waits=waits, lost=lost, is_hurried=is_hurried)
        except (OperationalError, ProgrammingError) as error:
            if not is_before_the_table(error):
                raise
            return nothing
        self._is_there = True
        return found

    def _run_once(
        self,
        statement: Executable | Direct,
        values: Values,
        answer: Answer[T],
        *,
        waits: bool = True,
        lost: list[DBAPIError] | None = None,
        is_hurried: bool = True,
    ) -> T:
        def work(connection: Connection) -> T:
            if isinstance(statement, Direct):
                return statement.run(connection, values, answer)
            if waits or not self._connections.is_sqlite:
                return answer(connection.execute(statement, values))
            with not_waiting(connection, self._timeout):
                return answer(connection.execute(statement, values))

        return self._connections.run(work, lost=lost, is_hurried=is_hurried)

    def _make_table(self) -> None:
        """Make the table; where another process makes it at the same time, wait until it is there."""
        self._make_file()
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                # A request may wait for it, once. Cut short between table and indexes it would leave it without them.
                return self._connections.run(self._make_table_on, is_hurried=False)
            except DBAPIError as error:
                # Two that make it at once get an error of PostgreSQL's catalog, or MariaDB's word for "exists".
                with suppress(OperationalError):
                    if self._connections.run(self._has_table):
                        return None
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _make_file(self) -> None:
        if not self._is_there and self._connections.is_sqlite:
            make_file(self.url)

    def _has_table(self, connection: Connection) -> bool:
        return inspect(connection).has_table(self._table.name, schema=self._table.schema)

    def _make_table_on(self, connection: Connection) -> None:
        if self._connections.is_sqlite and not inspect(connection).get_table_names(schema=self._table.schema):
            switch_to_wal(connection)
        self._table.create(connection, checkfirst=True)
        for index in self._table.indexes:  # whoever made the table may have died before these
            index.create(connection, checkfirst=True)


def _first(result: CursorResult[Any]) -> Any:
    return result.fetchone()


def _all(result: CursorResult[Any]) -> list[Any]:
    return list(result.all())


def _count(result: CursorResult[Any]) -> int:
    return result.rowcount
