"""Security requirements TR: what ended stays ended, whoever kept a copy of the cookie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from flow_site import Seen, Site, login, logout, look, pausing, put, renew, still
from flow_stores import keys_in
from visitors import ABSOLUTE, sessions_of, signed_in, where

from flask_sessionkit import ConfigError, SessionKit, login_user, logout_user, logout_view
from flask_sessionkit.stores.base import GRACE
from flask_sessionkit.testing import FrozenClock

MakeSite = Callable[..., Site]
START = 1_700_000_000.0
SECRET = "0123456789abcdef-0123456789ABCDEF"


@pytest.mark.requirement("TR-01")
@pytest.mark.parametrize("end", [logout, logout_view(still)], ids=["logout_user", "logout_view"])
def test_after_a_logout_no_earlier_cookie_opens_anything(site: Site, end: Callable[[], Any]) -> None:
    visitor = signed_in(site)
    for change in (put(n=1), put(n=2), renew, put(n=3)):
        visitor.does(change)
    site.clock.tick(60)
    assert visitor.sees.user == "ann"

    assert visitor.does(end).forgets

    assert site.dead(*visitor.held)
    assert sessions_of(site) == []


def deployed(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET, SESSIONKIT_STORE="cookie:", **config)
    SessionKit(app)
    app.add_url_rule("/in", "in", lambda: login_user("ann") or "in", methods=["POST"])
    app.add_url_rule("/out", "out", lambda: logout_user() or "out", methods=["POST"])
    app.add_url_rule("/me", "me", lambda: str(session.user_id))  # type: ignore[attr-defined]  # the kit's own
    return app


@pytest.mark.requirement("TR-02")
def test_sessions_in_the_browser_need_a_store_that_knows_what_ended() -> None:
    with pytest.raises(ConfigError, match="SESSIONKIT_REVOCATION_STORE"):
        deployed()


@pytest.mark.requirement("TR-02")
@pytest.mark.parametrize("forgetful", ["memory:", "memcached://localhost:11211"])
def test_a_store_that_forgets_does_not_do_for_them(forgetful: str) -> None:
    with pytest.raises(ConfigError, match="SESSIONKIT_REVOCATION_STORE must outlive"):
        deployed(SESSIONKIT_REVOCATION_STORE=forgetful)


@pytest.mark.requirement("TR-02")
def test_without_one_on_purpose_a_line_in_the_log_says_what_a_logout_is_worth(caplog: pytest.LogCaptureFixture) -> None:
    """And it is worth that much: the documented limit."""
    caplog.set_level(logging.WARNING, "flask_sessionkit")
    client = deployed(SESSIONKIT_REVOCATION_STORE=None).test_client(use_cookies=False)
    https = "https://shop.example"
    kept = client.post("/in", base_url=https).headers["Set-Cookie"].partition(";")[0]

    out = client.post("/out", base_url=https, headers={"Cookie": kept})

    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert client.get("/me", base_url=https, headers={"Cookie": kept}).text == "ann"
    [warning] = caplog.messages
    assert "a cookie that was copied stays valid" in warning


@pytest.mark.requirement("TR-03")
def test_a_revocation_ends_all_sessions_of_a_user_on_every_server(make_site: MakeSite) -> None:
    one, two = make_site(), make_site()
    anns = [signed_in(site) for site in (one, one, one, two, two)]
    bob = signed_in(one, "bob")

    assert one.outside(one.kit.revoke_user, "ann") == 5

    tokens = [token for ann in anns for token in ann.held]
    assert one.dead(*tokens)
    assert two.dead(*tokens)
    assert bob.sees.user == "bob"


@pytest.mark.requirement("TR-03", "TR-10")
def test_a_login_in_the_same_second_survives_a_revocation_though_clocks_differ(make_site: MakeSite) -> None:
    here, there = make_site(), make_site(clock=FrozenClock(START + 5))
    old = [*signed_in(here).held, *signed_in(there).held]

    assert here.outside(here.kit.revoke_user, "ann") == 2
    new = [*signed_in(here).held, *signed_in(there).held]

    for site in (here, there):
        assert site.dead(*old)
        assert where(site, *new) == ["ann", "ann"]


@pytest.mark.requirement("TR-04")
def test_a_change_of_password_can_spare_the_session_that_made_it(site: Site) -> None:
    others = [signed_in(site) for _ in range(2)]
    current = signed_in(site)
    current.does(put(cart=1))
    before = list(current.held)

    answer = current.does(lambda: site.kit.revoke_user("ann", keep_current=True))

    assert answer.value == 2
    assert site.dead(*before, *(token for other in others for token in other.held))
    assert current.sees == Seen("ann", {"cart": 1})


@pytest.mark.requirement("TR-05")
def test_users_list_and_end_sessions_of_their_own_and_no_others(site: Site) -> None:
    first = signed_in(site)
    site.clock.tick(1)
    second, bob = signed_in(site), signed_in(site, "bob")
    rows = second.does(lambda: site.kit.sessions_of("ann")).value
    assert [row.current for row in rows] == [True, False]

    assert bob.does(lambda: site.kit.revoke(rows[1].handle, user_id="bob")).value == 0
    assert first.sees.user == "ann"
    assert second.does(lambda: site.kit.revoke(rows[1].handle, user_id="ann")).value == 1

    assert site.dead(*first.held)
    assert second.sees.user == "ann"


@pytest.mark.requirement("TR-07")
@pytest.mark.parametrize("kind", ["memory", "cookie"], indirect=True)
def test_a_logout_clears_the_browser_if_told_to(make_site: MakeSite) -> None:
    visitor = signed_in(make_site(SESSIONKIT_CLEAR_SITE_DATA=True))
    header = "Clear-Site-Data"

    assert header not in visitor.does(look).response.headers
    assert visitor.does(logout).response.headers[header] == '"cache", "cookies", "storage"'
    assert header not in visitor.does(logout).response.headers
    assert header not in signed_in(make_site()).does(logout).response.headers


@pytest.mark.requirement("TR-08")
def test_a_logout_without_a_session_does_nothing(site: Site) -> None:
    for _ in range(50):
        assert site.ask(None, logout).says_nothing

    assert pausing(site).counts == {}
    assert keys_in(site.store) == []


@pytest.mark.requirement("TR-09")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_what_ended_is_known_as_long_as_a_cookie_of_it_could_live_and_no_longer(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_IDLE_TIMEOUT=ABSOLUTE)
    stays, leaves = signed_in(site, "bob"), signed_in(site)
    leaves.does(logout)

    site.clock.tick(ABSOLUTE - 1)
    assert where(site, stays.held[0]) == ["bob"]
    assert site.dead(*leaves.held)
    assert site.purge() == 0
    site.clock.tick(1 + 3 * 60 + GRACE)

    assert site.purge() == 2
    assert keys_in(site.store) == []
    assert site.dead(*leaves.held, *stays.held)


@pytest.mark.requirement("TR-11")
def test_a_user_who_is_gone_has_no_session(site: Site) -> None:
    users = {"ann": "her password", "bob": "his"}
    site.kit.user_stamp(users.get)
    ann, bob = signed_in(site), signed_in(site, "bob")
    assert ann.sees.user == "ann"

    del users["ann"]

    assert site.dead(*ann.held)
    assert sessions_of(site) == []
    assert bob.sees.user == "bob"


@pytest.mark.requirement("TR-12", "ST-09")
@pytest.mark.parametrize("view", [look, put(v=1), login("bob"), logout, renew])
def test_where_nobody_can_tell_whether_it_ended_a_session_is_refused(site: Site, view: Callable[[], Any]) -> None:
    visitor = signed_in(site)
    pausing(site).fail("load")

    answer = visitor.does(view, status=503)

    assert answer.says_nothing
    assert "Retry-After" in answer.response.headers
    assert visitor.sees.user == "ann"
