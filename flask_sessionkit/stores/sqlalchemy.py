"""Sessions in a table, through SQLAlchemy Core and on connections of their own."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Double,
    Engine,
    Executable,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    case,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    make_url,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.mysql import MEDIUMBLOB, VARBINARY, VARCHAR
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from ..errors import ConfigError, StoreError
from ..record import Outcome, Purged, Record, Version, Write
from .base import CLOCK_SKEW, GRACE, Capability, settled, touch_is_due

P = ParamSpec("P")
T = TypeVar("T")
Values: TypeAlias = dict[str, Any]
Answer: TypeAlias = Callable[[CursorResult[Any]], T]

TABLE: Final = "sessionkit_records"


def session_table(metadata: MetaData, *, name: str = TABLE, schema: str | None = None) -> Table:
    """Return the table that a ``SQLAlchemyStore`` works on, added to a ``MetaData``.

    For Flask-Migrate: ``session_table(db.metadata)`` in your models lets ``flask db migrate`` make it. Without it the
    store makes its table at its first use.
    """
    # MariaDB compares text without case unless told, and its BLOB ends at 64 KiB.
    key_type = String(64).with_variant(VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    owner_type = String(32).with_variant(VARCHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    return Table(
        name,
        metadata,
        Column("key", key_type, primary_key=True),
        Column("payload", LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb"), nullable=False),
        Column("created_at", Double, nullable=False),
        Column("seen_at", Double, nullable=False),
        Column("idle", Double, nullable=False),
        Column("absolute_at", Double, nullable=False),
        Column("expires_at", Double, nullable=False),
        Column("owner", owner_type),
        Column("info", LargeBinary(2048), nullable=False),
        Column("version", LargeBinary(8).with_variant(VARBINARY(8), "mysql", "mariadb"), nullable=False),
        Index(f"ix_{name}_expires_at", "expires_at"),
        Index(f"ix_{name}_owner_key", "owner", "key"),
        schema=schema,
    )


def _as_store_error(
    method: Callable[Concatenate[SQLAlchemyStore, P], T],
) -> Callable[Concatenate[SQLAlchemyStore, P], T]:
    """Raise what SQLAlchemy or the disk refuses as ``StoreError``."""

    @wraps(method)
    def answered(self: SQLAlchemyStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(
                f"The session database {self._named} cannot answer. See that it runs and lets us in."
            ) from error

    return answered


class SQLAlchemyStore:
    """A table in any database that SQLAlchemy knows, apart from the application's own transactions.

    Each statement is a transaction of its own and one round trip. The engine is not shared with the application: what
    a view has not committed stays so.

    A SQLite file that the store makes is its owner's alone (mode 0600). One with no tables but ours is
    switched to write-ahead logging when the table is made. There the last commits before a power cut may be lost, never
    the file; a crash of the process loses nothing.

    :param url: as for ``sqlalchemy.create_engine``. An engine's own: ``engine.url``.
    :param timeout: seconds; how long a statement waits for a connection or a locked SQLite file.
    :param relative_to: the folder of a relative SQLite path; the current one by default.
    :raises ConfigError: no database URL, an unknown dialect, SQLite in memory, or an asynchronous driver.
    :raises ImportError: the driver is not installed.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        table: str = TABLE,
        schema: str | None = None,
        timeout: float = 0.5,
        relative_to: Path | None = None,
    ) -> None:
        self.url: Final = _usable(url, relative_to or Path())
        self._named = self.url.set(query={}).render_as_string()  # without its password, wherever it stands
        self._is_sqlite = self.url.get_backend_name() == "sqlite"
        self._timeout = timeout
        self._engine = create_engine(
            self.url,
            # Given here it costs nothing; set later it costs trips on each connection.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            # An error would else show keys and payloads.
            hide_parameters=True,
            pool_timeout=timeout,
            connect_args={"timeout": timeout} if self._is_sqlite else {},
        )
        if self._is_sqlite:
            event.listen(self._engine, "connect", _sync_less_often_in_wal)
        self._table = session_table(MetaData(), name=table, schema=schema)
        self._sql = _Statements(self._table)
        self._is_there = False
        self._left_to_parent: list[object] = []
        self._pid = os.getpid()
        # Python 3.13 warns of a connection that nobody closed. Not at exit: a child would close its parent's.
        weakref.finalize(self, _dispose, self._engine, self._pid).atexit = False

    @property
    def capabilities(self) -> Capability:
        """What this store can do; a SQLite file is of one machine."""
        kept = Capability.INDEX | Capability.PURGE | Capability.DURABLE
        return kept if self._is_sqlite else kept | Capability.SHARED

    @_as_store_error
    def load(self, key: str, *, now: float, touch_every: float | None = None) -> Record | None:
        """Return the record of a key, or ``None``; see ``Store.load``. A second trip only for a touch that is due."""
        record = self._load(key)
        if record is None or touch_every is None or record.expires_at <= now:
            return record
        is_due = touch_is_due(record.seen_at, now, touch_every)
        return replace(record, seen_at=now) if is_due and self._touch(record, now) else record

    @_as_store_error
    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        try:
            self._insert(_new(record) | {"new_expires_at": record.expires_at})
        except IntegrityError:
            there = self._load(record.key)
            return there is not None and there.version == record.version
        return True

    @_as_store_error
    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``."""
        seen_at = settled(record.seen_at, now)
        values = _new(record) | {"new_seen_at": seen_at, "least": max(seen_at, now)} | _times(now)
        if expected is None:
            changed = self._run(self._sql.overwrite, values, _count, nothing=0)
        else:
            changed = self._run(self._sql.replace, values | {"expected": expected}, _count, nothing=0)
        return Write(Outcome.OK) if changed else self._why_unchanged(record, now)

    @_as_store_error
    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it; see ``Store.delete``."""
        return self._run(self._sql.delete, {"this_key": key}, _count, nothing=0) == 1

    @_as_store_error
    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        values = {"this_owner": owner, "now": now, "after": after or "", "most": limit}
        found: list[Any] = self._run(self._sql.list, values, _all, nothing=[])
        return [record for key, *fields in found if (record := _record_of(key, b"", *fields))]

    @_as_store_error
    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Remove records that ended more than ``GRACE`` seconds ago; see ``Store.purge``."""
        count = self._run(self._sql.purge, {"cutoff": now - GRACE, "most": limit}, _count, nothing=0)
        return Purged(count, more=count >= limit)

    @_as_store_error
    def count_ended(self, *, now: float) -> int:
        """Return how many records ended more than ``GRACE`` seconds ago."""
        rows: list[Any] = self._run(self._sql.count_ended, {"cutoff": now - GRACE}, _all, nothing=[])
        return sum(row[0] for row in rows)

    @_as_store_error
    def create_table(self) -> None:
        """Make the table and its indexes, unless they are there.

        :raises StoreError: the database cannot answer, or does not let us.
        """
        self._leave_the_parents_connections()
        self._make_table()

    def _load(self, key: str) -> Record | None:
        row = self._run(self._sql.load, {"this_key": key}, _first, nothing=None)
        return None if row is None else _record_of(*row)

    def _touch(self, record: Record, now: float) -> bool:
        values = {"this_key": record.key, "expected": record.version} | _times(now)
        try:
            return self._run(self._sql.touch, values, _count, nothing=0, waits=False) == 1
        except OperationalError as error:
            if _is_locked(error):
                return False
            raise

    def _why_unchanged(self, record: Record, now: float) -> Write:
        current = self._load(record.key)
        if current is not None and current.version == record.version:
            return Write(Outcome.OK)
        if current is None or current.expires_at <= now:
            return Write(Outcome.GONE)
        return Write(Outcome.CONFLICT, current)

    def _insert(self, values: Values) -> None:
        """Run the one statement that needs the table, and make it if it is not there."""
        self._leave_the_parents_connections()
        try:
            if not self._is_there:
                self._make_file()
            self._run_once(self._sql.insert, values, _count)
        except (OperationalError, ProgrammingError) as error:
            if not (_is_before_the_table(error) or _is_before_the_folder(error)):
                raise
            self._make_table()
            self._run_once(self._sql.insert, values, _count)
        self._is_there = True

    def _run(self, statement: Executable, values: Values, answer: Answer[T], *, nothing: T, waits: bool = True) -> T:
        """Run a statement; the one place that knows what is worth another try.

        :param nothing: the answer before the table is made. A command that only looks, and may run as another user,
            must not make the file of a SQLite database.
        """
        self._leave_the_parents_connections()
        if not self._is_there and not _has_file(self.url):
            return nothing
        try:
            found = self._run_once(statement, values, answer, waits=waits)
        except (OperationalError, ProgrammingError) as error:
            if not _is_before_the_table(error):
                raise
            return nothing
        self._is_there = True
        return found

    def _run_once(self, statement: Executable, values: Values, answer: Answer[T], *, waits: bool = True) -> T:
        with self._engine.connect() as connection:
            if waits or not self._is_sqlite:
                return answer(connection.execute(statement, values))
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            try:
                return answer(connection.execute(statement, values))
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")

    def _leave_the_parents_connections(self) -> None:
        """Start afresh in a child process: two processes on one connection read each other's answers.

        The pool is kept, unused: some drivers close a connection that is collected, and say goodbye to the server in
        the parent's name.
        """
        pid = os.getpid()
        if pid != self._pid:
            self._left_to_parent.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._pid = pid

    def _make_table(self) -> None:
        """Make the table; where another process makes it at the same time, wait until it is there."""
        self._make_file()
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                with self._engine.connect() as connection:
                    return self._make_table_on(connection)
            except DBAPIError as error:
                with suppress(OperationalError), self._engine.connect() as connection:
                    if inspect(connection).has_table(self._table.name, schema=self._table.schema):
                        return None
                if not _is_locked(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _make_file(self) -> None:
        """Make the file of a SQLite database, for its owner alone. What SQLite puts beside it gets the file's mode."""
        if not _has_file(self.url):
            path = Path(self.url.database or "")
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def _make_table_on(self, connection: Connection) -> None:
        if self._is_sqlite and not inspect(connection).get_table_names(schema=self._table.schema):
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            _sync_less_often_in_wal(connection.connection.dbapi_connection, None)
        self._table.create(connection, checkfirst=True)
        for index in self._table.indexes:  # whoever made the table may have died before these
            index.create(connection, checkfirst=True)


