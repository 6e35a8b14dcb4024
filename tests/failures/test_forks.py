"""A store that was made and used before the fork: every child has connections of its own, and the parent keeps its."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from clients import Browser, share
from flow_stores import SERVED, SERVED_KINDS
from fork_parent import CHILDREN
from servers import Proxy
from wsgi_servers import HERE, SERVERS, Gunicorn

#: For each store, over all kinds of web server: issue 3 of this project.
REPLIES = 2000
USERS = 50

KINDS = ["sqlite", *SERVED_KINDS]


@pytest.fixture
def url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind in SERVED:
        return str(request.getfixturevalue(f"{kind}_server").url)
    return f"sqlite:///{tmp_path}/sessions.db"


@dataclass
class User:
    name: str
    cookie: str | None = None
    n: int = 0
    wrong: int = 0


@pytest.mark.thorough
@pytest.mark.parametrize("workers", SERVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_reply_of_a_forked_worker_is_anothers(url: str, workers: str) -> None:
    users = [User(f"user-{number}") for number in range(USERS)]
    each = REPLIES // len(SERVERS) // USERS
    seen_workers: set[int] = set()

    def step(browser: Browser, user: User) -> bool:
        path = f"/login?user={user.name}" if user.cookie is None else "/add"
        reply = browser.ask("POST", path, user.cookie)
        if user.cookie is None:
            user.cookie = reply.cookie
        else:
            user.n += 1
        is_right = (reply.status, *map(reply.told.get, ("user", "name", "n"))) == (200, user.name, user.name, user.n)
        user.wrong += not is_right
        if is_right:
            seen_workers.add(reply.told["worker"])
            assert reply.told["imported_in"] != reply.told["worker"], "not forked"
        return user.n + 1 >= each

    # Patient: eight clients on one SQLite file wait for each other.
    with SERVERS[workers](
        "fork_app", {"FLASK_SESSIONKIT_STORE": url, "FLASK_SESSIONKIT_STORE_TIMEOUT": "10"}
    ) as server:
        share(server, users, step)

    assert sum(user.wrong for user in users) == 0
    assert len(seen_workers) == 2


def test_a_parent_goes_on_while_and_after_its_children_use_a_file(tmp_path: Path) -> None:
    run_parent(f"sqlite:///{tmp_path}/sessions.db")


@pytest.mark.parametrize("kind", SERVED_KINDS)
def test_a_parent_goes_on_with_its_connection_while_and_after_its_children_have_theirs(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(f"{kind}_server")
    with Proxy(server.host, server.port) as wire:
        run_parent(server.url.replace(f":{server.port}", f":{wire.port}"))

        assert wire.connections == 1 + CHILDREN


def run_parent(url: str) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "fork_parent.py")],
        env=os.environ | {"FLASK_SESSIONKIT_STORE": url, "FLASK_SESSIONKIT_STORE_TIMEOUT": "10"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", SERVED_KINDS)
def test_a_gevent_worker_serves_others_while_one_waits_for_the_store(kind: str, request: pytest.FixtureRequest) -> None:
    """Gunicorn patches after the fork, so with ``--preload`` the drivers were imported unpatched."""
    server = request.getfixturevalue(f"{kind}_server")
    with Proxy(server.host, server.port) as wire:
        environ = {
            "FLASK_SESSIONKIT_STORE": server.url.replace(f":{server.port}", f":{wire.port}"),
            "FLASK_SESSIONKIT_STORE_TIMEOUT": "10",
        }
        with Gunicorn("fork_app", environ, "--workers", "1", "--worker-class", "gevent") as web:
            with Browser(web) as browser:
                cookie = browser.ask("POST", "/login?user=ann").cookie
            wire.delay = 0.3
            most_inside: list[int] = []

            def look(browser: Browser, _: int) -> bool:
                most_inside.append(browser.ask("GET", "/look", cookie).told["most_inside"])
                return True

            share(web, list(range(8)), look, clients=4)

    assert max(most_inside) > 1
