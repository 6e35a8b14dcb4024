"""Tokens in a header: in and out, alone and beside the cookie, on stores and sealed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Response, abort, request, session
from flask_wtf.csrf import CSRFProtect
from flow_fixtures import each_of
from flow_site import (
    NOBODY,
    Answer,
    Seen,
    Site,
    View,
    append,
    both,
    bump,
    drop,
    end_by_identity,
    failing,
    identify,
    login,
    logout,
    look,
    pausing,
    put,
    renew,
    still,
    wipe,
)
from flow_stores import EMBEDDED, open_store
from werkzeug.test import Client

from flask_sessionkit import login_required, logout_view
from flask_sessionkit.testing import PausingStore

MakeSite = Callable[..., Site]

NAME = "X-Session-Token"
SEALED = "sealed"


#: ``sealed``: sessions lie with the client, and the store knows which of them count.
kind = each_of([*EMBEDDED, pytest.param("redis", marks=pytest.mark.redis), SEALED])


@pytest.fixture
def store(kind: str, folder: Path) -> PausingStore:
    return PausingStore(open_store("memory" if kind == SEALED else kind, folder))


@pytest.fixture
def site_settings(kind: str) -> dict[str, Any]:
    """Tokens travel in headers."""
    return {"in_cookies": kind == SEALED, "by_header": True}


@pytest.fixture
def mixed(make_site: MakeSite) -> Site:
    """A site on which tokens travel either way; it shows us the cookie, ``asked`` the header."""
    return make_site(by_header=False, SESSIONKIT_TRANSPORT="both")


def asked(site: Site, token: str, view: View, *, cookie: str | None = None, **how: Any) -> Answer:
    """Send one request that has the header, on a site that knows both, and expect no cookie."""
    headers = {NAME: token, **({"Cookie": f"session={cookie}"} if cookie else {}), **how.pop("headers", {})}
    site.by_header = True
    try:
        return site.ask(None, view, headers=headers, **how)
    finally:
        site.by_header = False


# In and out.


@pytest.mark.parametrize("begin", [put(cart=1), login("ann"), identify("ann"), bump("n")])
def test_what_begins_a_session_sends_its_token(site: Site, begin: View) -> None:
    token = site.token(begin)

    assert site.seen(token) != NOBODY


RENEWALS = [login("ann"), login("bob"), renew, identify("bob"), both(end_by_identity, put(a=1))]


@pytest.mark.parametrize("change", RENEWALS)
def test_what_renews_the_token_sends_the_new_one_and_the_old_one_is_dead(site: Site, change: View) -> None:
    token = site.token(identify("ann"))

    new = site.token(change, token)

    assert new != token
    assert site.dead(token)
    assert site.seen(new) != NOBODY


def test_the_other_sessions_of_a_user_end_and_this_one_goes_on_under_a_new_token(site: Site) -> None:
    token, other = site.token(login("ann")), site.token(login("ann"))

    new = site.token(lambda: site.kit.revoke_user("ann", keep_current=True), token)

    assert site.dead(token, other)
    assert site.seen(new).user == "ann"


def test_a_read_says_nothing(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=[1])))

    assert all(site.ask(token, view).says_nothing for view in (still, look, look))


def test_a_change_sends_a_token_where_the_token_is_the_session(site: Site, kind: str) -> None:
    token = site.token(put(cart=[1]))

    answer = site.ask(token, append("cart", 2))

    assert answer.says_nothing == (kind != SEALED)
    assert site.seen(answer.token or token).data == {"cart": [1, 2]}


@pytest.mark.parametrize("kind", [SEALED], indirect=True)
def test_a_sealed_token_says_when_it_was_seen(site: Site) -> None:
    token = site.token(login("ann"))
    for _ in range(3):
        site.clock.tick(1000)
        token = site.token(look, token)

    assert site.seen(token).user == "ann"


@pytest.mark.parametrize("kind", [SEALED], indirect=True)
def test_a_sealed_token_has_the_size_of_a_cookie_at_most(site: Site) -> None:
    token = site.token(put(a=1))

    answer = site.ask(token, put(much="x" * 4000), status=500)

    assert answer.says_nothing
    assert site.seen(token).data == {"a": 1}
    assert len(site.token(put(much="x" * 2000), token)) < 3800


@pytest.mark.parametrize("end", [logout, logout_view(still), both(logout, lambda: Response("bye"))])
def test_an_end_tells_to_drop_the_token(site: Site, end: View) -> None:
    token = site.token(both(login("ann"), put(cart=1)))

    answer = site.ask(token, end)

    assert answer.response.headers[NAME] == ""
    assert answer.response.headers["Cache-Control"] == "no-store"
    assert site.dead(token)


@pytest.mark.parametrize("empty", [wipe, drop("cart")])
def test_what_empties_a_session_tells_to_drop_the_token(site: Site, empty: View) -> None:
    token = site.token(put(cart=1))

    assert site.ask(token, empty).response.headers[NAME] == ""


def test_what_is_written_after_an_end_has_a_token_of_its_own(site: Site) -> None:
    token = site.token(login("ann"))

    new = site.token(both(logout, put(said="bye")), token)

    assert site.dead(token)
    assert site.seen(new) == Seen(None, {"said": "bye"})


def test_a_permanent_session_needs_no_second_sending(site: Site, kind: str) -> None:
    """A header has no date at which the client forgets it."""
    token = site.token(login("ann", remember=True))
    site.clock.tick(10)

    assert site.ask(token, look).says_nothing
    plain = site.token(put(a=1))
    becomes = site.ask(plain, lambda: setattr(session, "permanent", True))
    assert becomes.says_nothing == (kind != SEALED)
    site.clock.tick(20 * 86400)
    assert site.ask(token, look).value.user == "ann"


def test_a_forced_save_sends_no_token_that_the_client_has(make_site: MakeSite, kind: str) -> None:
    site = make_site()
    token = site.token(put(a=1))

    answer = site.ask(token, lambda: setattr(session, "modified", True))

    assert answer.token != token
    assert answer.says_nothing == (kind != SEALED)


def test_changed_settings_of_the_cookie_send_no_token_again(mixed: Site, kind: str) -> None:
    token = asked(mixed, "", put(a=1)).token
    cookie = mixed.token(put(a=1))
    assert token is not None

    mixed.app.config["SESSION_COOKIE_PATH"] = "/do"

    assert asked(mixed, token, put(b=2)).says_nothing == (kind != SEALED)
    assert mixed.ask(cookie, put(b=2)).token is not None


def test_an_error_sends_no_token(site: Site) -> None:
    token = site.token(put(a=1))

    assert site.ask(None, failing(login("ann")), status=500).says_nothing
    assert site.ask(token, failing(login("ann")), status=500).says_nothing
    assert site.ask(token, both(logout, lambda: abort(500)), status=500).forgets


def test_a_store_that_fails_sends_no_token(site: Site) -> None:
    token = site.token(login("ann"))
    pausing(site).fail("load")

    answer = site.ask(token, look, status=503)

    assert answer.says_nothing
    assert answer.response.headers["Vary"] == NAME


def test_a_header_of_another_name(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_HEADER_NAME="Shop-Session")
    response = site.ask(None, login("ann")).response
    token = response.headers["Shop-Session"]

    answer = site.ask(None, look, headers={"Shop-Session": token})

    assert answer.value.user == "ann"
    assert answer.response.headers["Vary"] == "Shop-Session"
    assert NAME not in response.headers
    assert site.ask(None, look, headers={NAME: token}).value == NOBODY


def test_servers_of_wsgi_take_the_header(site: Site) -> None:
    """PEP 3333: its value is a ``str`` and no kind of one."""
    values: list[Any] = []
    environ = {"flow.view": login("ann"), "flow.values": values}

    response = Client(validator(site.app)).post("/do", environ_overrides=environ)

    assert response.status_code == 200
    assert len(response.headers[NAME]) >= 43
    response.close()


# Caches.


def test_a_look_varies_by_the_header(site: Site) -> None:
    token = site.token(login("ann"))

    def view() -> Response:
        session.get("a")
        return Response("page", headers={"Vary": "Accept, cookie"})

    assert site.ask(token, look).response.headers["Vary"] == NAME
    assert site.ask(None, look).response.headers["Vary"] == NAME
    assert set(site.ask(token, view).response.vary) == {"Accept", "cookie", NAME}
    assert "Vary" not in site.ask(token, still).response.headers


def test_a_response_with_a_token_is_not_stored(site: Site) -> None:
    def view() -> Response:
        login("ann")()
        return Response("page", headers={"Cache-Control": "public, max-age=600"})

    assert site.ask(None, view).response.headers.getlist("Cache-Control") == ["no-store"]
    assert site.ask(site.token(login("ann")), look).response.headers["Cache-Control"] == "no-store"


def test_where_both_may_a_look_varies_by_both(mixed: Site) -> None:
    token = mixed.token(login("ann"))

    for answer in (mixed.ask(token, look), mixed.ask(None, look), asked(mixed, token, look), asked(mixed, "", look)):
        assert set(answer.response.vary) == {NAME, "Cookie"}


# What comes in.


@pytest.mark.requirement("ID-04")
def test_a_cookie_that_comes_along_is_ignored(site: Site) -> None:
    ann, bob = site.token(login("ann")), site.token(login("bob"))
    as_bob = {"Cookie": f"session={bob}; __Host-session={bob}"}

    assert site.ask(ann, look, headers=as_bob).value.user == "ann"
    pausing(site).reset()
    assert site.ask(None, look, headers=as_bob).value == NOBODY
    assert site.ask(None, logout, headers=as_bob).says_nothing
    assert pausing(site).counts == {}
    assert site.seen(bob).user == "bob"


@pytest.mark.requirement("ID-04")
def test_a_token_is_taken_from_the_header_only(site: Site) -> None:
    token = site.token(login("ann"))
    pausing(site).reset()

    for name in ("Session", "X-Session-Tokens", "Session-Token", "Authorization", "X-Session"):
        assert site.ask(None, look, headers={name: token}).value == NOBODY
    for path in (f"/do?session={token}", f"/do?{NAME}={token}", f"/do?x_session_token={token}"):
        assert site.ask(None, look, path=path).value == NOBODY

    assert pausing(site).counts == {}


@pytest.mark.requirement("ID-03", "IN-01")
@pytest.mark.parametrize(
    "spoilt",
    [
        "",
        " ",
        " {}",
        "{} ",
        "{}\t",
        "{},{}",
        "{}, {}",
        '"{}"',
        "Bearer {}",
        "session={}",
        "{}\x00",
        "\xe9{}",
        "{}\xa0",
        "\u00b2" * 43,
        "A" * 65536,
        "{}" + "A" * 65536,
        "undefined",
        "null",
    ],
)
def test_what_is_no_token_is_nobodys_and_costs_no_call(site: Site, listener: Any, spoilt: str) -> None:
    token = site.token(login("ann"))
    pausing(site).reset()
    listener.heard.clear()

    values: list[Any] = []
    environ = {"flow.view": look, "flow.values": values, "HTTP_X_SESSION_TOKEN": spoilt.replace("{}", token)}
    response = site.app.test_client(use_cookies=False).post("/do", environ_overrides=environ)

    assert values == [NOBODY]
    assert response.status_code == 200
    assert NAME not in response.headers
    assert pausing(site).counts == {}
    assert not [line for line in listener.heard if line.startswith("flask_sessionkit")]


@pytest.mark.requirement("ID-02")
def test_a_token_that_leads_nowhere_is_never_adopted(site: Site, make_site: MakeSite) -> None:
    foreign = make_site(SESSIONKIT_APP_ID="another").token(login("ann"))

    assert site.ask(foreign, look).says_nothing
    assert site.token(put(a=1), foreign) != foreign


# Both at once.


def test_without_the_header_the_cookie_counts_and_is_what_is_sent(mixed: Site) -> None:
    token = mixed.token(login("ann"))

    assert mixed.seen(token).user == "ann"
    assert mixed.ask(token, logout).forgets
    assert mixed.dead(token)


@pytest.mark.requirement("ID-04")
@pytest.mark.parametrize("value", ["", "not a token", "{}x", "A" * 43])
def test_with_the_header_no_cookie_counts_whatever_the_header_holds(mixed: Site, value: str) -> None:
    """Else another site could make use of the cookie, in a request that looks as if nobody else could send it."""
    cookie = mixed.token(login("ann"))

    seen = asked(mixed, value.format(cookie), look, cookie=cookie).value
    out = asked(mixed, value.format(cookie), logout, cookie=cookie)
    new = asked(mixed, value.format(cookie), login("bob"), cookie=cookie)

    assert seen == NOBODY
    assert out.token is None
    assert new.token not in (None, cookie)
    assert mixed.seen(cookie).user == "ann"


def test_an_empty_header_asks_for_a_token_in_the_header(mixed: Site) -> None:
    token = asked(mixed, "", login("ann")).token

    assert token is not None
    assert asked(mixed, token, look).value.user == "ann"
    assert asked(mixed, token, logout).response.headers[NAME] == ""
    assert asked(mixed, token, look).value == NOBODY


def test_two_sessions_of_one_client_stay_apart(mixed: Site) -> None:
    cookie, token = mixed.token(login("ann")), asked(mixed, "", login("bob")).token
    assert token is not None

    assert asked(mixed, token, look, cookie=cookie).value.user == "bob"
    assert asked(mixed, token, logout, cookie=cookie).forgets
    assert mixed.seen(cookie).user == "ann"


def test_what_a_view_does_to_its_environment_changes_no_way_back(mixed: Site) -> None:
    """The answer travels as the request did when its session was opened."""
    token = asked(mixed, "", put(a=1)).token
    assert token is not None

    answer = asked(mixed, token, both(look, lambda: request.environ.pop("HTTP_X_SESSION_TOKEN"), login("ann")))

    assert answer.token is not None


def test_clear_site_data_is_for_browsers_that_keep_a_cookie(make_site: MakeSite) -> None:
    site = make_site(by_header=False, SESSIONKIT_TRANSPORT="both", SESSIONKIT_CLEAR_SITE_DATA=True)
    cookie, token = site.token(login("ann")), asked(site, "", login("ann")).token
    assert token is not None

    assert "Clear-Site-Data" not in asked(site, token, logout, cookie=cookie).response.headers
    assert "Clear-Site-Data" in site.ask(cookie, logout).response.headers


def test_a_request_with_the_header_is_no_page(make_site: MakeSite) -> None:
    site = make_site(by_header=False, SESSIONKIT_TRANSPORT="both", SESSIONKIT_LOGIN_VIEW="enter")
    site.app.add_url_rule("/enter", "enter", lambda: "")
    page = {"Accept": "text/html"}

    assert asked(site, "", login_required(still), status=401, headers=page).response.location is None
    assert site.ask(None, login_required(still), status=303, headers=page).response.location == "/enter"


# What protects forms.


@pytest.fixture
def guarded(mixed: Site) -> Site:
    """A site that asks requests without the header for a CSRF token, as the documents advise."""
    mixed.app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    csrf = CSRFProtect(mixed.app)

    @mixed.app.before_request
    def protect() -> None:
        if NAME not in request.headers:
            csrf.protect()

    return mixed


def test_a_form_of_another_site_is_refused_whose_cookie_the_browser_adds(guarded: Site) -> None:
    cookie = guarded.ask(None, login("ann"), method="GET").token
    assert cookie is not None

    assert guarded.ask(cookie, logout, status=400).says_nothing
    assert guarded.ask(cookie, look, method="GET").value.user == "ann"


def test_a_request_with_the_header_needs_no_csrf_token_and_gets_nothing_by_a_cookie(guarded: Site) -> None:
    cookie = guarded.ask(None, login("ann"), method="GET").token
    token = asked(guarded, "", login("bob")).token
    assert token is not None

    assert asked(guarded, token, put(a=1), cookie=cookie).status == 200
    assert asked(guarded, token, look).value.user == "bob"
    assert asked(guarded, "", logout, cookie=cookie).says_nothing
    assert guarded.ask(cookie, look, method="GET").value.user == "ann"
