"""When a session ends by itself, and what keeps it alive. Ids are of SECURITY.md."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from flask import session
from flow_ends import ABSOLUTE, ELSEWHERE, IDLE, KNOWN, START
from flow_site import (
    NOBODY,
    Site,
    both,
    ended_because,
    login,
    look,
    make_permanent,
    pausing,
    put,
    remembered,
    renew,
    still,
    wipe,
)

from flask_sessionkit import fresh_login_required, login_required
from flask_sessionkit.testing import Crash, PausingStore
from flask_sessionkit.tokens import key_of

MakeSite = Callable[..., Site]


@pytest.mark.requirement("TO-01")
def test_the_idle_timeout_is_enforced_by_the_server(site: Site) -> None:
    """TO-01."""
    token = site.token(login("ann"))

    site.clock.tick(IDLE - 1)
    assert site.seen(token).user == "ann"
    site.clock.tick(IDLE)
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-02")
def test_the_absolute_timeout_is_never_extended(site: Site) -> None:
    """TO-02."""
    token = site.token(login("ann"))

    for minute in range(1, ABSOLUTE // 60):
        site.clock.tick(60)
        assert site.seen(token).user == "ann", minute
    site.clock.tick(59)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


def keep_alive(site: Site, token: str, seconds: int) -> None:
    for _ in range(seconds // 1200):
        site.clock.tick(1200)
        assert site.seen(token) != NOBODY


@pytest.mark.requirement("TO-03")
def test_a_renewal_keeps_the_clock(site: Site) -> None:
    """TO-03."""
    token = site.token(login("ann"))
    keep_alive(site, token, 11 * 3600)

    token = site.token(renew, token)

    site.clock.tick(1200)
    site.seen(token)
    site.clock.tick(1200)
    site.seen(token)
    site.clock.tick(1199)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-03")
def test_a_login_resets_the_clock(site: Site) -> None:
    """TO-03."""
    token = site.token(login("ann"))
    keep_alive(site, token, 11 * 3600)

    token = site.token(login("ann"), token)

    keep_alive(site, token, 12 * 3600 - 1200)
    site.clock.tick(1199)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


def test_a_write_keeps_the_absolute_end(site: Site) -> None:
    token = site.token(both(login("ann"), put(n=0)))

    for n in range(35):
        site.clock.tick(1200)
        site.ask(token, put(n=n + 1))
    site.clock.tick(1200)

    assert site.seen(token) == NOBODY


def test_a_session_that_becomes_permanent_lives_as_long_as_one(site: Site) -> None:
    token = site.token(login("ann"))

    site.ask(token, make_permanent)
    site.clock.tick(29 * 86_400)

    assert site.seen(token).user == "ann"
    site.clock.tick(86_400)
    assert site.seen(token) == NOBODY


def test_a_remembered_login_lives_as_long_as_a_permanent_one(site: Site) -> None:
    token = site.token(login("ann", remember=True))

    site.clock.tick(30 * 86_400 - 1)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


def test_the_idle_limit_of_a_permanent_session_is_flasks(make_site: MakeSite) -> None:
    site = make_site(PERMANENT_SESSION_LIFETIME=600)
    token = site.token(login("ann", remember=True))

    site.clock.tick(599)
    assert site.seen(token).user == "ann"
    site.clock.tick(600)
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-04")
@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_throttled_touches_never_lengthen_the_idle_window(make_site: MakeSite) -> None:
    """TO-04: 1,000 random activity patterns. It is the pattern that matters here, and the stores keep the contract."""
    site = make_site(SESSIONKIT_IDLE_TIMEOUT=900, SESSIONKIT_TOUCH_INTERVAL=60)
    dice = random.Random(4)
    shortest = 900.0

    for _ in range(1000):
        token = site.token(put(n=1))
        last = site.clock.now()
        for _ in range(dice.randrange(8)):
            site.clock.tick(dice.choice([1, 30, 59, 60, 61, 300, dice.uniform(0, 830)]))
            assert site.seen(token) != NOBODY
            last = site.clock.now()
        probe = dice.uniform(830, 960)
        site.clock.tick(probe)
        if site.seen(token) == NOBODY:
            shortest = min(shortest, site.clock.now() - last)
        else:
            assert site.clock.now() < last + 900
            site.ask(token, wipe)
        site.purge()

    assert shortest > 900 - 60


@pytest.mark.requirement("TO-06")
def test_lowering_the_idle_timeout_applies_at_once(make_site: MakeSite) -> None:
    """TO-06."""
    token = make_site().token(login("ann"))
    lowered = make_site(SESSIONKIT_IDLE_TIMEOUT=300, SESSIONKIT_TOUCH_INTERVAL=30)

    lowered.clock.tick(300)

    assert lowered.ask(token, both(look, ended_because)).value == "idle"
    assert make_site().seen(token) == NOBODY


@pytest.mark.requirement("TO-06")
def test_a_lowered_idle_timeout_is_not_lengthened_by_who_dies_on_finding_out(make_site: MakeSite) -> None:
    """TO-06: the touch of a load comes before the verdict, and after it nobody may be there to end the session."""
    before = make_site()
    token = before.token(login("ann"))
    lowered = make_site(SESSIONKIT_IDLE_TIMEOUT=300, SESSIONKIT_TOUCH_INTERVAL=30)
    lowered.clock.tick(300)
    pausing(lowered).crash("replace")

    with pytest.raises(Crash):
        lowered.ask(token, look)

    assert before.ask(token, lambda: session.seen_at, path="/passive").value == START
    assert lowered.seen(token) == NOBODY


def test_a_permanent_session_is_touched_past_the_idle_timeout_of_others(make_site: MakeSite) -> None:
    """Its own limit is known only after the load: the touch is then a call of its own."""
    site = make_site(PERMANENT_SESSION_LIFETIME=7200)
    token = site.token(both(login("ann"), lambda: setattr(session, "permanent", True)))

    for _ in range(5):
        site.clock.tick(7000)
        assert site.seen(token).user == "ann"


@pytest.mark.requirement("TO-06")
def test_lowering_the_absolute_timeout_applies_at_once(make_site: MakeSite) -> None:
    """TO-06."""
    before = make_site()
    token = before.token(login("ann"))
    keep_alive(before, token, 7200)

    lowered = make_site(SESSIONKIT_ABSOLUTE_TIMEOUT=3600)

    assert lowered.ask(token, both(look, ended_because)).value == "absolute"
    assert before.seen(token) == NOBODY


def test_raising_a_timeout_does_not_lengthen_a_session_until_it_is_written(make_site: MakeSite) -> None:
    token = make_site().token(login("ann"))
    raised = make_site(SESSIONKIT_IDLE_TIMEOUT=3600)

    raised.clock.tick(1800)

    assert raised.seen(token) == NOBODY


@pytest.mark.requirement("TO-02")
def test_raising_the_absolute_timeout_does_not_lengthen_a_session_that_lives(make_site: MakeSite) -> None:
    """TO-02: also not where it is written under the new setting."""
    token = make_site(SESSIONKIT_ABSOLUTE_TIMEOUT=3600).token(both(login("ann"), put(n=0)))
    raised = make_site()

    for n in range(3):
        raised.clock.tick(1000)
        raised.ask(token, put(n=n))
    raised.clock.tick(600)

    assert raised.ask(token, both(look, ended_because)).value == "absolute"


def test_why_a_session_ended_is_told_for_a_minute_though_it_ended_long_ago(site: Site) -> None:
    """A purge leaves the word of it where it is."""
    token = site.token(login("ann"))
    site.clock.tick(7200)

    assert site.ask(token, both(look, ended_because)).value == "idle"
    assert site.purge() == 0
    site.clock.tick(59)
    assert site.ask(token, ended_because).value == "idle"


@pytest.mark.parametrize("leave", [*ELSEWHERE.values(), *KNOWN], ids=[*ELSEWHERE, "logout", "login", "renewal"])
def test_what_an_end_leaves_in_the_store_says_nothing_of_the_user(
    site: Site, leave: Callable[[Site, str], None]
) -> None:
    token = site.token(both(login("ann"), put(cart=1)))
    leave(site, token)
    site.seen(token)

    record = site.store.load(key_of(token, "flows"), now=site.clock.now())

    assert record is not None
    assert (record.owner, record.info) == (None, b"")
    assert b"ann" not in record.payload
    assert b"cart" not in record.payload


@pytest.mark.requirement("TO-07")
def test_the_stores_own_expiry_is_not_the_only_check(site: Site, store: PausingStore) -> None:
    """TO-07: who can write to the store lengthens the idle window at most, and never the absolute one."""
    token = site.token(login("ann"))
    key = key_of(token, "flows")
    record = store.inner.load(key, now=START)
    assert record is not None
    fields = (
        {name: getattr(record, name) for name in type(record).__dataclass_fields__}
        if hasattr(type(record), "__dataclass_fields__")
        else {name: getattr(record, name) for name in type(record).__struct_fields__}
    )  # type: ignore[attr-defined]
    store.inner.delete(key)
    store.inner.create(type(record)(**{**fields, "idle": 1e9, "absolute_at": START + 1e9}))

    site.clock.tick(IDLE)

    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-08")
def test_an_expired_session_is_removed_when_met_and_stays_dead_though_the_clock_goes_back(site: Site) -> None:
    """TO-08."""
    token = site.token(login("ann"))
    site.clock.tick(IDLE)

    assert site.seen(token) == NOBODY
    assert site.live_records() == []
    site.clock.tick(-3600)
    assert site.seen(token) == NOBODY
    assert site.live_records() == []


@pytest.mark.requirement("TO-09")
@pytest.mark.parametrize(("ahead", "lives"), [(60, True), (61, False), (3600, False)])
def test_a_time_too_far_in_the_future_is_refused(site: Site, ahead: int, lives: bool) -> None:
    """TO-09."""
    token = site.token(login("ann"))
    site.clock.tick(-ahead)

    with site.events() as heard:
        assert (site.seen(token).user == "ann") is lives

    assert heard == ([] if lives else [("session_refused", {"reason": "future"})])


@pytest.mark.requirement("TO-11")
def test_a_sudo_needs_a_recent_login(site: Site) -> None:
    """TO-11."""
    token = site.token(login("ann"))
    sudo = fresh_login_required(still)

    for _ in range(14):
        site.clock.tick(60)
        site.seen(token)
    site.clock.tick(59)
    site.ask(token, sudo)
    site.clock.tick(1)

    site.ask(token, sudo, status=401, headers={"Accept": "application/json"})
    token = site.token(renew, token)
    site.ask(token, sudo, status=401, headers={"Accept": "application/json"})
    site.ask(site.token(login("ann"), token), sudo)


def test_a_remembered_user_is_not_fresh(site: Site) -> None:
    token = site.token(remembered("ann"))

    site.ask(token, fresh_login_required(still), status=401, headers={"Accept": "application/json"})
    site.ask(token, login_required(still))


@pytest.mark.requirement("TO-12")
def test_a_passive_view_does_not_count_as_activity(site: Site) -> None:
    """TO-12."""
    token = site.token(both(login("ann"), put(n=0)))

    for n in range(IDLE // 60 - 1):
        site.clock.tick(60)
        assert site.ask(token, put(n=n), path="/passive").status == 200
    assert site.ask(token, look, path="/passive").value.user == "ann"
    site.clock.tick(60)

    assert site.ask(token, look, path="/passive").value == NOBODY


@pytest.mark.requirement("TO-12")
def test_a_renewal_by_a_passive_view_does_not_count_as_activity(site: Site) -> None:
    """TO-12."""
    token = site.token(login("ann"))
    site.clock.tick(IDLE - 60)

    answer = site.ask(token, renew, path="/passive")
    site.clock.tick(60)

    assert site.seen(answer.token) == NOBODY


@pytest.mark.requirement("TO-12")
@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip", "prefetch , x"])
def test_what_a_browser_prefetches_does_not_count_as_activity(site: Site, purpose: str) -> None:
    """TO-12."""
    token = site.token(login("ann"))
    site.clock.tick(IDLE - 60)

    assert site.ask(token, look, method="GET", headers={"Sec-Purpose": purpose}).value.user == "ann"
    site.clock.tick(60)
    assert site.seen(token) == NOBODY


@pytest.mark.parametrize("purpose", ["", "PREFETCH", "prefetching", "prerender;prefetch", '"prefetch"', "x, prefetch"])
def test_a_request_of_another_purpose_counts_as_activity(site: Site, purpose: str) -> None:
    token = site.token(login("ann"))
    site.clock.tick(IDLE - 60)

    site.ask(token, look, method="GET", headers={"Sec-Purpose": purpose})
    site.clock.tick(60)

    assert site.seen(token).user == "ann"
