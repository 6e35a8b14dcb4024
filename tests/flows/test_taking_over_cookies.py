"""The cookies of a take-over as a deployment sends them: ours under its own name, and Flask's deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from flask_login import LoginManager, UserMixin, current_user, fresh_login_required, login_required
from flask_login import logout_user as log_out
from former_cookies import signed_by_flask, with_login

from flask_sessionkit import SessionKit, login_user, logout_user
from flask_sessionkit.flask_cookie import FlaskCookie
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

SECRET = "f0e1d2c3b4a5968778695a4b3c2d1e0f f0e1d2c3"


class Deployed:
    """An application neither in debug nor testing, and what it answers to a browser's cookies."""

    def __init__(self, clock: FrozenClock, **config: Any) -> None:
        self.clock = clock
        self.store = PausingStore(MemoryStore())
        self.app = app = Flask("deployed")
        app.config.update({"SECRET_KEY": SECRET, "SESSIONKIT_TAKE_OVER": "flask", **config})
        self.kit = SessionKit(app, store=self.store, clock=clock)
        app.add_url_rule("/", "look", lambda: dict(session))
        app.add_url_rule("/logout", "logout", lambda: (logout_user(), "bye")[1])

    def ask(self, path: str = "/", **cookies: str) -> Any:
        client = self.app.test_client(use_cookies=False)
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return client.get(path, headers={"Cookie": header}, base_url="https://deployed.test")

    def before(self, **others: Any) -> str:
        return signed_by_flask(with_login("ann", **others), at=self.clock.now() - 60, secret=SECRET)


@pytest.fixture
def deployed(clock: FrozenClock) -> Callable[..., Deployed]:
    return lambda **config: Deployed(clock, **config)


def cookies_in(response: Any) -> dict[str, str]:
    pairs = [line.partition("=") for line in response.headers.getlist("Set-Cookie")]
    assert len({name for name, _, _ in pairs}) == len(pairs)
    return {name: rest for name, _, rest in pairs}


def test_flask_s_cookie_is_deleted_in_the_answer_that_sets_ours(deployed: Callable[..., Deployed]) -> None:
    site = deployed()

    response = site.ask(session=site.before())

    sent = cookies_in(response)
    assert response.json["_user_id"] == "ann"
    assert sent.keys() == {"__Host-session", "session"}
    assert "Secure; HttpOnly; Path=/; SameSite=Lax" in sent["__Host-session"]
    assert sent["session"].startswith(";")
    assert "Max-Age=0" in sent["session"]
    assert "HttpOnly; Path=/" in sent["session"]
    assert "SameSite" not in sent["session"]


def test_it_is_deleted_with_the_attributes_that_flask_gave_it(deployed: Callable[..., Deployed]) -> None:
    site = deployed(SESSION_COOKIE_DOMAIN="deployed.test", SESSION_COOKIE_PATH="/", SESSION_COOKIE_NAME="sid")

    sent = cookies_in(site.ask(sid=site.before()))

    assert sent.keys() == {"__Secure-sid", "sid"}
    assert "Domain=deployed.test" in sent["sid"]
    assert "Max-Age=0" in sent["sid"]


def test_where_ours_has_the_same_name_it_takes_the_place(deployed: Callable[..., Deployed]) -> None:
    site = deployed(SESSIONKIT_SECURE_COOKIE=False)

    sent = cookies_in(site.ask(session=site.before()))

    assert sent.keys() == {"session"}
    assert "Max-Age=0" not in sent["session"]


@pytest.mark.parametrize("mode", ["DEBUG", "TESTING"])
def test_so_it_is_in_debug_and_testing(deployed: Callable[..., Deployed], mode: str) -> None:
    site = deployed(**{mode: True})

    response = site.ask(session=site.before())

    assert response.json["_user_id"] == "ann"
    assert cookies_in(response).keys() == {"session"}


def test_a_request_that_is_led_on_changes_no_cookie(deployed: Callable[..., Deployed]) -> None:
    site = deployed()
    old = site.before()
    site.ask(session=old)

    response = site.ask(session=old)

    assert response.json["_user_id"] == "ann"
    assert cookies_in(response) == {}


def test_a_logout_that_comes_with_flask_s_cookie_deletes_both(deployed: Callable[..., Deployed]) -> None:
    site = deployed()
    old = site.before()

    sent = cookies_in(site.ask("/logout", session=old))

    assert sent.keys() == {"__Host-session", "session"}
    assert all("Max-Age=0" in rest for rest in sent.values())
    assert site.ask(session=old).json == {}


