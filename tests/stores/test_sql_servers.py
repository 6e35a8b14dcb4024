"""The SQLAlchemy store on PostgreSQL and MariaDB: what both promise when they are slow, broken, shared or forbidden."""

from __future__ import annotations

import gc
import secrets
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from msgspec import structs
from servers import MariaDBServer, PostgreSQLServer, Proxy
from sqlalchemy import URL, Connection, MetaData, create_engine, event, make_url, select, update
from sqlalchemy.exc import DBAPIError

from flask_sessionkit.errors import ConfigError, StoreError
from flask_sessionkit.record import Outcome, Record, Write
from flask_sessionkit.stores.base import Capability, Store
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore, session_table
from flask_sessionkit.testing.contract import IDLE, NOW, OWNER, a_key, a_record, a_version
from flask_sessionkit.testing.interleaving import in_thread
from flask_sessionkit.testing.processes import PROCESSES, forked, in_processes

#: No request waits longer for a database that does not answer.
LONGEST = 1.5

pytestmark = pytest.mark.thorough

DatabaseServer = PostgreSQLServer | MariaDBServer
BOTH = [
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]

#: Each call of a store on the record of ``a_record(0)``.
CALLS: dict[str, Callable[[SQLAlchemyStore], object]] = {
    "load": lambda store: store.load(a_key(0), now=NOW),
    "load and touch": lambda store: store.load(a_key(0), now=NOW + 60, touch_every=60.0),
    "create": lambda store: store.create(a_record(1)),
    "replace": lambda store: store.replace(a_record(0), expected=None, now=NOW),
    "delete": lambda store: store.delete(a_key(0)),
    "list_owner": lambda store: store.list_owner(OWNER, now=NOW),
    "purge": lambda store: store.purge(now=NOW),
    "count_ended": lambda store: store.count_ended(now=NOW),
}


@pytest.fixture(params=BOTH)
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def table(server: DatabaseServer) -> Iterator[str]:
    name = f"records_{secrets.token_hex(4)}"
    yield name
    server.sql(f"DROP TABLE IF EXISTS {name}", database="sessions")


@pytest.fixture
def store(server: DatabaseServer, table: str) -> SQLAlchemyStore:
    return SQLAlchemyStore(server.url, table=table)


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[Proxy]:
    with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def behind(server: DatabaseServer, table: str, proxy: Proxy) -> Iterator[SQLAlchemyStore]:
    """A store whose server is reached through the proxy; one record is there, and a connection is open."""
    store = SQLAlchemyStore(through(proxy, server), table=table)
    assert store.create(a_record()) is True
    yield store
    store._engine.dispose()


def through(proxy: Proxy, server: DatabaseServer) -> URL:
    return make_url(server.url).set(port=proxy.port)


def rows(server: DatabaseServer, question: str) -> list[str]:
    return server.sql(question, database="sessions").splitlines()


@contextmanager
def raw(server: DatabaseServer) -> Iterator[Connection]:
    """Another client of the database, in a transaction of its own."""
    engine = create_engine(server.url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def seconds_until_error(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(StoreError):
        call()
    return time.monotonic() - began


def is_postgresql(server: DatabaseServer) -> bool:
    return isinstance(server, PostgreSQLServer)


# Round trips


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_one_trip(call: str, behind: SQLAlchemyStore, proxy: Proxy, server: DatabaseServer) -> None:
    CALLS[call](behind)  # what is said for the first time is looked up once
    behind.delete(a_key(0))
    behind.delete(a_key(1))
    behind.create(a_record())
    proxy.reset()

    CALLS[call](behind)

    assert proxy.turns == (2 if call == "load and touch" and not is_postgresql(server) else 1)


def test_the_twentieth_load_is_one_trip_too(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    """Psycopg prepares a statement that it sees again and again, which is a trip of its own."""
    proxy.reset()

    for _ in range(20):
        behind.load(a_key(0), now=NOW, touch_every=60.0)

    assert proxy.turns == 20


def test_the_touch_is_told_of(store: SQLAlchemyStore, server: DatabaseServer) -> None:
    assert (Capability.TOUCH_ON_LOAD in store.capabilities) == is_postgresql(server)
    assert Capability.SHARED in store.capabilities


@pytest.mark.parametrize(("within", "seen_at"), [(60.0, NOW), (60.5, NOW + 60)])
def test_a_touch_lengthens_nothing_that_ended_by_a_lowered_timeout(
    within: float, seen_at: float, store: SQLAlchemyStore
) -> None:
    store.create(a_record())

    found = store.load(a_key(0), now=NOW + 60, touch_every=10.0, touch_within=within)

    assert found is not None
    assert found.seen_at == seen_at
    assert store.load(a_key(0), now=NOW) == found


def test_a_seen_at_too_far_ahead_is_within(store: SQLAlchemyStore) -> None:
    store.create(a_record(seen_at=NOW + 3600))

    found = store.load(a_key(0), now=NOW, touch_every=10.0, touch_within=60.0)

    assert found is not None
    assert found.seen_at == NOW


# Down, silent, slow, cut


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"purge", "count_ended"}))
def test_a_server_that_falls_silent_keeps_nobody_waiting(call: str, behind: SQLAlchemyStore, proxy: Proxy) -> None:
    proxy.mode = "silent"
    proxy.reset()

    assert seconds_until_error(lambda: CALLS[call](behind)) < LONGEST
    assert proxy.connections == 0, "After a timeout nothing is repeated."


