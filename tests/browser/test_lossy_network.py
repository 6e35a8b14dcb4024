"""A real browser behind a network that loses answers and keeps requests, while its token is renewed by age."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from club import PATIENCE, Club, Place, cookie_of, look, opened, sign_in, user
from flow_stores import KINDS
from servers import Proxy

from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

#: Seconds.
ROTATE_EVERY = 300
#: Seconds for which an old token is followed, with one more.
PAST_THE_ALIAS = 31

every_store = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "memory"])


@dataclass
class Network:
    """What lies between a browser and its server.

    :ivar tokens: those that the server sent, in their order, whether they arrived or not.
    """

    proxy: Proxy
    tokens: list[str] = field(default_factory=list)
    is_losing: bool = False

    def __post_init__(self) -> None:
        self.proxy.meddle = self._pass_back

    def _pass_back(self, _question: bytes, answer: bytes) -> bytes | None:
        self.tokens += re.findall(r"Set-Cookie: session=([^;]+)", answer.decode("latin-1"))
        return None if self.is_losing else answer

    def hold(self, path: str) -> Held:
        """Keep the next request for a path from the server until it is let go."""
        held = Held()

        def wait(question: bytes) -> None:
            if path.encode() in question.partition(b"\r\n")[0]:
                held.has_come.set()
                assert held.may_go.wait(PATIENCE)

        self.proxy.hold = wait
        return held

    def gather(self, count: int) -> None:
        """Let no request for ``/note`` on to the server before so many have come."""
        all_here = threading.Barrier(count)
        self.proxy.hold = lambda asked: all_here.wait(PATIENCE) if asked.startswith(b"POST /note") else None


@dataclass
class Held:
    has_come: threading.Event = field(default_factory=threading.Event)
    may_go: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def place(found: Callable[..., Club]) -> Iterator[Place]:
    with opened(found(TESTING=True, SESSIONKIT_ROTATE_EVERY=ROTATE_EVERY)) as place:
        yield place


@pytest.fixture
def network(place: Place) -> Iterator[Network]:
    with Proxy("127.0.0.1", place.port) as proxy:
        yield Network(proxy)


@pytest.fixture
def page(place: Place, network: Network, visit: Callable[[str], Page]) -> Page:
    """A browser behind the network, in which somebody signed in and noted something."""
    page = visit(Place(place.club, place.scheme, network.proxy.port).at())
    sign_in(page, "ann")
    assert ask(page, "/note?tea=green")["data"] == {"tea": "green"}
    return page


def ask(page: Page, path: str) -> Any:
    """Send a POST by a script of the page; return the answer, or ``None`` if none came."""
    return page.evaluate(
        "async (path) => { try { return await (await fetch(path, {method: 'POST'})).json(); } catch { return null; } }",
        path,
    )


def token_of(page: Page) -> str:
    return str(cookie_of(page.context)["value"])


@every_store
def test_a_lost_answer_and_a_late_request_cost_nothing_and_an_old_token_ends_it(
    place: Place, clock: FrozenClock, network: Network, page: Page, visit: Callable[[str], Page]
) -> None:
    first = token_of(page)

    # The answer with the new token is lost. The server has renewed it and saved; the browser knows nothing of it.
    clock.tick(ROTATE_EVERY)
    network.is_losing = True
    assert ask(page, "/note?cake=lemon") is None
    network.is_losing = False
    assert len(network.tokens) == 2
    assert token_of(page) == first
    clock.tick(PAST_THE_ALIAS - 2)
    assert look(page) == {"user": "ann", "why": None, "data": {"tea": "green", "cake": "lemon"}}
    assert token_of(page) == first

    clock.tick(2)
    assert look(page)["user"] == "ann"
    second = token_of(page)
    assert second not in network.tokens[:2]

    # A request is held for a minute; meanwhile another one of this browser has the token renewed.
    clock.tick(ROTATE_EVERY)
    held = network.hold("/note?jam=plum")
    page.evaluate("() => { window.late = fetch('/note?jam=plum', {method: 'POST'}).then((late) => late.json()); }")
    assert held.has_come.wait(PATIENCE)
    assert ask(page, "/note?milk=none")["user"] == "ann"
    assert token_of(page) != second
    clock.tick(60)
    held.may_go.set()
    everything = {"tea": "green", "cake": "lemon", "jam": "plum", "milk": "none"}
    assert page.evaluate("window.late") == {"user": "ann", "why": None, "data": everything}
    assert look(page) == {"user": "ann", "why": None, "data": everything}

    # Somebody else comes with what was this browser's token before.
    clock.tick(PAST_THE_ALIAS)
    assert look(page)["user"] == "ann"
    thief = visit(place.at())
    thief.context.add_cookies([{"name": "session", "value": second, "url": place.at()}])
    thief.goto("/")
    assert user(thief) == "None"
    # Which of the two is the thief cannot be told, so both are told why.
    for one in (page, thief):
        assert look(one) == {"user": None, "why": "rotated", "data": {}}


@every_store
def test_six_requests_at_the_moment_of_a_rotation_are_all_answered_and_one_brings_a_token(
    clock: FrozenClock, network: Network, page: Page
) -> None:
    first = token_of(page)
    clock.tick(ROTATE_EVERY)
    network.tokens.clear()
    network.gather(6)

    users = page.evaluate("""() => Promise.all([...Array(6).keys()].map(async (number) =>
        (await (await fetch(`/note?key${number}=${number}`, {method: "POST"})).json()).user
    ))""")

    assert users == ["ann"] * 6
    assert network.tokens == [token_of(page)]
    assert token_of(page) != first
    assert look(page) == {
        "user": "ann",
        "why": None,
        "data": {"tea": "green", **{f"key{number}": str(number) for number in range(6)}},
    }
