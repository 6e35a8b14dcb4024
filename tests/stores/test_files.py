"""The file store: the contract, and what only files can do wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.testing.contract import StoreContract, StoreFactory


class TestFileStore(StoreContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "sessions"

    def make_store(self) -> FileStore:
        return FileStore(self.path)

    def make_peer(self) -> FileStore:
        return FileStore(self.path)

    def spawn_store(self) -> StoreFactory:
        return partial(FileStore, self.path)
