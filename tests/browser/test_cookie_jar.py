"""What a real browser does with the cookie: keeps it, hides it, sends it, and takes none of a sibling host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from club import ELSEWHERE, HOME, SIBLING, Club, Place, cookie_of, look, note, opened, press, sign_in, user

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

Found = Callable[..., Club]
Visit = Callable[[str], "Page"]

#: What a sibling host may call the cookie that it tosses. One without a name is sent as its value alone.
PRETENDERS = ("__Host-session", "__host-session", "__HOST-SESSION", "session", "=__Host-session")
#: For what is the same wherever sessions lie.
anywhere = pytest.mark.parametrize("kind", ["files"])


@anywhere
@pytest.mark.requirement("CK-01")
def test_over_https_it_is_of_one_host_and_hidden_from_scripts(place: Place, visit: Visit) -> None:
    page = visit(place.at())
    sign_in(page, "ann")
    cookie = cookie_of(page.context)

    assert {name: cookie[name] for name in ("name", "domain", "path", "secure", "httpOnly", "sameSite", "expires")} == {
        "name": "__Host-session",
        "domain": HOME,
        "path": "/",
        "secure": True,
        "httpOnly": True,
        "sameSite": "Lax",
        "expires": -1,
    }
    assert page.evaluate("document.cookie") == ""


@anywhere
@pytest.mark.requirement("CK-01")
def test_where_one_develops_it_is_a_plain_one_over_http(workshop: Place, visit: Visit) -> None:
    page = visit(workshop.at())
    sign_in(page, "ann")
    cookie = cookie_of(page.context)

    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("session", False, True)
    assert look(page)["user"] == "ann"


@anywhere
@pytest.mark.requirement("CK-04")
def test_that_of_a_deployment_never_travels_without_tls(place: Place, visit: Visit) -> None:
    with opened(place.club) as plain:
        page = visit(place.at())
        sign_in(page, "ann")
        page.goto(plain.at())
        assert user(page) == "None"

        page.get_by_label("Name").fill("ann")
        press(page, "Sign in")
        assert user(page) == "None"

        page.goto(place.at())
        assert user(page) == "ann"


@anywhere
@pytest.mark.requirement("CK-01")
def test_a_form_of_another_site_carries_nothing_and_a_link_does(place: Place, visit: Visit) -> None:
    page = visit(place.at())
    sign_in(page, "ann")
    came, there = place.club.came, f"{place.at(ELSEWHERE)}/elsewhere?target={place.at()}"

    page.goto(there)
    press(page, "A form")
    assert page.url.startswith(place.at())
    assert came[-1] == ("/look?by=form", None)

    page.goto(there)
    page.evaluate("(url) => fetch(url, {mode: 'no-cors', credentials: 'include'})", f"{place.at()}/look?by=script")
    assert came[-1] == ("/look?by=script", None)

    page.goto(there)
    with page.expect_navigation():
        page.get_by_role("link").click()
    assert page.url.startswith(place.at())
    assert user(page) == "ann"


@anywhere
@pytest.mark.requirement("CK-01")
def test_a_sibling_host_can_toss_none_at_one_with_the_prefix(place: Place, visit: Visit) -> None:
    mallory, page = visit(place.at()), visit(place.at())
    sign_in(mallory, "mallory")
    token = cookie_of(mallory.context)["value"]

    for name in PRETENDERS:
        toss(page, place, f"{name}={token}; Domain={HOME}; Path=/; Secure")
    page.goto("/")
    assert user(page) == "None"

    sign_in(page, "ann")
    for name in PRETENDERS:
        toss(page, place, f"{name}={token}; Domain={HOME}; Path=/; Secure")
    page.goto("/")
    assert user(page) == "ann"


@anywhere
@pytest.mark.requirement("CK-09")
def test_of_a_plain_one_and_one_that_a_sibling_host_tossed_neither_is_believed(workshop: Place, visit: Visit) -> None:
    mallory, page = visit(workshop.at()), visit(workshop.at())
    sign_in(mallory, "mallory")
    sign_in(page, "ann")

    toss(page, workshop, f"session={cookie_of(mallory.context)['value']}; Domain={HOME}; Path=/")
    page.goto("/")
    assert len(page.context.cookies(workshop.at())) == 2
    assert user(page) == "None"

    # Nobody's session has suffered.
    page.context.clear_cookies(domain=f".{HOME}")
    page.goto("/")
    assert user(page) == "ann"
    mallory.goto("/")
    assert user(mallory) == "mallory"


@anywhere
@pytest.mark.requirement("CK-09")
def test_a_dead_one_that_a_sibling_host_tossed_changes_nothing(workshop: Place, visit: Visit) -> None:
    mallory, page = visit(workshop.at()), visit(workshop.at())
    sign_in(mallory, "mallory")
    dead = cookie_of(mallory.context)["value"]
    press(mallory, "Sign out")
    sign_in(page, "ann")

    toss(page, workshop, f"session={dead}; Domain={HOME}; Path=/")
    page.goto("/")

    assert len(page.context.cookies(workshop.at())) == 2
    assert user(page) == "ann"


@pytest.mark.parametrize("kind", ["cookie"])
@pytest.mark.requirement("CK-05")
def test_a_session_too_large_for_a_cookie_fails_clearly_and_the_old_one_stays(
    place: Place, visit: Visit, listener: Any
) -> None:
    page = visit(place.at())
    sign_in(page, "ann")
    note(page, tea="green")
    before = cookie_of(page.context)

    status = page.evaluate("""async () => {
        const body = {method: "POST", headers: {"Content-Type": "application/json"}};
        return (await fetch("/note", {...body, body: JSON.stringify({essay: "word ".repeat(2000)})})).status;
    }""")

    assert status == 500
    assert any("SessionTooLarge" in said and "'essay' (10003 bytes)" in said for said in listener.heard)
    assert cookie_of(page.context) == before
    assert look(page) == {"user": "ann", "why": None, "data": {"tea": "green"}}


def toss(page: Page, place: Place, cookie: str) -> None:
    """Let a sibling host set a cookie for the whole site."""
    place.club.to_toss = cookie  # in no URL: those are logged
    page.goto(f"{place.at(SIBLING)}/toss")
