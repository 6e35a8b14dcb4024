"""The memory store: the contract, its bound, and a fork while it is busy."""

from __future__ import annotations

import os
import signal
import threading
import warnings

import pytest
from msgspec.structs import replace as changed

from flask_sessionkit.errors import ConfigError
from flask_sessionkit.record import Outcome, Purged
from flask_sessionkit.stores.base import GRACE, CountsEnded
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import StoreContract, race
from flask_sessionkit.testing.contract import END, NOW, OWNER, a_key, a_record, a_version


class TestMemoryStore(StoreContract):
    def make_store(self):
        return MemoryStore()


def an_anonymous_record(number, **changes):
    return a_record(number, owner=None, **changes)


def held(store, numbers):
    return [number for number in numbers if store.load(a_key(number), now=NOW) is not None]


def test_it_counts_what_ended():
    assert isinstance(MemoryStore(), CountsEnded)


@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_that_holds_nothing_is_a_config_error(bound):
    with pytest.raises(ConfigError, match=f"max_records.* not {bound}"):
        MemoryStore(bound)


@pytest.mark.requirement("ST-08")
def test_it_never_holds_more_than_its_bound():
    store = MemoryStore(1000)

    for number in range(20_000):
        assert store.create(an_anonymous_record(number, seen_at=NOW + number, absolute_at=NOW + 10**6)) is True

    assert held(store, range(20_000)) == list(range(19_000, 20_000))


@pytest.mark.requirement("ST-08")
def test_it_never_holds_more_than_its_bound_when_threads_fill_it():
    store = MemoryStore(100)

    race(*[lambda number, lane=lane: store.create(a_record(number * 8 + lane)) for lane in range(8)], rounds=100)

    assert len(held(store, range(800))) == 100


@pytest.mark.requirement("ST-08")
def test_a_flood_of_visitors_signs_nobody_out():
    store = MemoryStore(100)
    for number in range(50):
        store.create(a_record(number))

    for number in range(1000, 2000):
        store.create(an_anonymous_record(number))

    assert held(store, range(50)) == list(range(50))
    assert held(store, range(1000, 2000)) == list(range(1950, 2000))


def test_without_anonymous_ones_the_oldest_write_goes():
    store = MemoryStore(3)
    first, second, third = a_record(1), a_record(2), a_record(3)
    for record in (first, second, third):
        store.create(record)
    store.replace(changed(first, version=a_version()), expected=first.version, now=NOW)
    store.load(second.key, now=NOW + 100, touch_every=60.0)

    store.create(a_record(4))

    assert held(store, range(1, 5)) == [1, 2, 4]


def test_an_anonymous_session_that_was_touched_stays_longer():
    store = MemoryStore(2)
    store.create(an_anonymous_record(1))
    store.create(an_anonymous_record(2))
    store.load(a_key(1), now=NOW + 100, touch_every=60.0)

    store.create(an_anonymous_record(3, seen_at=NOW + 101))

    assert held(store, range(1, 4)) == [1, 3]


def test_ended_sessions_make_room_before_live_ones():
    store = MemoryStore(3)
    store.create(an_anonymous_record(1))
    store.create(a_record(2, seen_at=NOW - 4000))
    store.create(a_record(3, absolute_at=NOW - GRACE + 1))

    store.create(an_anonymous_record(4))

    assert held(store, range(1, 5)) == [1, 3, 4]


def test_a_full_store_does_not_look_at_all_records_for_each_new_one():
    looks = 0

    class Counting(MemoryStore):
        def _ended(self, now):
            nonlocal looks
            looks += 1
            return super()._ended(now)

    store = Counting(100)
    for number in range(1100):
        store.create(an_anonymous_record(number))

    assert looks <= 100


def test_a_record_that_made_room_is_gone_from_the_list():
    store = MemoryStore(1)
    store.create(a_record(1))

    store.create(a_record(2))

    assert [row.key for row in store.list_owner(OWNER, now=NOW)] == [a_key(2)]


def test_a_record_that_made_room_is_not_brought_back():
    store = MemoryStore(1)
    record = an_anonymous_record(1)
    store.create(record)
    store.create(an_anonymous_record(2))

    write = store.replace(changed(record, version=a_version()), expected=record.version, now=NOW)

    assert write.outcome is Outcome.GONE
    assert held(store, [1, 2]) == [2]


def test_owners_who_left_take_no_memory():
    store = MemoryStore()
    for number in range(100):
        store.create(a_record(number, owner=f"{number:032x}"))
    for number in range(50):
        store.delete(a_key(number))

    assert store.purge(now=END + GRACE + 1) == Purged(50, more=False)
    assert not store._records
    assert not store._keys


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_another_thread_is_inside_leaves_the_child_a_store_that_works():
    inside, leave = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def _put(self, record):
            self._drop(record.key)
            self._records[record.key] = record  # and not yet among its owner's keys
            inside.set()
            leave.wait(10)
            self._keys[record.owner][record.key] = None

    store = Slow()
    writer = threading.Thread(target=store.create, args=(a_record(1),), daemon=True)
    writer.start()
    assert inside.wait(10)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of just what is tried here
        child = os.fork()
    if child == 0:
        signal.alarm(5)
        leave.set()
        listed = [row.key for row in store.list_owner(OWNER, now=NOW)] == [a_key(1)]
        right = listed and store.create(a_record(2)) and store.delete(a_key(1)) and store.delete(a_key(2))
        os._exit(0 if right and not store._keys else 1)
    leave.set()
    _, status = os.waitpid(child, 0)
    writer.join(10)

    assert status == 0
    assert store.delete(a_key(1)) is True
