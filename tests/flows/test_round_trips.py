"""What a request costs on the wire: turns from client to server, counted by a proxy between the store and its server.

What is promised is in the tests. Without a conflict, a session limit, or what the user stamp asks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flow_fixtures import each_of
from flow_site import NOBODY, Seen, Site, View, append, both, login, logout, look, put, still
from flow_stores import SERVED_KINDS, open_store, prepare
from servers import Proxy, RedisCluster

from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.testing import FrozenClock, round_trips
from flask_sessionkit.tokens import new_token

kind = each_of(SERVED_KINDS)


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


@pytest.mark.requirement("IN-01")
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


def test_the_tool_for_tests_counts_what_goes_over_the_wire(kind: str, site: Site, turns: Turns) -> None:
    """``round_trips``; on Memcached, as it says, what changes the list of a user's sessions costs more."""
    token = site.token(both(login("ann"), put(v=[1])))
    costs: list[tuple[int, int]] = []

    def send(token: str | None, view: View) -> None:
        with round_trips(site.app) as trips:
            on_wire = turns(lambda: site.ask(token, view))
        costs.append((trips.count, on_wire))

    for sender, view in [(token, still), (token, look), (token, append("v", 2)), (None, put(v=1)), (new_token(), look)]:
        send(sender, view)
    site.clock.tick(61)
    send(token, look)
    if kind != "memcached":
        for sender, view in [(None, login("bob")), (token, login("ann")), (site.handed_out[-1], logout)]:
            send(sender, view)

    assert [count for count, _ in costs] == [on_wire for _, on_wire in costs]


# A Cluster: each node behind a wire of its own.


@pytest.fixture
def wires(redis_cluster: RedisCluster) -> Iterator[dict[int, Proxy]]:
    with ExitStack() as stack:
        yield {node.port: stack.enter_context(Proxy(node.host, node.port)) for node in redis_cluster.nodes}


@pytest.fixture
def on_cluster(wires: dict[int, Proxy], tmp_path: Path) -> Iterator[Site]:
    import redis

    client = redis.RedisCluster(
        host="127.0.0.1",
        port=next(iter(wires.values())).port,
        address_remap=lambda address: (address[0], wires[address[1]].port if address[1] in wires else address[1]),
    )
    site = Site(RedisStore(client, prefix=f"{tmp_path.name}:"), FrozenClock())
    for number in range(20):  # so that every node knows the scripts, and the client every command
        token = site.token(login(f"warm {number}"), site.token(put(v=1)))
        site.clock.tick(61)
        site.ask(token, put(v=2))
        site.ask(token, logout)
    yield site
    client.close()


@pytest.mark.requirement("ST-14")
@pytest.mark.redis
def test_on_a_cluster_a_login_costs_five_and_the_rest_the_same(on_cluster: Site, wires: dict[int, Proxy]) -> None:
    def turns(call: Callable[[], object]) -> int:
        for wire in wires.values():
            wire.reset()
        call()
        return sum(wire.turns for wire in wires.values())

    site = on_cluster
    token = site.token(put(cart=[1]))

    assert turns(lambda: site.ask(token, still)) == 0
    assert turns(lambda: site.ask(token, look)) == 1
    assert turns(lambda: site.ask(token, append("cart", 2))) == 2
    assert turns(lambda: site.ask(None, put(v=1))) == 1
    assert turns(lambda: site.ask(token, login("ann"))) <= 5
    signed_in = site.handed_out[-1]
    site.clock.tick(61)
    assert turns(lambda: site.ask(signed_in, look)) == 1
    assert turns(lambda: site.ask(signed_in, put(v=1))) == 2
    assert turns(lambda: site.ask(signed_in, logout)) == 2
    assert site.seen(signed_in) == NOBODY
