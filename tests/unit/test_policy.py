"""How long a session may live. TO-01, TO-02, TO-04, TO-06, TO-09."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flask_sessionkit.clock import CLOCK_SKEW, settled, touch_is_due
from flask_sessionkit.policy import Limits, Timeouts, Times
from flask_sessionkit.reasons import Reason

NOW = 1_700_000_000.0
# Whole seconds, so that sums are exact and "at that second" means it.
MOMENTS = st.integers(-100_000, 100_000).map(lambda second: NOW + second)
SPANS = st.integers(1, 50_000).map(float)
TIMES = st.builds(Times, MOMENTS, st.none() | MOMENTS, MOMENTS, SPANS, MOMENTS)
LIMITS = st.builds(Limits, SPANS, SPANS)
A_SESSION = Times(created_at=NOW, login_at=None, seen_at=NOW, idle=900.0, absolute_at=NOW + 3600)


def test_the_idle_limit_ends_at_its_own_second() -> None:
    assert A_SESSION.verdict(NOW + 899) is None
    assert A_SESSION.verdict(NOW + 900) is Reason.IDLE


def test_the_absolute_limit_ends_at_its_own_second_whatever_was_seen() -> None:
    active = replace(A_SESSION, seen_at=NOW + 3599)

    assert active.verdict(NOW + 3599) is None
    assert active.verdict(NOW + 3600) is Reason.ABSOLUTE


@given(TIMES, MOMENTS)
def test_a_session_lives_until_it_expires(times: Times, now: float) -> None:
    assert (times.verdict(now) is None) == (now < times.expires_at(now))


@given(TIMES, MOMENTS, SPANS)
def test_nothing_that_was_dead_lives_later(times: Times, now: float, later: float) -> None:
    """But for one seen ahead of the clock, which counts as seen now as long as it is so."""
    if times.seen_at <= now and times.verdict(now) is not None:
        assert times.verdict(now + later) is not None


@given(TIMES, LIMITS, MOMENTS)
def test_todays_limits_only_shorten(times: Times, limits: Limits, now: float) -> None:
    today = times.under(limits)

    assert today.expires_at(now) <= times.expires_at(now)
    assert today.idle == min(times.idle, limits.idle)
    assert today.absolute_at == min(times.absolute_at, times.started_at + limits.absolute)


@given(TIMES, LIMITS)
def test_limits_hold_once(times: Times, limits: Limits) -> None:
    assert times.under(limits).under(limits) == times.under(limits)


@given(TIMES, LIMITS, MOMENTS, SPANS)
def test_activity_never_moves_the_absolute_end(times: Times, limits: Limits, now: float, later: float) -> None:
    touched = replace(times, seen_at=now + later).under(limits)

    assert touched.absolute_at == times.under(limits).absolute_at


def test_a_lowered_timeout_holds_at_once() -> None:
    under_12_hours = Times(NOW, None, NOW + 7200, idle=1800, absolute_at=NOW + 43200)

    assert under_12_hours.verdict(NOW + 7200) is None
    assert under_12_hours.under(Limits(idle=1800, absolute=3600)).verdict(NOW + 7200) is Reason.ABSOLUTE


def test_the_absolute_limit_counts_from_the_login() -> None:
    signed_in = replace(A_SESSION, login_at=NOW + 100, absolute_at=NOW + 100_000)

    assert signed_in.started_at == NOW + 100
    assert signed_in.under(Limits(900, 3600)).absolute_at == NOW + 3700


@pytest.mark.requirement("TO-04")
@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), st.integers(0, 2000))
def test_writing_last_seen_seldom_never_lengthens_the_idle_window(pauses: list[int], after: int) -> None:
    """TO-04, with an idle timeout of 900 s, of which activity is written every 60 s."""
    times, now = replace(A_SESSION, absolute_at=NOW + 1e6), NOW
    for pause in pauses:
        now += pause
        if touch_is_due(times.seen_at, now, 60.0):
            times = replace(times, seen_at=now)

    assert times.verdict(now + after) is None or after >= 900 - 60
    assert times.verdict(now + after) is Reason.IDLE or after < 900


@pytest.mark.parametrize("ahead", [0.0, CLOCK_SKEW])
def test_a_clock_that_differs_a_little_is_believed(ahead: float) -> None:
    assert not replace(A_SESSION, created_at=NOW + ahead).is_from_future(NOW)
    assert not replace(A_SESSION, login_at=NOW + ahead).is_from_future(NOW)
    assert settled(NOW + ahead, NOW) == NOW + ahead


def test_times_further_ahead_are_not() -> None:
    ahead = NOW + CLOCK_SKEW + 1

    assert replace(A_SESSION, created_at=ahead).is_from_future(NOW)
    assert replace(A_SESSION, login_at=ahead).is_from_future(NOW)
    assert replace(A_SESSION, created_at=ahead, login_at=NOW).is_from_future(NOW)
    assert settled(ahead, NOW) == NOW


@pytest.mark.parametrize("seen_at", [NOW + 3600, math.inf, math.nan])
def test_a_last_seen_that_cannot_be_counts_as_now_and_is_written_anew(seen_at: float) -> None:
    """It stands beside the seal: whoever can write to the store chooses it."""
    odd = replace(A_SESSION, seen_at=seen_at)

    assert settled(seen_at, NOW) == NOW
    assert touch_is_due(seen_at, NOW, 60.0)
    assert odd.expires_at(NOW) == NOW + 900
    assert odd.verdict(NOW) is None


def test_last_seen_is_due_after_the_interval_and_not_before() -> None:
    assert not touch_is_due(NOW, NOW + 59, 60.0)
    assert touch_is_due(NOW, NOW + 60, 60.0)


def test_permanent_sessions_have_limits_of_their_own() -> None:
    timeouts = Timeouts(idle=1, absolute=2, fresh=3, remember=4, touch_interval=5)

    assert timeouts.limits(permanent=False, permanent_idle=9) == Limits(idle=1, absolute=2)
    assert timeouts.limits(permanent=True, permanent_idle=9) == Limits(idle=9, absolute=4)


@pytest.mark.parametrize(
    ("absolute_at", "reason"), [(99.0, Reason.ABSOLUTE), (100.0, Reason.ABSOLUTE), (101.0, Reason.IDLE)]
)
def test_the_limit_that_comes_first_is_the_one_that_ends_it(absolute_at: float, reason: Reason) -> None:
    times = Times(created_at=0.0, login_at=None, seen_at=40.0, idle=60.0, absolute_at=absolute_at)

    assert times.ends_because(50.0) is reason
    assert times.verdict(times.expires_at(50.0)) is reason
