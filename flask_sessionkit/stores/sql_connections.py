"""Connections to a database, of a store's own: each statement a transaction, and none waits for long."""

from __future__ import annotations

import math
import os
import random
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Dialect, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError

from ..errors import ConfigError, StoreError
from .sql_errors import is_lost_race, is_read_only, named
from .sqlite_file import is_sqlite, sync_less_often_in_wal

T = TypeVar("T")

#: Connections of a process that are kept, and those above them that are closed after their statement. A statement
#: takes less than a millisecond; fifteen, as by SQLAlchemy's default, would only move the queue into the server.
_KEPT = 5
_ABOVE = 5
#: How much longer an answer may take that no request waits for: to make a table, to purge.
_UNHURRIED = 20
#: Where a driver keeps the seconds that it waits for an answer. PyMySQL's has no public name; should it be renamed,
#: those answers have to come as soon as all others.
_PATIENCE = {"psycopg": "patience", "pymysql": "_read_timeout"}
#: What drivers raise where an answer is none.
_UNREADABLE = (ValueError, LookupError, TypeError, AssertionError)
#: Seconds, at most, before a statement that lost a race is repeated.
_JITTER = 0.02


class Connections:
    """What a store works on; used after a fork too.

    :param timeout: seconds to wait for a connection of the pool, to connect, and for each answer.
    :param connect_args: more for the driver's ``connect``.
    :raises ImportError: the driver is not installed.
    """

    def __init__(self, url: URL, *, timeout: float, connect_args: Mapping[str, Any]) -> None:
        self.url: Final = url
        self.is_sqlite: Final = is_sqlite(url)
        self.timeout: Final = timeout
        self.engine: Final = _engine(url, timeout, connect_args)
        self._left_to_parent: list[object] = []
        self._pid = os.getpid()
        # Python 3.13 warns of a connection that nobody closed. Not at exit: a child would close its parent's.
        weakref.finalize(self, _dispose, self.engine, self._pid).atexit = False

    def run(
        self, work: Callable[[Connection], T], *, lost: list[DBAPIError] | None = None, is_hurried: bool = True
    ) -> T:
        """Do one statement's work; again where its connection was broken (once), or where it lost a race.

        A server that was restarted has broken all connections of the pool: SQLAlchemy takes none of them again. After
        a timeout nothing is repeated, as no time is left. Its connection is closed, but the server may carry the
        statement out later, as when it waited for somebody's lock. That is harmless: a write is bound to the version
        that it replaces, or to a key that nobody holds yet.

        :param lost: takes the errors after which it is not known whether the work was done.
        :param is_hurried: whether a request waits for it.
        """
        self.leave_the_parents()
        patience = self.timeout if is_hurried else self.timeout * _UNHURRIED
        deadline = time.monotonic() + patience
        is_repeated = False
        while True:
            try:
                with (
                    self.engine.connect() as connection,
                    nullcontext() if is_hurried else _answers_within(patience, connection),
                ):
                    return _done(work, connection)
            except ConfigError:
                raise  # it is a ValueError too
            except _UNREADABLE:
                # The cause goes, since it may quote the answer.
                raise StoreError(
                    f"What the session database {named(self.url)} says cannot be read. See that it is one, and that "
                    "user and password have no characters that it does not know."
                ) from None
            except DBAPIError as error:
                if time.monotonic() >= deadline:
                    raise
                if is_lost_race(error):
                    time.sleep(random.uniform(0, _JITTER))  # noqa: S311  # keeps two apart, and hides nothing
                elif error.connection_invalidated and not is_repeated:
                    is_repeated = True
                    if lost is not None:
                        lost.append(error)
                else:
                    raise

    def leave_the_parents(self) -> None:
        """Start afresh in a child process: two processes on one connection read each other's answers.

        The pool is kept, unused: some drivers close a connection that is collected, and say goodbye to the server in
        the parent's name.
        """
        pid = os.getpid()
        if pid != self._pid:
            self._left_to_parent.append(self.engine.pool)
            self.engine.dispose(close=False)
            self._pid = pid


