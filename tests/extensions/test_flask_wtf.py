"""Flask-WTF without a line of glue: its token dies at a login, and its form works for whoever was signed out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import flask_login
import pytest
from flask import Flask, render_template_string, session
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.csrf import generate_csrf
from werkzeug.test import TestResponse
from wtforms import StringField
from wtforms.validators import DataRequired

import flask_sessionkit
from flask_sessionkit import SessionKit, current_user_id
from flask_sessionkit.reasons import Reason
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock

PAGE = "<form method=post>{{ form.hidden_tag() }}{{ form.name }}</form>{{ form.errors }}"


class LoginForm(FlaskForm):
    name = StringField(validators=[DataRequired()])


class Person(flask_login.UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Site:
    """A login page with a form, and a page that changes something, as Flask-WTF's documentation has them."""

    def __init__(self, clock: FrozenClock, log_in: Callable[[str], Any], **config: Any) -> None:
        self.clock = clock
        self.stamp = "first password"
        self.app = app = Flask("site")
        app.config.update(TESTING=True, SECRET_KEY="a test's key", SESSIONKIT_ABSOLUTE_TIMEOUT=3600, **config)
        self.kit = kit = SessionKit(app, store=MemoryStore(), clock=clock)
        kit.user_stamp(lambda _: self.stamp)
        CSRFProtect(app)
        flask_login.LoginManager(app).user_loader(Person)

        @app.route("/login", methods=["GET", "POST"])
        def login() -> str:
            form = LoginForm()
            if form.validate_on_submit():
                log_in(str(form.name.data))
                return render_template_string(PAGE, form=LoginForm(formdata=None))
            return render_template_string(PAGE, form=form)

        # The same, but told what it is: it starts a session also where a token has just died.
        app.add_url_rule("/enter", "enter", flask_sessionkit.login_view(login), methods=["GET", "POST"])

        @app.post("/change")
        def change() -> str:
            return "changed"

        @app.post("/logout")
        def logout() -> str:
            flask_sessionkit.logout_user()
            return "bye"

        @app.post("/end")
        @flask_sessionkit.logout_view
        def end() -> str:
            return "bye"

        @app.post("/leave")
        def leave() -> str:
            flask_login.logout_user()
            return "bye"

        @app.post("/renew")
        def renew() -> str:
            session.regenerate()  # type: ignore[attr-defined]  # the kit's own
            return generate_csrf()

        @app.get("/who")
        def who() -> dict[str, str | None]:
            return {"user": current_user_id(), "ended": session.ended_because}  # type: ignore[attr-defined]


def with_flask_login(name: str) -> None:
    flask_login.login_user(Person(name))


def with_the_kit(name: str) -> None:
    flask_sessionkit.login_user(name)


def with_a_key(name: str) -> None:
    session["_user_id"] = name


@pytest.fixture(params=[with_flask_login, with_the_kit, with_a_key])
def site(request: pytest.FixtureRequest, clock: FrozenClock) -> Site:
    return Site(clock, request.param)


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.app.test_client()


def form_token(response: TestResponse) -> str:
    """Return the token of the form in a page."""
    found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', response.text)
    assert found, response.text
    return found[1]


def open_form(client: FlaskClient, path: str = "/login") -> str:
    return form_token(client.get(path))


def send(client: FlaskClient, path: str, token: str) -> TestResponse:
    return client.post(path, data={"csrf_token": token, "name": "ann"})


def log_in(client: FlaskClient, path: str = "/login") -> str:
    """Sign Ann in by the form, and return the token of the page that answers."""
    response = send(client, path, open_form(client, path))
    assert response.status_code == 200
    assert who(client)["user"] == "ann"
    return form_token(response)


def who(client: FlaskClient) -> dict[str, str | None]:
    answer: dict[str, str | None] = client.get("/who").get_json()
    return answer


# The token dies at a login.


