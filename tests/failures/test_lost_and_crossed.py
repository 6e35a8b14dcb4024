"""Answers that are lost, or somebody else's: each change is made once, and nobody is taken for another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_site import NOBODY, Seen, Site, both, bump, drop, login, look, put
from flow_stores import note_server, open_store
from servers import Proxy, RedisServer, need

from flask_sessionkit.testing import FrozenClock

#: What a change looks like on the wire.
CHANGE = {"redis": b"replace", "memcached": b"cas ", "postgresql": b"SET payload", "mariadb": b"SET payload"}


@pytest.fixture
def other(kind: str, folder: Path, site: Site, request: pytest.FixtureRequest) -> Site:
    """A second application, on a wire of its own."""
    note_server(request.getfixturevalue(f"{kind}_server"), folder)
    other = Site(open_store(kind, folder, timeout=5), FrozenClock())
    other.handed_out = site.handed_out
    return other


def lose_one(wire: Proxy, kind: str, between: Callable[[], object]) -> None:
    """Cut the wire in place of the next change's answer, after something else has happened."""
    is_armed = True

    def meddle(question: bytes, answer: bytes) -> bytes | None:
        nonlocal is_armed
        if not (is_armed and CHANGE[kind] in question):
            return answer
        is_armed = False
        between()
        return None

    wire.meddle = meddle


def test_a_change_that_another_came_after_is_not_made_twice(kind: str, site: Site, other: Site, wire: Proxy) -> None:
    token = site.token(put(n=1))
    lose_one(wire, kind, lambda: other.ask(token, bump()))

    answer = site.ask(token, bump(), status=(200, 503))

    assert other.seen(token).data == {"n": 3}
    assert answer.status == 503  # nobody can tell


def test_a_key_that_was_taken_away_after_a_lost_answer_stays_away(
    kind: str, site: Site, other: Site, wire: Proxy
) -> None:
    token = site.token(put(v=1))
    lose_one(wire, kind, lambda: other.ask(token, drop("order")))

    site.ask(token, both(look, put(order=7)), status=(200, 503))

    assert other.seen(token).data == {"v": 1}


def test_a_change_whose_answer_was_lost_and_that_nobody_came_after_is_told_as_made(
    kind: str, site: Site, other: Site, wire: Proxy
) -> None:
    token = site.token(put(n=1))
    lose_one(wire, kind, lambda: None)

    assert site.ask(token, bump()).value == 2
    assert other.seen(token).data == {"n": 2}


@pytest.mark.requirement("ST-01", "ST-13")
def test_somebody_elses_answer_opens_nothing(site: Site, wire: Proxy) -> None:
    """ST-01, ST-13: whatever goes wrong below, the seal fits one key only."""
    ann = site.token(both(login("ann"), put(secret="ann's")))
    bob = site.token(both(login("bob"), put(v=1)))
    overheard: list[bytes] = []
    wire.meddle = lambda question, answer: (overheard.append(answer), answer)[1]
    assert site.seen(ann) == Seen("ann", {"secret": "ann's"})
    [anns] = overheard

    wire.meddle = lambda question, answer: anns
    seen = site.ask(bob, look, status=(200, 503)).value
    wire.meddle = None

    assert seen in (NOBODY, None)
    assert site.seen(bob) == Seen("bob", {"v": 1})


@pytest.mark.redis
@pytest.mark.parametrize("kind", ["redis"])
def test_a_redis_that_is_no_longer_the_primary_is_left(kind: str, tmp_path: Path) -> None:
    """Its name leads to the new one by then; connections that were kept would lead to the old one for ever."""
    need(RedisServer)
    with RedisServer() as old, RedisServer() as new, Proxy(old.host, old.port) as name:
        note_server(old, tmp_path, wire=name)
        site = Site(open_store(kind, tmp_path, timeout=0.5), FrozenClock())
        token = site.token(put(v=1))
        old.run("redis-cli", "-p", str(old.port), "replicaof", new.host, str(new.port))
        name._server = (new.host, new.port)

        site.ask(token, put(v=2), status=(200, 503))
        fresh: Any = site.token(put(v=3))

        assert site.seen(fresh).data == {"v": 3}