def test_both_cookies_in_one_browser_are_ours_alone(deployed: Callable[..., Deployed]) -> None:
    """The deletion was lost, or another server put it there again."""
    site = deployed()
    old = site.before()
    new = cookies_in(site.ask(session=old))["__Host-session"].partition(";")[0]
    site.ask(**{"__Host-session": new})
    site.store.reset()

    for _ in range(3):
        site.clock.tick(minutes=10)
        response = site.ask(**{"session": old, "__Host-session": new})
        assert response.json["_user_id"] == "ann"
        assert cookies_in(response) == {}
    assert site.store.counts["create"] == 0


def test_a_logout_deletes_a_cookie_of_flask_s_that_lay_unused(deployed: Callable[..., Deployed]) -> None:
    """A server of before set it; the next request would begin a session with it."""
    site = deployed(SESSIONKIT_TAKE_OVER=["flask", FlaskCookie])
    new = cookies_in(site.ask(session=site.before()))["__Host-session"].partition(";")[0]
    site.ask(**{"__Host-session": new})
    cookies = {"__Host-session": new, "session": site.before(n=1)}

    assert cookies_in(site.ask(**cookies)) == {}
    sent = cookies_in(site.ask("/logout", **cookies))

    assert sent.keys() == {"__Host-session", "session"}
    assert all("Max-Age=0" in rest for rest in sent.values())


def test_a_logout_by_header_touches_no_cookie(deployed: Callable[..., Deployed]) -> None:
    site = deployed(SESSIONKIT_TRANSPORT="both")
    site.app.add_url_rule("/login", "login", lambda: (login_user("ann"), "in")[1])
    client = site.app.test_client(use_cookies=False)
    token = client.get("/login", headers={"X-Session-Token": ""}).headers["X-Session-Token"]

    response = client.get("/logout", headers={"X-Session-Token": token, "Cookie": f"session={site.before()}"})

    assert response.headers["X-Session-Token"] == ""
    assert cookies_in(response) == {}


def test_a_logout_deletes_no_cookie_that_is_not_there(deployed: Callable[..., Deployed]) -> None:
    site = deployed()
    new = cookies_in(site.ask(session=site.before()))["__Host-session"].partition(";")[0]

    assert cookies_in(site.ask("/logout", **{"__Host-session": new})).keys() == {"__Host-session"}


def test_a_token_of_ours_under_flask_s_name_is_none(deployed: Callable[..., Deployed]) -> None:
    site = deployed()
    new = cookies_in(site.ask(session=site.before()))["__Host-session"].partition(";")[0]

    assert site.ask(session=new).json == {}


def test_nothing_is_deleted_where_nothing_is_taken_over(deployed: Callable[..., Deployed]) -> None:
    site = deployed()

    assert cookies_in(site.ask(session=site.before() + "x")) == {}


# With Flask-Login.


class User(UserMixin):
    def __init__(self, user: str) -> None:
        self.id = user


def test_flask_login_goes_on_with_its_user(deployed: Callable[..., Deployed]) -> None:
    site = deployed()
    LoginManager(site.app).user_loader(User)
    site.app.add_url_rule("/account", "account", login_required(lambda: current_user.get_id()))
    site.app.add_url_rule("/orders", "orders", fresh_login_required(lambda: "ordered"))
    browser = site.app.test_client()
    browser.set_cookie("session", site.before(_id=None), domain="deployed.test")

    answers = [browser.get("/account", base_url="https://deployed.test").text for _ in range(3)]

    assert answers == ["ann"] * 3
    with site.app.app_context():
        assert len(site.kit.sessions_of("ann")) == 1


def test_flask_login_s_logout_is_one(deployed: Callable[..., Deployed]) -> None:
    site = deployed()
    LoginManager(site.app).user_loader(User)
    site.app.add_url_rule("/out", "out", lambda: (log_out(), "bye")[1])
    site.app.add_url_rule("/account", "account", login_required(lambda: current_user.get_id()))
    old = site.before(_id=None)

    site.ask("/out", session=old)

    assert site.ask("/account", session=old).status_code == 401
    site.clock.tick(days=3)
    assert site.ask("/account", session=old).status_code == 401
