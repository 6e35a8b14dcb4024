"""The promises of the store protocol as tests, for authors of stores to inherit."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar, cast

from msgspec import structs

from ..errors import StoreError
from ..record import Outcome, Purged, Record, Version, Write
from ..stores.base import GRACE, Capability, CountsEnded, Scans, Store, TouchesOnLoad
from .interleaving import race
from .processes import PROCESSES, Task, forked, in_processes
from .processes import StoreFactory as StoreFactory

#: The time of all tests. A record of ``a_record`` was seen now, and ends at ``END`` without activity.
NOW = 1_700_000_000.0
IDLE = 1_800.0
END = NOW + IDLE
ABSOLUTE = NOW + 43_200.0
OWNER = "0123456789abcdef0123456789abcdef"
OTHER_OWNER = "0123456789abcdef0123456789abcdee"

_P = ParamSpec("_P")
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


def _needs(hook: str) -> Callable[[_T], _T]:
    def mark(test: _T) -> _T:
        test.needs = hook  # type: ignore[attr-defined]  # functions have any attribute
        return test

    return mark


_making = threading.RLock()


class StoreContract:
    """Every promise that a store makes, as one test each. Inherit it, and say how to open your store:

    .. code-block:: python

        class TestMyStore(StoreContract):
            @pytest.fixture(autouse=True)
            def folder(self, tmp_path):
                self.path = tmp_path / "sessions"

            def make_store(self):
                return MyStore(self.path)

            def make_peer(self):
                return MyStore(self.path)

            def spawn_store(self):
                return functools.partial(MyStore, self.path)

    The store is made at the first use in a test, after the fixtures. What a store can not do is read from its
    ``capabilities``: without ``INDEX`` a list must be empty, without ``PURGE`` a purge must do nothing. A test that
    needs a hook which is not given is not collected. Time is a number here: nothing sleeps, and ``now`` is near
    1,700,000,000 whatever the day, so a store reckons a TTL from the ``now`` that it is given (from ``seen_at`` in
    ``create``), never from its own clock. Eight threads and four processes race for the same records: a store that
    gives up on a lock is opened with a patience of several seconds here, or a slow machine makes it a failure.

    :cvar rounds: how often each race is run.
    """

    rounds = 200

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Leave out the tests whose hook is not given."""
        super().__init_subclass__(**kwargs)
        for name, test in vars(StoreContract).items():
            hook = getattr(test, "needs", None)
            if hook is not None:
                given = getattr(cls, hook) is not getattr(StoreContract, hook)
                setattr(cls, name, test if given else None)

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

    # Clause 1: load.

    def test_capabilities_are_flags(self) -> None:
        both = Capability.INDEX | Capability.INDEX_BEST_EFFORT

        assert isinstance(self.store.capabilities, Capability)
        assert both not in self.store.capabilities

    def test_an_absent_record_is_none(self) -> None:
        self.kept(1)

        assert self.store.load(a_key(2), now=NOW) is None
        assert self.store.load(a_key(2), now=NOW, touch_every=0.0) is None

    def test_a_record_comes_back_as_it_was_written(self) -> None:
        record = self.kept(created_at=NOW - 0.1, seen_at=NOW + 0.123457, idle=1799.7, absolute_at=ABSOLUTE + 1 / 3)

        assert self.store.load(record.key, now=NOW) == record
        assert self.stored(record) == record

    def test_every_byte_survives(self) -> None:
        every_byte = bytes(range(256))
        record = self.kept(payload=b"\x00" + every_byte + b"\x00\r\n", info=every_byte + b" \x00")
        changed = structs.replace(record, payload=every_byte[::-1], info=b"\x00" + every_byte, version=a_version())

        assert self.stored(record) == record
        assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.stored(record) == changed

    def test_the_largest_payload_and_info_survive(self) -> None:
        record = self.kept(payload=os.urandom(65 * 1024), info=os.urandom(1024))  # 64 KiB, and room for the seal
        changed = structs.replace(record, payload=os.urandom(65 * 1024), info=os.urandom(1024), version=a_version())

        assert self.stored(record) == record
        assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.stored(record) == changed

    def test_an_empty_info_and_no_owner_survive(self) -> None:
        record = self.kept(info=b"", owner=None)

        assert self.stored(record) == record

    def test_keys_that_differ_in_one_character_are_two(self) -> None:
        one, other = self.kept(key="a" * 63 + "b"), self.kept(key="a" * 63 + "c", payload=b"other")

        assert self.store.delete(one.key) is True
        assert self.stored(one) is None
        assert self.stored(other) == other

    def test_what_one_handle_writes_the_other_reads_and_replaces(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"by the peer", version=a_version())

        assert self.peer.load(record.key, now=NOW) == record
        assert self.peer.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.store.load(record.key, now=NOW) == changed
        assert self.peer.delete(record.key) is True
        assert self.store.load(record.key, now=NOW) is None

    def test_a_record_past_its_end_comes_back_unchanged(self) -> None:
        record = self.kept()

        for seconds in (1.0, GRACE - 1):
            assert self.store.load(record.key, now=END + seconds) == record
            assert self.store.load(record.key, now=END + seconds, touch_every=0.0) == record
        assert self.stored(record) == record

    def test_a_load_long_past_the_end_removes_nothing_that_a_purge_would(self) -> None:
        record = self.kept()

        found = self.store.load(record.key, now=ABSOLUTE + 86_400)

        assert found == record or (found is None and not self._purges())

    def test_a_pure_read_writes_nothing(self) -> None:
        record = self.kept()

        assert self.store.load(record.key, now=NOW + 1000) == record
        assert self.stored(record) == record

    # Clause 2: touch.

    def test_a_due_touch_is_reported_and_in_the_store(self) -> None:
        record = self.kept()

        found = self.touched(record, now=NOW + 100.5)

        assert found.seen_at == NOW + 100.5
        assert self.stored(record) == found

    def test_a_touch_is_due_when_the_interval_is_over(self) -> None:
        record = self.kept()

        assert self.touched(record, now=NOW + 60, every=60.0).seen_at == NOW + 60
        assert self.touched(record, now=NOW + 119, every=60.0).seen_at == NOW + 60
        assert self.touched(record, now=NOW + 120, every=60.0).seen_at == NOW + 120

    def test_a_touch_that_is_not_due_writes_nothing(self) -> None:
        record = self.kept()

        assert self.touched(record, now=NOW + 59) == record
        assert self.stored(record) == record

    def test_a_touch_moves_nothing_but_seen_at(self) -> None:
        record = self.kept()

        found = self.touched(record, now=NOW + 100)

        assert found == structs.replace(record, seen_at=NOW + 100)
        assert self.stored(record) == found

    def test_a_touch_moves_the_end(self) -> None:
        record = self.kept()
        later = structs.replace(record, payload=b"later", version=a_version())

        self.touched(record, now=END - 1)

        self.store.purge(now=END + GRACE + 1)
        assert self.touched(record, now=END + 1, every=3600.0).seen_at == END - 1
        assert self.store.replace(later, expected=record.version, now=END + 1) == Write(Outcome.OK)

    def test_a_touch_never_moves_the_absolute_end(self) -> None:
        record = self.kept(absolute_at=NOW + 100)
        later = structs.replace(record, payload=b"later", version=a_version())

        found = self.touched(record, now=NOW + 99)

        assert found.expires_at == NOW + 100
        assert self.touched(record, now=NOW + 101, every=0.0) == found
        assert self.store.replace(later, expected=record.version, now=NOW + 101) == Write(Outcome.GONE)
        assert self.stored(record) == found

    def test_a_touch_does_not_revive_an_ended_record(self) -> None:
        record = self.kept()
        later = structs.replace(record, version=a_version())

        assert self.touched(record, now=END + 1, every=0.0) == record
        assert self.stored(record) == record
        assert self.store.replace(later, expected=record.version, now=END + 1) == Write(Outcome.GONE)

    def test_a_touch_on_load_leaves_what_was_seen_too_long_ago(self) -> None:
        if Capability.TOUCH_ON_LOAD not in self.store.capabilities:
            return  # a touch comes after the verdict there
        store: TouchesOnLoad = cast(TouchesOnLoad, self.store)
        record, ahead = self.kept(1), self.kept(2, seen_at=NOW + 3600)

        assert store.load(record.key, now=NOW + 600, touch_every=60.0, touch_within=600.0) == record
        assert self.stored(record) == record
        found = store.load(record.key, now=NOW + 600, touch_every=60.0, touch_within=600.5)
        assert found == structs.replace(record, seen_at=NOW + 600)
        assert self.stored(record) == found
        assert store.load(ahead.key, now=NOW, touch_every=60.0, touch_within=60.0) is not None
        assert self.stored(ahead) == structs.replace(ahead, seen_at=NOW)

    def test_a_touch_creates_nothing(self) -> None:
        record = self.kept()
        self.store.delete(record.key)

        assert self.store.load(record.key, now=NOW + 100, touch_every=60.0) is None
        assert self.stored(record) is None
        self.assert_listed([])

    def test_a_replace_from_before_a_touch_wins_and_does_not_undo_it(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())

        self.touched(record, now=NOW + 100)

        assert self.store.replace(changed, expected=record.version, now=NOW + 101) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(changed, seen_at=NOW + 100)

    def test_a_touch_by_a_clock_that_is_behind_does_not_move_seen_at_back(self) -> None:
        record = self.kept(seen_at=NOW + 59)

        assert self.touched(record, now=NOW, every=0.0) == record
        assert self.stored(record) == record

    def test_a_seen_at_too_far_ahead_is_written_back_as_now(self) -> None:
        record = self.kept(seen_at=NOW + 3600)
        later = structs.replace(record, version=a_version())

        found = self.touched(record, now=NOW)

        assert found == structs.replace(record, seen_at=NOW)
        assert self.stored(record) == found
        assert self.store.replace(later, expected=record.version, now=END + 1) == Write(Outcome.GONE)

    def test_a_pure_read_leaves_a_seen_at_too_far_ahead(self) -> None:
        record = self.kept(seen_at=NOW + 3600)

        assert self.store.load(record.key, now=NOW) == record
        assert self.stored(record) == record

    def test_clocks_five_minutes_apart_keep_a_session_and_its_absolute_end(self) -> None:
        record = self.kept(absolute_at=NOW + 7200)

        for minute in range(0, 60, 2):
            for handle, ahead in ((self.store, 300.0), (self.peer, 0.0)):
                now = NOW + minute * 60 + ahead
                found = handle.load(record.key, now=now, touch_every=60.0)
                assert found is not None
                assert abs(found.seen_at - now) <= 60
                assert found == structs.replace(record, seen_at=found.seen_at)
                assert self.stored(record) == found

        self.store.purge(now=NOW + 3600 + 300)
        assert self.stored(record) == found

    # Clause 3: create and replace.

    def test_create_inserts_only(self) -> None:
        record = self.kept()

        assert self.store.create(a_record(payload=b"another")) is False
        assert self.peer.create(a_record(payload=b"another", owner=OTHER_OWNER)) is False
        assert self.stored(record) == record
        self.assert_listed([record])

    def test_create_does_not_overwrite_a_record_that_ended(self) -> None:
        record = self.kept(seen_at=NOW - 4000)

        assert self.store.create(a_record()) is False
        assert self.stored(record) == record

    def test_replace_writes_every_field(self) -> None:
        record = self.kept()
        changed = Record(record.key, b"p", NOW - 99.5, NOW + 5.25, 77.5, NOW + 888.125, OTHER_OWNER, b"", a_version())

        assert self.store.replace(changed, expected=record.version, now=NOW + 5.25) == Write(Outcome.OK)
        assert self.stored(record) == changed

    def test_replace_takes_the_owner_away(self) -> None:
        record = self.kept()
        tombstone = structs.replace(record, owner=None, version=a_version())

        assert self.store.replace(tombstone, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.stored(record) == tombstone

    def test_a_conflict_tells_what_is_there_and_writes_nothing(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", owner=OTHER_OWNER, version=a_version())

        assert self.store.replace(changed, expected=a_version(), now=NOW) == Write(Outcome.CONFLICT, record)
        assert self.stored(record) == record
        self.assert_listed([record])

    def test_a_replace_of_an_older_version_is_a_conflict(self) -> None:
        record = self.kept()
        first = structs.replace(record, payload=b"first", version=a_version())
        second = structs.replace(record, payload=b"second", version=a_version())

        assert self.store.replace(first, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.peer.replace(second, expected=record.version, now=NOW) == Write(Outcome.CONFLICT, first)
        assert self.stored(record) == first

    def test_replace_does_not_create(self) -> None:
        never, deleted = a_record(1), self.kept(2)
        self.store.delete(deleted.key)

        for record in (never, deleted):
            again = structs.replace(record, version=a_version())
            assert self.store.replace(again, expected=record.version, now=NOW) == Write(Outcome.GONE)
            assert self.stored(record) is None
        self.assert_listed([])

    def test_replace_does_not_resurrect_an_ended_record(self) -> None:
        record = self.kept()
        longer = structs.replace(record, seen_at=END + 1, idle=IDLE * 9, version=a_version())

        assert self.store.replace(longer, expected=record.version, now=END + 1) == Write(Outcome.GONE)
        assert self.store.replace(longer, expected=a_version(), now=END + 1) == Write(Outcome.GONE)
        assert self.stored(record) == record

    def test_replace_keeps_the_later_seen_at_of_both(self) -> None:
        record = self.kept(seen_at=NOW + 40)
        older = structs.replace(record, seen_at=NOW + 20, version=a_version())
        newer = structs.replace(record, seen_at=NOW + 50, version=a_version())

        assert self.store.replace(older, expected=record.version, now=NOW + 50) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(older, seen_at=NOW + 40)
        assert self.store.replace(newer, expected=older.version, now=NOW + 50) == Write(Outcome.OK)
        assert self.stored(record) == newer

    def test_replace_writes_a_seen_at_too_far_ahead_as_now(self) -> None:
        record = self.kept()
        ahead = structs.replace(record, seen_at=NOW + 3600, version=a_version())

        assert self.store.replace(ahead, expected=record.version, now=NOW + 10) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(ahead, seen_at=NOW + 10)

    def test_replace_counts_a_stored_seen_at_too_far_ahead_as_now(self) -> None:
        record = self.kept(seen_at=NOW + 3600)
        changed = structs.replace(record, seen_at=NOW, version=a_version())

        assert self.store.replace(changed, expected=record.version, now=NOW + 10) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(changed, seen_at=NOW + 10)

    def test_a_replace_moves_the_end(self) -> None:
        record = self.kept()
        longer = structs.replace(record, idle=IDLE * 2, version=a_version())
        shorter = structs.replace(record, absolute_at=NOW + 60, version=a_version())
        late = structs.replace(record, version=a_version())

        assert self.store.replace(longer, expected=record.version, now=NOW) == Write(Outcome.OK)
        self.store.purge(now=END + GRACE + 1)
        self.assert_listed([longer], now=END + GRACE + 1)
        assert self.store.replace(shorter, expected=longer.version, now=NOW + 1) == Write(Outcome.OK)
        assert self.store.replace(late, expected=shorter.version, now=NOW + 61) == Write(Outcome.GONE)
        self.assert_listed([], now=NOW + 61)

    def test_replace_without_a_version_overwrites_what_exists(self) -> None:
        record = self.kept(seen_at=NOW + 5)
        changed = structs.replace(record, payload=b"by force", seen_at=NOW, version=a_version())

        assert self.store.replace(changed, expected=None, now=NOW + 10) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(changed, seen_at=NOW + 5)

    def test_replace_without_a_version_does_not_create_or_resurrect(self) -> None:
        absent, ended = a_record(1), self.kept(2)
        again = structs.replace(ended, seen_at=END + 1, version=a_version())

        assert self.store.replace(absent, expected=None, now=NOW) == Write(Outcome.GONE)
        assert self.stored(absent) is None
        assert self.store.replace(again, expected=None, now=END + 1) == Write(Outcome.GONE)
        assert self.stored(ended) == ended

    # Clause 4: versions, and repeats of a write whose answer was lost.

    def test_a_repeated_create_succeeds_with_one_effect(self) -> None:
        record = self.kept()
        found = self.touched(record, now=NOW + 100)

        assert self.store.create(record) is True
        assert self.stored(record) == found
        self.assert_listed([found])

    def test_a_repeated_create_does_not_undo_a_replace(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)

        assert self.store.create(record) is False
        assert self.stored(record) == changed

    def test_a_repeated_replace_succeeds_with_one_effect(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)
        found = self.touched(record, now=NOW + 100)

        assert self.store.replace(changed, expected=record.version, now=NOW + 101) == Write(Outcome.OK)
        assert self.stored(record) == found

    def test_a_repeated_replace_does_not_undo_another(self) -> None:
        record = self.kept()
        first = structs.replace(record, payload=b"first", version=a_version())
        second = structs.replace(record, payload=b"second", version=a_version())
        self.store.replace(first, expected=record.version, now=NOW)
        self.store.replace(second, expected=first.version, now=NOW)

        assert self.store.replace(first, expected=record.version, now=NOW) == Write(Outcome.CONFLICT, second)
        assert self.stored(record) == second

    def test_a_repeated_replace_does_not_resurrect(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)
        self.store.delete(record.key)

        assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.GONE)
        assert self.stored(record) is None

    def test_any_eight_bytes_are_a_version(self) -> None:
        odd = [bytes(8), b"\xff" * 8, b"'\"`;--\x00\\", b"\r\n\x00\r\nEND", b"%s{0}$1?", b"        ", b"12345678"]

        for number, version in enumerate(odd):
            record = self.kept(number, version=a_version())
            changed = structs.replace(record, version=version)
            again = structs.replace(record, version=a_version())
            assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
            assert self.stored(record) == changed
            assert self.store.replace(again, expected=a_version(), now=NOW) == Write(Outcome.CONFLICT, changed)
            assert self.store.replace(again, expected=version, now=NOW) == Write(Outcome.OK)

    def test_versions_are_compared_byte_for_byte(self) -> None:
        near = [(b"abcdefg ", b"abcdefg\x00"), (b"ABCDEFGH", b"abcdefgh"), (bytes(8), bytes(7) + b"\x01")]
        near += [(b"\x00" + b"a" * 7, b"\x00" + b"b" * 7), ("\u00e4bcdefg".encode(), b"a\xcc\x88bcdef")]

        for number, (version, other) in enumerate(near):
            record = self.kept(number, version=version)
            changed = structs.replace(record, version=a_version())
            assert self.store.replace(changed, expected=other, now=NOW) == Write(Outcome.CONFLICT, record)
            assert self.store.create(structs.replace(record, version=other)) is False

    # Clause 5: delete and list.

    def test_delete_is_true_once(self) -> None:
        record = self.kept()

        assert self.store.delete(record.key) is True
        assert self.store.delete(record.key) is False
        assert self.peer.delete(record.key) is False
        assert self.stored(record) is None

    def test_delete_of_an_absent_record_is_false(self) -> None:
        record = self.kept(1)

        assert self.store.delete(a_key(2)) is False
        assert self.stored(record) == record

    def test_delete_removes_an_ended_record(self) -> None:
        record = self.kept(seen_at=NOW - 4000)

        assert self.store.delete(record.key) is True
        assert self.stored(record) is None

    def test_list_gives_live_records_in_key_order_without_payload(self) -> None:
        self.assert_listed([self.kept(number) for number in range(9)])

    def test_list_shows_one_owner_only(self) -> None:
        mine, theirs = self.kept(1), self.kept(2, owner=OTHER_OWNER)
        self.kept(3, owner=None)

        self.assert_listed([mine])
        self.assert_listed([theirs], owner=OTHER_OWNER)
        self.assert_listed([], owner="f" * 32)

    def test_list_goes_on_after_a_page(self) -> None:
        records = [self.kept(number) for number in range(7)]
        keys = sorted(record.key for record in records)

        self._assert_rows(self.pages(1), records)
        self._assert_rows(self.pages(3), records)
        if self._has_full_index():
            assert [row.key for row in self.store.list_owner(OWNER, now=NOW, limit=3)] == keys[:3]
            assert [row.key for row in self.store.list_owner(OWNER, now=NOW, limit=3, after=keys[2])] == keys[3:6]
        assert self.store.list_owner(OWNER, now=NOW, after=keys[-1]) == []

    def test_list_goes_on_after_a_key_that_is_gone(self) -> None:
        records = sorted((self.kept(number) for number in range(5)), key=lambda record: record.key)
        self.store.delete(records[1].key)

        rows = self.store.list_owner(OWNER, now=NOW, after=records[1].key)

        self._assert_rows(rows, records[2:])

    def test_a_page_is_short_only_at_the_end(self) -> None:
        live = [self.kept(number) for number in range(0, 12, 4)]
        for number in set(range(12)) - set(range(0, 12, 4)):
            self.kept(number, seen_at=NOW - 4000)
        dead = sorted((self.kept(number) for number in range(12, 20)), key=lambda record: record.key)
        for record in dead:
            self.store.delete(record.key)

        self._assert_rows(self.pages(1), live)
        self._assert_rows(self.pages(2), live)

    def test_list_does_not_show_an_ended_record(self) -> None:
        self.kept(1)
        self.kept(2, absolute_at=NOW + 10)
        live = self.kept(3, idle=IDLE * 2)

        self.assert_listed([live], now=END + 1)

    def test_list_does_not_show_a_deleted_record(self) -> None:
        gone, live = self.kept(1), self.kept(2)
        self.store.delete(gone.key)

        self.assert_listed([live])

    def test_list_does_not_show_a_tombstone(self) -> None:
        record, live = self.kept(1), self.kept(2)
        tombstone = structs.replace(record, owner=None, version=a_version())
        self.store.replace(tombstone, expected=record.version, now=NOW)

        self.assert_listed([live])

    def test_list_follows_a_change_of_owner(self) -> None:
        record, anonymous = self.kept(1), self.kept(2, owner=None)
        given = structs.replace(record, owner=OTHER_OWNER, version=a_version())
        bound = structs.replace(anonymous, owner=OTHER_OWNER, version=a_version())
        self.store.replace(given, expected=record.version, now=NOW)
        self.store.replace(bound, expected=anonymous.version, now=NOW)

        self.assert_listed([])
        self.assert_listed([given, bound], owner=OTHER_OWNER)

    def test_list_shows_what_replace_wrote(self) -> None:
        record = self.kept()
        changed = structs.replace(record, info=b"new", idle=99.0, version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)

        self.assert_listed([changed])

    def test_list_shows_a_record_that_a_touch_kept_alive(self) -> None:
        record = self.kept()
        found = self.touched(record, now=END - 1)

        self.assert_listed([found], now=END + 600)

    def test_the_index_outlives_its_longest_session(self) -> None:
        month = 30 * 86_400.0
        longest = self.kept(1, idle=month, absolute_at=NOW + month)
        short = self.kept(2, idle=60.0, absolute_at=NOW + 60)
        self.assert_listed([longest, short])
        self.assert_listed([longest], now=NOW + month - 1)
        self.store.delete(short.key)
        self.store.purge(now=NOW + month - 1)

        self.assert_listed([longest], now=NOW + month - 1)

    def test_a_list_by_a_clock_ahead_hides_nothing_for_good(self) -> None:
        record = self.kept()
        self.assert_listed([], now=END + 30)
        found = self.touched(record, now=END - 1)

        self.assert_listed([found], now=END + 30)

    def test_a_created_record_is_listed_whoever_listed_meanwhile(self) -> None:
        records = [a_record(number) for number in range(self.rounds)]

        race(
            lambda number: self.store.create(records[number]),
            lambda number: self.peer.list_owner(OWNER, now=NOW, limit=1000),
            lambda number: self.peer.list_owner(OWNER, now=NOW, limit=1000),
            rounds=self.rounds,
        )

        self._assert_rows(self.peer.list_owner(OWNER, now=NOW, limit=self.rounds + 1), records)

    # Clause 6: purge.

    def test_purge_takes_only_what_ended_longer_ago_than_the_grace(self) -> None:
        live = self.kept(1)
        left = 1 if self._purges() else 30  # one that expires by itself does so in real time
        just_ended = self.kept(2, absolute_at=NOW - GRACE + left)
        ended = [self.kept(3, absolute_at=NOW - GRACE - 1), self.kept(4, seen_at=NOW - IDLE - GRACE - 1, owner=None)]

        purged = self.store.purge(now=NOW)

        assert purged == Purged(2 if self._purges() else 0, more=False)
        assert self.stored(live) == live
        assert self.stored(just_ended) == just_ended
        if self._purges():
            assert [self.stored(record) for record in ended] == [None, None]
        self.assert_listed([live])

    def test_purge_goes_by_limits_to_the_end(self) -> None:
        ended = [self.kept(number, seen_at=NOW - 4000) for number in range(40)]
        live = [self.kept(number) for number in range(40, 45)]

        counts = [purged.count for purged in self.purges(limit=10)]

        assert sum(counts) == (40 if self._purges() else 0)
        assert max(counts) <= 20  # about the limit
        assert not self._purges() or all(self.stored(record) is None for record in ended)
        assert [self.stored(record) for record in live] == live

    def test_purge_of_nothing_is_nothing(self) -> None:
        self.kept()

        assert self.store.purge(now=NOW) == Purged(0, more=False)

    def test_purge_leaves_a_record_that_was_touched(self) -> None:
        record = self.kept()
        found = self.touched(record, now=END - 1)

        assert self.store.purge(now=END + GRACE + 1) == Purged(0, more=False)
        assert self.stored(record) == found

    def test_count_ended_is_what_purge_then_removes(self) -> None:
        for number in range(6):
            self.kept(number, seen_at=NOW - 4000)
        self.kept(6, absolute_at=NOW - GRACE + 1)
        self.kept(7)

        if isinstance(self.store, CountsEnded):
            assert self.store.count_ended(now=NOW) == 6
            assert self.store.count_ended(now=NOW) == self.store.purge(now=NOW).count
            assert self.store.count_ended(now=NOW) == 0

    def test_purge_leaves_a_record_that_is_touched_meanwhile(self) -> None:
        records = [a_record(number) for number in range(self.rounds)]

        answers = race(
            lambda number: self.store.load(records[number].key, now=END - 1, touch_every=60.0),
            lambda number: self.peer.purge(now=END + GRACE + 1),
            before=lambda number: self.store.create(records[number]),
            rounds=self.rounds,
        )

        for record, (found, _) in zip(records, answers, strict=True):
            if isinstance(found, Record) and found.seen_at > record.seen_at:
                assert self.stored(record) == found

    def test_purge_leaves_a_record_that_is_replaced_meanwhile(self) -> None:
        records = [a_record(number) for number in range(self.rounds)]
        later = [structs.replace(record, seen_at=END - 1, version=a_version()) for record in records]

        answers = race(
            lambda number: self.store.replace(later[number], expected=records[number].version, now=END - 1),
            lambda number: self.peer.purge(now=END + GRACE + 1),
            before=lambda number: self.store.create(records[number]),
            rounds=self.rounds,
        )

        for record, (write, _) in zip(later, answers, strict=True):
            assert self.stored(record) == (record if write == Write(Outcome.OK) else None)

    # A walk through the store, where it has one.

    def test_a_scan_gives_every_record_whole(self) -> None:
        records = [self.kept(number) for number in range(SCANNED)]
        records += [self.kept(SCANNED, owner=None, info=b""), self.kept(SCANNED + 1, owner=OTHER_OWNER)]

        if isinstance(self.store, Scans):
            assert _scanned(self.store) == {record.key: record for record in records}

    def test_a_scan_gives_what_ended_too(self) -> None:
        left = 30  # one that expires by itself does so in real time
        records = [self.kept(1, absolute_at=NOW - GRACE + left), self.kept(2, seen_at=NOW - IDLE - 1), self.kept(3)]

        if isinstance(self.store, Scans):
            assert _scanned(self.store) == {record.key: record for record in records}

    def test_a_scan_writes_nothing(self) -> None:
        record = self.kept(seen_at=NOW - IDLE - 1)

        if isinstance(self.store, Scans):
            assert _scanned(self.store) == {record.key: record}
            assert _scanned(self.store) == {record.key: record}
        assert self.stored(record) == record

    def test_a_scan_gives_what_is_there_now(self) -> None:
        gone, old = self.kept(1), self.kept(2)
        new = structs.replace(old, payload=b"new", owner=None, version=a_version())
        self.store.delete(gone.key)
        self.store.replace(new, expected=old.version, now=NOW)

        if isinstance(self.store, Scans):
            assert _scanned(self.store) == {new.key: new}
            self.peer.delete(new.key)
            assert _scanned(self.store) == {}

    def test_a_scan_goes_on_while_its_records_are_removed(self) -> None:
        keys = {self.kept(number).key for number in range(SCANNED)}

        if isinstance(self.store, Scans):
            assert {record.key for record in self.store.scan() if self.peer.delete(record.key)} == keys

    def test_a_scan_misses_nothing_that_stays_while_others_come(self) -> None:
        keys = {self.kept(number).key for number in range(SCANNED)}

        if isinstance(self.store, Scans):
            found = set()
            for count, record in enumerate(self.store.scan()):
                found.add(record.key)
                if count < SCANNED:
                    self.peer.create(a_record(SCANNED + count))
            assert keys <= found

    def test_two_scans_do_not_disturb_each_other(self) -> None:
        keys = {self.kept(number).key for number in range(SCANNED)}

        if isinstance(self.store, Scans):
            first = self.store.scan()
            found = {next(first).key}
            assert _scanned(self.store).keys() == keys
            assert found | {record.key for record in first} == keys

    # Clause 7: threads, processes, forks, failures.

    def test_one_of_many_creates_wins(self) -> None:
        def create(number: int) -> Record | None:
            record = a_record(number)
            return record if self.store.create(record) else None

        rounds = race(*[create] * 8, rounds=self.rounds // 8)

        for number, answers in enumerate(rounds):
            winners = [record for record in answers if record]
            assert len(winners) == 1
            assert self.stored(a_record(number)) == winners[0]

    def test_one_of_many_replaces_wins(self) -> None:
        records = [self.kept(number) for number in range(self.rounds // 8)]

        def replace(number: int) -> tuple[Record, Write]:
            changed = structs.replace(records[number], payload=os.urandom(8), version=a_version())
            return changed, self.store.replace(changed, expected=records[number].version, now=NOW)

        for answers in race(*[replace] * 8, rounds=len(records)):
            winners = [changed for changed, write in answers if write.outcome is Outcome.OK]
            assert len(winners) == 1
            (winner,) = winners
            losers = [write for changed, write in answers if changed is not winner]
            assert losers == [Write(Outcome.CONFLICT, winner)] * 7
            assert self.stored(winner) == winner

    def test_one_of_many_deletes_is_true(self) -> None:
        records = [self.kept(number) for number in range(self.rounds // 8)]

        rounds = race(*[lambda number: self.store.delete(records[number].key)] * 8, rounds=len(records))

        assert [sorted(answers) for answers in rounds] == [[False] * 7 + [True]] * len(records)

    def test_no_update_is_lost(self) -> None:
        record = self.kept(payload=b"0")

        race(*[lambda _: _count_up(self.store, record.key)] * 4, *[lambda _: _count_up(self.peer, record.key)] * 4)

        found = self.stored(record)
        assert found is not None
        assert found.payload == b"%d" % (8 * COUNT)

    def test_a_replace_that_meets_a_delete_does_not_resurrect(self) -> None:
        records = [self.kept(number) for number in range(self.rounds)]

        rounds = race(
            lambda number: _change(self.peer, records[number]),
            lambda number: self.store.delete(records[number].key),
            rounds=self.rounds,
        )

        assert [deleted for _, deleted in rounds] == [True] * self.rounds
        assert [self.stored(record) for record in records] == [None] * self.rounds
        self.assert_listed([])

    def test_a_touch_that_meets_a_delete_creates_nothing(self) -> None:
        records = [self.kept(number) for number in range(self.rounds)]

        rounds = race(
            lambda number: _touch(self.peer, records[number]),
            lambda number: self.store.delete(records[number].key),
            rounds=self.rounds,
        )

        assert [deleted for _, deleted in rounds] == [True] * self.rounds
        assert [self.stored(record) for record in records] == [None] * self.rounds
        self.assert_listed([])

    def test_a_touch_that_meets_a_replace_takes_nothing_back(self) -> None:
        records = [self.kept(number) for number in range(self.rounds)]
        tombstones = [
            structs.replace(record, payload=b"ended", owner=None, absolute_at=END, version=a_version())
            for record in records
        ]

        rounds = race(
            lambda number: _touch(self.peer, records[number]),
            lambda number: _replace(self.store, tombstones[number], records[number].version),
            rounds=self.rounds,
        )

        for tombstone, (found, write) in zip(tombstones, rounds, strict=True):
            assert write == Write(Outcome.OK)
            assert isinstance(found, Record)
            stored = self.stored(tombstone)
            assert stored is not None
            assert stored == structs.replace(tombstone, seen_at=stored.seen_at)
            assert stored.seen_at >= found.seen_at
        self.assert_listed([])

    @_needs("spawn_store")
    def test_no_update_is_lost_between_processes(self) -> None:
        record = self.kept(payload=b"0")

        self._in_processes(_task_count_up, record.key)

        found = self.stored(record)
        assert found is not None
        assert found.payload == b"%d" % (PROCESSES * COUNT)

    @_needs("spawn_store")
    def test_one_process_creates_and_one_deletes(self) -> None:
        lanes = self._in_processes(_task_create_and_delete)

        assert [sorted(answers) for answers in zip(*lanes, strict=True)] == [[False] * (PROCESSES - 1) + [True]] * (
            2 * PROCESS_ROUNDS
        )
        assert self.stored(a_record(0)) is None
        self.assert_listed([])

    @_needs("spawn_store")
    def test_what_a_process_deletes_no_other_brings_back(self) -> None:
        records = [self.kept(number) for number in range(PROCESS_ROUNDS)]

        self._in_processes(_task_write_against_delete, records)

        assert [self.stored(record) for record in records] == [None] * PROCESS_ROUNDS
        self.assert_listed([])

    @_needs("spawn_store")
    def test_a_touch_in_one_process_takes_nothing_back_in_another(self) -> None:
        records = [self.kept(number) for number in range(PROCESS_ROUNDS)]

        lanes = self._in_processes(_task_touch_against_replace, records)

        for record, *found in zip(records, *lanes, strict=True):
            stored = self.stored(record)
            assert stored is not None
            assert stored.payload == b"changed"
            assert stored.version != record.version
            assert stored.seen_at >= max(found)

    def test_parent_and_child_both_work_after_a_fork(self) -> None:
        if not hasattr(os, "fork"):
            return
        mine, childs = self.kept(1), self.kept(2)
        assert self.store.load(mine.key, now=NOW) == mine  # so that a connection is open

        ended = forked(lambda: _use(self.store, childs))
        _use(self.store, mine)

        ended()
        found = self.stored(mine)
        assert found is not None
        assert found.payload == b"%d" % FORK_ROUNDS

    @_needs("make_broken_store")
    def test_a_store_that_can_not_answer_raises_store_error(self) -> None:
        store = self.make_broken_store()
        record = a_record(payload=b"an unusual payload")
        calls: list[Callable[[], object]] = [
            lambda: store.load(record.key, now=NOW),
            lambda: store.load(record.key, now=NOW, touch_every=0.0),
            lambda: store.create(record),
            lambda: store.replace(record, expected=a_version(), now=NOW),
            lambda: store.delete(record.key),
        ]
        if self._has_index_of(store):
            calls.append(lambda: store.list_owner(OWNER, now=NOW))
        if Capability.PURGE in store.capabilities:
            calls.append(lambda: store.purge(now=NOW))
        if isinstance(store, CountsEnded):
            calls.append(lambda: store.count_ended(now=NOW))
        if isinstance(store, Scans):
            calls.append(lambda: _scanned(store))

        for call in calls:
            error = _error_of(call)
            assert isinstance(error, StoreError)
            assert error.__cause__ is not None
            assert not any(secret in str(error) for secret in (record.key, OWNER, "an unusual payload"))

    def _in_processes(self, task: Task[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> list[_T]:
        assert self.store is not None
        return in_processes(self.spawn_store(), task, *args, **kwargs)

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


#: How many records a scan meets: more than a page of most stores.
SCANNED = 250
#: How many updates each thread or process makes, and rounds that processes and forks play.
COUNT = 50
PROCESS_ROUNDS = 40
FORK_ROUNDS = 100


def _scanned(store: Scans) -> dict[str, Record]:
    """Return what a scan gives; one that is told twice counts once."""
    return {record.key: record for record in store.scan()}


def _count_up(store: Store, key: str) -> None:
    for _ in range(COUNT):
        record = store.load(key, now=NOW)
        for _ in range(5000):
            assert record is not None
            changed = structs.replace(record, payload=b"%d" % (int(record.payload) + 1), version=a_version())
            write = store.replace(changed, expected=record.version, now=NOW)
            if write.outcome is Outcome.OK:
                break
            assert write.outcome is Outcome.CONFLICT
            record = write.current
        else:
            raise AssertionError("A replace met 5000 conflicts in a row. Is `current` what is there?")


def _change(store: Store, record: Record) -> Record | Write | bool | None:
    return _replace(store, structs.replace(record, payload=b"changed", version=a_version()), record.version)


def _replace(store: Store, record: Record, expected: Version) -> Record | Write | bool | None:
    return store.replace(record, expected=expected, now=NOW + 100)


def _touch(store: Store, record: Record) -> Record | Write | bool | None:
    return store.load(record.key, now=NOW + 100, touch_every=60.0)


def _use(store: Store, record: Record) -> None:
    for number in range(1, FORK_ROUNDS + 1):
        assert store.load(record.key, now=NOW) == record
        changed = structs.replace(record, payload=b"%d" % number, version=a_version())
        assert store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        record = changed


def _error_of(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001  # which one it is, is what the test asks
        return error
    return None


def _task_count_up(store: Store, lane: int, meet: Callable[[], object], key: str) -> None:
    _count_up(store, key)


def _task_create_and_delete(store: Store, lane: int, meet: Callable[[], object]) -> list[bool]:
    answers = []
    for _ in range(PROCESS_ROUNDS):
        meet()
        answers.append(store.create(a_record()))
        meet()
        answers.append(store.delete(a_key(0)))
    return answers


def _task_write_against_delete(store: Store, lane: int, meet: Callable[[], object], records: list[Record]) -> None:
    for record in records:
        meet()
        if lane == 0:
            assert store.delete(record.key) is True
        elif lane == 1:
            _touch(store, record)
        else:
            _change(store, record)


def _task_touch_against_replace(
    store: Store, lane: int, meet: Callable[[], object], records: list[Record]
) -> list[float]:
    seen_at = []
    for record in records:
        meet()
        if lane == 0:
            write = _change(store, record)
            assert write == Write(Outcome.OK)
            seen_at.append(record.seen_at)
        else:
            found = _touch(store, record)
            assert isinstance(found, Record)
            seen_at.append(found.seen_at)
    return seen_at
