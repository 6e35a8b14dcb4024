"""A club with Flask-Security and its SQLAlchemy datastore, on every kind of store and in the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask_security.utils
import flask_security.views
import pytest
from browsers import REMEMBER, browser, close, cookie_of, csrf_of
from flask import Flask, session
from flask.testing import FlaskClient
from flask_security import Security, SQLAlchemyUserDatastore, auth_required, current_user
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

import flask_sessionkit
from flask_sessionkit import SessionInfo, SessionKit, current_user_id
from flask_sessionkit.devices import devices_blueprint
from flask_sessionkit.testing import FrozenClock

db = SQLAlchemy()
fsqla_v3.FsModels.set_db_info(db)


class Role(db.Model, fsqla_v3.FsRoleMixin):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy's own way
    pass


class User(db.Model, fsqla_v3.FsUserMixin):  # type: ignore[name-defined,misc]  # the same
    pass


ANN, BEN = "ann@example.org", "ben@example.org"
OLD, NEW = "an old password", "a new password"


class Club:
    """An application as Flask-Security's quickstart has it, with the kit and its user stamp."""

    def __init__(self, settings: dict[str, Any], clock: FrozenClock, folder: Path, **more: Any) -> None:
        self.app = app = Flask("club")
        app.config.from_mapping(
            SECURITY_PASSWORD_SALT="salt",
            SECURITY_PASSWORD_HASH="plaintext",  # fast; as Flask-Security's page on tests has it
            SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
            SECURITY_CHANGEABLE=True,
            SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
            SECURITY_TRACKABLE=True,
            SECURITY_FRESHNESS=timedelta(minutes=15),
            SECURITY_FRESHNESS_GRACE_PERIOD=timedelta(0),
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/club.db",
        )
        app.config.from_mapping(settings)
        app.config.from_mapping(more)
        self.kit = kit = SessionKit(app, clock=clock)
        CSRFProtect(app)
        db.init_app(app)
        self.people = people = SQLAlchemyUserDatastore(db, User, Role)
        Security(app, people)
        app.register_blueprint(devices_blueprint())

        @kit.user_stamp
        def stamp(uniquifier: str) -> str | None:
            user = people.find_user(fs_uniquifier=uniquifier)
            return uniquifier if user and user.active else None

        @app.get("/")
        @auth_required("session")
        def index() -> str:
            return f"The club of {current_user.email}: {session.get('drink')}"

        @app.get("/drink/<what>")
        def drink(what: str) -> str:
            session["drink"] = what
            return what

        @app.get("/theirs")
        @auth_required("session", within=15, grace=0)
        def theirs() -> str:
            return "in"

        @app.get("/ours")
        @flask_sessionkit.fresh_login_required
        def ours() -> str:
            return "in"

        @app.get("/who")
        def who() -> dict[str, Any]:
            named = current_user.fs_uniquifier if current_user.is_authenticated else None
            return {"theirs": named, "ours": current_user_id()}

        with app.app_context():
            db.create_all()
            for email in (ANN, BEN):
                people.create_user(email=email, password=OLD)
            db.session.commit()

    def id_of(self, email: str = ANN) -> str:
        with self.app.app_context():
            uniquifier: str = self.people.find_user(email=email).fs_uniquifier
            return uniquifier

    def sessions_of(self, uniquifier: str) -> list[SessionInfo]:
        with self.app.app_context():
            return self.kit.sessions_of(uniquifier)

    def sign_out_everywhere(self, email: str = ANN) -> int:
        """End all sessions and all remember cookies of a user."""
        with self.app.app_context():
            user = self.people.find_user(email=email)
            before = user.fs_uniquifier
            self.people.set_uniquifier(user)
            self.people.commit()
            return self.kit.revoke_user(before)


