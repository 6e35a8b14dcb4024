"""``flask sessions list``, ``revoke`` and ``stats`` on real servers. CL-04."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import Result
from flow_site import Site, both, login, look, put, renew
from flow_stores import SERVED_KINDS, open_store, prepare

from flask_sessionkit import session_ended
from flask_sessionkit.testing import FrozenClock, in_thread

pytestmark = pytest.mark.thorough


CLUSTER = pytest.param("cluster", marks=pytest.mark.redis)
#: Memcached cannot be walked.
WALKABLE = [CLUSTER, *(kind for kind in SERVED_KINDS if "memcached" not in kind.values)]


def a_site(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    if kind == "cluster":
        from flask_sessionkit.stores.redis import RedisStore

        url = request.getfixturevalue("redis_cluster").url
        return Site(RedisStore.from_url(url, prefix=f"{uuid.uuid4().hex}:", timeout=10), FrozenClock())
    return Site(open_store(kind, prepare(kind, tmp_path, request)), FrozenClock())


@pytest.fixture(params=[CLUSTER, *SERVED_KINDS])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return a_site(request.param, tmp_path, request)


@pytest.fixture(params=WALKABLE)
def walkable(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return a_site(request.param, tmp_path, request)


@pytest.fixture
def reasons() -> Iterator[list[str]]:
    told: list[str] = []

    def note(_: object, reason: str, **__: object) -> None:
        told.append(reason)

    with session_ended.connected_to(note):
        yield told


def run(site: Site, *args: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["sessions", *args])


def listed(site: Site, user: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run(site, "list", user, "--format", "json").output)
    return rows


@pytest.mark.requirement("CL-04")
def test_an_operator_sees_and_ends_a_users_sessions(site: Site, reasons: list[str]) -> None:
    tokens = [site.token(login("ann")) for _ in range(3)]
    other = site.token(login("bob"))
    rows = listed(site, "ann")
    assert len({row["handle"] for row in rows}) == 3

    assert run(site, "revoke", rows[0]["handle"]).output == "1 ended.\n"
    assert run(site, "revoke", "--user", "ann").output == "2 ended.\n"
    assert [site.ask(token, look).value.user for token in tokens] == [None] * 3
    assert site.ask(other, look).value.user == "bob"
    assert listed(site, "ann") == []
    assert reasons == ["administrator"] * 3


@pytest.mark.requirement("CL-04")
def test_an_operator_ends_all(walkable: Site, reasons: list[str]) -> None:
    """More than a walk reads at once, on each primary of a Cluster."""
    tokens = [walkable.token(login(f"user {number % 50}") if number % 3 else put(v=1)) for number in range(400)]
    done = run(walkable, "revoke", "--all", "--yes")

    assert done.output == "400 ended.\n"
    assert all(walkable.ask(token, look).value.user is None for token in tokens[::9])
    assert run(walkable, "revoke", "--all", "--yes").output == "0 ended.\n"
    assert reasons == ["administrator"] * 400


def test_nobody_slips_through_by_renewing_a_token_meanwhile(walkable: Site) -> None:
    tokens = [walkable.token(login(f"user {number}")) for number in range(40)]
    is_over = Event()

    def go_on(token: str) -> int:
        turns = 0
        while not is_over.is_set():
            answer = walkable.ask(token, renew, status=(200, 500, 503))
            token, turns = answer.token or token, turns + 1
        return turns

    busy = [in_thread(go_on, token) for token in tokens[::10]]
    done = run(walkable, "revoke", "--all", "--yes")
    is_over.set()

    assert done.exit_code == 0
    assert all(one.result() for one in busy)
    assert [token for token in walkable.handed_out if walkable.ask(token, look).value.user] == []


def test_an_operator_counts_what_there_is(walkable: Site) -> None:
    walkable.token(both(login("gone"), put(v=1)))
    walkable.clock.tick(3600)
    for number in range(250):
        walkable.token(both(login("ann"), put(v="x" * number)) if number % 5 else put(v="x" * number))
    found = json.loads(run(walkable, "stats", "--format", "json").output)

    assert (found["live"], found["signed_in"], found["expired"]) == (250, 200, 1)
    assert (found["ended"], found["unreadable"]) == (0, 0)
    assert found["largest_size"] > found["median_size"] > 100
    assert found["ages"][0] == {"under": 3600.0, "count": 250}


@pytest.mark.memcached
@pytest.mark.parametrize("args", [["stats"], ["revoke", "--all", "--yes"]], ids=str)
def test_memcached_says_that_it_cannot_be_walked(
    args: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    done = run(a_site("memcached", tmp_path, request), *args)

    assert done.exit_code == 1
    assert done.output.startswith("Error: This store cannot be walked from end to end")
