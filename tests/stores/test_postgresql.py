"""The SQLAlchemy store on PostgreSQL, by psycopg 3: the contract, and what only this server can do wrong."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest
from msgspec import structs
from servers import PostgreSQLServer, Proxy, free_port
from sqlalchemy import event, make_url

from flask_sessionkit.errors import StoreError
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing.contract import NOW, OWNER, StoreContract, StoreFactory, a_key, a_record
from flask_sessionkit.testing.interleaving import in_thread

pytestmark = pytest.mark.postgresql

TABLE = "sessionkit_records"


@pytest.fixture
def url(postgresql_server: PostgreSQLServer) -> Iterator[str]:
    yield postgresql_server.url
    postgresql_server.sql(f"DROP TABLE IF EXISTS {TABLE}", database="sessions")


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture(autouse=True)
    def database(self, url: str) -> None:
        self.url = url

    def make_store(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(self.url, timeout=10)

    def make_peer(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(self.url, timeout=10)

    def spawn_store(self) -> StoreFactory:
        return partial(SQLAlchemyStore, self.url, timeout=10)

    def make_broken_store(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(f"postgresql+psycopg://test@127.0.0.1:{free_port()}/sessions")


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_the_encoding_of_the_database_changes_nothing(encoding: str, postgresql_server: PostgreSQLServer) -> None:
    name = f"db_{encoding.lower()}"
    postgresql_server.sql(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    store = SQLAlchemyStore(make_url(postgresql_server.url).set(database=name))
    lower = a_record(payload=bytes(range(256)) * 300, info=bytes(range(256)))
    upper = structs.replace(lower, key=lower.key.upper(), owner=OWNER.upper(), payload="ä€😀".encode())

    assert store.create(lower) is True
    assert store.create(upper) is True
    assert store.load(lower.key, now=NOW) == lower
    assert store.load(upper.key, now=NOW) == upper
    assert store.list_owner(OWNER, now=NOW) == [structs.replace(lower, payload=b"")]
    store._engine.dispose()
    postgresql_server.sql(f"DROP DATABASE {name}")


def said(store: SQLAlchemyStore, call: Callable[[], object]) -> list[str]:
    statements: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    call()
    return statements


def test_load_and_touch_are_one_statement(url: str) -> None:
    store = SQLAlchemyStore(url)
    store.create(a_record())

    [statement] = said(store, lambda: store.load(a_key(0), now=NOW + 60, touch_every=60.0))

    assert statement.startswith("WITH touched AS")


def test_a_pure_read_is_a_select(url: str) -> None:
    store = SQLAlchemyStore(url)
    store.create(a_record())

    [statement] = said(store, lambda: store.load(a_key(0), now=NOW + 60))

    assert "UPDATE" not in statement


def test_the_first_connection_asks_for_nothing_that_the_store_does_not_need(
    postgresql_server: PostgreSQLServer,
) -> None:
    """Of SQLAlchemy's own questions the one for hstore costs three trips."""
    with Proxy(postgresql_server.host, postgresql_server.port) as proxy:
        store = SQLAlchemyStore(make_url(postgresql_server.url).set(port=proxy.port))

        store.load(a_key(0), now=NOW)

        assert proxy.turns <= 8
        store._engine.dispose()


def test_an_answer_that_comes_in_drops_is_no_answer(postgresql_server: PostgreSQLServer, url: str) -> None:
    """Each drop wakes the waiter up: the limit is for the whole answer."""
    begun, over = threading.Event(), threading.Event()

    def pass_on(client: socket.socket, server: socket.socket) -> None:
        while True:
            for speaker in select.select([client, server], [], [])[0]:
                heard = speaker.recv(64 if begun.is_set() else 65536)
                if not heard:
                    return
                (server if speaker is client else client).sendall(heard)
                if begun.is_set() and speaker is server:
                    time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as drops:
        drops.settimeout(0.1)

        def serve() -> None:
            while not over.is_set():
                with suppress(OSError):
                    client, _ = drops.accept()
                    place = (postgresql_server.host, postgresql_server.port)
                    with client, socket.create_connection(place) as server:
                        pass_on(client, server)

        SQLAlchemyStore(url).create(a_record(payload=b"x" * 65536))
        store = SQLAlchemyStore(make_url(url).set(port=drops.getsockname()[1]))
        served = in_thread(serve)
        with suppress(StoreError):
            store.load(a_key(1), now=NOW)  # a connection that is made under load may not be there in time
        store.load(a_key(1), now=NOW)
        begun.set()
        began = time.monotonic()
        with pytest.raises(StoreError):
            store.load(a_key(0), now=NOW)

        assert time.monotonic() - began < 1.5
        store._engine.dispose()
        over.set()
        served.result()
