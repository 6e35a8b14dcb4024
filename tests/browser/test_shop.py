"""The example shop in a real browser: what only a browser can tell about cookies, pages and their look."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import RedisServer, lacking
from shop_pages import DESK, PHONE, buy, log_in, log_out, pieces, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

ROOT = Path(__file__).parents[2]
#: Seconds that the server may take to start, on a machine with much else to do.
PATIENCE = 30.0


@pytest.fixture(scope="module", params=["debug", "deployed"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a shop as one develops it, and of one with the cookies of a deployment."""
    if find_spec("flask_wtf") is None:
        lacking("needs Flask-WTF: pip install flask-wtf")
    options = ["--debug"] if request.param == "debug" else []
    with served(tmp_path_factory.mktemp("instance"), options, ["--no-reload"] if options else []) as address:
        yield address


@contextmanager
def served(instance: Path, before: list[str], after: list[str], **settings: str) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    log = instance / "log"
    command = [sys.executable, "-m", "flask", "--app", f"example_app:create_app(instance_path={str(instance)!r})"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    environment |= {f"FLASK_SESSIONKIT_{name}": value for name, value in settings.items()}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, *before, "run", "--port", str(port), *after],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    pause = 0.05
    for _ in range(int(PATIENCE / pause)):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            try:
                process.wait(pause)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    pytest.fail(f"The server did not start:\n{log.read_text()}")


@pytest.fixture
def context(browser: Browser, site: str) -> Iterator[BrowserContext]:
    """A browser that was never here, on a desk."""
    with visit(browser, site, DESK) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def cookie_of(context: BrowserContext) -> dict[str, object]:
    [cookie] = context.cookies()
    return {name: cookie[name] for name in ("name", "value", "domain", "path", "secure", "httpOnly", "sameSite")}


def test_a_stranger_buys_and_logs_in_and_the_old_cookies_are_dead(page: Page, context: BrowserContext) -> None:
    buy(page, quantity="2")
    stranger = cookie_of(context)
    page.get_by_role("button", name="Go to the till").click()
    log_in(page)
    alice = cookie_of(context)

    assert page.url.endswith("/till")
    assert pieces(page) == 2
    assert alice["value"] != stranger["value"]

    log_out(page)
    assert pieces(page) == 0
    for dead in (stranger, alice):
        context.clear_cookies()
        context.add_cookies([dead])
        page.goto("/session")

        assert page.get_by_role("navigation").get_by_role("link", name="Sign in").is_visible()
        assert page.get_by_role("button", name="Sign out").count() == 0
        assert pieces(page) == 0


@pytest.mark.redis
@pytest.mark.requirement("TR-01", "CR-09")
def test_a_sealed_cookie_that_was_copied_is_refused_after_the_logout(
    browser: Browser, redis_server: RedisServer, tmp_path: Path, shots: Callable[[Page, str], None]
) -> None:
    """Two processes of one shop: the logout at one of them holds at the other."""
    settings = {"STORE": "cookie:", "REVOCATION_STORE": redis_server.url, "KEY_PREFIX": f"{tmp_path.name}:"}
    with (
        served(tmp_path, [], [], **settings) as site,
        served(tmp_path, [], [], **settings) as other,
        visit(browser, site, DESK) as context,
        visit(browser, other, DESK) as elsewhere,
    ):
        page = context.new_page()
        buy(page, quantity="2")
        page.get_by_role("button", name="Go to the till").click()
        log_in(page)
        copied = cookie_of(context)
        assert len(str(copied["value"])) > 100
        assert pieces(page) == 2

        thief = elsewhere.new_page()
        elsewhere.add_cookies([copied])  # cookies know no ports
        thief.goto("/session")
        assert thief.get_by_text("Alice Marsh").is_visible()

        log_out(page)

        thief.goto("/session")
        shots(thief, "sealed-copied")
        assert thief.get_by_text("Alice Marsh").count() == 0
        assert thief.get_by_role("navigation").get_by_role("link", name="Sign in").is_visible()
        assert pieces(thief) == 0


@pytest.mark.requirement("CK-01")
def test_the_cookie_of_a_deployment_is_hardened(page: Page, context: BrowserContext) -> None:
    buy(page)
    cookie = cookie_of(context)
    page.goto("/login")
    is_debug = page.get_by_text("For trying out").count() == 1

    assert cookie["httpOnly"]
    if is_debug:
        assert (cookie["name"], cookie["secure"]) == ("session", False)
    else:
        assert (cookie["name"], cookie["secure"], cookie["path"]) == ("__Host-session", True, "/")


def test_the_back_button_shows_nothing_after_logout(page: Page) -> None:
    page.goto("/login")
    log_in(page)
    page.goto("/session")
    assert page.get_by_text("Alice Marsh").is_visible()
    log_out(page)

    page.go_back(wait_until="commit")

    page.get_by_role("heading", name="Your session").wait_for()
    assert page.get_by_text("Alice Marsh").count() == 0


