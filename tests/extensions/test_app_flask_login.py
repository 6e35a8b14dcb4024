"""A notebook with Flask-Login, as its quickstart has it, on every kind of store and in the browser."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import flask_login
import pytest
from browsers import REMEMBER, browser, close, cookie_of
from flask import Flask, redirect, request, session, url_for
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_required, user_logged_in
from werkzeug.security import check_password_hash, generate_password_hash

import flask_sessionkit
from flask_sessionkit import SessionInfo, SessionKit
from flask_sessionkit.testing import FrozenClock

#: Fast, so that the tests are.
HASHING = "pbkdf2:sha256:1"


class User(UserMixin):
    """What Flask-Login's "Alternative Tokens" has: an id for cookies beside the one of the database."""

    def __init__(self, name: str, password: str) -> None:
        self.name = name
        self.password = generate_password_hash(password, HASHING)
        self.cookie_id = uuid4().hex

    def get_id(self) -> str:
        return self.cookie_id


class Plain(User):
    """A user whose id in cookies is the one of the database, as in the quickstart."""

    def get_id(self) -> str:
        return self.name


def notebook(settings: dict[str, Any], clock: FrozenClock, kind: type[User] = Plain) -> Flask:
    app = Flask("notebook")
    app.config.from_mapping(settings)
    users = {name: kind(name, "open sesame") for name in ("ann", "ben")}
    app.extensions["notebook"] = users

    login_manager = LoginManager()
    login_manager.login_view = "login"
    login_manager.refresh_view = "login"
    login_manager.init_app(app)
    SessionKit(app, clock=clock)

    @login_manager.user_loader
    def load_user(user_id: str) -> User | None:
        return next((user for user in users.values() if user.get_id() == user_id), None)

    @app.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        if request.method == "GET":
            return "Name? Password?"
        user = users.get(request.form["name"])
        if user is None or not check_password_hash(user.password, request.form["password"]):
            return "That is not it.", 403
        flask_login.login_user(user, remember="remember" in request.form)
        return redirect(url_for("index"))

    @app.route("/logout")
    @login_required
    def logout() -> ResponseReturnValue:
        flask_login.logout_user()
        return redirect(url_for("login"))

    @app.route("/")
    @login_required
    def index() -> str:
        return f"The notes of {current_user.name}: {session.get('notes')}"

    @app.post("/notes")
    def note() -> str:
        session.setdefault("notes", []).append(request.form["text"])
        return "noted"

    @app.post("/confirm")
    @login_required
    def confirm() -> str:
        flask_login.confirm_login()
        return "confirmed"

    @app.get("/theirs")
    @flask_login.fresh_login_required
    def theirs() -> str:
        return "in"

    @app.get("/ours")
    @flask_sessionkit.fresh_login_required
    def ours() -> str:
        return "in"

    @app.get("/both")
    @flask_sessionkit.fresh_login_required
    @flask_login.fresh_login_required
    def both() -> str:
        return "in"

    @app.get("/guarded")
    @flask_sessionkit.login_required
    def guarded() -> str:
        return "in"

    @app.get("/devices")
    @login_required
    def devices() -> list[dict[str, Any]]:
        return [
            {"agent": row.user_agent, "here": row.current} for row in kit_of(app).sessions_of(current_user.get_id())
        ]

    return app


def kit_of(app: Flask) -> SessionKit:
    kit: SessionKit = app.extensions["sessionkit"]
    return kit


@pytest.fixture
def app(settings: dict[str, Any], clock: FrozenClock) -> Flask:
    return notebook(settings, clock)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return browser(app)


def log_in(client: FlaskClient, name: str = "ann", **more: str) -> str:
    """Sign in, and return the token that this brought."""
    answer = client.post("/login", data={"name": name, "password": "open sesame", **more})
    assert answer.location == "/"
    return cookie_of(client)


def is_in(client: FlaskClient) -> bool:
    """Return whether Flask-Login lets a browser in."""
    return client.get("/").status_code == 200


def opened_by(app: Flask, token: str) -> bool:
    """Return whether a copied token lets anybody in."""
    return is_in(browser(app, session=token))


def sessions_of(app: Flask, name: str) -> list[SessionInfo]:
    with app.app_context():
        return kit_of(app).sessions_of(name)


def doors(client: FlaskClient) -> dict[str, bool]:
    """Return which of the doors for fresh logins are open, Flask-Login's and the kit's."""
    return {name: client.get(f"/{name}").text == "in" for name in ("theirs", "ours", "both")}


def both_say(is_open: bool) -> dict[str, bool]:
    return {"theirs": is_open, "ours": is_open, "both": is_open}


# Login and logout.