class _Statements:
    """All that is ever said to the database, built once: to build one costs as much as to run it."""

    def __init__(self, table: Table) -> None:
        row = table.c
        fields = [row.created_at, row.seen_at, row.idle, row.absolute_at, row.owner, row.info, row.version]
        new = {column: bindparam(f"new_{column.name}", type_=column.type) for column in row}
        now, far, least, cutoff = (bindparam(name, type_=Double) for name in ("now", "far", "least", "cutoff"))
        is_this = row.key == bindparam("this_key")
        is_expected = row.version == bindparam("expected")
        lives = row.expires_at > now
        ended = row.expires_at < cutoff

        self.load = select(row.key, row.payload, *fields).where(is_this)
        self.insert = insert(table).values(new)
        self.delete = delete(table).where(is_this)

        behind = or_(row.seen_at < now, row.seen_at > far)
        until = _earlier(now + row.idle, row.absolute_at)
        self.touch = update(table).where(is_this, is_expected, lives, behind).values(seen_at=now, expires_at=until)

        # MariaDB reads in a SET what the same SET wrote before: fed its own result, this gives that result again.
        seen_at = case(
            (row.seen_at > far, least),
            (row.seen_at > new[row.seen_at], row.seen_at),
            else_=new[row.seen_at],
        )
        until = _earlier(seen_at + new[row.idle], new[row.absolute_at])
        written = {column: new[column] for column in [row.payload, *fields]}
        self.overwrite = (
            update(table)
            .where(row.key == new[row.key], lives)
            .values(written | {row.seen_at: seen_at, row.expires_at: until})
        )
        self.replace = self.overwrite.where(is_expected)

        self.list = (
            select(row.key, *fields)
            .where(row.owner == bindparam("this_owner"), row.key > bindparam("after"), lives)
            .order_by(row.key)
            .limit(bindparam("most"))
        )
        # MariaDB takes a LIMIT there only two levels deep.
        due = select(row.key).where(ended).order_by(row.expires_at).limit(bindparam("most")).subquery("due")
        self.purge = delete(table).where(row.key.in_(select(due.c.key)), ended)
        self.count_ended = select(func.count()).select_from(table).where(ended)


