"""A move of one record that stops or dies before and after each of its calls, and what others do to it meanwhile.

What is asserted at the end is what any server is told of the key, whichever order it has the two stores in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from msgspec import structs

from flask_sessionkit.errors import StoreError
from flask_sessionkit.record import Outcome, Record
from flask_sessionkit.stores.base import GRACE, Store
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.migrating import MigratingStore
from flask_sessionkit.stores.migrating_marks import coming, is_mark, moving
from flask_sessionkit.testing import Crash, PausingStore, in_thread
from flask_sessionkit.testing.contract import END, NOW, OWNER, a_key, a_record, a_version
from flask_sessionkit.testing.interleaving import Call

# It comes out the same under every Python.
pytestmark = pytest.mark.thorough

KEY = a_key(0)
#: Seconds after which nothing is left of what tells of an end, where it is kept for a minute only.
FORGOTTEN = 60 + GRACE + 1


@dataclass(frozen=True)
class Step:
    """One call of a move.

    :param at_new: which of the two stores is called.
    """

    at_new: bool
    call: Call
    nth: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'}-{'new' if self.at_new else 'old'}-{self.call}-{self.nth}"


def steps_of(*calls: tuple[str, Call]) -> list[Step]:
    """Return each call before and after it is made."""
    steps = []
    for place, (store, call) in enumerate(calls):
        nth = calls[: place + 1].count((store, call))
        steps += [Step(store == "new", call, nth, after) for after in (False, True)]
    return steps


LAST: list[tuple[str, Call]] = [("old", "replace"), ("old", "load"), ("new", "replace"), ("old", "replace")]
LOOKS: list[tuple[str, Call]] = [("new", "load"), ("old", "load")]


class Two:
    """Two stores, that a server can be stopped at; others go around the points where it stops."""

    def __init__(self) -> None:
        self.new, self.old = PausingStore(MemoryStore()), PausingStore(MemoryStore())
        self.mover = MigratingStore(self.new, self.old)
        self.same = MigratingStore(self.new.inner, self.old.inner)
        self.other = MigratingStore(self.old.inner, self.new.inner)

    def at(self, step: Step) -> PausingStore:
        return self.new if step.at_new else self.old

    def lying(self, now: float) -> list[bytes]:
        """Return what lies in either store that a request could use, beside marks."""
        found = [store.inner.load(KEY, now=now) for store in (self.new, self.old)]
        return [one.payload for one in found if one and not is_mark(one) and one.expires_at > now]


def comes_for_the_first_time(two: Two) -> Record:
    record = a_record()
    two.old.inner.create(record)
    return record


def comes_back(two: Two) -> Record:
    """It lay in the new store before, and went to the old one with a server that has the two in the other order."""
    record = a_record()
    two.new.inner.create(record)
    found = two.other.load(KEY, now=NOW)
    assert found is not None
    return found


def is_half_done(two: Two) -> Record:
    record = a_record()
    two.old.inner.create(record)
    place = coming(record, now=NOW)
    two.new.inner.create(place)
    two.old.inner.replace(moving(record, over=place), expected=record.version, now=NOW)
    return record


ARRANGED: dict[Callable[[Two], Record], list[Step]] = {
    comes_for_the_first_time: steps_of(*LOOKS, ("new", "create"), *LAST, ("new", "load")),
    comes_back: steps_of(*LOOKS, ("new", "load"), *LAST, ("new", "load")),
    is_half_done: steps_of(*LOOKS, *LAST[2:], ("new", "load")),
}
STEPS = [
    pytest.param(arrange, step, id=f"{arrange.__name__}-{step}")
    for arrange, steps in ARRANGED.items()
    for step in steps
]


def lived_on(store: Store) -> None:
    """Swap what is there for another version of it, as a request that writes."""
    found = store.load(KEY, now=NOW)
    assert found is not None
    written = structs.replace(found, payload=b"written", version=a_version())
    assert store.replace(written, expected=found.version, now=NOW).outcome is Outcome.OK


def ended(store: Store, *, idle: float = 60.0) -> None:
    """Leave what tells of an end, and tells it for a minute, as a server does that knows the new store alone."""
    found = store.load(KEY, now=NOW)
    assert found is not None
    left = structs.replace(
        found, payload=b"ended", idle=idle, absolute_at=NOW + idle, owner=None, info=b"", version=a_version()
    )
    assert store.replace(left, expected=found.version, now=NOW).outcome is Outcome.OK


@pytest.fixture(params=["same order", "other order"])
def order(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def others(two: Two, order: str) -> MigratingStore:
    return two.same if order == "same order" else two.other


def told(two: Two, *, now: float = NOW) -> Iterator[Record | None]:
    """Return what servers of either order find, twice, since to look may move it."""
    for store in (two.same, two.other, two.same, two.other):
        yield store.load(KEY, now=now)


def go_on(two: Two, step: Step, meanwhile: Callable[[], object]) -> Record | None:
    """Let a server move the record until a step, let others act there, and then let it go on."""
    gap = (two.at(step).pause_after if step.after else two.at(step).pause_before)(step.call, nth=step.nth)
    running = in_thread(two.mover.load, KEY, now=NOW)
    with gap:
        meanwhile()
    return running.result()


def die(two: Two, step: Step, meanwhile: Callable[[], object]) -> None:
    """Let a server move the record until a step, and die there; let others act then."""
    two.at(step).crash(step.call, nth=step.nth, before=not step.after)
    with pytest.raises(Crash):
        two.mover.load(KEY, now=NOW)
    meanwhile()


def fail(two: Two, step: Step, meanwhile: Callable[[], object]) -> None:
    """Let the store not answer at a step, and the server be asked again when others have acted."""
    two.at(step).fail(step.call, nth=step.nth, before=not step.after)
    with pytest.raises(StoreError):
        two.mover.load(KEY, now=NOW)
    meanwhile()
    two.mover.load(KEY, now=NOW)


WAYS = [go_on, die, fail]
Way = Callable[[Two, Step, Callable[[], object]], object]
Arrange = Callable[[Two], Record]

each_gap = pytest.mark.parametrize(("arrange", "step"), STEPS)
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@each_gap
@each_way
def test_nothing_is_lost(arrange: Arrange, step: Step, way: Way) -> None:
    two = Two()
    record = arrange(two)

    way(two, step, lambda: None)

    assert [found and found.payload for found in told(two)] == [record.payload] * 4
    assert two.lying(NOW) == [record.payload]


@each_gap
@each_way
def test_what_others_read_meanwhile_is_there(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    record = arrange(two)
    seen: list[Record | None] = []

    way(two, step, lambda: seen.append(others(two, order).load(KEY, now=NOW)))

    assert [found and found.payload for found in seen] == [record.payload]
    assert [found and found.payload for found in told(two)] == [record.payload] * 4
    assert two.lying(NOW) == [record.payload]


@each_gap
@each_way
def test_what_others_write_meanwhile_stays(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    arrange(two)

    way(two, step, lambda: lived_on(others(two, order)))

    assert [found and found.payload for found in told(two)] == [b"written"] * 4
    assert two.lying(NOW) == [b"written"]


@each_gap
@each_way
def test_what_is_written_while_it_goes_to_and_fro_stays(arrange: Arrange, step: Step, way: Way) -> None:
    """A late server must not take it for what it read before."""
    two = Two()
    arrange(two)

    def to_and_fro() -> None:
        for store in (two.same, two.other, two.same):
            store.load(KEY, now=NOW)
        lived_on(two.other)

    way(two, step, to_and_fro)

    assert [found and found.payload for found in told(two)] == [b"written"] * 4
    assert two.lying(NOW) == [b"written"]


@each_gap
@each_way
def test_what_goes_to_and_fro_unchanged_is_not_lost(arrange: Arrange, step: Step, way: Way) -> None:
    two = Two()
    record = arrange(two)

    def to_and_fro() -> None:
        for store in (two.other, two.same, two.other):
            store.load(KEY, now=NOW)

    way(two, step, to_and_fro)

    assert [found and found.payload for found in told(two)] == [record.payload] * 4
    assert two.lying(NOW) == [record.payload]


@each_gap
@each_way
def test_what_others_touch_meanwhile_was_seen_then(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    arrange(two)

    way(two, step, lambda: others(two, order).load(KEY, now=NOW + 50, touch_every=10.0))

    assert [found and found.seen_at for found in told(two)] == [NOW + 50] * 4


@each_gap
@each_way
def test_what_is_touched_in_the_old_store_alone_was_seen_then(arrange: Arrange, step: Step, way: Way) -> None:
    """By a server of the other order that has just looked, and touches what it then finds."""
    two = Two()
    arrange(two)
    seen: list[float] = []

    def touch() -> None:
        found = two.old.inner.load(KEY, now=NOW + 50, touch_every=10.0)
        if found is not None and not is_mark(found):
            seen.append(found.seen_at)

    way(two, step, touch)

    for found in told(two):
        assert found is not None
        assert found.seen_at >= max(seen, default=NOW)


@each_gap
@each_way
def test_what_others_end_meanwhile_stays_ended(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    arrange(two)

    way(two, step, lambda: ended(others(two, order)))

    assert [found and found.payload for found in told(two)] == [b"ended"] * 4
    assert two.lying(NOW) == [b"ended"]


@each_gap
@each_way
def test_what_ended_stays_ended_when_that_is_forgotten(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    """A server that was stopped for minutes has the record in its hands yet."""
    two = Two()
    arrange(two)

    def end_and_forget() -> None:
        ended(others(two, order))
        two.same.purge(now=NOW + FORGOTTEN)

    way(two, step, end_and_forget)

    assert list(told(two, now=NOW + FORGOTTEN)) == [None] * 4
    assert two.lying(NOW) == []


@each_gap
@each_way
def test_what_others_delete_meanwhile_stays_gone(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    arrange(two)
    answers: list[bool] = []

    way(two, step, lambda: answers.append(others(two, order).delete(KEY)))

    assert answers == [True]
    assert list(told(two)) == [None] * 4
    assert two.lying(NOW) == []
    assert two.same.delete(KEY) is False


@each_gap
@each_way
def test_what_ends_by_its_own_limits_meanwhile_is_over(arrange: Arrange, step: Step, way: Way) -> None:
    two = Two()
    arrange(two)

    with suppress(StoreError):
        way(two, step, lambda: two.same.purge(now=END + GRACE + 1))

    assert not any(found for found in told(two, now=END + GRACE + 1) if found and found.expires_at > END)
    assert two.lying(END + GRACE + 1) == []


@each_gap
@each_way
def test_a_list_shows_it_once(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    record = arrange(two)
    rows: list[Record] = []

    way(two, step, lambda: rows.extend(others(two, order).list_owner(OWNER, now=NOW)))

    assert [(row.key, row.info) for row in rows] == [(KEY, record.info)]
    assert [row.key for row in two.same.list_owner(OWNER, now=NOW)] == [KEY]


@each_gap
@each_way
def test_a_walk_gives_it_once(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    record = arrange(two)
    found: list[Record] = []

    way(two, step, lambda: found.extend(others(two, order).scan()))

    assert [one.payload for one in found] == [record.payload]


@each_gap
@each_way
def test_two_that_move_it_at_once_and_a_third_that_ends_it(arrange: Arrange, step: Step, way: Way, order: str) -> None:
    two = Two()
    arrange(two)

    def meanwhile() -> None:
        two.same.load(KEY, now=NOW)
        ended(others(two, order))
        two.same.load(KEY, now=NOW)

    way(two, step, meanwhile)

    assert [found and found.payload for found in told(two)] == [b"ended"] * 4


@each_gap
def test_a_list_that_stops_between_the_stores_shows_what_moves_meanwhile(arrange: Arrange, step: Step) -> None:
    """In whichever direction it goes, and wherever the list is just then."""
    for direction in ("same order", "other order"):
        for call in (Step(False, "list_owner", 1, True), Step(True, "list_owner", 1, True)):
            two = Two()
            arrange(two)
            with suppress(Crash):
                two.at(step).crash(step.call, nth=step.nth, before=not step.after)
                two.mover.load(KEY, now=NOW)
            gap = two.at(call).pause_after(call.call, nth=call.nth)
            running = in_thread(two.mover.list_owner, OWNER, now=NOW)
            with gap:
                others(two, direction).load(KEY, now=NOW)
            assert [row.key for row in running.result()] == [KEY]