def test_a_login_changes_the_token_keeps_what_was_noted_and_the_old_one_is_refused(
    app: Flask, client: FlaskClient
) -> None:
    client.post("/notes", data={"text": "milk"})
    before = cookie_of(client)

    after = log_in(client)

    assert after not in ("", before)
    assert client.get("/").text == "The notes of ann: ['milk']"
    assert not opened_by(app, before)


def test_a_second_login_ends_the_token_of_the_first(app: Flask, client: FlaskClient) -> None:
    first = log_in(client)

    second = log_in(client)

    assert second != first
    assert not opened_by(app, first)
    assert opened_by(app, second)


def test_a_wrong_password_changes_nothing(app: Flask, client: FlaskClient) -> None:
    client.post("/notes", data={"text": "milk"})
    before = cookie_of(client)

    assert client.post("/login", data={"name": "ann", "password": "guess"}).status_code == 403
    assert cookie_of(client) == before
    assert sessions_of(app, "ann") == []


def test_a_logout_ends_the_login_for_every_copy_of_the_cookie(app: Flask, client: FlaskClient) -> None:
    token = log_in(client)

    client.get("/logout")

    assert not is_in(client)
    assert not opened_by(app, token)
    assert sessions_of(app, "ann") == []


def test_whoever_is_not_signed_in_is_sent_to_the_login_and_told_why(client: FlaskClient) -> None:
    answer = client.get("/")

    assert answer.location == "/login?next=%2F"
    with client.session_transaction() as held:
        assert [text for _, text in held["_flashes"]] == ["Please log in to access this page."]


# The list.


def test_the_users_of_flask_login_are_listed_and_this_browser_is_marked(app: Flask, client: FlaskClient) -> None:
    log_in(client)
    log_in(browser(app, "Safari"))
    log_in(browser(app, "Opera"), "ben")

    assert sorted(client.get("/devices").get_json(), key=lambda row: row["agent"]) == [
        {"agent": "Firefox", "here": True},
        {"agent": "Safari", "here": False},
    ]


def test_one_that_is_revoked_elsewhere_is_out_and_the_other_stays(app: Flask, client: FlaskClient) -> None:
    phone = browser(app, "Safari")
    log_in(client)
    log_in(phone)
    [lost] = [row.handle for row in sessions_of(app, "ann") if row.user_agent == "Safari"]

    with app.app_context():
        assert kit_of(app).revoke(lost, user_id="ben") == 0
        assert kit_of(app).revoke(lost, user_id="ann") == 1

    assert not is_in(phone)
    assert is_in(client)


def test_all_that_are_revoked_are_out(app: Flask, client: FlaskClient) -> None:
    phone = browser(app, "Safari")
    log_in(client)
    log_in(phone)

    with app.app_context():
        assert kit_of(app).revoke_user("ann") == 2

    assert not is_in(client)
    assert not is_in(phone)


# Both doors for fresh logins, side by side.


def test_both_let_a_fresh_login_in(client: FlaskClient) -> None:
    log_in(client)

    assert doors(client) == both_say(True)


def test_both_refuse_a_remembered_user_who_is_signed_in_all_the_same(client: FlaskClient) -> None:
    log_in(client, remember="on")
    close(client)

    assert is_in(client)
    assert doors(client) == both_say(False)
    assert client.get("/guarded").text == "in"


def test_both_let_a_remembered_user_in_who_confirmed_the_login(app: Flask, client: FlaskClient) -> None:
    log_in(client, remember="on")
    close(client)
    is_in(client)
    before = cookie_of(client)

    client.post("/confirm")

    assert doors(client) == both_say(True)
    assert cookie_of(client) != before
    assert not opened_by(app, before)


def test_both_let_a_remembered_user_in_who_signed_in_again(client: FlaskClient) -> None:
    log_in(client, remember="on")
    close(client)
    is_in(client)

    log_in(client)

    assert doors(client) == both_say(True)


def test_both_refuse_nobody(client: FlaskClient) -> None:
    assert doors(client) == both_say(False)


def test_ours_asks_again_after_a_while_and_theirs_does_not(client: FlaskClient, clock: FrozenClock) -> None:
    log_in(client)
    clock.tick(900)

    assert doors(client) == {"theirs": True, "ours": False, "both": False}


def test_both_refuse_a_login_that_came_to_another_address(client: FlaskClient) -> None:
    log_in(client)

    client.get("/", environ_overrides={"REMOTE_ADDR": "203.0.113.9"})

    assert is_in(client)
    assert doors(client) == both_say(False)


# The remember cookie: what it does, and two ways to make a logout elsewhere hold.


def test_a_remember_cookie_signs_in_again_after_a_logout_elsewhere(app: Flask, client: FlaskClient) -> None:
    """Flask-Login's design, and no store can tell: the cookie holds a user id and a MAC. No fresh login, at least."""
    log_in(client, remember="on")
    with app.app_context():
        kit_of(app).revoke_user("ann")

    assert is_in(client)
    assert doors(client) == both_say(False)


