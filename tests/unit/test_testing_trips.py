"""What a request costs is counted, all of it, and told by request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session

from flask_sessionkit import SessionKit, SessionKitError, current_user_id, logout_user
from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import (
    PausingStore,
    SessionKitClient,
    client_of,
    in_thread,
    pausing,
    race,
    round_trips,
    time_travel,
)


def shop(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update({"TESTING": True, "SECRET_KEY": "a test's key", "SESSIONKIT_STORE": "memory:"} | config)
    SessionKit(app)
    app.add_url_rule("/", "look", lambda: current_user_id() or "nobody")
    app.add_url_rule("/still", "still", lambda: "still")
    app.add_url_rule("/add", "add", lambda: session.update(n=session.get("n", 0) + 1) or "", methods=["POST"])
    app.add_url_rule("/logout", "logout", lambda: logout_user() or "", methods=["POST"])
    return app


@pytest.fixture
def app() -> Flask:
    return shop()


@pytest.fixture
def client(app: Flask) -> SessionKitClient:
    client = client_of(app)
    client.login("ann")
    return client


# Round trips.


@pytest.mark.parametrize(
    ("send", "calls"),
    [
        (lambda client: client.get("/still"), []),
        (lambda client: client.get("/"), ["load"]),
        (lambda client: client.post("/add"), ["load", "replace"]),
        (lambda client: client.login("bob"), ["load", "create", "replace"]),
        (lambda client: client.post("/logout"), ["load", "replace"]),
        (lambda client: (client.get("/"), client.get("/")), ["load", "load"]),
    ],
)
def test_calls_are_counted_in_their_order(
    app: Flask, client: SessionKitClient, send: Callable[[SessionKitClient], object], calls: list[str]
) -> None:
    with round_trips(app, max=len(calls)) as trips:
        send(client)

    assert trips.calls == calls
    assert trips.count == len(calls)


def test_one_too_many_is_an_error_that_names_them_by_request(app: Flask, client: SessionKitClient) -> None:
    def send() -> None:
        with round_trips(app, max=1):
            client.get("/")
            client.post("/add")

    with pytest.raises(AssertionError) as told:
        send()

    assert (
        str(told.value) == "The store was called 3 times, more often than max=1. GET /: load; POST /add: load, replace."
    )


def test_no_call_may_be_allowed(app: Flask, client: SessionKitClient) -> None:
    with pytest.raises(AssertionError, match="1 times, more often than max=0"), round_trips(app, max=0):
        client.get("/")


def test_what_is_called_outside_of_a_request_counts(app: Flask) -> None:
    with app.app_context(), round_trips(app) as trips:
        app.extensions["sessionkit"].purge()

    assert str(trips) == "no request: purge"


def test_two_requests_to_one_view_are_told_apart(app: Flask, client: SessionKitClient) -> None:
    with round_trips(app) as trips:
        client.post("/add")
        client.post("/add")

    assert str(trips) == "POST /add: load, replace; POST /add: load, replace"


def test_another_error_is_not_hidden(app: Flask, client: SessionKitClient) -> None:
    def fail() -> None:
        client.get("/")
        raise LookupError

    with pytest.raises(LookupError), round_trips(app, max=0):
        fail()


def test_a_call_that_fails_counts(client: SessionKitClient, app: Flask) -> None:
    with pausing(app) as store:
        store.fail("load")
        with round_trips(app) as trips:
            client.get("/")

    assert trips.calls == ["load"]


def test_nothing_is_counted_before_and_afterwards(app: Flask, client: SessionKitClient) -> None:
    client.get("/")
    with round_trips(app) as trips:
        pass
    client.get("/")

    assert trips.count == 0


def test_no_call_is_lost_between_threads(app: Flask) -> None:
    clients = [client_of(app) for _ in range(4)]
    for number, client in enumerate(clients):
        client.login(f"user {number}")

    with round_trips(app) as trips:
        race(*[lambda _, client=client: client.get("/") for client in clients], rounds=50)

    assert trips.calls == ["load"] * 200


def test_a_request_under_way_keeps_its_store(app: Flask, client: SessionKitClient) -> None:
    with pausing(app) as store:
        gap = store.pause_before("replace")
        slow = in_thread(client.post, "/add")
        with gap, round_trips(app) as trips:
            pass
        slow.result()

    assert trips.count == 0


def test_sessions_in_browsers_ask_the_revocation_store() -> None:
    app = shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE="memory:")
    client = client_of(app)
    client.login("ann")

    with round_trips(app) as trips:
        client.get("/")

    assert trips.calls == ["load"]


def test_sessions_in_browsers_alone_cost_none() -> None:
    app = shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=None)
    client = client_of(app)

    with round_trips(app, max=0):
        client.login("ann")
        assert client.get("/").text == "ann"


def test_a_touch_of_its_own_counts() -> None:
    class Touching(MemoryStore):
        def touch(self, record: Any, *, now: float) -> bool:
            return True

    app = shop(SESSIONKIT_STORE=Touching())
    client = client_of(app)
    client.login("ann")

    with time_travel(app) as clock, round_trips(app) as trips:
        clock.tick(61)
        client.get("/")

    assert trips.calls == ["load", "touch"]


@pytest.mark.parametrize("around", [pausing, round_trips])
def test_a_limit_of_the_store_holds_inside(around: Any) -> None:
    class Small(MemoryStore):
        max_payload = 400

    app = shop(SESSIONKIT_STORE=Small(), PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/long", "long", lambda: session.update(text="x" * 400) or "", methods=["POST"])
    client = client_of(app)

    with around(app):
        assert client.post("/add").status_code == 200
        assert client.post("/long").status_code == 500


@pytest.mark.parametrize("around", [pausing, round_trips])
def test_an_application_with_other_sessions_is_told(around: Any) -> None:
    with pytest.raises(SessionKitError, match="other has other sessions"), around(Flask("other")):
        pass


# Pausing.


def test_a_logout_overtakes_a_save(app: Flask, client: SessionKitClient) -> None:
    with pausing(app) as store:
        gap = store.pause_before("replace")
        slow = in_thread(client.tab().post, "/add")
        with gap:
            client.logout()
        assert slow.result().status_code == 200

    assert client.get("/").text == "nobody"


@pytest.mark.parametrize("fails", [True, False])
def test_afterwards_the_application_has_its_own_store(*, fails: bool) -> None:
    own = MemoryStore()
    app = shop(SESSIONKIT_STORE=own)
    kit, found = app.extensions["sessionkit"], list[Store]()

    with app.app_context():
        try:
            with pausing(app) as store:
                found.append(kit.store)
                if fails:
                    raise LookupError
        except LookupError:
            pass
        found.append(kit.store)

    assert found == [store, own]
    assert isinstance(store, PausingStore)
    assert store.inner is own


def test_sessions_in_browsers_alone_have_nothing_to_pause() -> None:
    app = shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=None)

    with pytest.raises(SessionKitError, match=r"shop has no store that could be paused\. Set SESSION"):
        pausing(app).__enter__()
