"""Flask-Login 0.6.3 without a line of glue: its logins change the token, its logouts end them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import flask_login
import pytest
from flask import Flask, Response, request, session
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user

import flask_sessionkit
from flask_sessionkit import SessionKit, current_user_id, session_ended
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock

REMEMBER = "remember_token"


class Person(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Site:
    """An application as Flask-Login's documentation has it, and the kit on top."""

    def __init__(self, clock: FrozenClock, **config: Any) -> None:
        self.value: Any = None
        self.clock = clock
        self.app = app = Flask("site")
        app.config.update(TESTING=True, SECRET_KEY="a test's key", **config)
        self.kit = SessionKit(app, store=MemoryStore(), clock=clock)
        self.logins = logins = LoginManager(app)  # its protection is "basic" unless told
        logins.login_view = "login"

        @logins.user_loader
        def load(name: str) -> Person | None:
            return None if name == "gone" else Person(name)

        @app.route("/", methods=["GET", "POST"])
        def page() -> Any:
            self.value = value = self.view()
            return value if isinstance(value, Response) else "ok"

        @app.post("/login")
        def login() -> str:
            flask_login.login_user(Person(request.form["name"]), remember="remember" in request.form)
            return "hello"

        @app.post("/refresh")
        def refresh() -> str:
            flask_login.confirm_login()
            return "hello again"

        @app.post("/logout")
        def logout() -> str:
            flask_login.logout_user()
            return "bye"

        @app.post("/end")
        @flask_sessionkit.logout_view
        def end() -> str:
            flask_login.logout_user()
            return "bye"

        @app.get("/theirs")
        @flask_login.fresh_login_required
        def theirs() -> str:
            return "fresh"

        @app.get("/ours")
        @flask_sessionkit.fresh_login_required
        def ours() -> str:
            return "fresh"

    def browser(self) -> FlaskClient:
        client = self.app.test_client()
        # A header of the browser's own, as strong protection looks at it.
        client.environ_base["HTTP_USER_AGENT"] = "Firefox"
        return client

    def ask(self, client: FlaskClient, view: Callable[[], Any], **kwargs: Any) -> Any:
        """Run any function as a page, and return what it returned."""
        self.view = view
        client.post("/", **kwargs)
        return self.value

    def who(self, client: FlaskClient, **kwargs: Any) -> tuple[str | None, str | None]:
        """Return whom Flask-Login sees, and whom the kit does."""
        found: tuple[str | None, str | None] = self.ask(
            client, lambda: (current_user.get_id(), current_user_id()), **kwargs
        )
        return found

    def holder_of(self, token: str) -> tuple[str | None, str | None]:
        """Return who is seen by a browser that has nothing but a token."""
        client = self.browser()
        client.set_cookie("session", token)
        return self.who(client)


@pytest.fixture
def site(clock: FrozenClock) -> Site:
    return Site(clock)


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.browser()


def token_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    return "" if cookie is None else cookie.value


def log_in(client: FlaskClient, name: str = "ann", **form: str) -> str:
    client.post("/login", data={"name": name, **form})
    return token_of(client)


def forget_session(client: FlaskClient) -> None:
    """Close the browser: what is not remembered is gone."""
    client.delete_cookie("session")


NOBODY = (None, None)
ANN = ("ann", "ann")

