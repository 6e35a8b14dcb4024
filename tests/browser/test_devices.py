"""The page of devices in a real browser: on a phone, by keyboard, by ear, and against the pages of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from club import HOME, SIBLING, Place, press, sign_in, user
from devices_site import CHROME
from flask import Response, request

from flask_sessionkit.devices import devices_blueprint
from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.parametrize("kind", ["files"]),  # what it does on the others is shown without a browser
]

NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1280, "height": 800}
#: Nothing but its own style, and forms to itself.
STRICT = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
WORDY = "A-client-with-a-name-of-forty-characters/1 (Windows)"
LONG_ADDRESS = "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"


#: What a screen reader is given: the page's regions, its list, and buttons that say which device they are for.
HEARD = """\
- banner:
  - link "Back to {host}":
    - /url: /
- main:
  - heading "Your devices" [level=1]
  - paragraph: You are signed in on these devices. Sign out any that you do not know, then change your password.
  - list:
    - listitem:
      - paragraph:
        - strong: Chrome on Linux
        - text: This device
      - paragraph:
        - text: 127.0.0.1 Last seen
        - time: just now
        - text: Signed in
        - time: just now
      - button "Sign out Chrome on Linux, 127.0.0.1": Sign out
    - listitem:
      - paragraph:
        - strong: A-client-with-a-name-of-forty-characters on Windows
      - paragraph:
        - text: {address} Last seen
        - time: 11 minutes ago
        - text: Signed in
        - time: 11 minutes ago
      - button "Sign out A-client-with-a-name-of-forty-characters on Windows, {address}": Sign out
    - listitem:
      - paragraph:
        - strong: Chrome on Android
      - paragraph:
        - text: 192.0.2.2 Last seen
        - time: 23 minutes ago
        - text: Signed in
        - time: 23 minutes ago
      - button "Sign out Chrome on Android, 192.0.2.2": Sign out
  - button "Sign out all other devices"
