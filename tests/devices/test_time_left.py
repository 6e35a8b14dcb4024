"""How long a session has left: told without lengthening it, and at the price of one read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from devices_site import DevicesSite, user_of
from flask import session
from flask.testing import FlaskClient

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

DAY = 86400.0


def time_left(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/devices/time-left")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Cookie"
    told: dict[str, Any] = answer.get_json()
    return told


def test_it_counts_down_to_the_idle_limit_and_lengthens_nothing(site: DevicesSite) -> None:
    here = site.browser()
    for left in (1800.0, 1100.0, 400.0):
        assert time_left(here) == {"signed_in": True, "seconds_left": left, "ends_because": "idle"}
        site.clock.tick(700 if left > 400 else 399.9)

    assert time_left(here)["seconds_left"] == pytest.approx(0.1)
    site.clock.tick(0.1)
    assert time_left(here) == {"signed_in": False, "seconds_left": None, "ended_because": "idle"}


def test_any_other_view_lengthens_it(site: DevicesSite) -> None:
    here = site.browser()
    site.clock.tick(700)
    user_of(here)

    assert time_left(here)["seconds_left"] == 1800.0


def test_the_absolute_limit_is_told_where_it_comes_first(make_site: Callable[..., DevicesSite]) -> None:
    site = make_site(SESSIONKIT_ABSOLUTE_TIMEOUT=3000)
    here = site.browser()
    for _ in range(2):
        site.clock.tick(1000)
        user_of(here)

    assert time_left(here) == {"signed_in": True, "seconds_left": 1000.0, "ends_because": "absolute"}
    site.clock.tick(1000)
    assert time_left(here)["ended_because"] == "absolute"


def test_a_remembered_session_has_limits_of_its_own(make_site: Callable[..., DevicesSite]) -> None:
    site = make_site(PERMANENT_SESSION_LIFETIME=timedelta(days=7), SESSIONKIT_REMEMBER_TIMEOUT=timedelta(days=10))
    here = site.browser(None)
    here.get("/login/ann?remember=1")

    assert time_left(here) == {"signed_in": True, "seconds_left": 7 * DAY, "ends_because": "idle"}
    site.clock.tick(6 * DAY)
    user_of(here)
    assert time_left(here) == {"signed_in": True, "seconds_left": 4 * DAY, "ends_because": "absolute"}


def test_who_has_no_session_is_told_so(site: DevicesSite) -> None:
    assert time_left(site.browser(None)) == {"signed_in": False, "seconds_left": None, "ended_because": None}


def test_an_anonymous_session_is_nobodys(plain: DevicesSite) -> None:
    @plain.app.get("/cart")
    def cart() -> str:
        session["cart"] = [1]
        return ""

    here = plain.browser(None)
    here.get("/cart")

    assert time_left(here) == {"signed_in": False, "seconds_left": None, "ended_because": None}


def test_who_was_signed_out_elsewhere_is_told_why(site: DevicesSite) -> None:
    here = site.browser()
    with site.app.app_context():
        site.kit.revoke_user("ann", reason="administrator")

    assert time_left(here) == {"signed_in": False, "seconds_left": None, "ended_because": "administrator"}


@pytest.mark.parametrize("pause", [0, 61, 1700])
def test_it_costs_one_read_and_no_write(site: DevicesSite, pause: float) -> None:
    here = site.browser()
    site.clock.tick(pause)
    assert site.store is not None
    site.store.reset()

    time_left(here)

    assert dict(site.store.counts) == {"load": 1}


def test_it_renews_no_token(clock: FrozenClock) -> None:
    store = PausingStore(MemoryStore())
    here = DevicesSite(store, clock, SESSIONKIT_ROTATE_EVERY=300).browser()
    clock.tick(301)
    store.reset()

    answer = here.get("/devices/time-left")

    assert answer.get_json()["signed_in"] is True
    assert "Set-Cookie" not in answer.headers
    assert dict(store.counts) == {"load": 1}


def test_without_a_cookie_it_costs_nothing(plain: DevicesSite) -> None:
    assert plain.store is not None
    plain.store.reset()

    time_left(plain.browser(None))

    assert dict(plain.store.counts) == {}
