"""The tools for tests of applications, on every kind of store that an application may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, session
from flask_sqlalchemy import SQLAlchemy
from flow_stores import open_store

from flask_sessionkit import SessionKit, current_user_id, logout_user
from flask_sessionkit.stores.base import Capability, Store
from flask_sessionkit.testing import client_of, in_thread, pausing, round_trips, time_travel, two_devices


def shop(**config: Any) -> tuple[Flask, SessionKit]:
    app = Flask("shop")
    app.config.update({"TESTING": True, "SECRET_KEY": "a test's key"} | config)
    kit = SessionKit(app)
    kit.user_stamp(lambda user: "as ever")  # without one Memcached does not let a user be revoked
    app.add_url_rule("/", "look", lambda: current_user_id() or "nobody")
    app.add_url_rule("/add", "add", lambda: session.setdefault("cart", []).append("tea") or "", methods=["POST"])
    app.add_url_rule("/logout", "logout", lambda: logout_user() or "", methods=["POST"])  # type: ignore[func-returns-value]
    return app, kit


@pytest.fixture
def own_store(kind: str, folder: Path) -> Store:
    """As an application has it: nothing is wrapped around it."""
    return open_store(kind, folder)


@pytest.fixture
def app(own_store: Store) -> Flask:
    return shop(SESSIONKIT_STORE=own_store)[0]


def test_two_devices_are_two_in_the_list_and_end_apart(own_store: Store) -> None:
    app, kit = shop(SESSIONKIT_STORE=own_store)
    laptop, phone = two_devices(app, "ann")

    with app.app_context():
        [lost] = [one for one in kit.sessions_of("ann") if "iPhone" in one.user_agent]
        assert kit.revoke(lost.handle, user_id="ann") == 1

    assert phone.get("/").text == "nobody"
    assert laptop.get("/").text == "ann"


def test_half_an_hour_passes(app: Flask) -> None:
    client = client_of(app)
    client.login("ann")

    with time_travel(app) as clock:
        clock.tick(minutes=29)
        assert client.get("/").text == "ann"
        clock.tick(minutes=29)
        assert client.get("/").text == "ann"
        clock.tick(minutes=31)
        assert client.get("/").text == "nobody"


def test_what_has_ended_by_then_is_purged(own_store: Store) -> None:
    app, kit = shop(SESSIONKIT_STORE=own_store)
    client_of(app).login("ann")

    with app.app_context(), time_travel(app) as clock:
        clock.tick(days=1)

        assert kit.purge() == (1 if Capability.PURGE in own_store.capabilities else 0)


def test_a_logout_wins_against_a_slow_request(app: Flask) -> None:
    client = client_of(app)
    client.login("ann")

    with pausing(app) as store:
        gap = store.pause_before("replace")
        slow = in_thread(client.tab().post, "/add")
        with gap:
            client.post("/logout")
        assert slow.result().status_code == 200

    assert client.get("/").text == "nobody"


def test_a_view_costs_what_it_costs_without_the_tool(own_store: Store, app: Flask) -> None:
    """A wrapper that hid what a store can do would make a touch a load, or a load and a touch of what is one."""
    client = client_of(app)
    client.login("ann")

    with round_trips(app, max=0):
        client_of(app).get("/")
    with round_trips(app, max=1):
        client.get("/")
    with round_trips(app, max=2):
        client.post("/add")
    with time_travel(app) as clock, round_trips(app) as trips:
        clock.tick(61)
        client.get("/")

    is_one = Capability.TOUCH_ON_LOAD in own_store.capabilities
    assert trips.calls == (["load"] if is_one else ["load", "touch" if hasattr(own_store, "touch") else "load"])


def test_a_database_of_flask_sqlalchemy_needs_no_context_of_the_test(tmp_path: Path) -> None:
    app, _ = shop(SESSIONKIT_STORE="sqlalchemy:", SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/shop.db")
    SQLAlchemy(app)
    client = client_of(app)

    client.login("ann")
    with client.session_transaction() as data:
        data["cart"] = [current_app.name]

    with round_trips(app, max=2):
        assert client.post("/add").status_code == 200
    with client.session_transaction() as data:
        assert data["cart"] == ["shop", "tea"]