def test_a_remember_cookie_outlives_no_logout_in_its_own_browser(client: FlaskClient) -> None:
    log_in(client, remember="on")

    client.get("/logout")

    assert cookie_of(client, REMEMBER) == ""
    assert not is_in(client)


class Renamed:
    """The first way: cookies hold an id that changes when the user is signed out everywhere."""

    def __init__(self, settings: dict[str, Any], clock: FrozenClock) -> None:
        self.app = notebook(settings, clock, User)
        self.users: dict[str, User] = self.app.extensions["notebook"]
        self.kit = kit_of(self.app)

        @self.kit.user_stamp
        def stamp(cookie_id: str) -> str | None:
            return cookie_id if any(user.cookie_id == cookie_id for user in self.users.values()) else None

    def sign_out_everywhere(self, name: str) -> int:
        user = self.users[name]
        before, user.cookie_id = user.cookie_id, uuid4().hex
        with self.app.app_context():
            return self.kit.revoke_user(before)


@pytest.fixture
def renamed(settings: dict[str, Any], clock: FrozenClock) -> Renamed:
    return Renamed(settings, clock)


def test_an_id_that_changed_opens_no_session_and_no_remember_cookie(renamed: Renamed) -> None:
    phone, laptop = browser(renamed.app, "Safari"), browser(renamed.app)
    for client in (phone, laptop):
        log_in(client, remember="on")

    assert renamed.sign_out_everywhere("ann") == 2

    for client in (phone, laptop):
        assert not is_in(client)
        close(client)
        assert not is_in(client)
        assert client.get("/guarded").status_code == 401


def test_an_id_that_changed_lets_its_user_in_by_password_and_others_by_their_cookie(renamed: Renamed) -> None:
    ann, ben = browser(renamed.app), browser(renamed.app)
    log_in(ann, remember="on")
    log_in(ben, "ben", remember="on")
    renamed.sign_out_everywhere("ann")
    close(ben)

    log_in(ann, remember="on")
    close(ann)

    assert is_in(ann)
    assert is_in(ben)
    assert len(sessions_of(renamed.app, renamed.users["ann"].cookie_id)) == 2


def test_a_request_that_was_under_way_binds_nobody_to_the_id_before(renamed: Renamed) -> None:
    """It read the remember cookie, the loader knew the id, and it saved when all was over."""

    @renamed.app.post("/slow")
    def slow() -> str:
        name = current_user.name
        renamed.sign_out_everywhere("ann")
        return str(name)

    client = browser(renamed.app)
    log_in(client, remember="on")
    close(client)

    assert client.post("/slow").text == "ann"
    assert not is_in(client)
    assert client.get("/guarded").status_code == 401


@pytest.fixture
def kept(app: Flask) -> Flask:
    """The second way: ``remember=True`` makes the session itself the one that outlives the browser."""

    def remember_by_session(sender: Flask, **_: Any) -> None:
        if session.pop("_remember", None) == "set":
            session.pop("_remember_seconds", None)
            session.permanent = True

    user_logged_in.connect(remember_by_session, app, weak=False)
    return app


def test_a_session_that_remembers_outlives_the_browser_and_needs_no_other_cookie(
    kept: Flask, client: FlaskClient, clock: FrozenClock
) -> None:
    log_in(client, remember="on")
    close(client)
    clock.tick(86_400)

    assert is_in(client)
    assert cookie_of(client, REMEMBER) == ""


def test_a_session_that_nobody_asked_to_remember_ends_with_the_browser(kept: Flask, client: FlaskClient) -> None:
    log_in(client)
    close(client)

    assert not is_in(client)


def test_a_session_that_remembers_and_was_revoked_elsewhere_stays_out(kept: Flask, client: FlaskClient) -> None:
    phone = browser(kept, "Safari")
    log_in(client, remember="on")
    log_in(phone, remember="on")
    [lost] = [row.handle for row in sessions_of(kept, "ann") if row.user_agent == "Safari"]

    with kept.app_context():
        kit_of(kept).revoke(lost, user_id="ann")
    close(phone)
    close(client)

    assert not is_in(phone)
    assert is_in(client)


def test_a_session_that_remembers_is_fresh_for_ours_alone_no_longer_than_any(
    kept: Flask, client: FlaskClient, clock: FrozenClock
) -> None:
    """Flask-Login takes it for the session of the login, which it is, so here ours is the one to ask."""
    log_in(client, remember="on")
    close(client)
    clock.tick(900)

    assert doors(client) == {"theirs": True, "ours": False, "both": False}