def test_an_order_is_placed(page: Page) -> None:
    buy(page, "harbour-cup", "2")
    page.get_by_role("button", name="Go to the till").click()
    log_in(page, "bob")
    page.get_by_role("button", name="Place the order").click()

    page.get_by_role("heading", name="Thank you, Bob.").wait_for()
    assert pieces(page) == 0


def test_enter_in_a_quantity_changes_it_and_removes_nothing(page: Page) -> None:
    buy(page)
    page.get_by_label("Quantity of Green Room").fill("3")
    page.get_by_label("Quantity of Green Room").press("Enter")
    page.get_by_text("€39.60").first.wait_for()

    assert pieces(page) == 3


def test_the_way_to_the_till_takes_a_changed_quantity_along(page: Page) -> None:
    page.goto("/login")
    log_in(page)
    buy(page)
    page.get_by_label("Quantity of Green Room").fill("3")
    page.get_by_role("button", name="Go to the till").click()
    page.get_by_role("heading", name="The till").wait_for()

    assert pieces(page) == 3


def test_the_first_thing_on_the_shelf_shows_on_a_phone(browser: Browser, site: str) -> None:
    with visit(browser, site, PHONE) as context:
        page = context.new_page()
        page.goto("/")
        first = page.locator(".shelf a").first.bounding_box()

    assert first["y"] + first["height"] < PHONE["height"]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=str)
def test_a_message_stands_evenly_between_header_and_page(browser: Browser, site: str, size: dict[str, int]) -> None:
    with visit(browser, site, size) as context:
        page = context.new_page()
        buy(page)
        gaps = page.evaluate("""() => {
            const edge = (query) => document.querySelector(query).getBoundingClientRect();
            const message = edge(".message");
            return [message.top - edge(".top").bottom, edge("h1").top - message.bottom];
        }""")

    assert gaps[0] == pytest.approx(gaps[1], abs=1)


def test_the_clocks_go_on(page: Page) -> None:
    buy(page)
    page.goto("/session")
    for name in ("Ends, if you do nothing, in", "Ends in any case in", "Has lasted for"):
        clock = page.get_by_role("timer", name=name)
        before = clock.inner_text()
        page.wait_for_function("([clock, before]) => clock.innerText !== before", arg=[clock.element_handle(), before])


@pytest.mark.parametrize(
    ("size", "scheme"), [(PHONE, "light"), (DESK, "light"), (PHONE, "dark"), (DESK, "dark")], ids=str
)
def test_every_page_fits(
    browser: Browser, site: str, shots: Callable[[Page, str], None], size: dict[str, int], scheme: str
) -> None:
    with visit(browser, site, size, color_scheme=scheme) as context:
        page = context.new_page()
        for name in walk(page):
            shots(page, f"{size['width']}-{scheme}-{name}")
            width = page.evaluate("document.documentElement.scrollWidth")

            assert width <= size["width"], f"{name} scrolls sideways"


def walk(page: Page) -> Iterator[str]:
    """Go through the shop, and stop at each page."""
    page.goto("/")
    yield "shelf"
    page.goto("/cart")
    yield "cart-empty"
    page.goto("/session")
    yield "session-none"
    buy(page, "smoke-on-the-fell", "2")
    yield "cart-told"
    buy(page, "brown-pot")
    page.goto("/goods/earl-of-nowhere")
    yield "article"
    page.goto("/cart")
    yield "cart"
    page.goto("/session")
    yield "session-stranger"
    page.get_by_role("link", name="Sign in").click()
    yield "login"
    page.get_by_role("button", name="Sign in").click()
    yield "login-fault"
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill("coffee-time")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    yield "login-wrong"
    page.get_by_role("link", name="Make an account").click()
    page.get_by_role("button", name="Make the account").click()
    yield "sign-up-fault"
    page.goto("/nowhere")
    yield "not-found"
    page.goto("/till")
    log_in(page)
    yield "till"
    page.goto("/session")
    yield "session"
    page.goto("/login")
    yield "login-again"
    for name in ("account", "account/password", "account/close", "devices/", "administration"):
        page.goto(f"/{name}")
        yield name.strip("/").replace("/", "-")
    page.goto("/till")
    page.get_by_role("button", name="Place the order").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    yield "order"
    [dead] = page.context.cookies()
    log_out(page)
    yield "logged-out"
    page.context.clear_cookies()
    page.context.add_cookies([dead])
    page.goto("/session")
    yield "ended"


@pytest.fixture
def shots(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Keep pictures of the pages, for people to look at: in ``SESSIONKIT_SCREENSHOTS`` if that names a folder."""
    folder = Path(os.environ.get("SESSIONKIT_SCREENSHOTS") or tmp_path)
    is_debug = "debug" in request.node.name
    mode = "debug" if is_debug else "deployed"

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{mode}-{name}.png", full_page=True)

    return keep
