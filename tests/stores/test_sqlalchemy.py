"""The SQLAlchemy store on SQLite: the contract, and what only a database can do wrong."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import MetaData, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from flask_sessionkit.errors import StoreError
from flask_sessionkit.record import Outcome, Write
from flask_sessionkit.stores.sql_connections import _limits
from flask_sessionkit.stores.sql_errors import is_lost_race
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore, session_table
from flask_sessionkit.testing.contract import NOW, OWNER, StoreContract, StoreFactory, a_key, a_record, a_version
from flask_sessionkit.testing.interleaving import in_thread


class TestSQLAlchemyStore(StoreContract):
    @pytest.fixture(autouse=True)
    def database(self, tmp_path: Path) -> None:
        self.path = tmp_path / "sessions.db"
        self.url = f"sqlite:///{self.path}"

    def make_store(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(self.url)

    def make_peer(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(self.url)

    def spawn_store(self) -> StoreFactory:
        return partial(SQLAlchemyStore, self.url)

    def make_broken_store(self) -> SQLAlchemyStore:
        self.path.write_bytes(b"no database" * 1000)
        return SQLAlchemyStore(self.url)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def store(path: Path) -> SQLAlchemyStore:
    return SQLAlchemyStore(f"sqlite:///{path}", timeout=0.05)


@pytest.fixture
def statements(store: SQLAlchemyStore) -> list[str]:
    """What the store says to the database, in order; its table is there."""
    store.create_table()
    said: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    return said


def told(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let another connection hold the write lock, as a view does that has flushed and not committed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


# The table


def test_nothing_is_made_before_the_first_use(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path.parent}/instance/sessions.db")

    assert list(path.parent.iterdir()) == []
    assert store.create(a_record()) is True
    assert store.load(a_key(0), now=NOW) is not None


@pytest.mark.parametrize("has_file", [False, True])
@pytest.mark.parametrize("call", ["load", "replace", "delete", "list_owner", "purge", "count_ended"])
def test_what_only_looks_makes_no_table(call: str, path: Path, has_file: bool) -> None:
    """``flask sessions purge`` may run as another user, whose file the application could not write to."""
    if has_file:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE other (id)")
    store, record = SQLAlchemyStore(f"sqlite:///{path}"), a_record()
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(record.key, now=NOW, touch_every=0.0),
        "replace": lambda: store.replace(record, expected=None, now=NOW).outcome,
        "delete": lambda: store.delete(record.key),
        "list_owner": lambda: store.list_owner(OWNER, now=NOW),
        "purge": lambda: store.purge(now=NOW).count,
        "count_ended": lambda: store.count_ended(now=NOW),
    }

    assert calls[call]() in (None, False, Outcome.GONE, [], 0)
    assert path.exists() == has_file
    if has_file:
        assert told(path, "SELECT name FROM sqlite_master") == [("other",)]


def test_the_first_create_makes_the_table(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path}")

    assert store.create(a_record()) is True
    assert told(path, "SELECT count(*) FROM sessionkit_records") == [(1,)]


def test_a_table_that_went_away_is_made_again(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path}")
    store.create(a_record(0))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE sessionkit_records")

    assert store.load(a_key(0), now=NOW) is None
    assert store.create(a_record(1)) is True


def test_a_store_that_is_let_go_closes_its_connections(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path}")
    store.create(a_record())
    pool = store._engine.pool

    del store
    gc.collect()

    assert pool.checkedin() == 0  # type: ignore[attr-defined]  # the pool of a file is a QueuePool


def test_a_table_that_is_dropped_under_a_running_server_is_made_again(store: SQLAlchemyStore, path: Path) -> None:
    store.create(a_record())
    told(path, "DROP TABLE sessionkit_records")

    assert store.load(a_key(0), now=NOW) is None
    assert store.create(a_record()) is True


def test_create_table_may_be_called_again_and_mends_what_is_missing(store: SQLAlchemyStore, path: Path) -> None:
    store.create_table()
    told(path, "DROP INDEX ix_sessionkit_records_expires_at")
    store.create_table()

    indexes = {name for (name,) in told(path, "SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert indexes > {"ix_sessionkit_records_expires_at", "ix_sessionkit_records_owner_key"}


def _create_first(url: str, number: int) -> bool:
    return SQLAlchemyStore(url).create(a_record(number))


def test_many_processes_may_make_the_table_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("fork")) as pool:
        for turn in range(8):
            url = f"sqlite:///{tmp_path}/{turn}.db"
            created = list(pool.map(partial(_create_first, url), range(8)))
            assert created == [True] * 8
            assert len(SQLAlchemyStore(url).list_owner(OWNER, now=NOW)) == 8


def test_the_table_has_the_name_that_was_asked_for(path: Path) -> None:
    SQLAlchemyStore(f"sqlite:///{path}", table="visits").create(a_record())

    assert told(path, "SELECT count(*) FROM visits") == [(1,)]


def test_a_migration_makes_the_table_that_the_store_works_on(path: Path, store: SQLAlchemyStore) -> None:
    metadata = MetaData()
    session_table(metadata)
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    before = told(path, "SELECT sql FROM sqlite_master")

    assert store.create(a_record()) is True
    assert told(path, "SELECT sql FROM sqlite_master") == before


@pytest.mark.parametrize("database", ["mysql://", "mariadb://", "postgresql://"])
def test_the_table_on_other_databases(database: str) -> None:
    dialect = make_url(database).get_dialect()()
    made = str(CreateTable(session_table(MetaData(), schema="web")).compile(dialect=dialect))

    assert "web.sessionkit_records" in made
    if not dialect.name.startswith("postgresql"):
        for column in (
            "`key` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL",
            "payload MEDIUMBLOB NOT NULL",
            "owner VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
            "version VARBINARY(8) NOT NULL",
        ):
            assert column in made


# A file of our own, and one of others


def test_a_file_of_our_own_is_switched_to_write_ahead_logging(store: SQLAlchemyStore, path: Path) -> None:
    store.create(a_record())

    assert told(path, "PRAGMA journal_mode") == [("wal",)]
    for handle in (store, SQLAlchemyStore(f"sqlite:///{path}")):
        with handle._engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL


def test_a_file_of_the_application_keeps_its_journal(store: SQLAlchemyStore, path: Path) -> None:
    told(path, "CREATE TABLE account (id INTEGER)")
    store.create(a_record())

    assert told(path, "PRAGMA journal_mode") == [("delete",)]
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_what_the_application_has_not_committed_stays_so(store: SQLAlchemyStore, path: Path) -> None:
    told(path, "CREATE TABLE account (id INTEGER)")
    store.create(a_record())

    with closing(sqlite3.connect(path)) as view:
        view.execute("INSERT INTO account VALUES (1)")
        assert store.load(a_key(0), now=NOW) is not None
        with pytest.raises(StoreError):
            store.create(a_record(1))
        view.rollback()
    assert told(path, "SELECT * FROM account") == []


def test_a_due_touch_that_finds_the_file_locked_is_skipped_at_once(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path}", timeout=30)
    store.create(a_record())
    before, began = store.load(a_key(0), now=NOW), time.monotonic()

    with locked(path):
        assert store.load(a_key(0), now=NOW + 60, touch_every=60.0) == before
    assert time.monotonic() - began < 10
    found = store.load(a_key(0), now=NOW + 60, touch_every=60.0)
    assert found is not None
    assert found.seen_at == NOW + 60


def test_a_write_waits_for_a_locked_file_also_after_a_touch(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path}", timeout=20)
    store.create(a_record())
    store.load(a_key(0), now=NOW + 60, touch_every=60.0)

    with locked(path):
        waiting = in_thread(store.delete, a_key(0))
        time.sleep(0.1)
        assert not waiting.done
    assert waiting.result() is True


def test_a_write_gives_up_a_locked_file_after_the_timeout(store: SQLAlchemyStore, path: Path) -> None:
    store.create(a_record())
    began = time.monotonic()

    with locked(path), pytest.raises(StoreError) as caught:
        store.delete(a_key(0))

    assert isinstance(caught.value.__cause__, OperationalError)
    assert time.monotonic() - began < 2


# What is said, and to whom


@pytest.mark.parametrize(
    ("call", "count"),
    [
        (lambda store: store.load(a_key(0), now=NOW, touch_every=60.0), 1),
        (lambda store: store.create(a_record(1)), 1),
        (lambda store: store.replace(a_record(0), expected=None, now=NOW), 1),
        (lambda store: store.replace(a_record(0), expected=a_version(), now=NOW), 2),
        (lambda store: store.delete(a_key(0)), 1),
        (lambda store: store.list_owner(OWNER, now=NOW), 1),
        (lambda store: store.purge(now=NOW), 1),
    ],
)
def test_a_call_is_one_statement(
    call: Callable[[SQLAlchemyStore], object], count: int, store: SQLAlchemyStore, statements: list[str]
) -> None:
    store.create(a_record(0))
    statements.clear()

    call(store)

    assert len(statements) == count, statements


@pytest.mark.requirement("ST-07")
def test_statements_hold_no_values(store: SQLAlchemyStore, statements: list[str]) -> None:
    store.create(a_record())
    store.load(a_key(0), now=NOW + 60, touch_every=60.0)
    store.replace(a_record(), expected=a_version(), now=NOW)
    store.list_owner(OWNER, now=NOW, limit=7)
    store.purge(now=NOW, limit=7)
    store.delete(a_key(0))

    said = " ".join(statements)
    assert a_key(0) not in said
    assert OWNER not in said
    assert not re.search(r"\b\d{2,}", said.replace("busy_timeout = 50", ""))


@pytest.mark.requirement("ST-07")
@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda store: store.load(a_key(0), now=NOW), "sqlite_autoindex_sessionkit_records_1 (key=?)"),
        (lambda store: store.list_owner(OWNER, now=NOW), "ix_sessionkit_records_owner_key (owner=? AND key>?)"),
        (lambda store: store.purge(now=NOW), "ix_sessionkit_records_expires_at (expires_at<?)"),
        (lambda store: store.count_ended(now=NOW), "ix_sessionkit_records_expires_at (expires_at<?)"),
    ],
)
def test_every_question_is_answered_by_an_index(
    call: Callable[[SQLAlchemyStore], object], index: str, store: SQLAlchemyStore, statements: list[str], path: Path
) -> None:
    call(store)

    plan = told(path, "EXPLAIN QUERY PLAN " + statements[-1].replace("?", "'1'"))
    assert index in " ".join(step[3] for step in plan)
    assert not any(step[3].startswith("SCAN sessionkit_records") and "INDEX" not in step[3] for step in plan)
    assert not any("TEMP B-TREE" in step[3] for step in plan)


def test_no_error_shows_a_key_or_a_payload_or_a_password(store: SQLAlchemyStore, path: Path) -> None:
    record = a_record(payload=b"precious")
    store.create_table()

    with locked(path), pytest.raises(StoreError) as caught:
        store.create(record)

    said = "".join(traceback.format_exception(caught.value))
    assert record.key not in said
    assert "precious" not in said


def test_no_error_shows_the_query_of_a_url(path: Path) -> None:
    path.mkdir()
    store = SQLAlchemyStore(f"sqlite:///{path}?cached_statements=1")

    with pytest.raises(StoreError) as caught:
        store.delete(a_key(0))

    assert "cached" not in str(caught.value)


# Drivers


@pytest.mark.parametrize("driver", ["psycopg2", "pg8000", "mysqldb", "mysqlconnector", "oracledb", "pyodbc"])
def test_a_driver_that_is_not_known_is_told_nothing(driver: str) -> None:
    """Each has other names for its limits, and refuses those that it does not know."""
    assert _limits(driver, 0.5) == {}


def test_psycopg_prepares_nothing() -> None:
    """Behind a pooler of transactions one process would run what another has prepared under the same name."""
    assert _limits("psycopg", 0.5)["prepare_threshold"] is None


class FromAnotherDriver(Exception):
    """What a driver raises."""


@pytest.mark.parametrize(
    ("driver_error", "is_lost"),
    [
        ({"sqlstate": "40001"}, True),
        ({"pgcode": "40P01"}, True),  # psycopg 2
        ({"sqlstate": "23505"}, False),
        ({"args": (1213, "Deadlock found")}, True),
        ({"args": (1205, "Lock wait timeout exceeded")}, True),
        ({"args": (1020, "Record has changed since last read")}, True),
        ({"args": (1062, "Duplicate entry")}, False),
        ({"args": ()}, False),
    ],
)
def test_which_errors_are_worth_another_try(driver_error: dict[str, Any], is_lost: bool) -> None:
    error = FromAnotherDriver()
    for name, value in driver_error.items():
        setattr(error, name, value)

    assert is_lost_race(OperationalError("UPDATE", {}, error)) is is_lost


def test_more_arguments_go_to_the_driver(path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{path}", connect_args={"cached_statements": 7})
    seen: list[dict[str, Any]] = []
    event.listen(store._engine, "do_connect", lambda *call: seen.append(call[3]))

    store.create(a_record())

    assert seen[0]["cached_statements"] == 7
    assert seen[0]["timeout"] == 0.5


# Threads and forks


def test_more_threads_than_the_pool_has_connections(store: SQLAlchemyStore, path: Path) -> None:
    patient = SQLAlchemyStore(f"sqlite:///{path}", timeout=20)
    patient.create(a_record())

    running = [in_thread(patient.load, a_key(0), now=NOW + 1) for _ in range(60)]

    assert all(call.result() is not None for call in running)


def test_a_child_uses_no_connection_of_its_parent(store: SQLAlchemyStore) -> None:
    store.create(a_record())
    with store._engine.connect() as connection:
        parents = id(connection.connection.dbapi_connection)

    child = os.fork()
    if not child:  # pragma: no cover  # in the child
        found = store.load(a_key(0), now=NOW)
        with store._engine.connect() as connection:
            its_own = id(connection.connection.dbapi_connection) != parents
        os._exit(0 if found is not None and its_own else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert store.load(a_key(0), now=NOW) is not None
    with store._engine.connect() as connection:
        assert id(connection.connection.dbapi_connection) == parents


@pytest.mark.parametrize("column", ["payload", "created_at", "seen_at", "idle", "absolute_at", "info", "version"])
def test_a_row_of_other_types_is_no_record(store: SQLAlchemyStore, path: Path, column: str) -> None:
    """SQLite takes any value into any column, so whoever can write to the file chooses the types."""
    store.create(a_record(owner=OWNER))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE sessionkit_records SET {column} = 'text'")  # noqa: S608  # a name of this test
        connection.commit()

    assert store.load(a_key(0), now=NOW, touch_every=0.0) is None
    assert store.replace(a_record(version=a_version()), expected=a_record().version, now=NOW).outcome is Outcome.GONE
    assert len(store.list_owner(OWNER, now=NOW)) == (1 if column == "payload" else 0)
    assert store.delete(a_key(0)) is True


def test_a_file_that_is_made_is_its_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        store = SQLAlchemyStore(f"sqlite:///{path}")
        store.create(a_record())
        held = sqlite3.connect(path)  # keeps -wal and -shm there
        store.create(a_record(1))
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        held.close()
    finally:
        os.umask(before)

    assert path.name in modes
    assert set(modes.values()) == {0o600}


def test_who_listens_to_the_engine_hears_the_statements_of_requests_too(store: SQLAlchemyStore) -> None:
    said: list[str] = []
    record = a_record()
    store.create(record)
    quiet = store.load(record.key, now=NOW)
    event.listen(store._engine, "before_cursor_execute", lambda _, __, text, *___: said.append(text.split()[0]))

    heard = store.load(record.key, now=NOW)
    write = store.replace(structs.replace(record, version=a_version()), expected=record.version, now=NOW)

    assert said == ["SELECT", "UPDATE"]
    assert quiet == heard == record
    assert write == Write(Outcome.OK)
