"""The memory store: the contract, its bound, and a fork while it is busy."""

from __future__ import annotations

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import StoreContract


class TestMemoryStore(StoreContract):
    def make_store(self):
        return MemoryStore()