ELSEWHERE = [
    pytest.param({"headers": {"User-Agent": "curl"}}, id="another user agent"),
    pytest.param({"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}, id="another address"),
    pytest.param({"headers": {"X-Forwarded-For": "203.0.113.9"}}, id="another proxy"),
]


# Login.


def test_a_login_changes_the_token_and_the_old_one_is_dead(site: Site, client: FlaskClient) -> None:
    site.ask(client, lambda: session.update(cart=[1]))
    before = token_of(client)

    after = log_in(client)

    assert after not in ("", before)
    assert site.who(client) == ANN
    assert site.holder_of(before) == NOBODY
    assert site.ask(client, lambda: session["cart"]) == [1]


def test_a_token_that_was_planted_is_not_the_one_after_the_login(site: Site, client: FlaskClient) -> None:
    attacker = site.browser()
    site.ask(attacker, lambda: session.update(cart=["theirs"]))
    client.set_cookie("session", token_of(attacker))

    log_in(client)

    assert site.who(client) == ANN
    assert site.who(attacker) == NOBODY


def test_a_login_sets_login_at_and_is_fresh(site: Site, client: FlaskClient) -> None:
    log_in(client)

    assert site.ask(client, lambda: session.login_at) == site.clock.now()  # type: ignore[attr-defined]
    assert client.get("/ours").text == client.get("/theirs").text == "fresh"


def test_a_login_that_is_not_fresh_sets_no_login_at(site: Site, client: FlaskClient) -> None:
    site.ask(client, lambda: flask_login.login_user(Person("ann"), fresh=False))

    assert site.who(client) == ANN
    assert site.ask(client, lambda: session.login_at) is None  # type: ignore[attr-defined]
    assert client.get("/ours").status_code == 401


def test_a_login_of_another_user_inherits_nothing(site: Site, client: FlaskClient) -> None:
    ann = log_in(client)
    site.ask(client, lambda: session.update(address="Ann's"))

    log_in(client, "ben")

    assert site.who(client) == ("ben", "ben")
    assert site.ask(client, lambda: session.get("address")) is None
    assert site.holder_of(ann) == NOBODY


def test_what_was_another_users_is_out_of_sight_at_once(site: Site, client: FlaskClient) -> None:
    log_in(client)
    site.ask(client, lambda: session.update(address="Ann's"))

    def view() -> dict[str, Any]:
        flask_login.login_user(Person("ben"))
        return dict(session)

    assert {*site.ask(client, view)} == {"_user_id", "_fresh", "_id"}


def test_a_second_login_of_the_same_user_renews_the_token_and_keeps_the_data(site: Site, client: FlaskClient) -> None:
    first = log_in(client)
    site.ask(client, lambda: session.update(address="Ann's"))

    second = log_in(client)

    assert second != first
    assert site.who(client) == ANN
    assert site.holder_of(first) == NOBODY
    assert site.ask(client, lambda: session["address"]) == "Ann's"


def test_a_second_login_is_fresh_again_for_the_kit_as_well(site: Site, client: FlaskClient) -> None:
    log_in(client)
    site.clock.tick(900)
    assert client.get("/ours").status_code == 401

    log_in(client)

    assert client.get("/ours").text == "fresh"


def test_the_same_user_id_alone_is_no_login(site: Site, client: FlaskClient) -> None:
    token = log_in(client)

    site.ask(client, lambda: session.update(_user_id="ann"))

    assert token_of(client) == token


def test_a_stamp_that_was_read_with_the_password_stays_the_one_of_the_login(site: Site, client: FlaskClient) -> None:
    site.kit.user_stamp(lambda _: "second password")

    def view() -> None:
        flask_sessionkit.login_user("ann", stamp="first password")
        flask_login.login_user(Person("ann"))

    site.ask(client, view)

    assert site.who(client) == NOBODY


def test_the_kit_lists_and_ends_the_users_of_flask_login(site: Site, client: FlaskClient) -> None:
    log_in(client)
    phone = site.browser()
    log_in(phone)
    log_in(site.browser(), "ben")

    with site.app.app_context():
        rows = site.kit.sessions_of("ann")
        ended = site.kit.revoke(rows[0].handle, user_id="ann"), site.kit.revoke_user("ann")

        assert [row.user_agent for row in rows] == ["Firefox", "Firefox"]
        assert len(site.kit.sessions_of("ben")) == 1
    assert ended == (1, 1)
    assert site.who(client) == site.who(phone) == NOBODY


def test_a_user_whose_id_is_a_number_is_listed(site: Site, client: FlaskClient) -> None:
    site.ask(client, lambda: session.update(_user_id=7, _fresh=True))

    with site.app.app_context():
        assert len(site.kit.sessions_of(7)) == len(site.kit.sessions_of("7")) == 1


def test_a_user_stamp_ends_the_logins_of_flask_login(site: Site, client: FlaskClient) -> None:
    stamps = {"ann": "first password"}
    site.kit.user_stamp(stamps.get)
    log_in(client)
    assert site.who(client) == ANN

    stamps["ann"] = "second password"

    assert site.who(client) == NOBODY


def test_the_test_client_of_flask_login_logs_in(site: Site) -> None:
    site.app.config["SESSION_PROTECTION"] = None  # it looks for what this client does not send
    site.app.test_client_class = flask_login.FlaskLoginClient
    with site.app.test_client(user=Person("ann")) as client:
        assert site.who(client) == ANN
        assert client.get("/theirs").text == "fresh"


# Session protection.


@pytest.fixture
def strong(clock: FrozenClock) -> Site:
    return Site(clock, SESSION_PROTECTION="strong")


@pytest.mark.parametrize("form", [{}, {"remember": "on"}], ids=["for now", "remembered"])
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_strong_protection_logs_out_and_clears_the_remember_cookie(
    strong: Site, elsewhere: dict[str, Any], form: dict[str, str]
) -> None:
    client = strong.browser()
    token = log_in(client, **form)

    assert strong.who(client, **elsewhere) == NOBODY
    assert client.get_cookie(REMEMBER) is None
    assert token_of(client) != token
    assert strong.who(client) == NOBODY
    assert strong.holder_of(token) == NOBODY


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_strong_protection_stays_strong_whatever_else_is_set(clock: FrozenClock, elsewhere: dict[str, Any]) -> None:
    site = Site(clock, SESSION_PROTECTION="strong", PERMANENT_SESSION_LIFETIME=timedelta(days=9))
    client = site.browser()
    log_in(client)
    client.post("/refresh")
    site.ask(client, lambda: session.regenerate())  # type: ignore[attr-defined]
    clock.tick(600)
    assert site.who(client) == ANN

    assert site.who(client, **elsewhere) == NOBODY


def test_strong_protection_is_told_of_as_a_logout(strong: Site) -> None:
    client = strong.browser()
    log_in(client)
    told: list[dict[str, Any]] = []

    def note(_: object, **about: Any) -> None:
        told.append(about)

    with session_ended.connected_to(note):
        strong.who(client, headers={"User-Agent": "curl"})

    assert told == [{"reason": "logout", "user_id": "ann"}]


def test_nobody_is_logged_out_who_stays_where_they_are(strong: Site) -> None:
    client = strong.browser()
    token = log_in(client)

    assert [strong.who(client) for _ in range(3)] == [ANN] * 3
    assert token_of(client) == token


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_basic_protection_leaves_the_login_and_takes_its_freshness(
    site: Site, client: FlaskClient, elsewhere: dict[str, Any]
) -> None:
    log_in(client)

    assert site.who(client, **elsewhere) == ANN
    assert client.get("/ours").status_code == 401
    assert client.get("/theirs").status_code == 401


# The remember cookie.


def test_a_remember_cookie_is_a_login_that_is_not_fresh(site: Site, client: FlaskClient) -> None:
    log_in(client, remember="on")
    forget_session(client)

    assert site.who(client) == ANN
    assert token_of(client)
    assert site.ask(client, lambda: session.login_at) is None  # type: ignore[attr-defined]
    assert client.get("/ours").status_code == 401
    assert client.get("/theirs").status_code == 401


def test_a_remember_cookie_renews_the_token_of_an_anonymous_session(site: Site, client: FlaskClient) -> None:
    log_in(client, remember="on")
    remembered = client.get_cookie(REMEMBER)
    assert remembered is not None
    stranger = site.browser()
    site.ask(stranger, lambda: session.update(cart=[1]))
    before = token_of(stranger)
    stranger.set_cookie(REMEMBER, remembered.value)

    assert site.who(stranger) == ANN
    assert token_of(stranger) != before
    assert site.ask(stranger, lambda: session["cart"]) == [1]
    assert site.holder_of(before) == NOBODY


def test_a_remember_cookie_is_listed_without_login_at(site: Site, client: FlaskClient) -> None:
    log_in(client, remember="on")
    forget_session(client)
    site.who(client)

    with site.app.app_context():
        assert sorted(row.login_at is None for row in site.kit.sessions_of("ann")) == [False, True]


@pytest.mark.parametrize("seconds", [1800, 43200])
def test_a_remember_cookie_lasts_longer_than_the_session(site: Site, client: FlaskClient, seconds: int) -> None:
    before = log_in(client, remember="on")
    site.clock.tick(seconds)

    assert site.who(client) == ANN
    assert token_of(client) != before
    assert client.get("/ours").status_code == 401


def test_typing_the_password_again_renews_the_token_and_is_a_login(site: Site, client: FlaskClient) -> None:
    log_in(client, remember="on")
    forget_session(client)
    site.who(client)
    before = token_of(client)
    site.clock.tick(5)

    client.post("/refresh")

    assert token_of(client) != before
    assert site.holder_of(before) == NOBODY
    assert site.ask(client, lambda: session.login_at) == site.clock.now()  # type: ignore[attr-defined]
    assert client.get("/ours").text == client.get("/theirs").text == "fresh"


def test_a_login_after_the_remember_cookies_is_a_login(site: Site, client: FlaskClient) -> None:
    log_in(client, remember="on")
    forget_session(client)
    site.who(client)
    before = token_of(client)
    site.clock.tick(5)

    log_in(client)

    assert token_of(client) != before
    assert site.ask(client, lambda: session.login_at) == site.clock.now()  # type: ignore[attr-defined]


def test_a_remember_cookie_of_a_user_who_is_gone_lets_nobody_in(site: Site, client: FlaskClient) -> None:
    log_in(client, "gone", remember="on")
    forget_session(client)

    assert site.ask(client, lambda: current_user.is_authenticated) is False


def test_a_remember_cookie_that_was_forged_lets_nobody_in(site: Site, client: FlaskClient) -> None:
    client.set_cookie(REMEMBER, "ann|" + "0" * 128)

    assert site.who(client) == NOBODY
    assert token_of(client) == ""


# Logout in a plain view.


def test_a_logout_unbinds_renews_and_leaves_the_rest_as_it_was(site: Site, client: FlaskClient) -> None:
    before = log_in(client)
    site.ask(client, lambda: session.update(language="de"))

    client.post("/logout")

    assert token_of(client) not in ("", before)
    assert site.who(client) == NOBODY
    assert site.ask(client, lambda: session["language"]) == "de"
    assert site.holder_of(before) == NOBODY
    with site.app.app_context():
        assert site.kit.sessions_of("ann") == []


def test_what_a_logout_leaves_is_dropped_by_another_users_login(site: Site, client: FlaskClient) -> None:
    log_in(client)
    site.ask(client, lambda: session.update(address="Ann's"))
    client.post("/logout")

    log_in(client, "ben")

    assert site.ask(client, lambda: session.get("address")) is None


def test_what_a_logout_leaves_is_there_for_the_same_user(site: Site, client: FlaskClient) -> None:
    log_in(client)
    site.ask(client, lambda: session.update(address="Ann's"))
    client.post("/logout")

    log_in(client)

    assert site.ask(client, lambda: session["address"]) == "Ann's"


def test_a_logout_that_leaves_nothing_deletes_the_cookie(site: Site, client: FlaskClient) -> None:
    log_in(client)

    client.post("/logout")

    assert token_of(client) == ""


@pytest.mark.parametrize("path", ["/logout", "/end"])
def test_a_logout_removes_the_remember_cookie(site: Site, client: FlaskClient, path: str) -> None:
    log_in(client, remember="on")

    client.post(path)

    assert client.get_cookie(REMEMBER) is None
    assert site.who(client) == NOBODY


# Logout in a logout_view.


def test_a_logout_view_ends_the_session_and_all_that_it_held(site: Site, client: FlaskClient) -> None:
    before = log_in(client, remember="on")
    site.ask(client, lambda: session.update(language="de"))

    client.post("/end")

    assert token_of(client) == ""
    assert client.get_cookie(REMEMBER) is None
    assert site.holder_of(before) == NOBODY
    assert site.ask(client, lambda: dict(session)) == {}


def test_a_logout_view_leaves_the_data_in_sight_until_its_request_is_over(site: Site, client: FlaskClient) -> None:
    seen = []

    @site.app.after_request
    def look(response: Response) -> Response:
        seen.append(session.get("language"))
        return response

    log_in(client)
    site.ask(client, lambda: session.update(language="de"))
    client.post("/end")
    site.ask(client, lambda: None)

    assert seen == [None, "de", "de", None]


@pytest.mark.parametrize("path", ["/logout", "/end"])
def test_what_was_under_way_does_not_bring_a_login_back(site: Site, client: FlaskClient, path: str) -> None:
    token = log_in(client, remember="on")
    site.ask(client, lambda: session.update(language="de"))
    remembered = client.get_cookie(REMEMBER)
    assert remembered is not None
    client.post(path)

    late = site.browser()
    late.set_cookie("session", token)
    late.set_cookie(REMEMBER, remembered.value)
    site.ask(late, lambda: session.update(late=1))

    assert token_of(late) == token  # neither a new cookie nor a deletion that could wipe one
    assert site.holder_of(token) == NOBODY
    assert site.ask(client, lambda: session.get("late")) is None
    with site.app.app_context():
        assert site.kit.sessions_of("ann") == []


@pytest.mark.parametrize("path", ["/logout", "/end"])
def test_a_request_that_overlaps_with_a_logout_does_not_bring_it_back(
    site: Site, client: FlaskClient, path: str
) -> None:
    token = log_in(client, remember="on")
    late = site.browser()
    for name in ("session", REMEMBER):
        cookie = client.get_cookie(name)
        assert cookie is not None
        late.set_cookie(name, cookie.value)

    def slow() -> None:
        assert current_user.id == "ann"
        client.post(path)
        session["late"] = 1

    site.ask(late, slow)

    assert token_of(late) == token
    assert site.holder_of(token) == NOBODY
    with site.app.app_context():
        assert site.kit.sessions_of("ann") == []