@pytest.mark.requirement("CS-01", "FX-03")
def test_a_token_from_before_the_login_is_refused_after_it(client: FlaskClient) -> None:
    before = open_form(client)
    assert send(client, "/change", before).status_code == 200

    send(client, "/login", before)

    assert who(client)["user"] == "ann"
    assert "do not match" in send(client, "/change", before).text


def test_the_page_that_answers_a_login_has_a_token_that_works(client: FlaskClient) -> None:
    before = open_form(client)

    after = form_token(send(client, "/login", before))

    assert after != before
    assert send(client, "/change", after).text == "changed"


def test_a_token_that_was_planted_with_a_session_is_refused_after_the_login(site: Site, client: FlaskClient) -> None:
    attacker = site.app.test_client()
    planted = open_form(attacker)
    cookie = attacker.get_cookie("session")
    assert cookie is not None
    client.set_cookie("session", cookie.value)

    log_in(client)

    assert send(client, "/change", planted).status_code == 400
    assert send(attacker, "/change", planted).status_code == 400


def test_a_field_of_another_name_dies_too(clock: FrozenClock) -> None:
    site = Site(clock, with_flask_login, WTF_CSRF_FIELD_NAME="proof")
    client = site.app.test_client()
    found = re.search(r'name="proof" type="hidden" value="([^"]+)"', client.get("/login").text)
    assert found
    client.post("/login", data={"proof": found[1], "name": "ann"})

    assert who(client)["user"] == "ann"
    assert client.post("/change", data={"proof": found[1]}).status_code == 400


def test_a_login_as_somebody_else_kills_it_as_well(site: Site, client: FlaskClient) -> None:
    anns = log_in(client)

    client.post("/login", data={"csrf_token": anns, "name": "ben"})

    assert who(client)["user"] == "ben"
    assert send(client, "/change", anns).status_code == 400


def test_a_login_that_fails_leaves_it(client: FlaskClient) -> None:
    token = open_form(client)

    failed = client.post("/login", data={"csrf_token": token, "name": ""})

    assert "This field is required" in failed.text
    assert send(client, "/login", token).status_code == 200
    assert who(client)["user"] == "ann"


def test_a_renewed_token_of_the_session_leaves_it(client: FlaskClient) -> None:
    token = log_in(client)

    assert send(client, "/renew", token).status_code == 200
    assert send(client, "/change", token).text == "changed"


@pytest.mark.parametrize("path", ["/logout", "/end"])
def test_it_dies_with_the_session(client: FlaskClient, path: str) -> None:
    token = log_in(client)

    send(client, path, token)

    assert send(client, "/change", token).status_code == 400


# It belongs to one session.


@pytest.mark.requirement("CS-01")
def test_a_token_of_one_session_is_refused_in_another(site: Site, client: FlaskClient) -> None:
    other = site.app.test_client()
    theirs = open_form(other)
    open_form(client)

    assert send(other, "/change", theirs).text == "changed"
    assert "do not match" in send(client, "/change", theirs).text


def test_a_token_is_refused_where_there_is_no_session(site: Site, client: FlaskClient) -> None:
    token = open_form(client)

    assert "session token is missing" in send(site.app.test_client(), "/change", token).text


def test_a_header_carries_it_too(client: FlaskClient) -> None:
    token = open_form(client)

    assert client.post("/change", headers={"X-CSRFToken": token}).text == "changed"
    assert client.post("/change").status_code == 400


def test_opening_the_form_again_does_not_change_it(site: Site, client: FlaskClient) -> None:
    first = open_form(client)
    open_form(client)
    site.clock.tick(60)
    open_form(client)

    assert send(client, "/change", first).text == "changed"


# The form on the login page, for somebody who was just signed out.


def by_logging_out(site: Site, client: FlaskClient, token: str) -> None:
    assert send(client, "/logout", token).text == "bye"


def by_a_logout_view(site: Site, client: FlaskClient, token: str) -> None:
    assert send(client, "/end", token).text == "bye"


def by_flask_login(site: Site, client: FlaskClient, token: str) -> None:
    assert send(client, "/leave", token).text == "bye"


