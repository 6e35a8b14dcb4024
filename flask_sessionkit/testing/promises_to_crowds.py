"""What a store promises to threads, processes and forks, and when it fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from msgspec import structs

from ..errors import StoreError
from ..record import Outcome, Record, Version, Write
from ..stores.base import Capability, CountsEnded, Scans, Store
from .arrangement import (
    END,
    NOW,
    OWNER,
    Arrangement,
    a_key,
    a_record,
    a_version,
    needs,
    scanned,
)
from .interleaving import race
from .processes import PROCESSES, Task, forked, in_processes

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: How many updates each thread or process makes, and rounds that processes and forks play.
COUNT = 50
PROCESS_ROUNDS = 40
FORK_ROUNDS = 100


class CrowdPromises(Arrangement):
    """Clause 7 of the protocol, as one test each."""

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

    @needs("spawn_store")
    def test_no_update_is_lost_between_processes(self) -> None:
        record = self.kept(payload=b"0")

        self._in_processes(_task_count_up, record.key)

        found = self.stored(record)
        assert found is not None
        assert found.payload == b"%d" % (PROCESSES * COUNT)

    @needs("spawn_store")
    def test_one_process_creates_and_one_deletes(self) -> None:
        lanes = self._in_processes(_task_create_and_delete)

        assert [sorted(answers) for answers in zip(*lanes, strict=True)] == [[False] * (PROCESSES - 1) + [True]] * (
            2 * PROCESS_ROUNDS
        )
        assert self.stored(a_record(0)) is None
        self.assert_listed([])

    @needs("spawn_store")
    def test_what_a_process_deletes_no_other_brings_back(self) -> None:
        records = [self.kept(number) for number in range(PROCESS_ROUNDS)]

        self._in_processes(_task_write_against_delete, records)

        assert [self.stored(record) for record in records] == [None] * PROCESS_ROUNDS
        self.assert_listed([])

    @needs("spawn_store")
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

    @needs("make_broken_store")
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
            calls.append(lambda: scanned(store))

        for call in calls:
            error = _error_of(call)
            assert isinstance(error, StoreError)
            assert error.__cause__ is not None
            assert not any(secret in str(error) for secret in (record.key, OWNER, "an unusual payload"))

    def _in_processes(self, task: Task[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> list[_T]:
        assert self.store is not None
        return in_processes(self.spawn_store(), task, *args, **kwargs)


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
