"""What browsers and caches are told of a session. Ids are of SECURITY.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Response, flash, redirect, session
from flow_site import Seen, Site, append, both, login, logout, look, make_permanent, put, still, wipe

MakeSite = Callable[..., Site]


@pytest.mark.requirement("CA-01", "CA-04")
def test_vary_is_told_where_the_session_was_looked_at(site: Site) -> None:
    """CA-01, CA-04."""
    assert site.ask(None, look).response.headers["Vary"] == "Cookie"
    assert "Vary" not in site.ask(None, still).response.headers


@pytest.mark.requirement("CA-03")
def test_a_response_that_sets_or_deletes_the_cookie_is_not_stored(site: Site) -> None:
    """CA-03."""

    def shared() -> Response:
        session["cart"] = 1
        return Response("x", headers={"Cache-Control": "public, max-age=600"})

    answer = site.ask(None, shared)
    assert answer.response.headers["Cache-Control"] == "no-store"
    assert site.ask(answer.token, wipe).response.headers["Cache-Control"] == "no-store"


def test_a_page_of_a_user_is_not_stored_unless_the_view_says_so(site: Site) -> None:
    token = site.token(login("ann"))

    def private() -> Response:
        look()
        return Response("x", headers={"Cache-Control": "private, max-age=5"})

    assert site.ask(token, look).response.headers["Cache-Control"] == "no-store"
    assert site.ask(token, private).response.headers["Cache-Control"] == "private, max-age=5"


def test_a_page_of_nobody_may_be_stored(site: Site) -> None:
    assert "Cache-Control" not in site.ask(site.token(put(cart=1)), look).response.headers


@pytest.mark.requirement("CK-08")
def test_an_unchanged_session_sends_no_cookie(site: Site) -> None:
    """CK-08."""
    token = site.token(both(login("ann"), put(cart=[1])))

    assert all(site.ask(token, look).says_nothing for _ in range(10))


def test_a_changed_session_sends_no_cookie(site: Site) -> None:
    token = site.token(put(cart=[1]))

    assert site.ask(token, append("cart", 2)).says_nothing


def test_a_permanent_session_that_was_looked_at_sends_its_cookie_again(site: Site) -> None:
    token = site.token(both(put(cart=1), make_permanent))

    assert site.ask(token, look).token == token
    assert site.ask(token, still).says_nothing


def test_a_request_that_is_no_activity_sends_no_cookie_again(site: Site) -> None:
    token = site.token(both(put(cart=1), make_permanent))

    assert site.ask(token, look, path="/passive").says_nothing
    assert site.ask(token, look, headers={"Sec-Purpose": "prefetch"}).says_nothing


def test_a_permanent_session_sends_its_cookie_once_where_flask_is_told_so(make_site: MakeSite) -> None:
    site = make_site(SESSION_REFRESH_EACH_REQUEST=False)
    token = site.token(both(put(cart=1), make_permanent))

    assert site.ask(token, look).says_nothing
    assert site.ask(token, put(cart=2)).token == token


@pytest.mark.requirement("TO-10")
def test_only_a_permanent_session_has_a_cookie_that_outlives_the_browser(site: Site) -> None:
    """TO-10: its Max-Age is what is left until the absolute end."""
    plain = site.ask(None, put(cart=1)).response.headers["Set-Cookie"]
    answer = site.ask(None, both(put(cart=1), make_permanent))
    site.clock.tick(3600)
    later = site.ask(answer.token, look).response.headers["Set-Cookie"]

    assert "Max-Age" not in plain
    assert "Expires" not in plain
    assert "Max-Age=2592000" in answer.response.headers["Set-Cookie"]
    assert "Max-Age=2588400" in later


def test_a_session_that_is_no_longer_permanent_sends_a_cookie_that_ends_with_the_browser(site: Site) -> None:
    token = site.token(both(put(cart=1), make_permanent))

    answer = site.ask(token, lambda: setattr(session, "permanent", False))

    assert answer.token == token
    assert "Max-Age" not in answer.response.headers["Set-Cookie"]


@pytest.mark.requirement("CC-04")
def test_a_slow_read_of_a_permanent_session_does_not_put_the_old_token_back(site: Site) -> None:
    """CC-04."""
    old = site.token(both(put(cart=1), make_permanent))

    def slowly() -> None:
        look()
        site.clock.tick(1)
        site.token(login("ann"), old)

    assert site.ask(old, slowly).says_nothing


def test_a_dead_cookie_beside_a_live_one_changes_nothing(site: Site) -> None:
    dead, live = site.token(login("ann")), site.token(login("ann"))
    site.ask(dead, logout)
    both_cookies = {"Cookie": f"session={dead}; session={live}"}

    assert site.ask(None, look, headers=both_cookies).value.user == "ann"
    answer = site.ask(None, both(logout, lambda: flash("bye")), headers=both_cookies)

    assert site.dead(live)
    assert site.seen(answer.token) == Seen(None, {"_flashes": [("message", "bye")]})


def test_a_redirect_after_a_login_carries_the_cookie(site: Site) -> None:
    answer = site.ask(None, both(login("ann"), lambda: redirect("/")), status=302)

    assert site.seen(answer.token).user == "ann"