def _earlier(one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
    return case((one < other, one), else_=other)


def _record_of(key: str, payload: Any, *fields: Any) -> Record | None:
    """Return a row as a record; ``None`` for values of other types, which SQLite takes into any column."""
    *times, owner, info, version = fields
    texts = (payload, info, version)
    is_whole = all(isinstance(at, float) for at in times) and all(isinstance(text, bytes) for text in texts)
    return Record(key, payload, *fields) if is_whole and isinstance(owner, str | None) else None


def _times(now: float) -> Values:
    return {"now": now, "far": now + CLOCK_SKEW}


def _new(record: Record) -> Values:
    return {
        "new_key": record.key,
        "new_payload": record.payload,
        "new_created_at": record.created_at,
        "new_seen_at": record.seen_at,
        "new_idle": record.idle,
        "new_absolute_at": record.absolute_at,
        "new_owner": record.owner,
        "new_info": record.info,
        "new_version": record.version,
    }


def _first(result: CursorResult[Any]) -> Any:
    return result.first()


def _all(result: CursorResult[Any]) -> list[Any]:
    return list(result.all())


def _count(result: CursorResult[Any]) -> int:
    return result.rowcount


def _is_locked(error: DBAPIError) -> bool:
    """Return whether SQLite says that somebody else holds the file: SQLITE_BUSY or SQLITE_LOCKED."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in {5, 6}


def _is_before_the_folder(error: DBAPIError) -> bool:
    """Return whether SQLite could not make its file: SQLITE_CANTOPEN."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == 14


def _is_before_the_table(error: DBAPIError) -> bool:
    """Return whether a statement failed since the table is not there yet."""
    driver_error = error.orig
    return (
        "no such table" in str(driver_error)
        or getattr(driver_error, "sqlstate", "") == "42P01"  # PostgreSQL's undefined_table
        or (driver_error is not None and driver_error.args[:1] == (1146,))  # MariaDB's ER_NO_SUCH_TABLE
    )


def _usable(text: str | URL, folder: Path) -> URL:
    """Return the URL, its SQLite path made absolute, or refuse what can never work."""
    try:
        url = make_url(text)
        dialect = url.get_dialect()
    except NoSuchModuleError as error:
        raise ConfigError("SESSIONKIT_STORE names a database or driver unknown to SQLAlchemy. Correct it.") from error
    except (ArgumentError, ValueError):
        # The cause is left out: it may quote a part of a password.
        raise ConfigError(
            "SESSIONKIT_STORE is not a database URL. Write sqlite:///name.db; in a password, '@' as %40 and '/' as %2F."
        ) from None
    if dialect.is_async:
        raise ConfigError(
            f"SESSIONKIT_STORE must not name an asynchronous driver, as {url.drivername} does. "
            f"Use another driver for {url.get_backend_name()}."
        )
    if url.get_backend_name() != "sqlite":
        return url
    if url.host or url.username:
        raise ConfigError(
            "SESSIONKIT_STORE names a host, which SQLite has not. Write three slashes: sqlite:///name.db."
        )
    name = url.database or ":memory:"
    if name == ":memory:" or name.startswith("file::memory:") or url.query.get("mode") == "memory":
        raise ConfigError(
            "SESSIONKIT_STORE must not be SQLite in memory, a database for each thread. Use 'memory:' or a file."
        )
    return url if name.startswith("file:") else url.set(database=str((folder / name).absolute()))


def _has_file(url: URL) -> bool:
    """Return whether there is a database to ask: of any but SQLite, that is for its server to say."""
    name = url.database or ""
    return url.get_backend_name() != "sqlite" or name.startswith("file:") or os.path.exists(name)


def _dispose(engine: Engine, pid: int) -> None:
    if os.getpid() == pid:
        engine.dispose()


def _sync_less_often_in_wal(connection: Any, _: object) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")
