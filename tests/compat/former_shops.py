"""A shop whose sessions are Flask-Session's, and after the change of one import ours."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import flask_session
from flask import Flask, jsonify, request, session

from flask_sessionkit.compat.flask_session import Session
from flask_sessionkit.testing import FrozenClock

SECRET = "a secret of the flow tests"

#: What a shop is set up with; of its application, as a database needs that.
Settings = Callable[[Flask], Mapping[str, Any]]


class Shop:
    """An application, made anew as by each deployment.

    :param library: ``flask_session.Session`` or ours.
    """

    def __init__(self, library: Callable[[Flask], Any], settings: Settings, **more: Any) -> None:
        self.app = app = Flask("shop")
        app.config.update(SECRET_KEY=SECRET, TESTING=True)
        app.config.update(settings(app))
        app.config.update(more)
        self.kit = library(app)
        app.add_url_rule("/login", "login", _login, methods=["POST"])
        app.add_url_rule("/me", "me", _me)
        app.add_url_rule("/add", "add", _add, methods=["POST"])
        app.add_url_rule("/logout", "logout", _logout, methods=["POST"])
        app.add_url_rule("/renew", "renew", _renew, methods=["POST"])

    def browser(self) -> Any:
        return self.app.test_client()

    def asked_by(self, cookie: str, path: str = "/me", method: str = "GET") -> Any:
        """Return the answer to a browser that holds this cookie and no other."""
        client = self.app.test_client(use_cookies=False)
        name = self.app.config["SESSION_COOKIE_NAME"]
        return client.open(path, method=method, headers={"Cookie": f"{name}={cookie}"})


def former(settings: Settings, **more: Any) -> Shop:
    """Return the shop as it was: with the real Flask-Session."""
    return Shop(flask_session.Session, settings, **more)


def moved(settings: Settings, *, clock: FrozenClock | None = None, **more: Any) -> Shop:
    """Return the shop with the one import changed."""

    def library(app: Flask) -> Session:
        kit = Session()
        kit.init_app(app, clock=clock)
        return kit

    return Shop(library, settings, SESSIONKIT_APP_ID="shop", **more)


def cookie_of(response: Any) -> str | None:
    """Return the session's cookie in an answer; the empty text if it is deleted, ``None`` without one."""
    found = [line for line in response.headers.getlist("Set-Cookie") if line.startswith("session=")]
    return found[-1].partition("=")[2].partition(";")[0] if found else None


def signed_in(shop: Shop, name: str = "ann") -> str:
    """Return the cookie of a browser that signed in and filled a cart."""
    response = shop.browser().post("/login", data={"name": name})
    assert response.status_code == 200
    cookie = cookie_of(response)
    assert cookie
    return cookie


#: What a shop keeps of who signed in; all of it comes through msgpack and JSON.
def kept(name: str) -> dict[str, Any]:
    return {"_user_id": name, "cart": ["tea", {"id": 7, "price": 2.5}], "note": "größer ☕", "is_new": True, "x": None}


def _login() -> Any:
    session.update(kept(request.form["name"]))
    return "in"


def _me() -> Any:
    return jsonify({key: session[key] for key in session if key not in ("_permanent", "_sid")})


def _add() -> Any:
    session["cart"] = [*session.get("cart", []), secrets.token_hex(4)]
    return "added"


def _logout() -> Any:
    session.clear()
    return "out"


def _renew() -> Any:
    request_app = session and __import__("flask").current_app
    request_app.session_interface.regenerate(session)  # type: ignore[attr-defined]  # theirs and ours have it
    return "renewed"