"""


@pytest.fixture
def site(place: Place) -> Place:
    """A club with the page, whose policy for content could not be stricter."""
    place.club.app.register_blueprint(devices_blueprint())

    @place.club.app.after_request
    def forbid(response: Response) -> Response:
        if request.blueprint is not None:
            response.headers["Content-Security-Policy"] = STRICT
        return response

    return place


@pytest.fixture
def others(site: Place, clock: FrozenClock) -> None:
    """Devices on which the same member signed in before."""
    for agent, address in [(CHROME, "192.0.2.2"), (WORDY, LONG_ADDRESS)]:
        client = site.club.app.test_client()
        client.post(
            "/login",
            data={"name": "ann"},
            base_url=site.at(),
            environ_base={"REMOTE_ADDR": address, "HTTP_USER_AGENT": agent},
        )
        clock.tick(700)


@pytest.fixture
def open_at(browser: Browser, site: Place, others: None) -> Iterator[Callable[..., Page]]:
    """Sign in at a size and open the list; no page may complain of anything."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_at(size: dict[str, int], **how: Any) -> Page:
        context = browser.new_context(viewport=size, base_url=site.at(), **how)
        contexts.append(context)
        page = context.new_page()
        sign_in(page, "ann")
        context.on("console", lambda said: complaints.append(said.text) if "a status of 403" not in said.text else None)
        page.goto("/devices/")
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keep pictures of pages, for people to look at: in ``SESSIONKIT_SCREENSHOTS`` if that names a folder."""
    folder = Path(os.environ.get("SESSIONKIT_SCREENSHOTS") or tmp_path)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return keep


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_it_fits_and_can_be_read(
    open_at: Callable[..., Page], keep: Callable[[Page, str], None], size: dict[str, int], scheme: str
) -> None:
    """WCAG 2.2: 1.4.10 reflow, 1.4.3 contrast, 2.5.8 size of targets (44 px, twice of what it asks)."""
    page = open_at(size, color_scheme=scheme)
    keep(page, f"devices-{size['width']}-{scheme}")

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert least_contrast(page) >= 4.5
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44

    page.evaluate("document.querySelector('[name=handle]').value = 'none'")
    press(page, "Sign out Chrome on Linux, 127.0.0.1")
    assert page.get_by_role("alert").inner_text() == "That device is not signed in any more. Nothing was done."
    assert least_contrast(page) >= 4.5
    keep(page, f"devices-{size['width']}-{scheme}-fault")

    press(page, "Sign out all other devices")
    assert page.get_by_role("status").inner_text() == "2 devices were signed out."
    assert least_contrast(page) >= 4.5
    keep(page, f"devices-{size['width']}-{scheme}-told")


def test_letters_of_twice_the_size_fit(open_at: Callable[..., Page], keep: Callable[[Page, str], None]) -> None:
    """WCAG 2.2, 1.4.4."""
    page = open_at(NARROW)
    page.evaluate("document.documentElement.attributeStyleMap.set('font-size', CSS.percent(200))")
    keep(page, "devices-320-large")

    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_the_keyboard_is_enough(open_at: Callable[..., Page]) -> None:
    page = open_at(NARROW)
    seen = []
    for _ in range(5):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
        seen.append(focused.get_attribute("aria-label") or focused.inner_text())

    assert seen == [
        f"Back to {HOME}:{page.url.split(':')[2].split('/')[0]}",
        "Sign out Chrome on Linux, 127.0.0.1",
        f"Sign out A-client-with-a-name-of-forty-characters on Windows, {LONG_ADDRESS}",
        "Sign out Chrome on Android, 192.0.2.2",
        "Sign out all other devices",
    ]
    page.keyboard.press("Shift+Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.get_by_role("status").inner_text() == "Chrome on Android was signed out."
    for _ in range(4):
        page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Space")
    assert page.get_by_role("status").inner_text() == "1 device was signed out."
    assert page.get_by_role("button").count() == 1
    page.goto("/")
    assert user(page) == "ann"


def test_it_can_be_heard(open_at: Callable[..., Page]) -> None:
    page = open_at(NARROW)
    host = page.url.split("/")[2]

    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title() == "Your devices"
    assert page.locator("body").aria_snapshot() + "\n" == HEARD.format(host=host, address=LONG_ADDRESS)


def test_a_form_of_a_sibling_host_is_refused_though_the_cookie_comes_along(
    open_at: Callable[..., Page], site: Place
) -> None:
    """Same site, other origin: ``SameSite=Lax`` holds nothing back."""
    page = open_at(WIDE)
    proof = page.locator("[name=devices_proof]").first.get_attribute("value")
    page.goto(f"{site.at(SIBLING)}/elsewhere?target={site.at()}")

    with page.expect_navigation():
        page.evaluate(
            """([action, proof]) => {
                const form = Object.assign(document.createElement("form"), {method: "post", action});
                form.append(Object.assign(document.createElement("input"), {name: "devices_proof", value: proof}));
                document.body.append(form);
                form.submit();
            }""",
            [f"{site.at()}/devices/end-others", proof],
        )

    assert page.get_by_role("heading").inner_text() == "Nothing was done"
    assert page.get_by_text("The request came from another site").is_visible()
    page.get_by_role("link", name="Open the list of devices").click()
    assert page.get_by_role("button").count() == 4


def least_contrast(page: Page) -> float:
    """Return the least contrast of any text of a page to what is behind it (WCAG 2.2, "contrast ratio")."""
    least: float = page.evaluate("""() => {
        const channels = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([red, green, blue]) => [red, green, blue].map((one) => one / 255)
            .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
            .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
        const behind = (element) => {
            const [red, green, blue, alpha = 1] = channels(getComputedStyle(element).backgroundColor);
            return alpha === 1 || !element.parentElement ? [red, green, blue] : behind(element.parentElement);
        };
        const texts = [...document.body.querySelectorAll("*")].filter((element) =>
            [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()));
        return Math.min(...texts.map((element) => {
            const [low, high] = [light(channels(getComputedStyle(element).color)), light(behind(element))].sort();
            return (high + 0.05) / (low + 0.05);
        }));
    }""")
    return least