def by_a_pause(site: Site, client: FlaskClient, token: str) -> None:
    site.clock.tick(1800)


def by_the_end_of_the_day(site: Site, client: FlaskClient, token: str) -> None:
    for _ in range(3):
        site.clock.tick(1200)
        who(client)


def by_an_administrator(site: Site, client: FlaskClient, token: str) -> None:
    with site.app.app_context():
        assert site.kit.revoke_user("ann") == 1


def by_a_new_password(site: Site, client: FlaskClient, token: str) -> None:
    site.stamp = "second password"


ENDS: dict[Callable[[Site, FlaskClient, str], None], Reason | None] = {
    by_logging_out: None,  # the cookie is gone, so there is nothing to be told of
    by_a_logout_view: None,
    by_a_pause: Reason.IDLE,
    by_the_end_of_the_day: Reason.ABSOLUTE,
    by_an_administrator: Reason.REVOKED,
    by_a_new_password: Reason.STAMP,
}


@pytest.mark.parametrize("path", ["/login", "/enter"])
@pytest.mark.parametrize(("end", "reason"), ENDS.items(), ids=[end.__name__ for end in ENDS])
def test_the_login_form_works_for_whoever_was_signed_out(
    site: Site,
    client: FlaskClient,
    end: Callable[[Site, FlaskClient, str], None],
    reason: Reason | None,
    path: str,
) -> None:
    end(site, client, log_in(client, path))
    assert who(client) == {"user": None, "ended": reason}

    log_in(client, path)


@pytest.mark.parametrize("path", ["/login", "/enter"])
def test_the_login_form_works_after_a_logout_of_flask_logins(clock: FrozenClock, path: str) -> None:
    site = Site(clock, with_flask_login)
    client = site.app.test_client()
    by_flask_login(site, client, log_in(client, path))
    assert who(client)["user"] is None

    log_in(client, path)


@pytest.mark.parametrize("path", ["/login", "/enter"])
@pytest.mark.parametrize(("end", "reason"), ENDS.items(), ids=[end.__name__ for end in ENDS])
def test_a_page_from_before_the_end_is_refused_and_the_next_one_works(
    site: Site,
    client: FlaskClient,
    end: Callable[[Site, FlaskClient, str], None],
    reason: Reason | None,
    path: str,
) -> None:
    stale = log_in(client, path)
    end(site, client, stale)

    assert send(client, path, stale).status_code == 400
    assert who(client)["user"] is None
    log_in(client, path)


@pytest.mark.parametrize("end", [by_logging_out, by_a_logout_view])
def test_the_form_of_a_login_view_works_though_the_deleted_cookie_comes_back(
    site: Site, client: FlaskClient, end: Callable[[Site, FlaskClient, str], None]
) -> None:
    token = log_in(client, "/enter")
    cookie = client.get_cookie("session")
    assert cookie is not None
    end(site, client, token)
    client.set_cookie("session", cookie.value)
    assert who(client) == {"user": None, "ended": Reason.LOGOUT}

    log_in(client, "/enter")


def test_the_form_of_a_login_view_works_for_a_token_that_was_replaced(site: Site, client: FlaskClient) -> None:
    token = log_in(client, "/enter")
    cookie = client.get_cookie("session")
    assert cookie is not None
    send(client, "/renew", token)
    late = site.app.test_client()  # its answer with the new cookie was lost
    late.set_cookie("session", cookie.value)
    assert who(late) == {"user": None, "ended": Reason.REPLACED}

    log_in(late, "/enter")


@pytest.mark.parametrize("path", ["/login", "/enter"])
@pytest.mark.parametrize("garbage", ["", "x", "A" * 43, "eyJhIjoxfQ.Zz.Zz", "a b", '"', "%00", "ä" * 200])
def test_the_login_form_works_for_a_visitor_with_garbage(client: FlaskClient, garbage: str, path: str) -> None:
    client.set_cookie("session", garbage)

    log_in(client, path)
