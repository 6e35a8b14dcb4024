"""The example shop as people see it: their screens, and what they do on its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from example_app.people import DEMO_PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 860}


@contextmanager
def visit(browser: Browser, site: str, size: dict[str, int], **how: str) -> Iterator[BrowserContext]:
    """Open a browser whose pages may neither load from elsewhere nor complain."""
    context = browser.new_context(viewport=size, base_url=site, **how)
    complaints: list[str] = []
    context.on("request", lambda asked: None if asked.url.startswith(site) else complaints.append(asked.url))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
    yield context
    context.close()
    assert not complaints


def is_complaint(said: ConsoleMessage) -> bool:
    """Chromium also reports a page that comes with a 401 or 404, which is no fault: nothing that it loads may."""
    is_status_of_page = said.page is not None and said.location["url"] == said.page.url
    return said.type in {"error", "warning"} and not is_status_of_page


def buy(page: Page, slug: str = "green-room", quantity: str = "1") -> None:
    page.goto(f"/goods/{slug}")
    page.get_by_label("Quantity").fill(quantity)
    page.get_by_role("button", name="Add to cart").click()
    page.wait_for_url("**/cart")


def log_in(page: Page, name: str = "alice", password: str = DEMO_PASSWORD) -> None:
    page.get_by_label("Password").wait_for()
    if page.get_by_label("Name").is_visible():  # who is signed in is asked for the password alone
        page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You have signed out.").wait_for()


def pieces(page: Page) -> int:
    return int(page.locator("#cart-count").inner_text())
