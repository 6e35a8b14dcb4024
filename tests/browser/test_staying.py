"""The warning of the example shop before a session ends: the server's clock is moved, and nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from club import serving
from flask import Flask
from servers import lacking
from shop_pages import DESK, log_in, visit

from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

MINUTES = 60


@pytest.fixture(params=["file:", "cookie:"])
def app(request: pytest.FixtureRequest, clock: FrozenClock, tmp_path: Path) -> Flask:
    if find_spec("flask_wtf") is None:
        lacking("needs Flask-WTF: pip install flask-wtf")
    from shop_visitor import shop

    return shop(clock, tmp_path, SESSIONKIT_STORE=request.param)


@pytest.fixture
def context(browser: Browser, app: Flask) -> Iterator[BrowserContext]:
    with serving(app) as port, visit(browser, f"http://127.0.0.1:{port}", DESK) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/login")
    log_in(page)
    page.goto("/account")
    return page


def look_again(page: Page) -> None:
    """Let the page notice that time has passed, as it does when somebody comes back to it."""
    with page.expect_response("**/time-left"):
        page.evaluate("dispatchEvent(new Event('focus'))")


def warning(page: Page) -> Locator:
    return page.get_by_role("alertdialog", name="Are you still there?")


def is_signed_in(page: Page) -> bool:
    page.goto("/account")
    return "/account" in page.url and "/login" not in page.url


def test_it_comes_two_minutes_before_the_end_and_not_earlier(page: Page, clock: FrozenClock) -> None:
    clock.tick(28 * MINUTES - 30)
    look_again(page)
    assert not warning(page).is_visible()
    clock.tick(31)
    look_again(page)
    warning(page).wait_for()

    assert warning(page).get_by_role("timer").inner_text() in ("1:59", "1:58")
    assert page.evaluate("document.activeElement.textContent") == "Stay signed in"


def test_the_page_asks_by_itself_when_the_time_has_come(context: BrowserContext, app: Flask) -> None:
    """Its own timer: of a session that has two minutes and a second left when the page is sent."""
    page = context.new_page()
    page.clock.install()
    page.goto("/login")
    log_in(page)
    page.goto("/account")
    with page.expect_response("**/time-left"):
        page.clock.run_for(28 * MINUTES * 1000)


def test_the_question_extends_nothing_and_the_end_comes_on_time(page: Page, clock: FrozenClock) -> None:
    for _ in range(29):
        clock.tick(1 * MINUTES)
        look_again(page)
    warning(page).wait_for()
    clock.tick(1 * MINUTES)
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new Event('focus'))")

    assert page.url.endswith("/login?next=%2Faccount")
    assert page.get_by_text("You were away for a while").is_visible()
    log_in(page)
    assert page.url.endswith("/account")


@pytest.mark.parametrize("how", ["click", "Enter", "Escape"])
def test_who_stays_has_half_an_hour_again(page: Page, clock: FrozenClock, how: str) -> None:
    clock.tick(29 * MINUTES)
    look_again(page)
    warning(page).wait_for()
    if how == "click":
        warning(page).get_by_role("button", name="Stay signed in").click()
    else:
        page.keyboard.press(how)
    warning(page).wait_for(state="hidden")
    clock.tick(29 * MINUTES)

    assert is_signed_in(page)


def test_two_tabs_agree(page: Page, context: BrowserContext, clock: FrozenClock) -> None:
    other = context.new_page()
    other.goto("/devices/")
    clock.tick(29 * MINUTES)
    for tab in (page, other):
        look_again(tab)
        warning(tab).wait_for()
    warning(page).get_by_role("button", name="Stay signed in").click()

    warning(page).wait_for(state="hidden")
    warning(other).wait_for(state="hidden", timeout=5000)  # by itself it would ask after 10 s


def test_who_logs_out_is_gone(page: Page, clock: FrozenClock) -> None:
    clock.tick(29 * MINUTES)
    look_again(page)
    warning(page).get_by_role("button", name="Sign out").click()
    page.get_by_text("You have signed out.").wait_for()

    assert not is_signed_in(page)


def test_a_session_that_was_ended_elsewhere_tells_so(page: Page, app: Flask) -> None:
    with app.app_context():
        app.extensions["sessionkit"].revoke_user("1", reason="administrator")
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new Event('focus'))")

    assert page.get_by_text("The administrator of this shop has ended this session.").is_visible()


def tell_replaced(page: Page, times: int) -> None:
    """Let the next questions of a page be answered as while another tab gets a new cookie."""
    replaced = {"signed_in": False, "seconds_left": None, "ended_because": "replaced"}
    page.route("**/time-left", lambda route: route.fulfill(json=replaced), times=times)


def test_a_cookie_that_is_just_changed_is_asked_for_once_more(page: Page) -> None:
    tell_replaced(page, 1)
    look_again(page)
    with page.expect_response("**/time-left"):
        pass  # by itself, a second later

    assert page.url.endswith("/account")


def test_a_cookie_that_stays_replaced_leads_to_the_login(page: Page) -> None:
    tell_replaced(page, 2)
    look_again(page)
    page.wait_for_url("**/login?next=%2Faccount")


def test_on_a_narrow_screen_its_buttons_stand_one_below_the_other(page: Page, clock: FrozenClock) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    clock.tick(29 * MINUTES)
    look_again(page)
    warning(page).wait_for()
    stay, leave = [warning(page).get_by_role("button", name=name).bounding_box() for name in ("Stay", "Sign out")]

    assert (stay["x"], stay["width"]) == (leave["x"], leave["width"])
    assert stay["y"] + stay["height"] < leave["y"]


def test_where_the_day_is_over_it_offers_another_login(page: Page, clock: FrozenClock) -> None:
    for _ in range(35):
        clock.tick(20 * MINUTES)
        page.goto("/account")
    clock.tick(18 * MINUTES + 1)
    page.goto("/account")
    warning(page).wait_for()

    assert not warning(page).get_by_role("button", name="Stay signed in").is_visible()
    warning(page).get_by_role("link", name="Sign in again").click()
    log_in(page)
    page.goto("/account")
    assert not warning(page).is_visible()
