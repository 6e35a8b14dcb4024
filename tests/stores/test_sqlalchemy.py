"""The SQLAlchemy store on SQLite: the contract, and what only a database can do wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing.contract import StoreContract, StoreFactory


class TestSQLAlchemyStore(StoreContract):
    @pytest.fixture(autouse=True)
    def database(self, tmp_path: Path) -> None:
        self.url = f"sqlite:///{tmp_path}/sessions.db"

    def make_store(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(self.url)

    def make_peer(self) -> SQLAlchemyStore:
        return SQLAlchemyStore(self.url)

    def spawn_store(self) -> StoreFactory:
        return partial(SQLAlchemyStore, self.url)