def _done(work: Callable[[Connection], T], connection: Connection) -> T:
    """Do the work on a connection, and give up the connection where it is left in the middle of an answer.

    That comes from a time limit by a signal, the end of a worker, or bytes that the driver cannot read; SQLAlchemy
    looks after its own errors only.
    """
    try:
        return work(connection)
    except DBAPIError:
        raise
    except BaseException:
        connection.invalidate()
        raise


def _engine(url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Engine:
    driver = "sqlite" if is_sqlite(url) else url.get_dialect().driver
    engine = create_engine(
        url,
        # Given here it costs nothing; set later it costs trips on each connection.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        # An error would else show keys and payloads.
        hide_parameters=True,
        pool_timeout=timeout,
        connect_args=_limits(driver, timeout) | dict(connect_args),
        **_more_options(driver),
    )
    event.listen(engine, "handle_error", _tell_what_breaks)
    if driver == "sqlite":
        event.listen(engine, "connect", sync_less_often_in_wal)
    if driver == "psycopg":
        from .sql_psycopg import bounded

        connection_class = bounded(timeout)
        event.listen(engine, "do_connect", lambda _, __, args, params: connection_class.connect(*args, **params))
    elif driver != "sqlite":
        event.listen(engine, "do_connect", _connect)
    return engine


def _connect(dialect: Dialect, _: object, args: list[Any], options: dict[str, Any]) -> Any:
    try:
        return dialect.connect(*args, **options)
    except TypeError as error:
        raise ConfigError(
            f"SESSIONKIT_STORE has an option that {dialect.driver} does not take: {error}. "
            "Correct what follows the '?'."
        ) from error


def _tell_what_breaks(context: ExceptionContext) -> None:
    """Say which connections an error breaks.

    A timeout breaks one. SQLAlchemy would close all, as after a restart of the server: with one answer in 11 late, that
    made 261 connections for 900 requests, each with answers that may be late again. A server that has become read-only
    breaks all, as its name may lead to another one by now.
    """
    error = context.original_exception
    if isinstance(error, TimeoutError) or isinstance(error.__cause__ or error.__context__, TimeoutError):
        context.invalidate_pool_on_disconnect = False
    elif isinstance(context.sqlalchemy_exception, DBAPIError) and is_read_only(context.sqlalchemy_exception):
        context.is_disconnect = True


def _more_options(driver: str) -> dict[str, Any]:
    if driver == "sqlite":
        return {}  # to open a file costs little, and a writer holds its connection while it waits for the file
    pool = {"pool_size": _KEPT, "max_overflow": _ABOVE}
    # The table has no hstore; to look for one costs the first connection three trips.
    return pool | {"use_native_hstore": False} if driver == "psycopg" else pool


def _limits(driver: str, timeout: float) -> dict[str, Any]:
    """Return how a driver is told not to wait. One that is not known is told nothing, and waits as it likes."""
    match driver:
        case "sqlite":
            return {"timeout": timeout}
        case "psycopg":
            # Statements are not prepared: psycopg calls them _pg3_0 and so on in every process, and behind a pooler of
            # transactions that knows nothing of it one process would run another's. It also is a trip of its own.
            return {
                "connect_timeout": max(2, math.ceil(timeout)),  # libpq's floor; sql_psycopg waits for less
                "prepare_threshold": None,
                "client_encoding": "utf8",  # of a database without one (SQL_ASCII) text would be read as bytes
            }
        case "pymysql":
            # It would else switch autocommit off on each new connection, for SQLAlchemy to switch it on again.
            return {"autocommit": True} | dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), timeout)
        case _:
            return {}


@contextmanager
def _answers_within(patience: float, connection: Connection) -> Iterator[None]:
    name = _PATIENCE.get(connection.dialect.driver)
    driver: Any = connection.connection.driver_connection
    before = getattr(driver, name, None) if name else None
    if name is None or before is None:
        yield
        return
    setattr(driver, name, patience)
    try:
        yield
    finally:
        setattr(driver, name, before)


def _dispose(engine: Engine, pid: int) -> None:
    if os.getpid() == pid:
        engine.dispose()
