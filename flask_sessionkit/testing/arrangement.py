"""What the promises of a store are tried with: its hooks, records, and ways to look at what became of them."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from msgspec import structs

from ..record import Purged, Record, Version
from ..stores.base import Capability, Scans, Store
from .processes import StoreFactory

#: The time of all tests. A record of ``a_record`` was seen now, and ends at ``END`` without activity.
NOW = 1_700_000_000.0
IDLE = 1_800.0
END = NOW + IDLE
ABSOLUTE = NOW + 43_200.0
OWNER = "0123456789abcdef0123456789abcdef"
OTHER_OWNER = "0123456789abcdef0123456789abcdee"

_T = TypeVar("_T")


def a_key(number: int) -> str:
    """Return a key of its own for each number; keys are not in the order of the numbers."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def a_version() -> Version:
    """Return a version that was never used."""
    return os.urandom(8)


def a_record(number: int = 0, **changes: Any) -> Record:
    """Return a live record of a logged-in user, with a key of its own for each number and a new version.

    :param changes: fields of ``Record`` that shall be otherwise.
    """
    record = Record(
        key=a_key(number),
        payload=b"payload %d" % number,
        created_at=NOW - 7.25,
        seen_at=NOW,
        idle=IDLE,
        absolute_at=ABSOLUTE,
        owner=OWNER,
        info=b"info %d" % number,
        version=a_version(),
    )
    return structs.replace(record, **changes)


def needs(hook: str) -> Callable[[_T], _T]:
    """Mark a promise that can be tried only where the author of a store gave a hook."""

    def mark(test: _T) -> _T:
        test.needs = hook  # type: ignore[attr-defined]  # functions have any attribute
        return test

    return mark


def scanned(store: Scans) -> dict[str, Record]:
    """Return what a scan gives; one that is told twice counts once."""
    return {record.key: record for record in store.scan()}


_making = threading.RLock()


class Arrangement:
    """What every promise is tried with.

    :cvar rounds: how often each race is run.
    """

    rounds = 200

    # What the author of a store says.

    def make_store(self) -> Store:
        """Return the store to test, with no records in it. Called once a test; the one hook that has to be given."""
        raise NotImplementedError("A subclass of StoreContract has to define make_store(). Return an empty store.")

    def make_peer(self) -> Store:
        """Return a second handle on the same data, as another server would open it; the same object by default.

        Called at most once a test, after ``make_store``. A store that keeps connections gives another one here.
        """
        return self.store

    def spawn_store(self) -> StoreFactory:
        """Return a function that opens the same data in another process; it is pickled. Without it: no such races.

        A ``functools.partial`` of a class is one. Called after ``make_store``.
        """
        raise NotImplementedError

    def make_broken_store(self) -> Store:
        """Return a store whose server is gone, or whose disk refuses. Without it: no tests of failures."""
        raise NotImplementedError

    # What the tests use.

    @property
    def store(self) -> Store:
        """The store under test."""
        return self._made("store", self.make_store)

    @property
    def peer(self) -> Store:
        """A second handle on the same data."""
        self.store  # noqa: B018  # made first, as make_peer() may say
        return self._made("peer", self.make_peer)

    def _made(self, name: str, make: Callable[[], Store]) -> Store:
        # The threads of a race ask for it at once, and since Python 3.12 a cached_property makes one for each of them.
        with _making:
            stores: dict[str, Store] = self.__dict__.setdefault("_stores", {})
            if name not in stores:
                stores[name] = make()
            return stores[name]

    def teardown_method(self) -> None:
        """Let go of the stores: pytest keeps each test's instance to the end of its run, and they their connections."""
        self.__dict__.pop("_stores", None)

    def stored(self, record: Record) -> Record | None:
        """Return what lies under the record's key now, touching nothing."""
        return self.peer.load(record.key, now=NOW)

    def kept(self, number: int = 0, **changes: Any) -> Record:
        """Return a record that was created in the store."""
        record = a_record(number, **changes)
        assert self.store.create(record) is True
        return record

    def touched(self, record: Record, *, now: float, every: float = 60.0) -> Record:
        """Return what a load with a touch gives for the record, which must be there."""
        found = self.store.load(record.key, now=now, touch_every=every)
        assert found is not None
        return found

    def assert_listed(self, records: Iterable[Record], *, owner: str = OWNER, now: float = NOW) -> None:
        """Check that these records and no others are listed, as far as the store has an index."""
        self._assert_rows(self.peer.list_owner(owner, now=now), records)

    def _assert_rows(self, rows: list[Record], records: Iterable[Record]) -> None:
        expected = sorted((structs.replace(record, payload=b"") for record in records), key=lambda row: row.key)
        if Capability.INDEX_BEST_EFFORT in self.store.capabilities:
            expected = [row for row in expected if row in rows]
        assert rows == (expected if self._has_index() else [])

    def _has_index(self) -> bool:
        return self._has_index_of(self.store)

    def _has_index_of(self, store: Store) -> bool:
        return bool(store.capabilities & (Capability.INDEX | Capability.INDEX_BEST_EFFORT))

    def _has_full_index(self) -> bool:
        return Capability.INDEX in self.store.capabilities

    def _purges(self) -> bool:
        return Capability.PURGE in self.store.capabilities

    def pages(self, limit: int) -> list[Record]:
        """Return all rows of ``OWNER``, read page by page as a revocation does: until a page is not full."""
        rows: list[Record] = []
        for _ in range(100):
            page = self.store.list_owner(OWNER, now=NOW, limit=limit, after=rows[-1].key if rows else None)
            assert len(page) <= limit
            rows += page
            if len(page) < limit:
                return rows
        raise AssertionError("list_owner gave 100 pages and no end. Does it read `after`?")

    def purges(self, limit: int) -> list[Purged]:
        """Return the answers of all purges until one says that there is no more."""
        answers = []
        for _ in range(100):
            answers.append(self.store.purge(now=NOW, limit=limit))
            if not answers[-1].more:
                return answers
        raise AssertionError("purge said 100 times that there is more. Does it count what it removes?")
