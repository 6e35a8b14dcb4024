"""Security requirements TO: both limits are judged on the server, and nothing lengthens them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from flow_site import NOBODY, Site, login, look, put, renew, still
from visitors import ABSOLUTE, BY_COOKIE, IDLE, Visitor, sessions_of, signed_in

from flask_sessionkit import fresh_login_required
from flask_sessionkit.testing import FrozenClock

MakeSite = Callable[..., Site]


@pytest.mark.requirement("TO-01")
def test_an_idle_session_ends_on_the_server(site: Site) -> None:
    visitor = signed_in(site)

    site.clock.tick(IDLE - 1)
    assert visitor.sees.user == "ann"
    site.clock.tick(IDLE)

    assert site.dead(*visitor.held)


@pytest.mark.requirement("TO-02")
def test_no_activity_lengthens_the_absolute_limit(site: Site) -> None:
    visitor = signed_in(site)

    visitor.stays(ABSOLUTE - 1200)
    site.clock.tick(1199)
    visitor.does(put(v=1))
    assert visitor.sees.user == "ann"
    site.clock.tick(1)

    assert site.dead(*visitor.held)


@pytest.mark.requirement("TO-03")
def test_a_renewal_keeps_the_clock(site: Site) -> None:
    visitor = signed_in(site)
    visitor.stays(ABSOLUTE - 3600)

    visitor.does(renew)

    visitor.stays(2400)
    site.clock.tick(1199)
    assert visitor.sees.user == "ann"
    site.clock.tick(1)
    assert site.dead(*visitor.held)


@pytest.mark.requirement("TO-03")
def test_a_login_resets_the_clock(site: Site) -> None:
    visitor = signed_in(site)
    visitor.stays(ABSOLUTE - 3600)

    visitor.does(login("ann"))

    visitor.stays(ABSOLUTE - 1200)
    site.clock.tick(1199)
    assert visitor.sees.user == "ann"
    site.clock.tick(1)
    assert site.dead(*visitor.held)


@pytest.mark.requirement("TO-04")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_touching_seldom_never_lengthens_the_idle_window(make_site: MakeSite) -> None:
    """Of the other kinds the flow tests hold it, by 1,000 patterns."""
    site = make_site(SESSIONKIT_IDLE_TIMEOUT=900, SESSIONKIT_TOUCH_INTERVAL=60)
    dice = random.Random(4)

    for _ in range(150):
        visitor = Visitor(site)
        visitor.does(put(n=1))
        for _ in range(dice.randrange(8)):
            site.clock.tick(dice.choice([1, 30, 59, 60, 61, 300, dice.uniform(0, 830)]))
            assert visitor.sees != NOBODY
        site.clock.tick(840)
        assert site.seen(visitor.token) != NOBODY
        site.clock.tick(60)
        assert site.dead(*visitor.held)


@pytest.mark.requirement("TO-06")
def test_a_lowered_idle_timeout_holds_for_sessions_that_live(make_site: MakeSite) -> None:
    visitor = signed_in(make_site())
    lowered = make_site(SESSIONKIT_IDLE_TIMEOUT=600)

    lowered.clock.tick(600)

    assert lowered.dead(*visitor.held)


@pytest.mark.requirement("TO-06")
def test_a_lowered_absolute_timeout_holds_for_sessions_that_live(make_site: MakeSite) -> None:
    visitor = signed_in(make_site())
    visitor.stays(3600)

    assert make_site(SESSIONKIT_ABSOLUTE_TIMEOUT=3600).dead(*visitor.held)


@pytest.mark.requirement("TO-08")
def test_an_expired_session_is_removed_when_met_and_cannot_be_revived(site: Site) -> None:
    visitor = signed_in(site)
    site.clock.tick(IDLE)

    assert site.dead(*visitor.held)
    site.clock.tick(-IDLE + 100)

    assert site.dead(*visitor.held)
    assert sessions_of(site) == []


@pytest.mark.requirement("TO-09")
@pytest.mark.parametrize(("ahead", "lives"), [(60, True), (61, False), (3600, False)])
def test_a_session_from_the_future_is_refused(make_site: MakeSite, ahead: int, lives: bool) -> None:
    there = make_site(clock=FrozenClock(1_700_000_000.0 + ahead))
    here = make_site()
    token = there.token(login("ann"))

    with here.events() as heard:
        assert here.seen(token).user == ("ann" if lives else None)

    assert heard == ([] if lives else [("session_refused", {"reason": "future"})])


@BY_COOKIE
@pytest.mark.requirement("TO-10")
def test_a_cookie_ends_with_the_browser_unless_that_is_asked_for(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_REMEMBER_TIMEOUT=ABSOLUTE, PERMANENT_SESSION_LIFETIME=ABSOLUTE)
    plain = site.ask(None, login("ann")).response.headers["Set-Cookie"]
    visitor = signed_in(site, remember=True)
    site.clock.tick(3600)
    later = visitor.does(look).response.headers["Set-Cookie"]

    assert "Max-Age" not in plain
    assert "Expires" not in plain
    assert f"; Max-Age={ABSOLUTE - 3600};" in later


@pytest.mark.requirement("TO-11")
def test_a_fresh_login_is_one_that_was_typed_in(site: Site) -> None:
    visitor = signed_in(site)
    sudo, api = fresh_login_required(still), {"Accept": "application/json"}

    for _ in range(14):
        site.clock.tick(60)
        assert visitor.sees.user == "ann"
    site.clock.tick(59)
    visitor.does(sudo)
    site.clock.tick(1)

    visitor.does(sudo, status=401, headers=api)
    visitor.does(renew)
    visitor.does(sudo, status=401, headers=api)
    visitor.does(login("ann"))
    visitor.does(sudo)


@pytest.mark.requirement("TO-12")
def test_a_passive_view_is_no_activity(site: Site) -> None:
    visitor = signed_in(site)

    for n in range(IDLE // 300 - 1):
        site.clock.tick(300)
        visitor.does(put(n=n), path="/passive")
    assert visitor.does(look, path="/passive").value.user == "ann"
    site.clock.tick(300)

    assert site.dead(*visitor.held)
