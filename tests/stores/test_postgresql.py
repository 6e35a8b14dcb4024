"""The SQLAlchemy store on PostgreSQL, by psycopg 3: the contract, and what only this server can do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from servers import PostgreSQLServer, free_port

from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing.contract import StoreContract, StoreFactory

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
