"""The example shop on every kind of store that its one variable names: the same visit everywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from flask import Flask
from flow_stores import SERVED
from shop_visitor import PASSWORD, SECRET, Visitor

from example_app import create_app
from example_app.accounts import SENTENCES
from flask_sessionkit.testing import FrozenClock, round_trips

NEW = "another kettle"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
#: All that keep sessions on the server.
ON_SERVER = [
    *("memory:", "file:", "sqlite:///sessions.db"),
    *(pytest.param(kind, marks=[getattr(pytest.mark, kind), pytest.mark.thorough]) for kind in SERVED),
    pytest.param("redis_cluster", marks=[pytest.mark.redis, pytest.mark.thorough]),
]


@pytest.fixture
def more() -> dict[str, object]:
    """Settings beside the store."""
    return {}


@pytest.fixture(params=["cookie:", *ON_SERVER])
def app(
    request: pytest.FixtureRequest,
    more: dict[str, object],
    clock: FrozenClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Flask:
    """The shop, with nothing but variables of the environment; the clock is the test's."""
    named = request.param if ":" in request.param else request.getfixturevalue(f"{request.param}_server").url
    # On a server the application's id keeps the tests apart.
    settings = {"SECRET_KEY": SECRET, "TESTING": True, "SESSIONKIT_STORE": named, "SESSIONKIT_APP_ID": tmp_path.name}
    for name, value in (settings | more).items():
        monkeypatch.setenv(f"FLASK_{name}", value if isinstance(value, str) else json.dumps(value))
    return create_app(clock=clock, instance_path=str(tmp_path))


@pytest.fixture
def redis_cluster_server(redis_cluster: object) -> object:
    return redis_cluster


def test_signs_up_changes_the_password_and_ends_devices(app: Flask, clock: FrozenClock) -> None:
    carol, on_laptop, alice = Visitor(app), Visitor(app, LAPTOP), Visitor(app)

    # Signing up keeps the cart, and the page of devices shows the other browser.
    carol.buy("green-room", "2")
    carol.sign_up("Carol")
    assert carol.pieces == 2
    on_laptop.log_in("carol", PASSWORD, remember="y")
    assert "Firefox on Linux" in carol.read("/devices/")

    # A new password ends the other one, and not this one.
    before = carol.cookie
    page = carol.send("/account/password", password=PASSWORD, new=NEW, repeated=NEW).text
    assert "Your session on another device has ended." in page
    assert SENTENCES["stamp"] in on_laptop.read("/account")
    assert carol.is_signed_in
    assert carol.cookie != before

    # One device ends the other.
    clock.tick(1)
    on_laptop.log_in("carol", NEW)
    [proof] = set(re.findall(r'name="devices_proof" value="([^"]+)"', carol.read("/devices/")))
    assert "1 device was signed out." in carol.send("/devices/end-others", of="/devices/", devices_proof=proof).text
    assert SENTENCES["revoked"] in on_laptop.read("/account")

    # The first who signed up is the administrator, who ends anybody's.
    alice.log_in()
    page = carol.send("/administration/1/end", of="/administration/1").text
    assert "1 session of Alice Marsh ended." in page
    assert SENTENCES["administrator"] in alice.read("/account")

    # Who closes the account is gone everywhere.
    on_laptop.log_in("carol", NEW)
    assert "Your account is closed" in carol.send("/account/close").text
    assert not carol.is_signed_in
    assert not on_laptop.is_signed_in


def test_tells_what_the_page_of_the_session_cost(app: Flask, clock: FrozenClock) -> None:
    alice = Visitor(app)
    alice.log_in()
    for pause in (0, 0, 61):  # the form's token is written; nothing is; "last seen" is
        clock.tick(pause)
        with round_trips(app) as trips:
            page = alice.read("/session")

        told = re.search(r"<p>(\d+) calls? of the store: (.*?)\. Where", page)
        assert told is not None
        assert int(told[1]) == trips.count
        assert re.findall(r"<code>(\w+)</code>", told[2]) == trips.calls


@pytest.mark.parametrize("more", [{"SESSIONKIT_MAX_SESSIONS_PER_USER": 2}])
def test_makes_room_for_the_latest_login_and_tells_the_oldest(app: Flask, clock: FrozenClock) -> None:
    first, *later = [Visitor(app) for _ in range(3)]
    for one in (first, *later):
        one.log_in()
        clock.tick(1)

    assert SENTENCES["limit"] in first.read("/account")
    assert all(one.is_signed_in for one in later)


@pytest.mark.parametrize("more", [{"SESSIONKIT_ROTATE_EVERY": 300}])
@pytest.mark.parametrize("app", ON_SERVER, indirect=True)
def test_renews_the_cookie_by_age_and_ends_the_session_of_a_stolen_one(app: Flask, clock: FrozenClock) -> None:
    alice, thief = Visitor(app), Visitor(app)
    alice.log_in()
    stolen = alice.cookie
    clock.tick(301)
    assert alice.is_signed_in
    assert alice.cookie != stolen
    alice.read("/")  # shows the new one, so that the server knows that it arrived
    clock.tick(31)
    thief.come_with(stolen)

    assert not thief.is_signed_in
    assert SENTENCES["rotated"] in alice.read("/account")
