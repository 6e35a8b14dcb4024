"""The SQLAlchemy store on MariaDB, by PyMySQL: the contract, and what only this server can do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from msgspec import structs
from servers import MariaDBServer, free_port
from sqlalchemy import make_url

from flask_sessionkit.errors import StoreError
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing.contract import NOW, OWNER, StoreContract, StoreFactory, a_key, a_record

pytestmark = pytest.mark.mariadb

TABLE = "sessionkit_records"


@pytest.fixture
def url(mariadb_server: MariaDBServer) -> Iterator[str]:
    yield mariadb_server.url
    mariadb_server.sql(f"DROP TABLE IF EXISTS {TABLE}", database="sessions")


class TestMariaDBStore(StoreContract):
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
        return SQLAlchemyStore(f"mysql+pymysql://root@127.0.0.1:{free_port()}/sessions")


@pytest.mark.parametrize("charset", ["latin1", "utf8mb4", "utf16"])
def test_the_charset_of_the_database_changes_nothing(charset: str, mariadb_server: MariaDBServer) -> None:
    mariadb_server.sql(f"CREATE DATABASE db_{charset} CHARACTER SET {charset}")
    store = SQLAlchemyStore(make_url(mariadb_server.url).set(database=f"db_{charset}"))
    lower = a_record(payload=bytes(range(256)) * 300, info=bytes(range(256)))
    upper = structs.replace(lower, key=lower.key.upper(), owner=OWNER.upper(), payload="ä€😀".encode())

    assert store.create(lower) is True
    assert store.create(upper) is True
    assert store.load(lower.key, now=NOW) == lower
    assert store.load(upper.key, now=NOW) == upper
    assert store.list_owner(OWNER, now=NOW) == [structs.replace(lower, payload=b"")]
    mariadb_server.sql(f"DROP DATABASE db_{charset}")


def test_pymysql_waits_for_parts_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLAlchemyStore("mysql+pymysql://root@127.0.0.1/sessions", timeout=0.25, connect_args={"read_timeout": 3})
    seen: list[dict[str, object]] = []

    def connect(*_: object, **params: object) -> None:
        seen.append(params)
        raise TimeoutError

    monkeypatch.setattr(store._engine.dialect, "connect", connect)
    with pytest.raises(StoreError):
        store.load(a_key(0), now=NOW)

    assert seen[0]["connect_timeout"] == seen[0]["write_timeout"] == 0.25
    assert seen[0]["read_timeout"] == 3  # what you say of the driver goes before


def test_a_new_connection_sets_its_charset_and_nothing_else(mariadb_server: MariaDBServer) -> None:
    """PyMySQL switches autocommit off by default, for SQLAlchemy to switch it on again: two trips."""
    store = SQLAlchemyStore(mariadb_server.url)
    store.load(a_key(0), now=NOW)

    with store._engine.connect(), store._engine.connect() as second:
        [(_, count)] = second.exec_driver_sql("SHOW SESSION STATUS LIKE 'Com_set_option'").all()
        assert count == "2"  # SET NAMES, once by PyMySQL and once by SQLAlchemy
        assert second.exec_driver_sql("SELECT @@autocommit").scalar() == 1
    store._engine.dispose()