@pytest.mark.parametrize("call", ["purge", "count_ended"])
def test_a_command_waits_longer_than_a_request_and_not_for_ever(
    call: str, server: DatabaseServer, table: str, proxy: Proxy
) -> None:
    store = SQLAlchemyStore(through(proxy, server), table=table, timeout=0.1)
    store.create(a_record())
    proxy.delay = 0.4
    CALLS[call](store)
    with pytest.raises(StoreError):
        store.load(a_key(0), now=NOW)  # as soon as ever, on the same connection
    proxy.delay = 0.0
    store.load(a_key(0), now=NOW)
    proxy.mode = "silent"

    assert seconds_until_error(lambda: CALLS[call](store)) < 4
    store._engine.dispose()


def test_a_server_that_accepts_and_never_answers_keeps_nobody_waiting(
    behind: SQLAlchemyStore, proxy: Proxy, server: DatabaseServer, table: str
) -> None:
    store = SQLAlchemyStore(through(proxy, server), table=table)
    proxy.mode = "silent"

    assert seconds_until_error(lambda: store.load(a_key(0), now=NOW)) < LONGEST


def test_a_server_that_answers_after_five_seconds_is_as_good_as_silent(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    proxy.delay = 5.0

    assert seconds_until_error(lambda: behind.load(a_key(0), now=NOW)) < LONGEST


def test_a_late_answer_ends_its_own_connection_and_no_other(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    behind.create(a_record())
    fill_pool(behind)
    delays = iter([2.0])
    proxy.delay = lambda: next(delays, 0.0)
    proxy.reset()

    with pytest.raises(StoreError):
        behind.load(a_key(0), now=NOW)
    fill_pool(behind)

    assert proxy.connections == 1


def test_a_late_answer_is_nobody_elses(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    behind.create(a_record(1))
    proxy.delay = 0.8
    with pytest.raises(StoreError):
        behind.load(a_key(0), now=NOW)
    proxy.delay = 0.0

    found = [behind.load(a_key(1), now=NOW) for _ in range(3)]

    assert [record and record.payload for record in found] == [b"payload 1"] * 3


@pytest.mark.parametrize("mode", ["refuse", "silent"])
def test_when_the_server_is_back_the_next_call_works(mode: Any, behind: SQLAlchemyStore, proxy: Proxy) -> None:
    proxy.mode = mode
    assert seconds_until_error(lambda: behind.load(a_key(0), now=NOW)) < LONGEST
    proxy.mode = "pass"

    assert behind.load(a_key(0), now=NOW) is not None


def test_a_connection_that_was_cut_is_not_noticed(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    proxy.mode = "refuse"
    proxy.mode = "pass"

    assert behind.load(a_key(0), now=NOW) is not None


@pytest.mark.parametrize("call", ["create", "replace", "replace by version", "delete"])
def test_a_write_whose_answer_was_lost_is_made_once(
    call: str, behind: SQLAlchemyStore, store: SQLAlchemyStore, proxy: Proxy
) -> None:
    before = store.load(a_key(0), now=NOW)
    assert before is not None
    new, changed = a_record(1), a_record(payload=b"changed")
    proxy.cut_after = 3

    match call:
        case "create":
            assert behind.create(new) is True
            assert store.load(new.key, now=NOW) == new
        case "replace":
            assert behind.replace(changed, expected=None, now=NOW) == Write(Outcome.OK)
            assert store.load(a_key(0), now=NOW) == changed
        case "replace by version":
            assert behind.replace(changed, expected=before.version, now=NOW) == Write(Outcome.OK)
            assert store.load(a_key(0), now=NOW) == changed
        case "delete":
            assert behind.delete(a_key(0)) is False  # nobody can tell who removed it
            assert store.load(a_key(0), now=NOW) is None
    assert proxy.cut_after is None


def test_a_replace_whose_answer_was_lost_and_that_another_overwrote_is_not_merged_again(
    behind: SQLAlchemyStore, store: SQLAlchemyStore, proxy: Proxy
) -> None:
    """As a conflict it would be laid over the other's once more: a counter would count twice."""
    before = store.load(a_key(0), now=NOW)
    assert before is not None
    mine, others = a_record(payload=b"mine"), a_record(payload=b"others")
    event.listen(
        behind._engine, "invalidate", lambda *_: store.replace(others, expected=mine.version, now=NOW), once=True
    )
    proxy.cut_after = 3

    with pytest.raises(StoreError):
        behind.replace(mine, expected=before.version, now=NOW)

    assert store.load(a_key(0), now=NOW) == others


def test_a_connection_that_is_cut_twice_is_an_error(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    proxy.cut_after = 3
    event.listen(behind._engine, "engine_connect", lambda *_: setattr(proxy, "cut_after", 3))

    with pytest.raises(StoreError):
        behind.load(a_key(0), now=NOW)


@contextmanager
def private(server: DatabaseServer) -> Iterator[DatabaseServer]:
    """A server to break, which loses nothing in a crash of its own."""
    args = ("-c", "synchronous_commit=on") if is_postgresql(server) else ()
    with type(server)(*args) as breakable:
        yield breakable


def fill_pool(store: SQLAlchemyStore) -> None:
    held = [store._engine.connect() for _ in range(5)]
    for connection in held:
        connection.close()


def test_a_restart_of_the_server_fails_no_call_that_comes_after_it(server: DatabaseServer) -> None:
    with private(server) as breakable:
        store = SQLAlchemyStore(breakable.url)
        store.create(a_record())
        fill_pool(store)

        breakable.kill()
        breakable.start()  # and nobody noticed
        assert [store.load(a_key(0), now=NOW) is not None for _ in range(8)] == [True] * 8

        fill_pool(store)
        breakable.kill()
        assert seconds_until_error(lambda: store.load(a_key(0), now=NOW)) < LONGEST
        breakable.start()
        assert [store.load(a_key(0), now=NOW) is not None for _ in range(8)] == [True] * 8

        breakable.freeze()
        assert seconds_until_error(lambda: SQLAlchemyStore(breakable.url).load(a_key(0), now=NOW)) < LONGEST
        breakable.thaw()
        store._engine.dispose()


# Locks, races, and the pool


def lock(connection: Connection, table: str, number: int = 0) -> None:
    rows = session_table(MetaData(), name=table)
    connection.execute(select(rows.c.key).where(rows.c.key == a_key(number)).with_for_update())


def test_a_row_that_somebody_locks_keeps_nobody_waiting(
    store: SQLAlchemyStore, server: DatabaseServer, table: str
) -> None:
    record = a_record()
    store.create(record)
    late = structs.replace(record, payload=b"late", version=a_version())
    others = structs.replace(record, payload=b"others", version=a_version())

    with raw(server) as holder:
        lock(holder, table)
        assert seconds_until_error(lambda: store.replace(late, expected=record.version, now=NOW)) < LONGEST
        values = {"payload": others.payload, "version": others.version}
        holder.execute(update(session_table(MetaData(), name=table)).values(values))
        holder.commit()
        lock(holder, table)  # behind whoever still waits
        holder.rollback()

    assert store.load(a_key(0), now=NOW) == others, "What the server carried out late must not undo another's write."


def test_a_statement_that_lost_a_race_is_repeated(server: DatabaseServer, table: str) -> None:
    SQLAlchemyStore(server.url, table=table).create(a_record())
    changed = a_record(payload=b"changed")
    if is_postgresql(server):
        options = {"options": "-c default_transaction_isolation=repeatable\\ read"}
    else:
        options = {"init_command": "SET innodb_lock_wait_timeout = 0"}
    store = SQLAlchemyStore(server.url, table=table, timeout=20, connect_args=options)
    failed, said = threading.Event(), threading.Event()
    store.load(a_key(0), now=NOW)
    event.listen(store._engine, "handle_error", lambda _: failed.set())
    event.listen(store._engine, "before_cursor_execute", lambda *_: said.set())

    with raw(server) as holder:
        lock(holder, table)
        holder.execute(update(session_table(MetaData(), name=table)).values(idle=900.0))
        waiting = in_thread(store.replace, changed, expected=None, now=NOW)
        assert said.wait(20)
        if is_postgresql(server):
            while not rows(server, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                time.sleep(0.01)
        else:
            assert failed.wait(20)
        holder.commit()

    assert waiting.result() == Write(Outcome.OK)
    assert failed.is_set()
    assert store.load(a_key(0), now=NOW) == changed


@pytest.mark.mariadb
def test_a_race_that_is_lost_for_ever_is_an_error_in_time(mariadb_server: MariaDBServer) -> None:
    options = {"init_command": "SET innodb_lock_wait_timeout = 0"}
    store = SQLAlchemyStore(mariadb_server.url, table="lost_races", connect_args=options)
    store.create(a_record())

    with raw(mariadb_server) as holder:
        lock(holder, "lost_races")
        assert seconds_until_error(lambda: store.delete(a_key(0))) < LONGEST

    assert store.delete(a_key(0)) is True
    mariadb_server.sql("DROP TABLE lost_races", database="sessions")


def test_nobody_waits_long_for_a_connection(store: SQLAlchemyStore) -> None:
    store.create(a_record())
    held = [store._engine.connect() for _ in range(10)]

    assert seconds_until_error(lambda: store.load(a_key(0), now=NOW)) < LONGEST
    for connection in held:
        connection.close()
    assert store.load(a_key(0), now=NOW) is not None


def test_a_process_takes_ten_connections_and_keeps_five(
    server: DatabaseServer, table: str, proxy: Proxy, behind: SQLAlchemyStore
) -> None:
    patient = SQLAlchemyStore(through(proxy, server), table=table, timeout=20)
    proxy.reset()

    running = [in_thread(patient.load, a_key(0), now=NOW) for _ in range(60)]

    assert all(call.result() is not None for call in running)
    pool: Any = patient._engine.pool
    assert pool.checkedin() <= 5
    patient._engine.dispose()


# Forks


def backend(store: SQLAlchemyStore, server: DatabaseServer) -> int:
    question = "SELECT pg_backend_pid()" if is_postgresql(server) else "SELECT connection_id()"
    number: int = store._connections.run(lambda connection: connection.exec_driver_sql(question).scalar_one())
    return number


def test_a_child_uses_and_ends_no_connection_of_its_parent(store: SQLAlchemyStore, server: DatabaseServer) -> None:
    store.create(a_record())
    parents = backend(store, server)

    def work() -> None:
        assert store.load(a_key(0), now=NOW) is not None
        assert backend(store, server) != parents
        store._connections._left_to_parent.clear()
        gc.collect()  # as at the end of the interpreter

    forked(work)()

    assert backend(store, server) == parents
    assert store.load(a_key(0), now=NOW) is not None


def test_a_child_of_a_child_has_its_own_connection_too(store: SQLAlchemyStore, server: DatabaseServer) -> None:
    store.create(a_record())
    first = backend(store, server)

    def work() -> None:
        second = backend(store, server)

        def inner() -> None:
            assert backend(store, server) not in {first, second}

        forked(inner)()
        assert backend(store, server) == second

    forked(work)()


# The table, its name and its schema


def test_what_only_looks_makes_no_table(store: SQLAlchemyStore, server: DatabaseServer, table: str) -> None:
    assert store.load(a_key(0), now=NOW) is None
    assert store.load(a_key(0), now=NOW, touch_every=0.0) is None
    assert store.replace(a_record(), expected=None, now=NOW).outcome is Outcome.GONE
    assert store.delete(a_key(0)) is False
    assert store.list_owner(OWNER, now=NOW) == []
    assert store.purge(now=NOW).count == 0
    assert store.count_ended(now=NOW) == 0
    assert rows(server, f"SELECT table_name FROM information_schema.tables WHERE table_name = '{table}'") == []  # noqa: S608  # a name of this test


def test_a_table_that_is_dropped_under_a_running_server_is_made_again(
    store: SQLAlchemyStore, server: DatabaseServer, table: str
) -> None:
    store.create(a_record())
    server.sql(f"DROP TABLE {table}", database="sessions")

    assert store.load(a_key(0), now=NOW) is None
    assert store.create(a_record()) is True


def _create_first(store: Store, lane: int, meet: Callable[[], object]) -> bool:
    meet()
    return store.create(a_record(lane))


def test_many_processes_may_make_the_table_at_once(server: DatabaseServer, table: str) -> None:
    for turn in range(8):
        name = f"{table}_{turn}"
        created = in_processes(partial(SQLAlchemyStore, server.url, table=name, timeout=20), _create_first)
        listed = len(SQLAlchemyStore(server.url, table=name, timeout=20).list_owner(OWNER, now=NOW))
        server.sql(f"DROP TABLE {name}", database="sessions")
        assert created == [True] * PROCESSES
        assert listed == PROCESSES


def test_two_tables_of_one_database_know_nothing_of_each_other(
    store: SQLAlchemyStore, server: DatabaseServer, table: str
) -> None:
    other = SQLAlchemyStore(server.url, table=f"{table}_other")
    mine, theirs = a_record(), a_record(payload=b"theirs")

    assert store.create(mine) is True
    assert other.create(theirs) is True
    assert other.delete(a_key(0)) is True
    assert store.load(a_key(0), now=NOW) == mine
    assert other.list_owner(OWNER, now=NOW) == []
    server.sql(f"DROP TABLE {table}_other", database="sessions")


@pytest.fixture
def schema(server: DatabaseServer, table: str) -> Iterator[str]:
    name = f"auth_{table}"
    server.sql(f"CREATE SCHEMA {name}", database="sessions")
    yield name
    server.sql(f"DROP SCHEMA {name}{' CASCADE' if is_postgresql(server) else ''}", database="sessions")


def test_the_table_lies_in_the_schema_that_was_named(server: DatabaseServer, schema: str) -> None:
    store, record = SQLAlchemyStore(server.url, schema=schema, table="web"), a_record()

    assert store.create(record) is True
    assert store.load(a_key(0), now=NOW, touch_every=60.0) == record
    assert store.list_owner(OWNER, now=NOW) == [structs.replace(record, payload=b"")]
    assert rows(server, f"SELECT count(*) FROM {schema}.web") == ["1"]  # noqa: S608  # a name of this test


@pytest.mark.parametrize("call", [lambda store: store.create(a_record()), lambda store: store.create_table()])
def test_a_schema_that_is_not_there_is_named_with_the_mend(
    call: Callable[[SQLAlchemyStore], object], server: DatabaseServer
) -> None:
    store = SQLAlchemyStore(server.url, schema="absent")

    with pytest.raises(StoreError, match=r"no schema 'absent'.*CREATE SCHEMA"):
        call(store)


# What is not allowed


@contextmanager
def user(server: DatabaseServer, rights: str, table: str) -> Iterator[URL]:
    """A user of the database with these rights on the table."""
    name = f"user_{secrets.token_hex(4)}"
    if is_postgresql(server):
        server.sql(f"CREATE ROLE {name} LOGIN; GRANT {rights} ON {table} TO {name}", database="sessions")
    else:
        server.sql(f"CREATE USER {name}; GRANT {rights} ON sessions.{table} TO {name}")
    yield make_url(server.url).set(username=name)
    if is_postgresql(server):
        server.sql(f"DROP OWNED BY {name}; DROP ROLE {name}", database="sessions")
    else:
        server.sql(f"DROP USER {name}")


def assert_reads_and_writes_nothing(store: SQLAlchemyStore, record: Record) -> None:
    changed = structs.replace(record, payload=b"changed", version=a_version())
    writes: list[Callable[[], object]] = [
        lambda: store.create(a_record(1)),
        lambda: store.replace(changed, expected=record.version, now=NOW),
        lambda: store.delete(record.key),
        lambda: store.purge(now=NOW),
    ]
    for write in writes:
        with pytest.raises(StoreError, match=r"forbids this\. Grant"):
            write()
    assert store.load(record.key, now=NOW) == record
    assert store.load(record.key, now=NOW + 100, touch_every=60.0) == record
    assert store.list_owner(OWNER, now=NOW) == [structs.replace(record, payload=b"")]
    store._engine.dispose()


def test_a_user_who_may_only_read_changes_nothing(store: SQLAlchemyStore, server: DatabaseServer, table: str) -> None:
    record = a_record()
    store.create(record)

    with user(server, "SELECT", table) as url:
        assert_reads_and_writes_nothing(SQLAlchemyStore(url, table=table), record)

    assert store.load(a_key(0), now=NOW) == record


def test_a_user_with_four_rights_needs_no_more(store: SQLAlchemyStore, server: DatabaseServer, table: str) -> None:
    store.create_table()

    with user(server, "SELECT, INSERT, UPDATE, DELETE", table) as url:
        webs = SQLAlchemyStore(url, table=table)
        assert webs.create(a_record()) is True
        assert webs.load(a_key(0), now=NOW + 60, touch_every=60.0) is not None
        assert webs.delete(a_key(0)) is True
        assert webs.purge(now=NOW).count == 0
        webs._engine.dispose()


def test_a_database_that_is_read_only_can_be_read(store: SQLAlchemyStore, server: DatabaseServer, table: str) -> None:
    record = a_record()
    store.create(record)

    if is_postgresql(server):
        options = {"options": "-c default_transaction_read_only=on"}
        assert_reads_and_writes_nothing(SQLAlchemyStore(server.url, table=table, connect_args=options), record)
    else:
        # The superuser may write all the same.
        with user(server, "SELECT, INSERT, UPDATE, DELETE", table) as url:
            server.sql("SET GLOBAL read_only = 1")
            try:
                assert_reads_and_writes_nothing(SQLAlchemyStore(url, table=table), record)
            finally:
                server.sql("SET GLOBAL read_only = 0")

    assert store.load(a_key(0), now=NOW) == record


def test_a_database_that_is_not_there_is_an_error(server: DatabaseServer) -> None:
    store = SQLAlchemyStore(make_url(server.url).set(database="absent"))

    with pytest.raises(StoreError, match="cannot answer"):
        store.load(a_key(0), now=NOW)
    with pytest.raises(StoreError, match="cannot answer"):
        store.create(a_record())


# What an error says


def test_no_error_shows_a_key_that_was_taken(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    """The server quotes it, and the second look may fail."""
    event.listen(behind._engine, "handle_error", lambda _: setattr(proxy, "mode", "silent"), once=True)

    with pytest.raises(StoreError) as caught:
        behind.create(a_record())

    said = "".join(traceback.format_exception(caught.value))
    assert a_key(0) not in said
    assert "Error" in said


def test_no_error_shows_a_payload_or_a_password(server: DatabaseServer, store: SQLAlchemyStore) -> None:
    store.create_table()
    too_long = a_record(payload=b"precious", owner="x" * 99)

    with pytest.raises(StoreError) as caught:
        store.create(too_long)

    said = "".join(traceback.format_exception(caught.value))
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert not any(secret in said for secret in (too_long.key, "precious", "x" * 30))


# Indexes


@pytest.mark.requirement("ST-07")
def test_every_question_is_answered_by_an_index(store: SQLAlchemyStore, server: DatabaseServer, table: str) -> None:
    store.create(a_record())
    some = "generate_series(1, 20000) AS n" if is_postgresql(server) else "seq_1_to_20000"
    number = "n" if is_postgresql(server) else "seq"
    digest = f"md5(CAST({number} AS char(9)))"
    server.sql(
        f"INSERT INTO {table} SELECT concat({digest}, {digest}), payload, created_at, "  # noqa: S608  # our own names
        "seen_at, idle, absolute_at, "
        f"expires_at + {number}, {digest}, info, version FROM {table}, {some}",
        database="sessions",
    )
    server.sql(f"ANALYZE {'' if is_postgresql(server) else 'TABLE '}{table}", database="sessions")
    said: list[tuple[str, Any]] = []
    event.listen(store._engine, "before_cursor_execute", lambda *call: said.append((call[2], call[3])))
    primary = f"{table}_pkey" if is_postgresql(server) else "PRIMARY"
    few, half = NOW + IDLE + 120 + 50, NOW + IDLE + 120 + 10000

    def plan(call: Callable[[], object]) -> str:
        said.clear()
        call()
        (statement, values), *_ = said
        with store._engine.connect() as connection:
            found = connection.exec_driver_sql("EXPLAIN " + statement, values).all()
        return "\n".join(" ".join(map(str, row)) for row in found)

    for call, index in [
        (lambda: store.load(a_key(0), now=NOW), primary),
        (lambda: store.load(a_key(0), now=NOW, touch_every=60.0), primary),
        (lambda: store.replace(a_record(7), expected=a_version(), now=NOW), primary),
        (lambda: store.delete(a_key(7)), primary),
        (lambda: store.list_owner(OWNER, now=NOW), f"ix_{table}_owner_key"),
        (lambda: store.purge(now=half, limit=10), f"ix_{table}_expires_at"),
        (lambda: store.count_ended(now=few), f"ix_{table}_expires_at"),
    ]:
        told = plan(call)
        assert index in told, told
        assert f"Seq Scan on {table}" not in told, told
        assert f"{table} ALL" not in told, told


def test_why_there_is_no_connection_is_told_without_the_password(server: DatabaseServer) -> None:
    url = make_url(server.url).set(database="nosuchdb", password="pa55word")
    store = SQLAlchemyStore(url)

    with pytest.raises(StoreError, match=r"cannot answer \((.*nosuchdb.*does not exist|Access denied.*)\)") as told:
        store.load(a_key(0), now=NOW)

    assert "pa55word" not in str(told.value)


@pytest.mark.mariadb
def test_an_option_that_the_driver_does_not_take_is_a_config_error(mariadb_server: MariaDBServer) -> None:
    store = SQLAlchemyStore(f"{mariadb_server.url}?ssl_cas=x")

    with pytest.raises(ConfigError, match="ssl_cas"):
        store.load(a_key(0), now=NOW)


@pytest.mark.postgresql
def test_an_option_that_libpq_does_not_take_is_named(postgresql_server: PostgreSQLServer) -> None:
    store = SQLAlchemyStore(f"{postgresql_server.url}?sslmod=require")

    with pytest.raises(StoreError, match="sslmod"):
        store.load(a_key(0), now=NOW)


class TimeIsOverError(Exception):
    """What the time limits of job queues raise from a signal."""


def test_a_call_that_is_interrupted_leaves_its_connection(behind: SQLAlchemyStore, proxy: Proxy) -> None:
    def ring(*_: object) -> None:
        raise TimeIsOverError

    before = signal.signal(signal.SIGALRM, ring)
    proxy.delay = 0.3
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(TimeIsOverError):
            behind.load(a_key(0), now=NOW)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    proxy.delay = 0.0

    for _ in range(6):
        assert behind.load(a_key(0), now=NOW) is not None


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 40, b"HTTP/1.1 200 OK\r\n\r\n", b"\xff" * 300])
def test_an_answer_that_is_none_is_a_store_error(behind: SQLAlchemyStore, proxy: Proxy, garbage: bytes) -> None:
    proxy.meddle = lambda question, answer: garbage or answer[::-1]

    for call in CALLS.values():
        with pytest.raises(StoreError):
            call(behind)

    proxy.meddle = None
    assert behind.load(a_key(0), now=NOW) is not None
