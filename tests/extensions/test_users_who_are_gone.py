"""Flask-Login's remember cookie of somebody who is no user any more: nobody is let in, and nothing is kept."""

from __future__ import annotations

import flask_login
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flow_stores import keys_in

import flask_sessionkit
from flask_sessionkit import SessionKit
from flask_sessionkit.stores.memory import MemoryStore


class Club:
    """An application with Flask-Login, where something asks who it is before each view, as Flask-Principal does."""

    def __init__(self) -> None:
        self.stamps = {"ann": "one", "bob": "one"}
        self.store = MemoryStore()
        self.asked: list[str] = []
        self.app = app = Flask("club")
        app.config.update(TESTING=True, SECRET_KEY="a secret of the club")
        kit = SessionKit(app, store=self.store)
        manager = flask_login.LoginManager(app)

        class Member(flask_login.UserMixin):  # type: ignore[misc]  # it has no types
            def __init__(self, name: str) -> None:
                self.id = name

        @kit.user_stamp
        def stamp(user: str) -> str | None:
            self.asked.append(user)
            return self.stamps.get(user)

        manager.user_loader(lambda name: Member(name) if name in self.stamps else None)

        @app.before_request
        def ask() -> None:
            bool(flask_login.current_user)

        app.add_url_rule(
            "/in/<name>", "in", lambda name: str(flask_login.login_user(Member(name), remember=True)), methods=["POST"]
        )
        app.add_url_rule("/ours", "ours", flask_sessionkit.login_required(lambda: "in"))
        app.add_url_rule("/theirs", "theirs", flask_login.login_required(lambda: "in"))
        app.add_url_rule("/who", "who", lambda: str(flask_sessionkit.current_user_id()))

    def remembered(self, name: str = "ann") -> FlaskClient:
        """Return a browser that has nothing but the remember cookie."""
        client = self.app.test_client()
        client.post(f"/in/{name}")
        client.delete_cookie("session")
        return client


@pytest.fixture
def club() -> Club:
    return Club()


@pytest.mark.requirement("TR-11")
@pytest.mark.parametrize("path", ["/ours", "/theirs"])
def test_a_user_who_is_gone_is_not_let_in_by_either_door(club: Club, path: str) -> None:
    client = club.remembered()
    del club.stamps["ann"]

    assert [client.get(path).status_code for _ in range(3)] == [401, 401, 401]


def test_nothing_is_kept_of_a_user_who_is_gone(club: Club) -> None:
    client = club.remembered()
    del club.stamps["ann"]
    kept = len(keys_in(club.store))
    answer = client.get("/who")

    assert answer.text == "None"
    assert "Set-Cookie" not in answer.headers
    assert len(keys_in(club.store)) == kept


def test_a_user_who_is_let_in_again_is_remembered_by_both(club: Club) -> None:
    client = club.remembered()
    stamp = club.stamps.pop("ann")
    client.get("/who")
    club.stamps["ann"] = stamp

    assert (client.get("/ours").status_code, client.get("/theirs").status_code) == (200, 200)


def test_who_turns_into_somebody_who_is_gone_is_nobody(club: Club) -> None:
    client = club.remembered("bob")
    assert client.get("/who").text == "bob"
    del club.stamps["ann"]
    client.post("/in/ann")
    client.delete_cookie("remember_token")

    assert client.get("/who").text == "None"


def test_the_stamp_is_asked_once_for_a_login(club: Club) -> None:
    client = club.app.test_client()
    client.post("/in/ann")

    assert club.asked == ["ann"]
