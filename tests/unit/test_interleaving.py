"""The store that stops, fails and crashes where a test wants it to, and the threads that meet there."""

from __future__ import annotations

import doctest
import threading
import time

import pytest
from msgspec.structs import replace as changed

from flask_sessionkit.errors import StoreError
from flask_sessionkit.record import Outcome, Purged, Write
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import Crash, PausingStore, StoreContract, clock, in_thread, interleaving, race
from flask_sessionkit.testing.contract import NOW, OWNER, a_key, a_record, a_version


class TestPausingStore(StoreContract):
    """It is a store like the one inside, as long as nobody told it otherwise."""

    def make_store(self):
        return PausingStore(MemoryStore())


@pytest.fixture
def store():
    return PausingStore(MemoryStore())


@pytest.fixture
def impatience(monkeypatch):
    monkeypatch.setattr(interleaving, "PATIENCE", 0.05)


def test_it_stops_before_a_call(store):
    gap = store.pause_before("create")
    creating = in_thread(store.create, a_record())

    with gap:
        assert gap.reached
        assert not creating.done
        assert store.load(a_key(0), now=NOW) is None

    assert creating.result() is True
    assert store.load(a_key(0), now=NOW) is not None


def test_it_stops_after_a_call_with_the_answer_of_then(store):
    record = a_record()
    store.create(record)
    gap = store.pause_after("load")
    loading = in_thread(store.load, record.key, now=NOW)

    with gap:
        assert store.delete(record.key) is True

    assert loading.result() == record
    assert store.load(record.key, now=NOW) is None


def test_a_logout_overtakes_a_slow_save(store):
    record = a_record()
    store.create(record)
    gap = store.pause_before("replace")
    saving = in_thread(store.replace, changed(record, version=a_version()), expected=record.version, now=NOW)

    with gap:
        store.delete(record.key)

    assert saving.result() == Write(Outcome.GONE)


def test_two_pauses_of_one_call_are_met_in_turn(store):
    before, after = store.pause_before("create"), store.pause_after("create")
    creating = in_thread(store.create, a_record())

    with before:
        assert store.inner.load(a_key(0), now=NOW) is None
    with after:
        assert store.inner.load(a_key(0), now=NOW) is not None
    assert creating.result() is True


def test_the_nth_call_from_now_is_meant(store):
    store.load(a_key(0), now=NOW)
    store.fail("load", nth=2)

    store.load(a_key(0), now=NOW)
    store.delete(a_key(0))
    with pytest.raises(StoreError):
        store.load(a_key(0), now=NOW)
    assert store.load(a_key(0), now=NOW) is None


def test_a_call_that_fails_is_not_carried_out(store):
    store.fail("create")

    with pytest.raises(StoreError, match="create"):
        store.create(a_record())
    assert store.load(a_key(0), now=NOW) is None


def test_an_answer_that_is_lost_was_carried_out(store):
    store.fail("create", before=False)

    with pytest.raises(StoreError):
        store.create(a_record())
    assert store.load(a_key(0), now=NOW) is not None


def test_it_raises_the_error_that_it_is_given(store):
    error = StoreError("The server is gone.")
    store.fail("delete", error=error)

    with pytest.raises(StoreError) as raised:
        store.delete(a_key(0))
    assert raised.value is error


@pytest.mark.parametrize(("before", "made"), [(True, False), (False, True)])
def test_a_crash_passes_every_except_exception(store, before, made):
    store.crash("create", before=before)

    def save():
        try:
            return store.create(a_record())
        except Exception:  # noqa: BLE001  # it must not be caught here
            return "survived"

    with pytest.raises(Crash):
        in_thread(save).result()
    assert (store.load(a_key(0), now=NOW) is not None) is made


def test_it_counts_calls_by_name_and_failures_too(store):
    record = a_record()
    store.fail("purge")
    store.create(record)
    store.load(record.key, now=NOW)
    store.load(record.key, now=NOW, touch_every=60.0)
    store.replace(changed(record, version=a_version()), expected=record.version, now=NOW)
    assert [row.key for row in store.list_owner(OWNER, now=NOW, limit=5)] == [record.key]
    with pytest.raises(StoreError):
        store.purge(now=NOW)
    assert store.purge(now=NOW) == Purged(0, more=False)
    store.delete(record.key)

    assert store.counts == {"create": 1, "load": 2, "replace": 1, "list_owner": 1, "purge": 2, "delete": 1}
    store.reset()
    assert store.counts == {}


def test_a_reset_leaves_what_was_armed(store):
    store.fail("load")
    store.reset()

    with pytest.raises(StoreError):
        store.load(a_key(0), now=NOW)


def test_no_count_is_lost_between_threads(store):
    race(*[lambda _: [store.delete(a_key(0)) for _ in range(500)]] * 4)

    assert store.counts == {"delete": 2000}


