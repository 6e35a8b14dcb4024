"""Security requirements CK: one cookie, as strict as browsers allow, and believed only where it is beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, abort, flash, redirect, session
from flow_site import NOBODY, Seen, Site, both, login, logout, look, put, renew
from visitors import BY_COOKIE, signed_in

from flask_sessionkit import SessionKit

MakeSite = Callable[..., Site]


@pytest.mark.requirement("CK-01", "ID-09")
@pytest.mark.parametrize("store", ["memory:", "cookie:"])
def test_by_default_it_is_as_strict_as_browsers_allow(store: str) -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY="0123456789abcdef-0123456789ABCDEF", SESSIONKIT_STORE=store)
    if store == "cookie:":
        app.config["SESSIONKIT_REVOCATION_STORE"] = None
    SessionKit(app)
    app.add_url_rule("/", "put", lambda: session.update(v=1) or "put")

    [header] = app.test_client().get("/", base_url="https://shop.example").headers.getlist("Set-Cookie")

    assert re.fullmatch(r"__Host-session=[A-Za-z0-9_-]{43,}; Secure; HttpOnly; Path=/; SameSite=Lax", header)


@BY_COOKIE
@pytest.mark.requirement("CK-06")
def test_there_is_one_at_most_whatever_happened_and_others_stay(site: Site) -> None:
    def everything() -> Response:
        both(put(a=1), renew, login("ann"), lambda: flash("hello"), login("bob"), renew)()
        answer = Response("done")
        answer.set_cookie("theirs", "1")
        return answer

    names = [
        header.partition("=")[0]
        for header in signed_in(site, "carol").does(everything).response.headers.getlist("Set-Cookie")
    ]

    assert sorted(names) == ["session", "theirs"]


@pytest.mark.requirement("CK-08")
def test_an_unchanged_session_sends_none(site: Site) -> None:
    visitor = signed_in(site)

    for _ in range(10):
        site.clock.tick(5)
        assert visitor.does(look).says_nothing


@BY_COOKIE
@pytest.mark.requirement("CK-09")
def test_of_two_that_live_neither_is_believed(site: Site) -> None:
    [mine], [tossed] = signed_in(site).held, signed_in(site, "mallory").held

    for one, other in ((mine, tossed), (tossed, mine)):
        with site.events() as heard:
            answer = site.ask(None, look, headers={"Cookie": f"session={one}; session={other}"})
        assert answer.value == NOBODY
        assert heard == [("session_refused", {"reason": "duplicate"})]
    assert site.seen(mine) == Seen("ann", {})


@BY_COOKIE
@pytest.mark.requirement("CK-09")
def test_a_dead_one_beside_it_changes_nothing(site: Site) -> None:
    gone, lives = signed_in(site), signed_in(site)
    gone.does(logout)

    for pair in ((gone.held[0], lives.held[0]), (lives.held[0], gone.held[0], lives.held[0])):
        header = "; ".join(f"session={token}" for token in pair)
        assert site.ask(None, look, headers={"Cookie": header}).value == Seen("ann", {})


@pytest.mark.requirement("CK-10", "CK-11")
def test_a_name_that_only_looks_like_it_is_another(site: Site) -> None:
    [token] = signed_in(site).held

    for name in ("Session", "SESSION", "%73ession", "session[]", "$session", '"session"', "\xa0session", "\x0bsession"):
        assert site.ask(None, look, headers={"Cookie": f"{name}={token}"}).value == NOBODY, name
    for header in (f"=session={token}", f"={token}", token):
        assert site.ask(None, look, headers={"Cookie": header}).value == NOBODY


@pytest.mark.requirement("CK-12")
def test_its_value_is_echoed_nowhere(site: Site) -> None:
    def show() -> str:
        current: Any = session
        return f"{current!r} {dict(current)} {vars(current._get_current_object())}"

    visitor = signed_in(site)
    token = visitor.held[0]
    sandwich = {"Cookie": f'a="x; session={token}; b=y"; session={token}'}

    for view, status in (
        (both(look, lambda: Response(show())), 200),
        (both(look, lambda: abort(404, show())), 404),
        (lambda: redirect("/x"), 302),
        (logout, 200),
    ):
        answer = site.ask(None, view, status=status, headers=sandwich).response
        assert token not in answer.get_data(as_text=True) + str(answer.headers)