@pytest.fixture
def club(
    settings: dict[str, Any], clock: FrozenClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Club]]:
    """Make the club, with settings of the test's own. Flask-Security reads the clock of the test as well."""
    for module in (flask_security.utils, flask_security.views):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=clock.now))
    monkeypatch.setattr(
        flask_security.utils, "naive_utcnow", lambda: datetime.fromtimestamp(clock.now(), UTC).replace(tzinfo=None)
    )
    made: list[Club] = []

    def make(**more: Any) -> Club:
        made.append(Club(settings, clock, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        with one.app.app_context():
            db.engine.dispose()


def log_in(client: FlaskClient, email: str = ANN, password: str = OLD, **more: str) -> str:
    """Sign in by Flask-Security's form, and return the token that this brought."""
    form = {"email": email, "password": password, "csrf_token": csrf_of(client.get("/login")), **more}
    answer = client.post("/login", data=form)
    assert answer.status_code == 302, answer.text
    return cookie_of(client)


def change_password(client: FlaskClient) -> None:
    form = {"password": OLD, "new_password": NEW, "new_password_confirm": NEW}
    answer = client.post("/change", data={**form, "csrf_token": csrf_of(client.get("/change"))})
    assert answer.status_code == 302, answer.text


def log_out(client: FlaskClient) -> None:
    answer = client.post("/logout", data={"csrf_token": csrf_of(client.get("/change"))})
    assert answer.status_code == 302, answer.text


def is_in(client: FlaskClient) -> bool:
    return client.get("/").status_code == 200


def doors(client: FlaskClient) -> dict[str, bool]:
    return {name: client.get(f"/{name}").text == "in" for name in ("theirs", "ours")}


def who(client: FlaskClient) -> dict[str, str | None]:
    answer: dict[str, str | None] = client.get("/who").get_json()
    return answer


NOBODY = {"theirs": None, "ours": None}


# Login and logout.


def test_a_login_changes_the_token_and_binds_the_uniquifier(club: Callable[..., Club]) -> None:
    site = club()
    client = browser(site.app)
    client.get("/drink/tea")
    before = cookie_of(client)

    after = log_in(client)

    assert after not in ("", before)
    assert client.get("/").text == f"The club of {ANN}: tea"
    assert who(client) == {"theirs": site.id_of(), "ours": site.id_of()}
    assert who(browser(site.app, session=before)) == NOBODY


def test_the_form_of_before_the_login_is_refused_after_it(club: Callable[..., Club]) -> None:
    client = browser(club().app)
    planted = csrf_of(client.get("/login"))
    log_in(client)

    form = {"password": OLD, "new_password": NEW, "new_password_confirm": NEW, "csrf_token": planted}

    assert client.post("/change", data=form).status_code == 400
    change_password(client)


def test_a_wrong_password_is_no_login(club: Callable[..., Club]) -> None:
    site = club()
    client = browser(site.app)
    form = {"email": ANN, "password": NEW, "csrf_token": csrf_of(client.get("/login"))}

    assert client.post("/login", data=form).status_code == 200
    assert who(client) == NOBODY


def test_a_logout_ends_the_login_for_every_copy(club: Callable[..., Club]) -> None:
    site = club()
    client = browser(site.app)
    token = log_in(client, remember="y")

    log_out(client)

    assert who(client) == who(browser(site.app, session=token)) == NOBODY
    assert cookie_of(client, REMEMBER) == ""
    assert site.sessions_of(site.id_of()) == []


def test_sessions_are_listed_by_the_uniquifier_and_end_from_elsewhere(club: Callable[..., Club]) -> None:
    site = club()
    client, phone, bens = browser(site.app), browser(site.app, "Safari"), browser(site.app)
    log_in(client)
    log_in(phone)
    log_in(bens, BEN)
    [lost] = [row.handle for row in site.sessions_of(site.id_of()) if row.user_agent == "Safari"]

    with site.app.app_context():
        assert site.kit.revoke(lost, user_id=site.id_of()) == 1

    assert [row.user_agent for row in site.sessions_of(site.id_of())] == ["Firefox"]
    assert who(phone) == NOBODY
    assert is_in(client)
    assert is_in(bens)


def test_the_page_of_devices_ends_the_others_of_its_users(club: Callable[..., Club]) -> None:
    site = club()
    client, phone = browser(site.app), browser(site.app, "Safari")
    log_in(client)
    log_in(phone)
    page = client.get("/devices/")
    form = {name: csrf_of(page, name) for name in ("csrf_token", "devices_proof")}

    assert client.post("/devices/end-others", data=form).status_code == 303

    assert is_in(client)
    assert who(phone) == NOBODY


def test_who_is_deactivated_is_out_for_both(club: Callable[..., Club]) -> None:
    site = club()
    client = browser(site.app)
    log_in(client)
    with site.app.app_context():
        site.people.deactivate_user(site.people.find_user(email=ANN))
        site.people.commit()

    assert who(client) == NOBODY


# A new password.


def test_a_new_password_goes_on_here_under_a_new_token_and_ends_the_others(club: Callable[..., Club]) -> None:
    site = club()
    client, phone = browser(site.app), browser(site.app, "Safari")
    before = log_in(client)
    log_in(phone)

    change_password(client)

    assert who(client) == {"theirs": site.id_of(), "ours": site.id_of()}
    assert cookie_of(client) != before
    assert who(phone) == who(browser(site.app, session=before)) == NOBODY
    assert [row.user_agent for row in site.sessions_of(site.id_of())] == ["Firefox"]


def test_a_new_password_ends_the_remember_cookies_elsewhere_and_keeps_the_one_here(club: Callable[..., Club]) -> None:
    site = club()
    client, phone = browser(site.app), browser(site.app, "Safari")
    log_in(client, remember="y")
    log_in(phone, remember="y")

    change_password(client)
    close(client)
    close(phone)

    assert is_in(client)
    assert not is_in(phone)
    assert who(phone)["theirs"] is None
    assert phone.get("/ours").status_code == 401


def test_a_new_password_is_a_login_of_another_id_so_the_data_of_before_goes(club: Callable[..., Club]) -> None:
    """Of two ids nobody but Flask-Security knows that they are one user."""
    site = club()
    client = browser(site.app)
    log_in(client)
    client.get("/drink/tea")

    change_password(client)

    assert client.get("/").text == f"The club of {ANN}: None"


def test_a_new_uniquifier_ends_sessions_and_remember_cookies_everywhere(club: Callable[..., Club]) -> None:
    site = club()
    client, bens = browser(site.app), browser(site.app)
    log_in(client, remember="y")
    log_in(bens, BEN, remember="y")

    assert site.sign_out_everywhere() == 1
    close(client)
    close(bens)

    assert not is_in(client)
    assert client.get("/ours").status_code == 401
    assert is_in(bens)


def test_a_remember_cookie_signs_in_again_where_only_the_sessions_were_ended(club: Callable[..., Club]) -> None:
    """Flask-Login's design: no store knows of its cookie."""
    site = club()
    client = browser(site.app)
    log_in(client, remember="y")
    with site.app.app_context():
        assert site.kit.revoke_user(site.id_of()) == 1

    assert is_in(client)
    assert doors(client) == {"theirs": False, "ours": False}


# Freshness.


def test_both_let_a_fresh_login_in_and_both_ask_again_after_the_same_time(
    club: Callable[..., Club], clock: FrozenClock
) -> None:
    client = browser(club().app)
    log_in(client)
    assert doors(client) == {"theirs": True, "ours": True}

    clock.tick(900)

    assert is_in(client)
    assert doors(client) == {"theirs": False, "ours": False}


def test_both_refuse_a_remembered_user(club: Callable[..., Club]) -> None:
    client = browser(club().app)
    log_in(client, remember="y")
    close(client)

    assert is_in(client)
    assert doors(client) == {"theirs": False, "ours": False}


def test_a_verified_password_is_told_to_theirs_alone(club: Callable[..., Club], clock: FrozenClock) -> None:
    """It notes a time of its own in the session and signs nobody in."""
    client = browser(club().app)
    log_in(client)
    clock.tick(900)

    form = {"password": OLD, "csrf_token": csrf_of(client.get("/verify"))}

    assert client.post("/verify", data=form).status_code == 302
    assert doors(client) == {"theirs": True, "ours": False}


def test_a_new_password_is_a_fresh_login_for_both(club: Callable[..., Club], clock: FrozenClock) -> None:
    client = browser(club(SECURITY_FRESHNESS=timedelta(hours=1)).app)
    log_in(client)
    clock.tick(900)

    change_password(client)

    assert doors(client) == {"theirs": True, "ours": True}


# Its session protection, which is Flask-Login's.


@pytest.mark.parametrize("remember", [{}, {"remember": "y"}], ids=["for now", "remembered"])
def test_strong_protection_signs_out_who_comes_from_elsewhere(
    club: Callable[..., Club], remember: dict[str, str]
) -> None:
    site = club(SESSION_PROTECTION="strong")
    client = browser(site.app)
    token = log_in(client, **remember)

    client.get("/", headers={"User-Agent": "curl"})

    assert who(client) == NOBODY
    assert who(browser(site.app, session=token)) == NOBODY
    assert site.sessions_of(site.id_of()) == []


def test_basic_protection_takes_our_freshness_and_not_theirs(club: Callable[..., Club]) -> None:
    """They do not look at Flask-Login's ``_fresh``."""
    client = browser(club().app)
    log_in(client)

    client.get("/", environ_overrides={"REMOTE_ADDR": "203.0.113.9"})

    assert is_in(client)
    assert doors(client) == {"theirs": True, "ours": False}


# Users and sessions in one database.


@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_the_sessions_may_lie_in_the_database_of_the_users(club: Callable[..., Club]) -> None:
    """Each login writes both: when and whence, by Flask-Security, and the session."""
    site = club(SESSIONKIT_STORE="sqlalchemy:")
    client, phone = browser(site.app), browser(site.app, "Safari")
    log_in(client)
    log_in(phone)

    change_password(client)

    assert is_in(client)
    assert not is_in(phone)
    with site.app.app_context():
        assert site.people.find_user(email=ANN).login_count == 3
        assert "sessionkit_records" in db.inspect(db.engine).get_table_names()
