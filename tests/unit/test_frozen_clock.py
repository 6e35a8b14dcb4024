"""The clock of tests moves when it is told to, and not otherwise."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from flask_sessionkit.clock import Clock
from flask_sessionkit.testing import FrozenClock, race


def test_it_stands_still():
    clock = FrozenClock()

    assert [clock.now(), clock.now()] == [1_700_000_000.0] * 2
    assert [clock.elapsed(), clock.elapsed()] == [0.0, 0.0]


def test_it_starts_where_it_is_told_to():
    assert FrozenClock(start=5.0).now() == 5.0


def test_a_tick_moves_both_times():
    clock: Clock = FrozenClock()

    clock.tick(1800.5)

    assert clock.now() == 1_700_001_800.5
    assert clock.elapsed() == 1800.5


def test_a_clock_that_is_set_back_does_not_take_back_what_elapsed():
    clock = FrozenClock()
    clock.tick(10)

    clock.tick(-300)

    assert clock.now() == 1_700_000_000.0 - 290
    assert clock.elapsed() == 10


def test_a_pause_counts_as_elapsed_without_waiting():
    clock = FrozenClock()
    before = time.monotonic()

    clock.pause(3600)

    assert time.monotonic() - before < 60
    assert clock.elapsed() == 3600
    assert clock.now() == 1_700_000_000.0


@pytest.mark.parametrize("step", ["tick", "pause"])
def test_no_step_is_lost_between_threads(step):
    clock = FrozenClock()

    race(*[lambda _: [getattr(clock, step)(1) for _ in range(2000)]] * 4)

    assert clock.elapsed() == 8000


def test_it_ticks_by_a_duration_too() -> None:
    clock = FrozenClock(100.0)

    clock.tick(timedelta(minutes=1))

    assert clock.now() == 160.0
    assert clock.elapsed() == 60.0


def test_what_a_tick_is_given_is_added_up() -> None:
    clock = FrozenClock(0.0)

    clock.tick(timedelta(seconds=5), minutes=1, hours=2, days=3)

    assert clock.now() == clock.elapsed() == 5 + 60 + 7_200 + 259_200


@pytest.mark.parametrize("wrong", ["1h", None, [60]])
def test_what_is_no_time_is_told(wrong) -> None:
    clock = FrozenClock()

    with pytest.raises(TypeError) as raised:
        clock.tick(wrong)
    assert str(raised.value) == (
        f"seconds of tick() must be a number or a timedelta, not {type(wrong).__name__}. Use tick(hours=1)."
    )
    assert clock.now() == 1_700_000_000.0
