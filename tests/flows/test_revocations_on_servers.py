"""Sealed cookies with their revocation store on real servers, and several processes of one application."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flow_fixtures import each_of
from flow_site import NOBODY, Seen, Site, both, login, logout, look, put, renew, still
from flow_stores import keys_in, note_server, open_store, prepare
from servers import PostgreSQLServer, Proxy, RedisServer

from flask_sessionkit import logout_user
from flask_sessionkit.clock import SystemClock
from flask_sessionkit.stores.base import Store
from flask_sessionkit.testing import FrozenClock
from flask_sessionkit.testing.processes import in_processes

ROUNDS = 200


kind = each_of(
    [
        pytest.param("redis", marks=[pytest.mark.redis, pytest.mark.thorough]),
        pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.thorough]),
    ]
)


@pytest.fixture
def site(kind: str, wire: Proxy, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """A site behind the wire, whose store is connected."""
    store = open_store(kind, prepare(kind, tmp_path, request, wire=wire), timeout=0.5)
    site = Site(store, FrozenClock(), in_cookies=True)
    site.ask(site.token(login("warm")), logout)
    return site


def everywhere() -> None:
    logout_user(everywhere=True)


def test_a_request_of_a_user_costs_one_trip(site: Site, wire: Proxy) -> None:
    def turns(call: Callable[[], object]) -> int:
        wire.reset()
        call()
        return wire.turns

    user, nobodys = site.token(both(login("ann"), put(v=1))), site.token(put(v=1))

    assert turns(lambda: site.ask(user, look)) == 1
    assert turns(lambda: site.ask(user, put(v=2))) == 1
    assert turns(lambda: site.ask(user, still)) == 0
    assert turns(lambda: site.ask(nobodys, put(v=2))) == 0
    assert turns(lambda: site.ask(nobodys, login("ann"))) == 2
    assert turns(lambda: site.ask(user, logout)) == 2
    assert site.dead(user)


@pytest.mark.requirement("TR-12")
@pytest.mark.parametrize("mode", ["refuse", "silent"])
def test_a_store_that_cannot_answer_is_a_503_and_the_next_request_works(site: Site, wire: Proxy, mode: Any) -> None:
    """TR-12."""
    user, nobodys = site.token(login("ann")), site.token(put(v=1))
    wire.mode = mode

    for view in (look, put(v=2), logout, everywhere, renew, login("bob")):
        answer = site.ask(user, view, status=503)
        assert answer.says_nothing
        assert answer.response.headers["Retry-After"] == "5"
    assert site.ask(user, still).value == "still"
    assert site.seen(nobodys) == Seen(None, {"v": 1})
    wire.mode = "pass"
    assert site.seen(user).user == "ann"


def test_a_server_that_is_stopped_is_a_503_until_it_is_back(kind: str, tmp_path: Path) -> None:
    """TR-12: what it had noted before is there afterwards, as both write to the disk first."""
    servers: dict[str, Callable[[], Any]] = {
        "redis": lambda: RedisServer("--appendonly", "yes", "--appendfsync", "always"),
        "postgresql": lambda: PostgreSQLServer("-c", "fsync=on", "-c", "synchronous_commit=on"),
    }
    with servers[kind]() as server:
        note_server(server, tmp_path)
        site = Site(open_store(kind, tmp_path, timeout=0.5), FrozenClock(), in_cookies=True)
        user, ended = site.token(login("ann")), site.token(login("ann"))
        site.ask(ended, logout)

        server.kill()
        assert site.ask(user, look, status=503).says_nothing
        assert site.ask(ended, look, status=503).says_nothing
        server.start()

        assert site.seen(user).user == "ann"
        assert site.dead(ended)


def test_a_store_that_was_emptied_or_set_back_opens_nothing_that_was_not_live_then(site: Site) -> None:
    store: Store = site.store
    kept, ended = site.token(login("ann")), site.token(login("ann"))
    site.ask(ended, logout)
    backup = [record for key in keys_in(store) if (record := store.load(key, now=site.clock.now()))]
    since = site.token(login("ann"))
    site.ask(since, everywhere)

    for key in keys_in(store):
        store.delete(key)
    assert site.dead(kept, ended, since)

    for record in backup:
        store.create(record)
    assert site.dead(ended, since)
    assert site.seen(kept).user == "ann"  # the limit of any store that forgets: it was live at the moment of the backup


def race(store: Store, lane: int, meet: Callable[[], object], pairs: list[tuple[str, str]]) -> list[str]:
    """End one session, all sessions, or begin one, each round for another user; return the tokens that were sent."""
    site = Site(store, SystemClock(), in_cookies=True)  # type: ignore[arg-type]  # nobody ticks it
    sent = []
    for number, (first, second) in enumerate(pairs):
        meet()
        match lane:
            case 0:
                site.ask(first, logout)
            case 1:
                site.ask(second, everywhere)
            case _:
                sent.append(site.token(login(f"user {number}")))
    return sent


@pytest.mark.requirement("CC-01", "TR-01", "TR-03")
def test_logouts_and_logins_in_the_same_instant_by_processes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """TR-01, TR-03, CC-01: 200 of 200. Of a login at that very instant either holds, but all agree on it."""
    factory = partial(open_store, kind, prepare(kind, tmp_path, request))
    site = Site(factory(), SystemClock(), in_cookies=True)  # type: ignore[arg-type]  # nobody ticks it
    users = [f"user {number}" for number in range(ROUNDS)]
    pairs = [(site.token(login(user)), site.token(login(user))) for user in users]

    sent = in_processes(factory, race, pairs)

    assert all(site.dead(*pair) for pair in pairs)
    for user, *tokens in zip(users, *sent[2:], strict=True):
        live = [token for token in tokens if site.seen(token) != NOBODY]
        assert len(site.outside(site.kit.sessions_of, user)) == len(live)
        later = site.token(login(user))
        assert site.seen(later).user == user
        assert site.outside(site.kit.revoke_user, user) == len(live) + 1
        assert site.dead(*tokens, later)
