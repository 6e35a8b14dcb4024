"""What a request costs on the wire: turns from client to server, counted by a proxy between the store and its server.

DESIGN: the table of round trips. Without a conflict, a session limit, or what the user stamp asks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flow_site import NOBODY, Seen, Site, View, append, both, login, logout, look, put, still
from flow_stores import SERVED_KINDS, open_store, prepare
from servers import Proxy

from flask_sessionkit.testing import FrozenClock
from flask_sessionkit.tokens import new_token


@pytest.fixture(params=SERVED_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wire(kind: str, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server = request.getfixturevalue(f"{kind}_server")
    with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def site(kind: str, wire: Proxy, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """A site behind the wire, whose store is connected and has its table and its scripts."""
    site = Site(open_store(kind, prepare(kind, tmp_path, request, wire=wire)), FrozenClock())
    token = site.token(both(login("warm"), put(v=[])))
    site.ask(token, append("v", 1))
    site.clock.tick(61)
    site.ask(token, look)
    site.ask(token, logout)
    return site


@pytest.fixture
def turns(wire: Proxy) -> Callable[[Callable[[], object]], int]:
    """Count the turns of a call."""

    def counted(call: Callable[[], object]) -> int:
        wire.reset()
        call()
        return wire.turns

    return counted


Turns = Callable[[Callable[[], object]], int]


def test_a_view_that_does_not_look_costs_none(site: Site, turns: Turns) -> None:
    token = site.token(both(login("ann"), put(v=1)))

    assert turns(lambda: site.ask(token, still)) == 0


@pytest.mark.parametrize("token", [None, "x", "a" * 42, "../" * 14, "é" * 43])
def test_a_reader_without_a_token_costs_none(site: Site, turns: Turns, token: str | None) -> None:
    """IN-01: what can not be a token is found out before any call."""
    assert turns(lambda: site.ask(token, look)) == 0


@pytest.mark.parametrize("start", [put(v=[1]), both(login("ann"), put(v=[1]))], ids=["anonymous", "user"])
def test_a_read_costs_one(site: Site, turns: Turns, start: View) -> None:
    token = site.token(start)

    assert turns(lambda: site.ask(token, look)) == 1


def test_a_read_of_an_unknown_token_costs_one(site: Site, turns: Turns) -> None:
    assert turns(lambda: site.ask(new_token(), look)) == 1


def test_a_due_touch_costs_one_on_redis_and_postgresql_and_two_elsewhere(kind: str, site: Site, turns: Turns) -> None:
    token = site.token(both(login("ann"), put(v=1)))
    site.clock.tick(61)

    assert turns(lambda: site.ask(token, look)) == (1 if kind in {"redis", "postgresql"} else 2)
    assert turns(lambda: site.ask(token, look)) == 1
    site.clock.tick(1799)
    assert site.seen(token) == Seen("ann", {"v": 1})


@pytest.mark.parametrize("change", [put(w=1), append("v", 2)], ids=["set", "nested"])
def test_a_change_costs_two(site: Site, turns: Turns, change: View) -> None:
    token = site.token(both(login("ann"), put(v=[1])))

    assert turns(lambda: site.ask(token, change)) == 2


def test_a_change_when_a_touch_is_due_costs_two_or_three(kind: str, site: Site, turns: Turns) -> None:
    token = site.token(put(v=[1]))
    site.clock.tick(61)

    assert turns(lambda: site.ask(token, append("v", 2))) <= (2 if kind in {"redis", "postgresql"} else 4)
    assert turns(lambda: site.ask(token, append("v", 3))) == 2
    assert site.seen(token) == Seen(None, {"v": [1, 2, 3]})


def test_the_first_write_of_a_session_costs_one(site: Site, turns: Turns) -> None:
    assert turns(lambda: site.ask(None, put(v=1))) == 1


def test_a_login_with_an_anonymous_session_before_costs_three(kind: str, site: Site, turns: Turns) -> None:
    token = site.token(put(cart=[1]))

    assert turns(lambda: site.ask(token, login("ann"))) <= (5 if kind == "memcached" else 3)
    assert turns(lambda: site.ask(None, login("ann"))) <= (3 if kind == "memcached" else 1)


def test_a_logout_costs_two(kind: str, site: Site, turns: Turns) -> None:
    token = site.token(both(login("ann"), put(v=1)))

    assert turns(lambda: site.ask(token, logout)) <= (3 if kind == "memcached" else 2)
    assert site.seen(token) == NOBODY
