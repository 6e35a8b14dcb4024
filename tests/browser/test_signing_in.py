"""What a real browser has left after a login, a logout, a restart, and an end that it did not ask for."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from club import ELSEWHERE, Club, Place, cookie_of, look, note, opened, press, sign_in, user

from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Playwright

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

Visit = Callable[[str], "Page"]


@pytest.mark.requirement("FX-01")
def test_a_login_changes_the_cookie_and_the_old_one_is_refused(kind: str, place: Place, visit: Visit) -> None:
    page, thief = visit(place.at()), visit(place.at())
    page.goto("/")
    note(page, tea="green")
    stranger = cookie_of(page.context)
    sign_in(page, "ann")
    first = cookie_of(page.context)
    sign_in(page, "ann")

    assert len({stranger["value"], first["value"], cookie_of(page.context)["value"]}) == 3
    assert look(page) == {"user": "ann", "why": None, "data": {"tea": "green"}}
    for dead in (stranger, first):
        thief.context.clear_cookies()
        thief.context.add_cookies([dead])
        thief.goto("/")
        assert user(thief) == "None"
        if (kind, dead) != ("cookie", stranger):  # nothing is kept of strangers whose session lies in the browser
            assert look(thief)["data"] == {}


@pytest.mark.requirement("TR-05")
def test_of_two_browsers_one_ends_the_other_which_reads_why(place: Place, visit: Visit) -> None:
    phone, desk = visit(place.at()), visit(place.at())
    sign_in(phone, "ann")
    sign_in(desk, "ann")

    press(desk, "End my other sessions")
    phone.goto("/")

    assert (user(desk), user(phone)) == ("ann", "None")
    assert phone.locator("#why").inner_text() == "revoked"


@pytest.mark.parametrize("kind", ["files"])
def test_the_back_button_shows_nothing_after_a_logout(place: Place, visit: Visit) -> None:
    page = visit(place.at())
    sign_in(page, "ann")
    page.goto("/private")
    assert page.get_by_text("The diary of ann").is_visible()
    press(page, "Sign out")

    with page.expect_response("**/private") as again:
        page.go_back()

    assert again.value.status == 401
    assert page.get_by_text("ann").count() == 0


@pytest.mark.parametrize("clears", [True, False])
@pytest.mark.parametrize("kind", ["files"])
@pytest.mark.requirement("TR-07")
def test_a_logout_clears_what_the_site_left_in_the_browser_if_asked_to(
    found: Callable[..., Club], tls: ssl.SSLContext, visit: Visit, clears: bool
) -> None:
    with opened(found(SESSIONKIT_CLEAR_SITE_DATA=clears), tls) as place:
        page = visit(place.at())
        sign_in(page, "ann")
        page.evaluate("localStorage.setItem('draft', 'dear diary')")
        press(page, "Sign out")

        assert user(page) == "None"
        assert page.evaluate("localStorage.getItem('draft')") == (None if clears else "dear diary")


@pytest.mark.parametrize("kind", ["files"])
@pytest.mark.requirement("TO-10")
def test_a_restart_keeps_a_remembered_session_and_loses_the_other(
    place: Place, playwright: Playwright, how_to_launch: dict[str, Any], tmp_path: Path
) -> None:
    def start() -> BrowserContext:
        return playwright.chromium.launch_persistent_context(tmp_path / "profile", base_url=place.at(), **how_to_launch)

    with start() as browser:
        page = browser.new_page()
        sign_in(page, "ann", remember=True)
        page.goto(place.at(ELSEWHERE))
        page.get_by_label("Name").fill("bob")
        press(page, "Sign in")
        assert user(page) == "bob"

    with start() as browser:
        page = browser.new_page()
        page.goto("/")
        assert user(page) == "ann"
        page.goto(place.at(ELSEWHERE))
        assert user(page) == "None"


@pytest.mark.parametrize("kind", ["files", "cookie"])
@pytest.mark.requirement("TO-01")
def test_an_idle_session_ends_on_time_and_a_remembered_one_goes_on(
    place: Place, clock: FrozenClock, visit: Visit
) -> None:
    page, other = visit(place.at()), visit(place.at())
    sign_in(page, "ann")
    sign_in(other, "bob", remember=True)

    clock.tick(1799)
    page.goto("/")
    assert user(page) == "ann"

    clock.tick(1801)
    page.goto("/")
    other.goto("/")
    assert (user(page), page.locator("#why").inner_text()) == ("None", "idle")
    assert user(other) == "bob"
