"""Sessions that move to another store while requests of theirs are under way, on servers of either order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask import session
from flow_site import NOBODY, Answer, Seen, Site, both, login, logout, put, renew

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.migrating import MigratingStore
from flask_sessionkit.testing import Crash, FrozenClock, PausingStore, in_thread
from flask_sessionkit.testing.interleaving import Call

pytestmark = pytest.mark.thorough

#: Each call of the move of a session at its first request, and of the save behind it.
STEPS: list[tuple[str, Call, int]] = [
    ("new", "load", 1),
    ("old", "load", 1),
    ("new", "create", 1),
    ("old", "replace", 1),
    ("old", "load", 2),
    ("new", "replace", 1),
    ("old", "replace", 2),
    ("new", "load", 2),
    ("new", "replace", 2),
]


class Servers:
    """Three servers on two stores: one before the move, one that is stopped in it, and one that is not."""

    def __init__(self, order: str, **config: Any) -> None:
        self.clock = FrozenClock()
        self.new, self.old = PausingStore(MemoryStore()), PausingStore(MemoryStore())
        self.before = Site(self.old.inner, self.clock, **config)
        self.slow = Site(MigratingStore(self.new, self.old), self.clock, **config)
        inner = (self.new.inner, self.old.inner)
        self.quick = Site(MigratingStore(*(inner if order == "same" else inner[::-1])), self.clock, **config)

    def seen(self, token: str) -> Seen:
        """Return what any of those that know both stores serve; they agree."""
        first, *others = [site.seen(token) for site in (self.quick, self.slow, self.quick, self.slow)]
        assert [other for other in others if other != first] == []
        return first

    def users(self) -> list[str]:
        """Return who is signed in; a request that was too late may have begun a session of nobody."""
        return [contents.user for contents in self.quick.live_records() if contents.user is not None]

    def stop(self, step: tuple[str, Call, int], token: str, meanwhile: Callable[[], object]) -> Answer | None:
        """Let the slow server write to a session, and others act at a step of it; ``None`` if it did not get there."""
        store, call, nth = step
        gap = (self.new if store == "new" else self.old).pause_before(call, nth=nth)
        running = in_thread(self.slow.ask, token, put(slow=1), status=(200, 500))
        with gap:
            meanwhile()
        return running.result()

    def crash(self, step: tuple[str, Call, int], token: str, meanwhile: Callable[[], object]) -> None:
        """Let the slow server die at a step."""
        store, call, nth = step
        (self.new if store == "new" else self.old).crash(call, nth=nth)
        with suppress(Crash):
            self.slow.ask(token, put(slow=1))
        meanwhile()


@pytest.fixture(params=["same", "other"])
def servers(request: pytest.FixtureRequest) -> Servers:
    return Servers(request.param)


each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step)))
each_way = pytest.mark.parametrize("way", [Servers.stop, Servers.crash], ids=lambda way: way.__name__)
Way = Callable[[Servers, tuple[str, Call, int], str, Callable[[], object]], Answer | None]


@each_step
@each_way
def test_nobody_is_signed_out(servers: Servers, step: tuple[str, Call, int], way: Way) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))

    way(servers, step, token, lambda: None)

    seen = servers.seen(token)
    assert seen.user == "ann"
    assert seen.data is not None
    assert seen.data["cart"] == 1


@each_step
@each_way
def test_what_was_answered_is_there(servers: Servers, step: tuple[str, Call, int], way: Way) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))

    answer = way(servers, step, token, lambda: servers.quick.ask(token, put(quick=1)))

    data = {"cart": 1, "quick": 1} | ({"slow": 1} if answer is not None else {})
    assert servers.seen(token) == Seen("ann", data)


@pytest.mark.parametrize("forgotten", [False, True], ids=["at once", "an hour later"])
@each_step
@each_way
def test_who_logged_out_stays_so(servers: Servers, step: tuple[str, Call, int], way: Way, forgotten: bool) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))

    way(servers, step, token, lambda: servers.quick.ask(token, logout))

    if forgotten:
        servers.clock.tick(1000)
        servers.quick.purge()
    assert servers.seen(token) == NOBODY
    assert servers.users() == []


@each_step
@each_way
def test_who_is_revoked_stays_so(servers: Servers, step: tuple[str, Call, int], way: Way) -> None:
    tokens = [servers.before.token(both(login("ann"), put(cart=1))) for _ in range(3)]

    way(servers, step, tokens[1], lambda: servers.quick.outside(servers.quick.kit.revoke_user, "ann"))

    assert [servers.seen(token) for token in tokens] == [NOBODY] * 3
    assert servers.users() == []
    assert servers.quick.outside(servers.quick.kit.sessions_of, "ann") == []


@each_step
@each_way
def test_a_login_ends_what_was_there(servers: Servers, step: tuple[str, Call, int], way: Way) -> None:
    old = servers.before.token(put(cart=1))
    tokens: list[str] = []

    way(servers, step, old, lambda: tokens.append(servers.quick.token(login("ann"), old)))

    assert servers.seen(old) == NOBODY
    assert servers.seen(tokens[0]).user == "ann"
    assert len(servers.quick.live_records()) == 1


@each_step
@each_way
def test_a_renewal_leaves_one_session(servers: Servers, step: tuple[str, Call, int], way: Way) -> None:
    old = servers.before.token(both(login("ann"), put(cart=1)))
    tokens: list[str] = []

    way(servers, step, old, lambda: tokens.append(servers.quick.token(renew, old)))

    assert servers.seen(old) == NOBODY
    assert servers.seen(tokens[0]).user == "ann"
    assert len(servers.quick.live_records()) == 1
    assert len(servers.quick.outside(servers.quick.kit.sessions_of, "ann")) == 1


@each_step
@each_way
def test_a_pause_that_was_too_long_ends_it(servers: Servers, step: tuple[str, Call, int], way: Way) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))

    def idle() -> None:
        servers.clock.tick(1801)
        assert servers.quick.seen(token) == NOBODY

    way(servers, step, token, idle)

    assert servers.seen(token) == NOBODY
    servers.clock.tick(1000)
    servers.quick.purge()
    assert servers.seen(token) == NOBODY
    assert servers.users() == []


def test_a_session_that_ended_before_it_moved_tells_why(servers: Servers) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))
    servers.clock.tick(1801)

    assert servers.quick.ask(token, lambda: (dict(session), session.ended_because)[1]).value == "idle"


@pytest.mark.parametrize("at", ["load", "replace"])
@pytest.mark.parametrize("which", ["new", "old"])
@each_step
def test_a_store_that_does_not_answer_costs_a_request_and_no_session(
    servers: Servers, which: str, at: Call, step: tuple[str, Call, int]
) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))
    store = servers.new if which == "new" else servers.old
    store.fail(at, nth=step[2], before=step[0] == "new")

    answer = servers.slow.ask(token, put(slow=1), status=(200, 503))

    assert answer.says_nothing
    seen = servers.seen(token)
    assert seen.user == "ann"
    assert answer.status == 503 or seen.data == {"cart": 1, "slow": 1}


def test_a_session_that_moved_costs_what_it_costs_there(servers: Servers) -> None:
    token = servers.before.token(both(login("ann"), put(cart=1)))
    servers.slow.ask(token, put(more=1))
    servers.new.reset()
    servers.old.reset()

    servers.slow.ask(token, put(more=2))

    assert (servers.new.counts, servers.old.counts) == ({"load": 1, "replace": 1}, {})


def test_a_new_session_asks_the_old_store_whether_its_key_is_taken(servers: Servers) -> None:
    servers.slow.ask(None, put(cart=1))

    assert (servers.new.counts, servers.old.counts) == ({"create": 1}, {"load": 1})


def test_tokens_that_age_renews_are_followed_over_the_move() -> None:
    servers = Servers("same", SESSIONKIT_ROTATE_EVERY=60)
    old = servers.before.token(both(login("ann"), put(cart=1)))
    servers.clock.tick(61)
    new = servers.before.ask(old, put(cart=2)).token

    assert new is not None
    assert servers.quick.seen(old) == servers.quick.seen(new) == Seen("ann", {"cart": 2})
    servers.clock.tick(31)
    assert servers.quick.seen(old) == NOBODY
    assert servers.quick.seen(new) == NOBODY  # two have it, so nobody has


@pytest.mark.parametrize("order", ["same", "other"])
def test_what_a_revocation_store_knows_moves_too(order: str) -> None:
    """Of sessions that lie in browsers: who was signed out before, meanwhile or afterwards stays so."""
    clock, new, old = FrozenClock(), MemoryStore(), MemoryStore()
    before, after = (Site(store, clock, in_cookies=True) for store in (old, new))
    stores = (new, old) if order == "same" else (old, new)
    between = [Site(MigratingStore(*pair), clock, in_cookies=True) for pair in (stores, (new, old))]
    tokens = [before.token(login("ann")) for _ in range(4)]

    before.ask(tokens[0], logout)
    between[0].ask(tokens[1], logout)
    between[1].seen(tokens[3])
    after.ask(tokens[2], logout)

    for site in (between[1], after):
        assert [site.seen(token).user for token in tokens] == [None, None, None, "ann"]
