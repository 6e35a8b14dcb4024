"""A script of a page that keeps its token itself, and sends it in a header."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from club import ELSEWHERE, HOME, Club, Place, cookie_of, opened, sign_in, user
from flask import Response

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

Visit = Callable[[str], "Page"]

#: What the guide for clients without cookies tells them to do.
CLIENT = """() => {
    window.token = "";
    window.ask = async (url, method = "GET", token = window.token) => {
        const answer = await fetch(url, {method, headers: {"X-Session-Token": token}});
        const sent = answer.headers.get("X-Session-Token");
        if (sent !== null && token === window.token) window.token = sent;
        return answer.json();
    };
}"""


def share(response: Response) -> Response:
    """Let pages of any origin send the header, and read it."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "X-Session-Token"
    response.headers["Access-Control-Expose-Headers"] = "X-Session-Token"
    return response


@pytest.mark.parametrize("kind", ["files", "cookie"])
@pytest.mark.parametrize("host", [HOME, ELSEWHERE], ids=["its own page", "a page of another site"])
def test_it_is_signed_in_and_out_and_no_cookie_is_set(
    found: Callable[..., Club], tls: ssl.SSLContext, visit: Visit, host: str
) -> None:
    club = found(SESSIONKIT_TRANSPORT="header")
    club.app.after_request(share)
    with opened(club, tls) as place:
        page = visit(place.at(host))
        page.goto("/elsewhere?target=nowhere")
        page.evaluate(CLIENT)

        assert ask(page, place, "/note?tea=green", "POST")["data"] == {"tea": "green"}
        stranger = token_of(page)
        ask(page, place, "/enter?name=ann", "POST")
        ann = token_of(page)
        assert len({"", stranger, ann}) == 3
        assert ask(page, place, "/look") == {"user": "ann", "why": None, "data": {"tea": "green"}}
        assert ask(page, place, "/look", "GET", stranger)["user"] is None

        ask(page, place, "/leave", "POST")
        assert token_of(page) == ""
        for token in ("", ann):
            assert ask(page, place, "/look", "GET", token)["user"] is None
        assert page.context.cookies() == []


@pytest.mark.parametrize("kind", ["files"])
def test_beside_cookies_it_is_another_client_than_the_page(
    found: Callable[..., Club], tls: ssl.SSLContext, visit: Visit
) -> None:
    with opened(found(SESSIONKIT_TRANSPORT="both"), tls) as place:
        page = visit(place.at())
        sign_in(page, "ann")
        cookie = cookie_of(page.context)
        page.evaluate(CLIENT)

        assert ask(page, place, "/look")["user"] is None
        ask(page, place, "/enter?name=bob", "POST")
        assert ask(page, place, "/look")["user"] == "bob"

        assert cookie_of(page.context) == cookie
        page.goto("/")
        assert user(page) == "ann"


def ask(page: Page, place: Place, path: str, *how: str) -> Any:
    return page.evaluate("(given) => window.ask(...given)", [f"{place.at()}{path}", *how])


def token_of(page: Page) -> str:
    return str(page.evaluate("window.token"))
