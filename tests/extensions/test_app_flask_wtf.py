"""A guest book with Flask-WTF's forms and its protection of all else, on every kind of store and in the browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browsers import browser, cookie_of, csrf_of
from flask import Flask, flash, redirect, render_template_string, session, url_for
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.csrf import CSRFError
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired

from flask_sessionkit import SessionKit, current_user_id, login_required, login_user, login_view, logout_user
from flask_sessionkit.testing import FrozenClock

PAGE = """
<meta name="csrf-token" content="{{ csrf_token() }}">
{% for message in get_flashed_messages() %}<p>{{ message }}</p>{% endfor %}
{% if form %}<form method="post">{{ form.hidden_tag() }}</form>{% endif %}
{% for entry in session.get("book", []) %}<q>{{ entry }}</q>{% endfor %}
"""


class LoginForm(FlaskForm):  # type: ignore[misc]  # it is not typed
    name = StringField(validators=[DataRequired()])
    password = PasswordField(validators=[DataRequired()])


class EntryForm(FlaskForm):  # type: ignore[misc]  # the same
    text = StringField(validators=[DataRequired()])


class Book:
    def __init__(self, settings: dict[str, Any], clock: FrozenClock) -> None:
        self.clock = clock
        self.app = app = Flask("book")
        app.config.from_mapping(settings)
        self.kit = kit = SessionKit(app, clock=clock)
        csrf = CSRFProtect(app)

        @app.errorhandler(CSRFError)
        def refused(error: CSRFError) -> ResponseReturnValue:
            return f"refused: {error.description}", 400

        @app.route("/", methods=["GET", "POST"])
        def book() -> ResponseReturnValue:
            form = EntryForm()
            if form.validate_on_submit():
                session.setdefault("book", []).append(form.text.data)
                flash("Thank you.")
                return redirect(url_for("book"))
            return render_template_string(PAGE, form=form)

        @app.route("/login", methods=["GET", "POST"])
        @login_view
        def login() -> ResponseReturnValue:
            form = LoginForm()
            if form.validate_on_submit() and form.password.data == "open sesame":
                login_user(form.name.data)
                return redirect(url_for("book"))
            return render_template_string(PAGE, form=form)

        @app.post("/logout")
        def logout() -> str:
            logout_user()
            return "bye"

        @app.post("/like")
        def like() -> dict[str, Any]:
            session["likes"] = session.get("likes", 0) + 1
            return {"likes": session["likes"], "user": current_user_id()}

        @app.post("/password")
        @login_required
        def password() -> dict[str, int]:
            return {"ended": kit.revoke_user(str(current_user_id()), keep_current=True)}

        @app.post("/hook")
        @csrf.exempt
        def hook() -> str:
            return "hooked"


@pytest.fixture
def site(settings: dict[str, Any], clock: FrozenClock) -> Book:
    return Book(settings, clock)


@pytest.fixture
def client(site: Book) -> FlaskClient:
    return browser(site.app)


def log_in(client: FlaskClient, name: str = "ann") -> None:
    form = {"name": name, "password": "open sesame", "csrf_token": csrf_of(client.get("/login"))}
    assert client.post("/login", data=form).location == "/"


def write(client: FlaskClient, token: str, text: str = "hello") -> int:
    return client.post("/", data={"text": text, "csrf_token": token}).status_code


def like(client: FlaskClient, token: str) -> int:
    """Ask as a script does, with the token from the head of the page."""
    return client.post("/like", headers={"X-CSRFToken": token}).status_code


def head_token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


# Where it survives.


def test_a_form_writes_and_its_message_is_shown_once(client: FlaskClient) -> None:
    assert write(client, csrf_of(client.get("/"))) == 302

    assert "<p>Thank you.</p>" in client.get("/").text
    assert "Thank you." not in client.get("/").text
    assert "<q>hello</q>" in client.get("/").text


def test_one_token_serves_form_after_form_and_tab_after_tab(site: Book, client: FlaskClient) -> None:
    first, second = csrf_of(client.get("/")), csrf_of(client.get("/login"))
    for _ in range(3):
        site.clock.tick(1200)
        assert write(client, first) == write(client, second) == 302


def test_a_script_sends_it_in_a_header(client: FlaskClient) -> None:
    log_in(client)
    token = head_token(client)

    assert like(client, token) == 200
    assert like(client, token) == 200
    assert like(client, "") == like(client, "x") == 400


def test_it_survives_the_new_token_of_the_session_that_outlived_the_others(site: Book, client: FlaskClient) -> None:
    phone = browser(site.app, "Safari")
    log_in(client)
    log_in(phone)
    token, theirs, before = head_token(client), head_token(phone), cookie_of(client)

    assert client.post("/password", headers={"X-CSRFToken": token}).get_json() == {"ended": 1}

    assert cookie_of(client) != before
    assert like(client, token) == 200
    assert like(phone, theirs) == 400


def test_a_view_that_is_exempt_needs_none_and_begins_no_session(client: FlaskClient) -> None:
    assert client.post("/hook").text == "hooked"
    assert cookie_of(client) == ""


# Where it dies.


def test_it_dies_at_the_login_and_what_was_written_stays(client: FlaskClient) -> None:
    token = csrf_of(client.get("/"))
    write(client, token, "from nobody")

    log_in(client)

    assert write(client, token) == like(client, token) == 400
    assert "<q>from nobody</q>" in client.get("/").text


def test_it_survives_a_login_that_failed(client: FlaskClient) -> None:
    token = csrf_of(client.get("/login"))
    client.post("/login", data={"name": "ann", "password": "guess", "csrf_token": token})

    assert write(client, token) == 302


def test_it_dies_at_the_login_of_somebody_else(client: FlaskClient) -> None:
    log_in(client)
    token = head_token(client)
    log_in(client, "ben")

    assert like(client, token) == 400
    assert like(client, head_token(client)) == 200


def test_it_dies_with_a_logout(client: FlaskClient) -> None:
    log_in(client)
    token = head_token(client)
    client.post("/logout", headers={"X-CSRFToken": token})

    assert like(client, token) == 400


def test_it_dies_with_a_session_that_was_revoked_elsewhere(site: Book, client: FlaskClient) -> None:
    log_in(client)
    token = head_token(client)
    with site.app.app_context():
        assert site.kit.revoke_user("ann") == 1

    assert like(client, token) == 400
    log_in(client)


def test_it_is_of_no_use_in_another_browser(site: Book, client: FlaskClient) -> None:
    log_in(client)
    thief = browser(site.app)
    theirs = head_token(thief)

    assert like(client, theirs) == like(thief, head_token(client)) == 400
