"""``kill -9`` of a durable server under load: what was answered is there, and the application is not restarted."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from load import Load
from servers import MariaDBServer, PostgreSQLServer, RedisServer, Server, need
from wsgi_servers import SERVERS, WebServer

#: Requests that are answered with 200, for all three servers together: 20,000 for each would take ten minutes.
REQUESTS = 20_000
CRASHES = 3

DURABLE: dict[str, tuple[type[Server], list[str]]] = {
    "postgresql": (PostgreSQLServer, ["-c", "synchronous_commit=on"]),
    "mariadb": (MariaDBServer, ["--innodb-flush-log-at-trx-commit=1"]),
    "redis": (RedisServer, ["--appendonly", "yes", "--appendfsync", "always"]),
}


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in DURABLE])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    kind, args = DURABLE[request.param]
    need(kind)
    with kind(*args) as server:
        yield server


@pytest.fixture
def web(server: Server) -> Iterator[WebServer]:
    url: str = server.url  # type: ignore[attr-defined]  # each kind's own
    with SERVERS["gthread"]("fork_app", {"FLASK_SESSIONKIT_STORE": url}) as web:
        yield web


@pytest.mark.thorough
def test_what_was_answered_survives_a_crash_of_the_server(server: Server, web: WebServer) -> None:
    """Eight clients of a real gunicorn; the server is killed three times in 20,000 requests, for all kinds together."""
    wanted = REQUESTS // len(DURABLE)
    with Load(web) as load:
        for crash in range(1, CRASHES + 1):
            load.wait_for(crash * wanted // (CRASHES + 1))
            server.kill()
            load.wait_for_refusal(time.monotonic())
            server.start()
        load.wait_for(wanted)
    load.check()

    assert load.wrong == []
    assert load.answered >= wanted
