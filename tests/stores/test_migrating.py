"""Two stores as one: the contract, and what is promised of a key whichever of the two it lies in."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import wrong_stores as wrong
from msgspec import structs
from servers import MemcachedServer

from flask_sessionkit.backends import Found
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.errors import ConfigError, StoreError
from flask_sessionkit.reasons import Reason
from flask_sessionkit.record import Outcome, Purged, Record, Version, Write
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.server_backend import ServerBackend
from flask_sessionkit.stores.base import (
    GRACE,
    Capability,
    CountsEnded,
    Judges,
    LimitsPayload,
    MakesTable,
    Scans,
    Store,
    Touches,
)
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.migrating import MigratingStore
from flask_sessionkit.stores.migrating_marks import coming, move_of, moving
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import Crash, FrozenClock, PausingStore, StoreContract, in_thread, race
from flask_sessionkit.testing.contract import ABSOLUTE, END, NOW, OWNER, StoreFactory, a_key, a_record, a_version


class BornInTheOldOne(MigratingStore):
    """What servers with the stores in the other order create, these find in the old one."""

    def create(self, record: Record) -> bool:
        return MigratingStore(self.old, self.new).create(record)


class TestMigratingStore(StoreContract):
    def make_store(self) -> Store:
        return MigratingStore(MemoryStore(), MemoryStore())

    def make_broken_store(self) -> Store:
        return MigratingStore(wrong.Broken(), MemoryStore())


class TestAllIsBornInTheOldOne(StoreContract):
    def make_store(self) -> Store:
        return BornInTheOldOne(MemoryStore(), MemoryStore())

    def test_a_pure_read_leaves_a_seen_at_too_far_ahead(self) -> None:
        """The first read of such a record moves it, and a move is a write: what cannot be believed counts as now."""
        record = self.kept(seen_at=NOW + 3600)

        assert self.store.load(record.key, now=NOW) == structs.replace(record, seen_at=NOW)
        assert self.stored(record) == structs.replace(record, seen_at=NOW)


def from_files_to_sqlite(folder: Path, kind: type[MigratingStore] = MigratingStore) -> MigratingStore:
    return kind(SQLAlchemyStore(f"sqlite:///{folder}/new.db", timeout=10.0), FileStore(folder / "old", timeout=10.0))


@pytest.mark.thorough
class TestFromFilesToSqlite(StoreContract):
    """Processes race for what none of them has moved yet."""

    rounds = 40

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def make_store(self) -> Store:
        return from_files_to_sqlite(self.path, BornInTheOldOne)

    def make_peer(self) -> Store:
        return from_files_to_sqlite(self.path, BornInTheOldOne)

    def spawn_store(self) -> StoreFactory:
        return partial(from_files_to_sqlite, self.path, BornInTheOldOne)

    test_a_pure_read_leaves_a_seen_at_too_far_ahead = None  # type: ignore[assignment]  # as above


class OnMemcached(StoreContract):
    """Memcached gives versions that remember what was read."""

    kind: type[MigratingStore] = MigratingStore

    @pytest.fixture(autouse=True)
    def server(self, memcached_server: MemcachedServer) -> None:
        self.url, self.prefix = memcached_server.url, os.urandom(4).hex()

    def make_store(self) -> Store:
        from flask_sessionkit.stores.memcached import MemcachedStore

        return self.kind(
            MemcachedStore.from_url(self.url, prefix=f"{self.prefix}-new:", timeout=10.0),
            MemcachedStore.from_url(self.url, prefix=f"{self.prefix}-old:", timeout=10.0),
        )


@pytest.mark.memcached
class TestOnMemcached(OnMemcached):
    pass


@pytest.mark.memcached
class TestAllIsBornInAnotherMemcached(OnMemcached):
    kind = BornInTheOldOne

    test_a_pure_read_leaves_a_seen_at_too_far_ahead = None  # type: ignore[assignment]  # as above


class ServersInBothOrders(StoreContract):
    """One server has the two stores in one order, the other one in the other: each session goes to and fro."""

    def make_store(self) -> Store:
        return MigratingStore(MemoryStore(), MemoryStore())

    def make_peer(self) -> Store:
        assert isinstance(self.store, MigratingStore)
        return MigratingStore(self.store.old, self.store.new)


#: Those that ask for no version that a record had before it came back.
TO_AND_FRO = (
    "test_no_update_is_lost",
    "test_a_replace_that_meets_a_delete_does_not_resurrect",
    "test_a_touch_that_meets_a_delete_creates_nothing",
    "test_a_created_record_is_listed_whoever_listed_meanwhile",
    "test_replace_does_not_create",
    "test_replace_does_not_resurrect_an_ended_record",
    "test_list_follows_a_change_of_owner",
)


@pytest.mark.parametrize("promise", TO_AND_FRO)
def test_servers_in_both_orders_keep_what_is_promised(promise: str) -> None:
    getattr(ServersInBothOrders(), promise)()


# One key, and where it lies.


@pytest.fixture
def new() -> PausingStore:
    return PausingStore(MemoryStore())


@pytest.fixture
def old() -> PausingStore:
    return PausingStore(MemoryStore())


@pytest.fixture
def both(new: PausingStore, old: PausingStore) -> MigratingStore:
    return MigratingStore(new, old)


def test_what_the_new_one_knows_costs_what_it_costs_alone(
    both: MigratingStore, new: PausingStore, old: PausingStore
) -> None:
    record = a_record()
    changed = structs.replace(record, payload=b"changed", version=a_version())

    assert both.create(record) is True
    assert both.load(record.key, now=NOW + 100, touch_every=60.0) == structs.replace(record, seen_at=NOW + 100)
    assert both.replace(changed, expected=a_version(), now=NOW + 100).outcome is Outcome.CONFLICT
    assert both.replace(changed, expected=record.version, now=NOW + 100) == Write(Outcome.OK)

    assert new.counts == {"create": 1, "load": 1, "replace": 2}
    assert old.counts == {"load": 1}  # at its creation, in case that another server makes the same


def test_what_neither_knows_is_asked_of_each_once(both: MigratingStore, new: PausingStore, old: PausingStore) -> None:
    assert both.load(a_key(1), now=NOW, touch_every=60.0) is None

    assert (new.counts, old.counts) == ({"load": 1}, {"load": 1})


def test_what_is_taken_over_lies_in_the_new_one_byte_for_byte(
    both: MigratingStore, new: PausingStore, old: PausingStore
) -> None:
    record = a_record()
    old.create(record)

    assert both.load(record.key, now=NOW) == record
    assert new.inner.load(record.key, now=NOW) == record


def test_of_what_is_taken_over_the_old_one_keeps_nothing(both: MigratingStore, old: PausingStore) -> None:
    record = a_record()
    old.create(record)
    both.load(record.key, now=NOW)

    left = old.inner.load(record.key, now=NOW)

    assert left is not None
    assert (left.owner, left.info, left.payload) == (None, b"", b"flask_sessionkit/moved/1")
    assert old.inner.list_owner(OWNER, now=NOW) == []


def test_a_session_is_taken_over_in_eight_trips_and_never_again(
    both: MigratingStore, new: PausingStore, old: PausingStore
) -> None:
    record = a_record()
    old.inner.create(record)

    both.load(record.key, now=NOW)
    assert new.counts == {"load": 2, "create": 1, "replace": 1}
    assert old.counts == {"load": 2, "replace": 2}

    new.reset()
    old.reset()
    both.load(record.key, now=NOW)
    assert (new.counts, old.counts) == ({"load": 1}, {})


def test_a_touch_that_came_while_it_was_moved_is_not_undone(
    both: MigratingStore, new: PausingStore, old: PausingStore
) -> None:
    """By a server that knows the old one alone, or has the two in the other order."""
    record = a_record()
    old.inner.create(record)
    new.fail("create")
    with pytest.raises(StoreError):
        both.load(record.key, now=NOW + 100)

    class TouchedBetween(MigratingStore):
        def _place_for(self, record: Record, here: Record | None, now: float) -> Record | None:
            old.inner.load(record.key, now=NOW + 900, touch_every=60.0)
            return super()._place_for(record, here, now)

    assert TouchedBetween(new, old).load(record.key, now=NOW + 901) == structs.replace(record, seen_at=NOW + 900)


def test_a_server_whose_clock_is_behind_takes_no_place_from_another(both: MigratingStore, old: PausingStore) -> None:
    """It touches the place, which is none of a session, and must not think that it has to be kept longer for that."""
    record = a_record()
    old.inner.create(record)
    dying = PausingStore(old.inner)
    dying.crash("replace")
    gap = old.pause_before("replace")

    running = in_thread(both.load, record.key, now=NOW)
    with gap, pytest.raises(Crash):
        MigratingStore(both.new, dying).load(record.key, now=NOW - 300, touch_every=60.0)

    assert running.result() == record


def test_one_that_has_ended_stays_in_the_old_one_and_is_told_of(both: MigratingStore, new: PausingStore) -> None:
    record = a_record()
    both.old.create(record)

    assert both.load(record.key, now=END + 1, touch_every=0.0) == record
    assert new.inner.load(record.key, now=END + 1) is None


def test_what_ended_in_the_old_one_can_be_ended_in_words(both: MigratingStore, new: PausingStore) -> None:
    """As the backend does it: written as of a second before the end."""
    record = a_record()
    both.old.create(record)
    tombstone = structs.replace(record, payload=b"ended", owner=None, version=a_version())

    assert both.replace(tombstone, expected=record.version, now=END - 1) == Write(Outcome.OK)
    assert new.inner.load(record.key, now=END) == tombstone


def test_an_overwrite_without_a_version_overwrites_no_mark(both: MigratingStore) -> None:
    record = a_record()
    both.new.create(record)
    MigratingStore(both.old, both.new).load(record.key, now=NOW)  # it goes to the old one
    forced = structs.replace(record, payload=b"by force", version=a_version())

    assert both.replace(forced, expected=None, now=NOW) == Write(Outcome.OK)
    assert both.load(record.key, now=NOW) == forced
    found = MigratingStore(both.old, both.new).load(record.key, now=NOW)
    assert found is not None
    assert found.payload == b"by force"


def test_what_is_deleted_while_a_server_moves_it_does_not_come(both: MigratingStore, old: PausingStore) -> None:
    record = a_record()
    old.inner.create(record)

    class DeletedBetween(MigratingStore):
        def _place_for(self, record: Record, here: Record | None, now: float) -> Record | None:
            place = super()._place_for(record, here, now)
            assert both.delete(record.key) is True
            return place

    assert DeletedBetween(both.new, both.old).load(record.key, now=NOW) is None
    assert both.load(record.key, now=NOW) is None


def test_a_record_may_be_created_again_where_one_was_deleted(both: MigratingStore) -> None:
    record, again = a_record(), a_record(payload=b"again")
    both.create(record)
    both.delete(record.key)

    assert both.create(again) is True
    assert both.create(record) is False
    assert both.load(record.key, now=NOW) == again


def test_a_key_that_is_taken_in_the_old_one_is_taken(both: MigratingStore) -> None:
    for number, record in enumerate((a_record(1), a_record(2, seen_at=NOW - 4000))):
        both.old.create(record)

        assert both.create(a_record(number + 1, payload=b"another")) is False
        found = both.load(record.key, now=NOW)
        assert found is not None
        assert found.payload == record.payload


@pytest.mark.parametrize("nth", [1, 2])
def test_of_servers_of_both_orders_that_create_the_same_at_most_one_does(nth: int) -> None:
    """What stands for a user in a revocation store, or for a cookie of before, has a key that is reckoned."""
    one, other = PausingStore(MemoryStore()), PausingStore(MemoryStore())
    first, second = MigratingStore(one, other), MigratingStore(other.inner, one.inner)
    mine, theirs = a_record(payload=b"mine"), a_record(payload=b"theirs")
    gap = one.pause_before("create") if nth == 1 else other.pause_before("load")

    running = in_thread(first.create, mine)
    with gap:
        is_theirs = second.create(theirs)
    is_mine = running.result()

    assert [is_mine, is_theirs] == ([False, True] if nth == 1 else [True, False])
    for store in (first, second, first):
        found = store.load(mine.key, now=NOW)
        assert found is not None
        assert found.payload == (b"mine" if is_mine else b"theirs")


def test_servers_of_both_orders_that_create_at_once_do_not_both_succeed() -> None:
    one, other = MemoryStore(), MemoryStore()
    first, second = MigratingStore(one, other), MigratingStore(other, one)
    records = [(a_record(number, payload=b"0"), a_record(number, payload=b"1")) for number in range(200)]

    rounds = race(
        lambda number: first.create(records[number][0]), lambda number: second.create(records[number][1]), rounds=200
    )

    for pair, answers in zip(records, rounds, strict=True):
        found = first.load(pair[0].key, now=NOW)
        winners = [record.payload for record, answer in zip(pair, answers, strict=True) if answer]
        assert winners == ([] if found is None else [found.payload])


def test_a_mark_speaks_of_no_other_key(both: MigratingStore) -> None:
    """Who can write to the old store alone writes nothing to the new one but under the same key."""
    victim = a_record(1)
    both.new.create(victim)
    forged = moving(structs.replace(a_record(1, payload=b"forged")), over=victim)
    both.old.create(structs.replace(forged, key=a_key(2)))

    both.load(a_key(2), now=NOW)
    copied(both)

    assert both.load(victim.key, now=NOW) == victim


def test_it_may_come_back_again_and_again(both: MigratingStore) -> None:
    record = a_record()
    both.new.create(record)
    back = MigratingStore(both.old, both.new)

    for _ in range(5):
        for store in (back, both):
            found = store.load(record.key, now=NOW)
            assert found is not None
            assert found == structs.replace(record, version=found.version)


def test_it_comes_back_over_a_mark_that_is_kept_for_too_short_a_time(both: MigratingStore) -> None:
    """It became permanent in the new store, so it lives longer than what it left behind."""
    record = a_record()
    both.new.create(record)
    back = MigratingStore(both.old, both.new)
    back.load(record.key, now=NOW)
    longer = structs.replace(record, idle=10 * ABSOLUTE, absolute_at=10 * ABSOLUTE, version=a_version())
    back.replace(longer, expected=record.version, now=NOW)

    late = ABSOLUTE + 1000
    found = both.load(record.key, now=late)

    assert found is not None
    assert found == structs.replace(longer, version=found.version)


def test_a_mark_that_nobody_can_read_is_a_record_that_nobody_can_open(both: MigratingStore) -> None:
    broken = a_record(payload=b"flask_sessionkit/moving/1" + b"\xff")
    both.new.create(broken)

    assert both.load(broken.key, now=NOW) == broken
    assert both.delete(broken.key) is True


def test_a_mark_over_no_version_overwrites_nothing() -> None:
    """To Redis no version is any; who can write to one store alone must not put an old record back in the other."""
    written: list[Version | None] = []

    class Lenient(MemoryStore):
        def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
            written.append(expected)
            return super().replace(record, expected=expected or None, now=now)

    store = MigratingStore(Lenient(), MemoryStore())
    tombstone, earlier = a_record(payload=b"ended"), a_record(payload=b"earlier")
    store.new.create(tombstone)
    store.old.create(moving(earlier, over=structs.replace(earlier, version=b"")))

    copied(store)

    assert store.load(tombstone.key, now=NOW) == tombstone
    assert b"" not in written


def test_versions_that_are_more_than_bytes_move_as_bytes() -> None:
    class Remembering(bytes):
        pass

    def remembering(record: Record) -> Record:
        return structs.replace(record, version=Remembering(record.version))

    record, place = a_record(), a_record(payload=b"place")

    move = move_of(moving(remembering(record), over=coming(place, now=NOW)))
    back = move_of(moving(record, over=remembering(place)))

    assert move is not None
    assert move.record == record
    assert back is not None
    assert back.over == place.version


# Both at once: lists, walks, counts.


def put_on_its_way(store: MigratingStore, record: Record) -> Record:
    """Leave a move half done, as a process that died; return its mark."""
    place = coming(record, now=NOW)
    assert store.new.create(place)
    mark = moving(record, over=place)
    assert store.old.replace(mark, expected=record.version, now=NOW) == Write(Outcome.OK)
    return mark


def test_a_list_shows_what_lies_in_either_and_what_is_on_its_way(both: MigratingStore) -> None:
    records = [a_record(number) for number in range(9)]
    for number, record in enumerate(records):
        (both.old if number % 3 else both.new).create(record)
        if number % 3 == 2:
            put_on_its_way(both, record)
    rows = sorted((structs.replace(record, payload=b"") for record in records), key=lambda row: row.key)

    assert both.list_owner(OWNER, now=NOW, limit=4) == rows[:4]
    assert both.list_owner(OWNER, now=NOW, limit=4, after=rows[3].key) == rows[4:8]
    assert both.list_owner(OWNER, now=NOW) == rows


def test_a_list_does_not_show_what_a_crash_left_of_a_session_that_ended_since(both: MigratingStore) -> None:
    records = [a_record(number) for number in range(6)]
    for record in records:
        both.old.create(record)
    for record in records[:5]:
        mark = put_on_its_way(both, record)
        both.load(record.key, now=NOW)
        both.delete(record.key)
        both.old.delete(record.key)
        both.old.create(mark)  # as if the last step had not been taken

    rows = both.list_owner(OWNER, now=NOW, limit=2)

    assert [row.key for row in rows] == [records[5].key]
    assert [both.load(record.key, now=NOW) for record in records[:5]] == [None] * 5


def test_a_walk_gives_each_session_once_whatever_is_left_of_it(both: MigratingStore) -> None:
    records = [a_record(number) for number in range(4)]
    both.new.create(records[0])
    for record in records[1:]:
        both.old.create(record)
    both.load(records[1].key, now=NOW)
    put_on_its_way(both, records[2])

    assert isinstance(both, Scans)
    assert sorted(both.scan(), key=lambda one: one.key) == sorted(records, key=lambda one: one.key)


def test_a_purge_and_its_count_are_of_both(both: MigratingStore) -> None:
    for number, store in enumerate((both.new, both.old, both.old)):
        store.create(a_record(number, seen_at=NOW - 4000))

    assert isinstance(both, CountsEnded)
    assert both.count_ended(now=NOW) == 3
    assert both.purge(now=NOW) == Purged(3, more=False)


def test_what_a_session_leaves_behind_is_gone_after_its_absolute_end(both: MigratingStore, old: PausingStore) -> None:
    record = a_record()
    old.create(record)
    both.load(record.key, now=NOW)

    both.purge(now=ABSOLUTE + GRACE + 1)

    assert old.inner.load(record.key, now=NOW) is None


class Bare:
    """What the protocol asks for, and nothing besides."""

    capabilities = Capability.NONE

    def __init__(self) -> None:
        inside = MemoryStore()
        self.load, self.create, self.replace = inside.load, inside.create, inside.replace
        self.delete, self.list_owner, self.purge = inside.delete, inside.list_owner, inside.purge


@pytest.mark.parametrize("power", [Touches, CountsEnded, Scans, Judges, MakesTable, LimitsPayload])
def test_what_neither_can_do_it_cannot(power: type) -> None:
    assert not isinstance(MigratingStore(Bare(), Bare()), power)


def test_what_one_can_do_for_itself_it_does(tmp_path: Path) -> None:
    store = from_files_to_sqlite(tmp_path)

    assert all(isinstance(store, power) for power in (Touches, CountsEnded, Scans, Judges, MakesTable))
    store.create_table()
    assert any(text.startswith("The old store: ") for _, text in store.judge(now=NOW, largest=1000))
    assert not isinstance(MigratingStore(MemoryStore(), Bare()), Scans)  # half a walk would be none


@pytest.mark.parametrize(
    ("new", "old", "able"),
    [
        (Capability.INDEX, Capability.INDEX, Capability.INDEX),
        (Capability.INDEX, Capability.INDEX_BEST_EFFORT, Capability.INDEX_BEST_EFFORT),
        (Capability.INDEX, Capability.NONE, Capability.NONE),
        (Capability.SHARED | Capability.DURABLE, Capability.DURABLE, Capability.DURABLE),
        (Capability.TOUCH_ON_LOAD, Capability.PURGE, Capability.TOUCH_ON_LOAD | Capability.PURGE),
        (Capability.PURGE, Capability.TOUCH_ON_LOAD, Capability.PURGE),
    ],
)
def test_it_promises_what_both_do(new: Capability, old: Capability, able: Capability) -> None:
    stores = Bare(), Bare()
    stores[0].capabilities, stores[1].capabilities = new, old

    assert MigratingStore(*stores).capabilities == able


def test_a_payload_leaves_room_for_the_mark_in_either() -> None:
    small, large = MemoryStore(), MemoryStore()
    small.max_payload, large.max_payload = 100_000, 200_000  # type: ignore[attr-defined]

    for store in (MigratingStore(small, large), MigratingStore(large, small), MigratingStore(MemoryStore(), small)):
        assert store.max_payload == 97_952
        full = a_record(payload=b"x" * store.max_payload, info=b"x" * 1024)
        assert len(moving(full, over=coming(full, now=NOW)).payload) <= 100_000


def test_what_the_new_one_has_no_room_for_stays_whole_where_it_is() -> None:
    """Half on its way it would be in neither for good, and there were no way back."""
    small, large = MemoryStore(), MemoryStore()
    small.max_payload = 1000  # type: ignore[attr-defined]
    record = a_record(payload=b"x" * 1001)
    large.create(record)

    with pytest.raises(StoreError, match="A session of 1001 bytes lies in MemoryStore"):
        MigratingStore(small, large).load(record.key, now=NOW)

    assert MigratingStore(large, small).load(record.key, now=NOW) == record


def test_two_that_are_one_and_moves_within_moves_are_refused() -> None:
    store = MemoryStore()

    for new, old in ((store, store), (MigratingStore(store, MemoryStore()), MemoryStore())):
        with pytest.raises(ConfigError, match="two stores, each of them a plain one"):
            MigratingStore(new, old)
        with pytest.raises(ConfigError, match="two stores, each of them a plain one"):
            MigratingStore(old, new)


# The copy.


def copied(store: MigratingStore, now: float = NOW) -> list[str]:
    return sorted(each.value for each in store.copy(FrozenClock(now)))


def test_a_copy_moves_what_lives_and_says_so(both: MigratingStore, new: PausingStore) -> None:
    records = [a_record(number) for number in range(5)]
    for record in records:
        both.old.create(record)
    both.old.create(a_record(5, seen_at=NOW - 4000))
    both.load(records[0].key, now=NOW)
    put_on_its_way(both, records[1])

    assert copied(both) == ["ended", "moved", "moved", "moved", "moved", "there"]
    assert [new.inner.load(record.key, now=NOW) for record in records] == records
    assert copied(both) == ["ended", "there", "there", "there", "there", "there"]


def test_a_copy_brings_back_what_a_server_of_the_other_order_was_taking_away_when_it_died(
    both: MigratingStore, new: PausingStore
) -> None:
    record = a_record()
    new.inner.create(record)
    put_on_its_way(MigratingStore(both.old, both.new), record)

    assert copied(both) == ["moved"]
    found = new.inner.load(record.key, now=NOW)
    assert found is not None
    assert found == structs.replace(record, version=found.version)
    assert copied(both) == ["there"]


def test_a_copy_asks_for_four_writes_and_one_look_a_session(
    both: MigratingStore, new: PausingStore, old: PausingStore
) -> None:
    for number in range(10):
        old.inner.create(a_record(number))

    copied(both)

    assert new.counts == {"create": 10, "replace": 10}
    assert old.counts == {"scan": 1, "load": 10, "replace": 20}


def test_a_copy_that_was_killed_goes_on(both: MigratingStore, old: PausingStore, new: PausingStore) -> None:
    records = [a_record(number) for number in range(200)]
    for record in records:
        old.inner.create(record)
    for nth, store in enumerate((new, old, new, old)):
        store.fail("replace", nth=nth % 2 + 1, before=nth < 2)
        with pytest.raises(StoreError):
            copied(both)

    copied(both)

    assert [new.inner.load(record.key, now=NOW) for record in records] == records


def test_a_copy_from_a_store_that_cannot_be_walked_is_refused() -> None:
    with pytest.raises(ConfigError, match="Bare cannot be walked"):
        copied(MigratingStore(MemoryStore(), Bare()))


# What tells of an end.


@pytest.fixture
def live() -> Contents:
    return Contents(kind=Kind.LIVE, idle=600.0, absolute_at=NOW + 43_200, created_at=NOW, lineage=b"l" * 16)


def backend_on(store: Store) -> ServerBackend:
    return ServerBackend(store, KeyRing([b"a secret of the tests"], app_id="tests"), app_id="tests", max_size=10_000)


def ended(backend: ServerBackend, live: Contents) -> Found:
    found = backend.create(live, seen_at=NOW)
    assert backend.end(found, Reason.LOGOUT, now=NOW + 1).outcome is Outcome.OK
    left = backend.load_key(found.key, now=NOW + 1)
    assert left is not None
    return left


def test_what_tells_of_an_end_stays_until_the_sessions_own_end(both: MigratingStore, live: Contents) -> None:
    left = ended(backend_on(both), live)

    assert left.record.expires_at == pytest.approx(NOW + 43_200)
    assert left.contents is not None
    assert left.contents.absolute_at == NOW + 61  # so long it says why


def test_an_old_store_that_forgets_that_it_gave_a_session_away_does_not_revive_it(
    both: MigratingStore, live: Contents
) -> None:
    backend = backend_on(both.old)
    found = backend.create(live, seen_at=NOW)
    there = both.old.load(found.key, now=NOW)
    assert there is not None
    moved = backend_on(both).load_key(found.key, now=NOW)
    assert moved is not None
    backend_on(both).end(moved, Reason.LOGOUT, now=NOW + 1)
    both.old.delete(found.key)
    both.old.create(there)  # a disk that lost power, a replica that lagged behind

    both.purge(now=NOW + 500)
    left = backend_on(both).load_key(found.key, now=NOW + 500)

    assert left is not None
    assert left.contents is not None
    assert left.contents.kind is Kind.TOMBSTONE


def test_elsewhere_what_tells_of_an_end_stays_for_a_minute(live: Contents) -> None:
    assert ended(backend_on(MemoryStore()), live).record.expires_at == NOW + 61
