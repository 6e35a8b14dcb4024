"""Counts of sessions: who is among them, the median, the ages."""

from __future__ import annotations

import tracemalloc

import pytest
from msgspec.structs import replace

from flask_sessionkit.census import Sample, census, samples_of_standings
from flask_sessionkit.contents import Kind
from flask_sessionkit.revocations import Revocations
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.standings import Entry
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock


def sizes(*found: int) -> tuple[int | None, int | None]:
    told = census(Sample(Kind.LIVE, size=size) for size in found)
    return told.median_size, told.largest_size


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([], (None, None)),
        ([7], (7, 7)),
        ([9, 1, 5], (5, 9)),
        ([4, 1, 2, 3], (2, 4)),
        ([1, 1, 1, 100], (1, 100)),
        ([1, 100, 100, 100], (100, 100)),
    ],
)
def test_half_of_all_are_no_larger_than_the_median(found: list[int], told: tuple[int | None, int | None]) -> None:
    assert sizes(*found) == told


def test_only_what_lives_has_a_size_and_an_age() -> None:
    told = census(
        iter(
            [
                Sample(None, size=1),
                Sample(Kind.TOMBSTONE, size=1),
                Sample(Kind.ALIAS, size=1),
                Sample(Kind.LIVE, is_over=True, is_signed_in=True, size=1),
                Sample(Kind.LIVE, is_signed_in=True, size=5),
                Sample(Kind.LIVE, size=5),
            ]
        )
    )

    assert (told.live, told.signed_in, told.expired, told.ended, told.unreadable) == (2, 1, 1, 2, 1)
    assert (told.median_size, told.largest_size) == (5, 5)
    assert sum(count for _, count in told.ages) == 2


def test_an_age_is_below_its_limit_and_not_below_the_one_before() -> None:
    hour = 3600.0
    told = census(Sample(Kind.LIVE, age=age) for age in (-5.0, 0.0, hour - 1, hour, 12 * hour, 30 * 24 * hour, 1e9))

    assert [count for _, count in told.ages] == [3, 1, 1, 0, 0, 2]
    assert told.ages[-1] == (None, 2)


def test_memory_does_not_grow_with_their_number() -> None:
    def peak(number: int) -> int:
        tracemalloc.start()
        census(Sample(Kind.LIVE, age=float(count % 999), size=count % 99) for count in range(number))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(20_000) < peak(1_000) + 20_000


def test_a_move_that_is_not_finished_is_counted_where_it_goes() -> None:
    clock = FrozenClock()
    known, now = Revocations(MemoryStore(), KeyRing([bytes(32)], app_id="shop"), clock), clock.now()
    entry = Entry(bytes(16), now, now, now, now, 1800.0, now + 43200, "", "")
    known.change("alice", lambda standing: (standing.with_live(bytes(16), entry), None))
    samples = samples_of_standings(known, now=now)
    assert samples is not None
    assert census(samples).live == 1

    held = known.look("alice")
    assert held is not None
    assert held.standing is not None
    known.note(held, replace(held.standing, moved_to="f" * 32))
    samples = samples_of_standings(known, now=now)
    assert samples is not None
    assert census(samples).live == 0
