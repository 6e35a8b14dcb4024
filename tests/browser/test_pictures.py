"""The pictures in README and docs, taken of the example shop as it is.

``SESSIONKIT_PICTURES=1 pytest tests/browser/test_pictures.py`` takes them for ``docs/pictures``; else they go nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from club import serving
from flask import Flask
from servers import lacking
from shop_pages import PHONE, buy, log_in, visit
from tutorial_shop import shop_after

from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
DESK = {"width": 1000, "height": 640}
MINUTES = 60
#: Bytes of one picture: a README is read on the train, too.
LARGEST = 100_000
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TELEPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def app(clock: FrozenClock, tmp_path: Path) -> Flask:
    if find_spec("flask_wtf") is None:
        lacking("needs Flask-WTF: pip install flask-wtf")
    from shop_visitor import shop

    return shop(clock, tmp_path, SESSIONKIT_STORE="file:")


@pytest.fixture
def on_laptop(open_on: Callable[..., Page]) -> Page:
    return open_on(DESK, user_agent=LAPTOP)


@pytest.fixture
def on_telephone(open_on: Callable[..., Page]) -> Page:
    return open_on(PHONE, user_agent=TELEPHONE, color_scheme="dark", device_scale_factor=1.5)


@pytest.fixture
def open_on(browser: Browser, app: Flask) -> Iterator[Callable[..., Page]]:
    with ExitStack() as leaving:
        port = leaving.enter_context(serving(app))

        def open_on(size: dict[str, int], **how: Any) -> Page:
            return leaving.enter_context(visit(browser, f"http://127.0.0.1:{port}", size, **how)).new_page()

        yield open_on


@pytest.fixture
def take(tmp_path: Path) -> Callable[[Page, str], None]:
    folder = PICTURES if os.environ.get("SESSIONKIT_PICTURES") else tmp_path

    def take(page: Page | Locator, name: str) -> None:
        folder.mkdir(exist_ok=True)
        file = folder / f"{name}.png"
        page.screenshot(path=file, animations="disabled", caret="hide")

        assert file.stat().st_size < LARGEST

    return take


def come(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Keep me signed in").check()
    log_in(page)


# Each picture is of something that is so: a test that fails takes none.


def test_the_shelf(on_laptop: Page, take: Callable[[Page, str], None]) -> None:
    buy(on_laptop)
    on_laptop.goto("/")
    take(on_laptop, "shelf")


def test_one_browser_ends_the_other_which_reads_why(
    on_laptop: Page, on_telephone: Page, clock: FrozenClock, take: Callable[[Page, str], None]
) -> None:
    come(on_telephone)
    clock.tick(40 * MINUTES)
    come(on_laptop)
    on_laptop.goto("/devices/")
    assert on_laptop.get_by_text("Safari on iPhone").is_visible()
    take(on_laptop, "devices")
    on_telephone.goto("/devices/")
    take(on_telephone, "devices-phone")
    on_laptop.get_by_role("button", name="Sign out Safari on iPhone").click()
    on_laptop.get_by_text("Safari on iPhone was signed out.").wait_for()

    on_telephone.goto("/account")
    assert on_telephone.get_by_text("This session was ended from elsewhere.").is_visible()


def test_the_login_page_says_why(
    on_laptop: Page, app: Flask, clock: FrozenClock, take: Callable[[Page, str], None]
) -> None:
    come(on_laptop)
    with app.app_context():
        app.extensions["sessionkit"].revoke_user("1")
    on_laptop.goto("/account")

    assert on_laptop.get_by_text("This session was ended from elsewhere.").is_visible()
    take(on_laptop, "signed-out")


def test_the_warning(on_laptop: Page, clock: FrozenClock, take: Callable[[Page, str], None]) -> None:
    on_laptop.goto("/login")
    log_in(on_laptop)
    on_laptop.goto("/account")
    clock.tick(28 * MINUTES + 1)
    on_laptop.evaluate("dispatchEvent(new Event('focus'))")
    on_laptop.get_by_role("alertdialog").wait_for()
    take(on_laptop, "warning")


def test_the_page_of_the_session(on_laptop: Page, take: Callable[[Page, str], None]) -> None:
    on_laptop.goto("/login")
    log_in(on_laptop)
    on_laptop.goto("/session")
    on_laptop.reload()  # the first view of a form writes its token
    take(on_laptop.locator("main .two"), "session")


def test_the_page_of_the_administrator(on_laptop: Page, app: Flask, take: Callable[[Page, str], None]) -> None:
    from shop_visitor import PASSWORD, Visitor

    Visitor(app, TELEPHONE).log_in()
    Visitor(app, LAPTOP).log_in()
    on_laptop.goto("/sign-up")
    on_laptop.get_by_label("Name").fill("carol")
    on_laptop.get_by_label("Password").fill(PASSWORD)
    on_laptop.get_by_label("Once more").fill(PASSWORD)
    on_laptop.get_by_role("button", name="Make the account").click()
    on_laptop.get_by_text("Welcome, carol.").wait_for()
    on_laptop.goto("/administration/1")
    take(on_laptop, "administration")


def test_the_shop_of_the_tutorial(browser: Browser, tmp_path: Path, take: Callable[[Page, str], None]) -> None:
    """Through its forms, with their guard."""
    size = {"width": 760, "height": 400}
    with serving(shop_after(4)) as port, visit(browser, f"http://127.0.0.1:{port}", size) as context:
        page = context.new_page()
        page.goto("/")
        for tea in (0, 2):
            page.get_by_role("button", name="Into the cart").nth(tea).click()
        page.goto("/till")
        page.get_by_label("Name").fill("Ann")
        page.get_by_label("Password").fill("open sesame")
        page.get_by_role("button", name="Sign up").click()

        page.get_by_text("In the cart: Assam, Sencha").wait_for()
        assert page.get_by_role("heading", name="Tea for Ann").is_visible()
        take(page, "tutorial")

        page.goto("/till")
        page.get_by_role("button", name="Buy").click()
        page.get_by_text("Thank you.").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("See you.").wait_for()