def test_a_misspelt_call_is_told_at_once(store):
    with pytest.raises(ValueError, match=r"'save'.*replace"):
        store.pause_before("save")
    with pytest.raises(ValueError, match="nth"):
        store.fail("load", nth=0)


@pytest.mark.usefixtures("impatience")
def test_a_call_that_never_comes_is_an_error(store):
    with pytest.raises(AssertionError, match="before replace"), store.pause_before("replace"):
        pass


def missed(gap):
    with pytest.raises(AssertionError) as raised:
        gap.wait()
    return raised.value


@pytest.mark.usefixtures("impatience")
def test_a_pause_that_nobody_was_on_the_way_to_says_so(store):
    store.load(a_key(0), now=NOW)
    in_thread(store.load, a_key(0), now=NOW).result()
    error = missed(store.pause_before("replace"))

    assert str(error) == (
        "No call came to the pause before replace number 1. Make the call in another thread. "
        "Calls that came since then: none."
    )
    assert error.__cause__ is None


@pytest.mark.usefixtures("impatience")
def test_a_pause_tells_what_the_other_thread_raised(store):
    def view():
        store.load(a_key(0), now=NOW)
        raise KeyError("cart")

    store.load(a_key(0), now=NOW)
    gap = store.pause_before("replace")
    with pytest.raises(KeyError) as raised:
        in_thread(view).result()
    error = missed(gap)

    assert str(error) == (
        "No call came to the pause before replace number 1. The other thread raised KeyError: 'cart'. "
        "Calls that came since then: load (1)."
    )
    assert error.__cause__ is raised.value


@pytest.mark.usefixtures("impatience")
def test_a_pause_tells_that_the_other_thread_ended_without_it(store):
    gap = store.pause_before("replace")

    def view():
        store.load(a_key(0), now=NOW)
        store.reset()
        store.load(a_key(0), now=NOW)
        return "a page that only reads"

    in_thread(view).result()
    error = missed(gap)

    assert str(error) == (
        "No call came to the pause before replace number 1. "
        "The other thread ended without it, and returned 'a page that only reads'. "
        "Calls that came since then: load (2)."
    )
    assert error.__cause__ is None


@pytest.mark.usefixtures("impatience")
def test_a_pause_tells_that_the_other_thread_still_runs(store):
    gap, end = store.pause_before("replace"), threading.Event()
    in_thread(len, "a thread that is done").result()
    running = in_thread(end.wait, 5)

    assert "The other thread still runs. Calls" in str(missed(gap))
    end.set()
    running.result(within=5)


@pytest.mark.usefixtures("impatience")
def test_a_call_that_is_never_released_is_an_error(store):
    store.pause_before("load")

    with pytest.raises(AssertionError, match="Nobody released"):
        store.load(a_key(0), now=NOW)


@pytest.mark.usefixtures("impatience")
def test_a_thread_that_never_ends_is_an_error():
    running = in_thread(threading.Event().wait, 5)

    with pytest.raises(AssertionError, match="did not end"):
        running.result()


def test_a_pause_is_released_when_the_test_fails_inside(store):
    gap = store.pause_before("create")
    creating = in_thread(store.create, a_record())

    with pytest.raises(ZeroDivisionError), gap:
        raise ZeroDivisionError

    assert creating.result() is True


def test_a_thread_hands_its_error_on():
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 / 0).result()


def test_a_race_runs_all_calls_in_each_round_and_tells_their_answers():
    log = []

    answers = race(lambda number: number, lambda number: -number, rounds=3, before=log.append)

    assert answers == [[0, 0], [1, -1], [2, -2]]
    assert log == [0, 1, 2]


def test_a_race_gives_each_call_the_headstart_in_turn():
    order = []

    race(lambda _: order.append("a"), lambda _: order.append("b"), rounds=100)

    firsts = order[::2]
    assert 10 <= firsts.count("a") <= 90


@pytest.mark.parametrize("lane", [0, 1])
def test_a_race_hands_the_first_error_on_and_lets_nobody_wait(lane):
    before = time.monotonic()
    calls = [lambda number: number, lambda number: number]
    calls[lane] = lambda number: 1 // (2 - number)

    with pytest.raises(ZeroDivisionError):
        race(*calls, rounds=5)
    assert time.monotonic() - before < interleaving.PATIENCE / 2


def test_a_race_hands_on_an_error_of_its_preparation():
    with pytest.raises(ZeroDivisionError):
        race(lambda _: None, lambda _: None, before=lambda _: 1 // 0)


@pytest.mark.parametrize("module", [interleaving, clock])
def test_the_examples_run(module):
    names = {"PausingStore": PausingStore, "MemoryStore": MemoryStore, "FrozenClock": clock.FrozenClock}

    assert doctest.testmod(module, extraglobs=names).failed == 0
