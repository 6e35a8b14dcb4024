"""Time travel moves every clock of ours, and gives the application its own back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask, session

from flask_sessionkit import SessionKit, SessionKitError, current_user_id, fresh_login_required
from flask_sessionkit.testing import FrozenClock, SessionKitClient, client_of, round_trips, time_travel


def shop(clock: FrozenClock | None = None, **config: Any) -> tuple[Flask, SessionKit]:
    app = Flask("shop")
    app.config.update({"TESTING": True, "SECRET_KEY": "a test's key", "SESSIONKIT_STORE": "memory:"} | config)
    app.add_url_rule("/", "look", lambda: {"user": current_user_id(), "why": session.ended_because})  # type: ignore[attr-defined]
    app.add_url_rule("/sudo", "sudo", fresh_login_required(lambda: "ok"))
    return app, SessionKit(app, clock=clock)


@pytest.fixture
def app() -> Flask:
    return shop()[0]


@pytest.fixture
def client(app: Flask) -> SessionKitClient:
    return client_of(app)


def seen(client: SessionKitClient) -> Any:
    return client.get("/").json


ANN = {"user": "ann", "why": None}


@pytest.mark.parametrize(
    "config",
    [{}, {"SESSIONKIT_STORE": "cookie:", "SESSIONKIT_REVOCATION_STORE": "memory:"}],
    ids=["server", "client"],
)
def test_an_idle_session_ends(config: dict[str, Any]) -> None:
    app, _ = shop(**config)
    client = client_of(app)
    client.login("ann")

    with time_travel(app) as clock:
        clock.tick(minutes=29)
        assert seen(client) == ANN
        clock.tick(minutes=31)
        assert seen(client) == {"user": None, "why": "idle"}


def test_a_session_ends_however_busy(app: Flask, client: SessionKitClient) -> None:
    client.login("ann")

    with time_travel(app) as clock:
        for _ in range(35):
            clock.tick(minutes=20)
            assert seen(client) == ANN
        clock.tick(minutes=20)
        assert seen(client) == {"user": None, "why": "absolute"}


def test_a_login_grows_stale(app: Flask, client: SessionKitClient) -> None:
    client.login("ann")

    with time_travel(app) as clock:
        clock.tick(minutes=14)
        assert client.get("/sudo").status_code == 200
        clock.tick(minutes=2)
        assert client.get("/sudo").status_code == 401


def test_last_seen_is_written_when_it_is_due(app: Flask, client: SessionKitClient) -> None:
    client.login("ann")

    with time_travel(app) as clock:
        with round_trips(app, max=1):
            seen(client)
        clock.tick(61)
        with round_trips(app) as trips:
            seen(client)

    assert trips.calls == ["load", "load"]


def test_a_purge_takes_what_has_ended_by_then() -> None:
    app, kit = shop()
    client_of(app).login("ann")

    with app.app_context():
        assert kit.purge() == 0
        with time_travel(app) as clock:
            clock.tick(days=1)
            assert kit.purge() == 1


def test_it_begins_at_the_applications_own_time(app: Flask) -> None:
    before = time.time()
    with time_travel(app) as clock:
        assert before <= clock.now() <= time.time()

    with time_travel(shop(FrozenClock(5.0))[0]) as clock:
        assert clock.now() == 5.0


def test_a_journey_inside_of_another_goes_on_from_there(app: Flask, client: SessionKitClient) -> None:
    client.login("ann")

    with time_travel(app) as outer:
        outer.tick(minutes=20)
        with time_travel(app) as inner:
            inner.tick(minutes=11)
            assert seen(client)["user"] is None
        assert outer.now() == inner.now() - 660


@pytest.mark.parametrize("fails", [True, False])
def test_afterwards_the_application_has_its_own_clock(app: Flask, client: SessionKitClient, *, fails: bool) -> None:
    client.login("ann")
    try:
        with time_travel(app) as clock:
            clock.tick(minutes=31)
            if fails:
                raise LookupError
    except LookupError:
        pass

    assert seen(client) == ANN


def test_a_session_that_was_seen_in_the_future_lives_on(app: Flask, client: SessionKitClient) -> None:
    client.login("ann")
    with time_travel(app) as clock:
        clock.tick(minutes=20)
        seen(client)

    assert seen(client) == ANN


def test_another_application_of_the_same_kit_keeps_its_time(app: Flask, client: SessionKitClient) -> None:
    client.login("ann")
    other = Flask("other")
    other.config.update(TESTING=True, SECRET_KEY="x", SESSIONKIT_STORE="memory:")
    app.extensions["sessionkit"].init_app(other)

    with time_travel(other) as clock:
        clock.tick(minutes=31)
        assert seen(client) == ANN


def test_an_application_with_other_sessions_is_told() -> None:
    with pytest.raises(SessionKitError, match="other has other sessions"), time_travel(Flask("other")):
        pass
