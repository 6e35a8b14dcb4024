"""The client that signs in by itself leaves what a login by a view leaves, and nothing less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask, current_app, redirect, request, session
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user

from flask_sessionkit import SessionKit, SessionKitError, StoreError, current_user_id, fresh_login_required, login_user
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, SessionKitClient, client_of, in_thread, pausing, two_devices


class Shop(Flask):
    """An application of a few views; ``kit`` is its kit."""

    kit: SessionKit


def shop(**config: Any) -> Shop:
    app = Shop("shop")
    app.config.update({"TESTING": True, "SECRET_KEY": "a test's key", "SESSIONKIT_STORE": "memory:"} | config)
    app.kit = SessionKit(app)
    app.add_url_rule("/", "look", lambda: {"user": current_user_id(), "data": dict(session)})
    app.add_url_rule("/login/<name>", "login", lambda name: login_user(name) or "", methods=["POST"])
    app.add_url_rule("/put/<text>", "put", lambda text: session.update(text=text) or "", methods=["POST"])
    app.add_url_rule("/sudo", "sudo", fresh_login_required(lambda: "ok"))
    return app


@pytest.fixture
def app() -> Shop:
    return shop()


@pytest.fixture
def client(app: Shop) -> SessionKitClient:
    return client_of(app)


def user_of(client: FlaskClient) -> Any:
    return client.get("/").json["user"]


def devices_of(app: Shop, user: str) -> list[tuple[str, str]]:
    with app.app_context():
        return sorted((row.user_agent, row.address) for row in app.kit.sessions_of(user))


# Login.


@pytest.mark.parametrize("wrong", [None, "shop", Flask])
def test_a_client_is_of_an_application(wrong: Any) -> None:
    with pytest.raises(TypeError) as raised:
        client_of(wrong)

    assert str(raised.value) == (
        f"app of client_of() must be a Flask application, not {type(wrong).__name__}. Use client_of(app)."
    )


def test_a_login_signs_in(client: SessionKitClient) -> None:
    client.login("ann")

    assert user_of(client) == "ann"


def test_a_login_leaves_what_a_view_leaves(app: Shop, client: SessionKitClient) -> None:
    by_view = app.test_client()
    by_view.post("/login/ann")

    client.login("ann")

    mine, its = client.get_cookie("session"), by_view.get_cookie("session")
    assert mine is not None
    assert its is not None
    assert vars(mine) | {"value": "", "decoded_value": ""} == vars(its) | {"value": "", "decoded_value": ""}
    assert len(mine.value) == len(its.value)
    assert len(devices_of(app, "ann")) == 2
    assert client.get("/sudo").status_code == 200


def test_a_login_is_in_the_applications_store() -> None:
    store = MemoryStore()

    client_of(shop(SESSIONKIT_STORE=store)).login("ann")

    assert len(store._records) == 1


def test_a_login_changes_the_token_and_keeps_the_data_of_nobody(client: SessionKitClient) -> None:
    client.post("/put/tea")
    before = client.token

    client.login("ann")

    assert before is not None
    assert client.token not in (None, before)
    assert client.get("/").json == {"user": "ann", "data": {"text": "tea", "_user_id": "ann"}}


def test_a_login_drops_the_data_of_another_user(client: SessionKitClient) -> None:
    client.login("ann")
    client.post("/put/tea")

    client.login("bob")

    assert client.get("/").json == {"user": "bob", "data": {"_user_id": "bob"}}


def test_a_login_sends_no_request(app: Shop, client: SessionKitClient) -> None:
    asked: list[str] = []
    app.before_request(lambda: asked.append(request.path))

    client.login("ann")

    assert asked == []


@pytest.mark.parametrize("remember", [True, False])
def test_a_remembered_login_outlives_the_browser(client: SessionKitClient, *, remember: bool) -> None:
    client.login("ann", remember=remember)

    cookie = client.get_cookie("session")
    assert cookie is not None
    assert (cookie.max_age is not None) is remember


def test_a_user_id_may_be_a_number(client: SessionKitClient) -> None:
    client.login(7)

    assert client.get("/").json == {"user": "7", "data": {"_user_id": "7"}}


def test_an_empty_user_id_is_refused(client: SessionKitClient) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        client.login("")

    assert client.token is None


def test_the_applications_own_identity_key_holds_what_was_given() -> None:
    client = client_of(shop(SESSIONKIT_IDENTITY_KEYS=("uid", "old_uid")))

    client.login(7)

    assert client.get("/").json == {"user": "7", "data": {"uid": 7}}


def test_an_application_may_have_no_identity_keys() -> None:
    client = client_of(shop(SESSIONKIT_IDENTITY_KEYS=()))

    client.login("ann")

    assert client.get("/").json == {"user": "ann", "data": {}}


def test_the_users_stamp_is_kept(app: Shop, client: SessionKitClient) -> None:
    stamps = {"ann": "1"}
    app.kit.user_stamp(stamps.get)
    client.login("ann")
    assert user_of(client) == "ann"

    stamps["ann"] = "2"

    assert user_of(client) is None


def test_a_user_who_is_not_there_is_not_signed_in(app: Shop, client: SessionKitClient) -> None:
    app.kit.user_stamp(lambda user: None)

    client.login("ann")

    assert user_of(client) is None


@pytest.mark.parametrize("kind", ["memory:", None])
def test_sessions_that_lie_in_the_browser_sign_in_too(kind: str | None) -> None:
    client = client_of(shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=kind))

    client.login("ann")

    assert user_of(client) == "ann"


# Flask-Login.


class Person(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.mark.parametrize("protection", ["basic", "strong", None])
def test_flask_login_sees_the_user_as_one_who_typed_the_password(protection: str | None) -> None:
    app = shop(SESSION_PROTECTION=protection)
    LoginManager(app).user_loader(Person)
    app.add_url_rule("/theirs", "theirs", lambda: [current_user.get_id(), session["_fresh"], current_user_id()])
    client = client_of(app, user_agent="Firefox", address="192.0.2.1")

    client.login("ann")

    for _ in range(2):
        assert client.get("/theirs").json == ["ann", True, "ann"]
    assert client.get("/sudo").status_code == 200


# Logout.


def test_a_logout_ends_the_session_in_the_store_and_in_the_client(app: Shop, client: SessionKitClient) -> None:
    client.login("ann")
    thief = client_of(app)
    thief.set_cookie("session", client.token or "")
    assert user_of(thief) == "ann"

    client.logout()

    assert client.token is None
    assert user_of(thief) is None


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_logout_everywhere_ends_all_of_the_users_sessions(app: Shop, *, everywhere: bool) -> None:
    laptop, phone = two_devices(app, "ann")

    laptop.logout(everywhere=everywhere)

    assert user_of(laptop) is None
    assert user_of(phone) == (None if everywhere else "ann")


def test_a_logout_without_a_session_is_none(client: SessionKitClient) -> None:
    client.logout()

    assert client.token is None


# The cookie that the settings ask for.


@pytest.mark.parametrize(
    ("config", "name", "url"),
    [
        ({}, "session", "/"),
        ({"TESTING": False}, "__Host-session", "/"),
        ({"TESTING": False, "SESSION_COOKIE_PATH": "/shop"}, "__Secure-session", "/shop/"),
        ({"SESSION_COOKIE_NAME": "id", "SESSION_COOKIE_PATH": "/shop"}, "id", "/shop/"),
        ({"APPLICATION_ROOT": "/shop"}, "session", "/"),
        ({"APPLICATION_ROOT": "/shop", "TESTING": False}, "__Host-session", "/"),
        ({"APPLICATION_ROOT": "/shop", "SESSION_COOKIE_PATH": "/shop/till"}, "session", "/till"),
        ({"SERVER_NAME": "shop.test", "SESSION_COOKIE_DOMAIN": "shop.test"}, "session", "/"),
        ({"SERVER_NAME": "a.shop.test:5000", "SESSION_COOKIE_DOMAIN": "shop.test"}, "session", "/"),
    ],
    ids=str,
)
def test_a_login_uses_the_cookie_of_the_settings(config: dict[str, Any], name: str, url: str) -> None:
    app = shop(SESSIONKIT_ALLOW_WEAK_SECRET=True, **config)
    for path in ("/shop/", "/till"):
        app.add_url_rule(path, path, app.view_functions["look"])
    client = client_of(app)

    client.login("bob")
    before = client.token
    client.login("ann")

    answer = client.get(url)
    assert answer.json["user"] == "ann"
    assert answer.request.cookies.to_dict() == {name: client.token}
    assert client.token != before
    assert [len(devices_of(app, user)) for user in ("ann", "bob")] == [1, 0]


def test_a_cookie_for_another_host_is_told() -> None:
    client = client_of(shop(SESSION_COOKIE_DOMAIN="shop.test"))

    with pytest.raises(SessionKitError, match=r"Requests to http://localhost/ do not carry .* Set SERVER_NAME"):
        client.login("ann")


def test_a_client_without_cookies_is_told() -> None:
    client = SessionKitClient(shop(), use_cookies=False)

    with pytest.raises(TypeError, match="Cookies are disabled"):
        client.login("ann")


# The header in which a token travels in place of a cookie.

BY_HEADER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"SESSIONKIT_TRANSPORT": "header"}, {}),
    ({"SESSIONKIT_TRANSPORT": "header", "SESSIONKIT_HEADER_NAME": "X-Shop"}, {}),
    ({"SESSIONKIT_TRANSPORT": "both"}, {"by_header": True}),
]


@pytest.mark.parametrize(("config", "how"), BY_HEADER, ids=str)
def test_a_token_travels_in_the_header(config: dict[str, Any], how: dict[str, Any]) -> None:
    app = shop(**config)
    client = client_of(app, **how)
    name = config.get("SESSIONKIT_HEADER_NAME", "X-Session-Token")

    client.login("ann")

    answer = client.get("/")
    assert answer.json["user"] == "ann"
    assert answer.request.headers[name] == client.token
    assert answer.request.cookies.to_dict() == {}
    assert len(devices_of(app, "ann")) == 1


@pytest.mark.parametrize(("config", "how"), BY_HEADER, ids=str)
def test_a_token_that_a_view_sends_in_the_header_is_kept(config: dict[str, Any], how: dict[str, Any]) -> None:
    app = shop(**config)
    app.add_url_rule("/to/<name>", "to", lambda name: login_user(name) or redirect("/"), methods=["POST"])
    client = client_of(app, **how)

    client.post("/login/ann")
    first = client.token
    assert user_of(client) == "ann"
    client.post("/to/bob", follow_redirects=True)

    assert user_of(client) == "bob"
    assert client.token not in (None, first)


@pytest.mark.parametrize(("config", "how"), BY_HEADER, ids=str)
def test_a_logout_by_header_leaves_no_token(config: dict[str, Any], how: dict[str, Any]) -> None:
    client = client_of(shop(**config), **how)
    client.login("ann")
    token = client.token
    with client.session_transaction() as data:
        assert data.user_id == "ann"

    client.logout()

    assert token is not None
    assert client.token is None
    client.login("bob")
    assert user_of(client) == "bob"
    assert client.get_cookie("session") is None


def test_tabs_share_the_token_of_the_header() -> None:
    client = client_of(shop(SESSIONKIT_TRANSPORT="header"))
    tab = client.tab()

    client.login("ann")

    assert user_of(tab) == "ann"


def test_where_both_may_be_a_client_uses_the_cookie() -> None:
    client = client_of(shop(SESSIONKIT_TRANSPORT="both"))

    client.login("ann")

    answer = client.get("/")
    assert answer.json["user"] == "ann"
    assert answer.request.cookies.to_dict() == {"session": client.token}
    assert "X-Session-Token" not in answer.request.headers


def test_a_client_without_cookies_signs_in_by_header() -> None:
    client = SessionKitClient(shop(SESSIONKIT_TRANSPORT="header"), use_cookies=False)

    client.login("ann")

    assert user_of(client) == "ann"


def test_with_other_sessions_it_is_flasks_client() -> None:
    app = Flask("other")
    app.add_url_rule("/", "hello", lambda: "hello")

    assert SessionKitClient(app).get("/").text == "hello"


# Trouble.


@pytest.mark.parametrize("call", ["login", "logout"])
def test_a_store_that_fails_is_told(app: Shop, client: SessionKitClient, call: str) -> None:
    client.login("bob")
    with pausing(app) as store:
        store.fail("create" if call == "login" else "replace")

        with pytest.raises(StoreError):
            client.login("ann") if call == "login" else client.logout()

    assert user_of(client) == "bob"


def test_an_application_with_other_sessions_is_told() -> None:
    app = Flask("other")
    app.secret_key = "x"

    with pytest.raises(SessionKitError, match=r"other has other sessions\. Call SessionKit"):
        client_of(app).login("ann")


def test_an_application_without_a_secret_is_told() -> None:
    client = client_of(shop(SECRET_KEY=None))

    with pytest.raises(RuntimeError, match="no secret key was set"):
        client.login("ann")


# Data in a session.


def test_a_transaction_reads_and_writes_the_clients_session(client: SessionKitClient) -> None:
    client.post("/put/tea")

    with client.session_transaction() as data:
        assert data["text"] == "tea"
        data["text"] = "milk"

    assert client.get("/").json["data"] == {"text": "milk"}


def test_a_transaction_that_fails_saves_nothing(client: SessionKitClient) -> None:
    client.post("/put/tea")

    with suppress(LookupError), client.session_transaction() as data:
        data["text"] = "milk"
        raise LookupError

    assert client.get("/").json["data"] == {"text": "tea"}


def test_a_transaction_may_ask_the_application(app: Shop, client: SessionKitClient) -> None:
    """A user's stamp lies in the database of the application, which only a context leads to."""
    app.kit.user_stamp(lambda user: current_app.name)
    client.login("ann")

    with client.session_transaction() as data:
        assert data.user_id == "ann"


def test_a_transaction_takes_the_arguments_of_flasks(client: SessionKitClient) -> None:
    with client.session_transaction("/put/x", base_url="http://shop.test", headers={"X-A": "b"}) as data:
        data["asked"] = [request.url, request.headers["X-A"]]

    assert client.get("/").json["data"] == {}
    assert client.get("/", base_url="http://shop.test").json["data"] == {"asked": ["http://shop.test/put/x", "b"]}


def test_flasks_own_client_opens_our_session(app: Shop) -> None:
    client = app.test_client()
    with client.session_transaction() as data:
        data["_user_id"] = "ann"

    assert user_of(client) == "ann"


# Clients.


@pytest.fixture
def as_test_client(app: Shop) -> Iterator[SessionKitClient]:
    app.test_client_class = SessionKitClient
    client = app.test_client(user_agent="Firefox")
    assert isinstance(client, SessionKitClient)
    with client:
        yield client


def test_the_applications_test_client_may_be_one(app: Shop, as_test_client: SessionKitClient) -> None:
    as_test_client.login("ann")

    assert user_of(as_test_client) == "ann"
    assert current_user_id() == "ann"
    assert devices_of(app, "ann") == [("Firefox", "127.0.0.1")]


def test_a_client_is_of_the_applications_own_class(app: Shop) -> None:
    class Own(SessionKitClient):
        pass

    app.test_client_class = Own
    assert type(client_of(app)) is Own
    app.test_client_class = FlaskClient
    assert type(client_of(app)) is SessionKitClient


def test_a_login_is_from_the_clients_device(app: Shop) -> None:
    client_of(app, user_agent="Firefox", address="192.0.2.1").login("ann")

    assert devices_of(app, "ann") == [("Firefox", "192.0.2.1")]


def test_two_devices_of_a_user_are_two_in_the_list(app: Shop) -> None:
    laptop, phone = two_devices(app, "ann")

    (agent, address), (other_agent, other_address) = devices_of(app, "ann")
    assert "Linux" in agent
    assert "iPhone" in other_agent
    assert address != other_address
    assert laptop.get("/").request.user_agent.string == agent
    assert phone.get("/").request.remote_addr == other_address
    assert laptop.token != phone.token


def test_tabs_have_one_jar(client: SessionKitClient) -> None:
    client.environ_base["HTTP_USER_AGENT"] = "Firefox"
    tab = client.tab()
    client.login("ann")
    assert user_of(tab) == "ann"
    assert tab.get("/").request.user_agent.string == "Firefox"

    tab.logout()

    assert client.token is None


def test_tabs_send_two_requests_at_a_time(app: Shop, client: SessionKitClient) -> None:
    client.login("ann")
    with pausing(app) as store:
        gap = store.pause_before("replace")
        slow = in_thread(client.tab().post, "/put/tea")
        with gap:
            assert user_of(client) == "ann"
        assert slow.result().status_code == 200

    assert client.get("/").json["data"]["text"] == "tea"


def test_a_frozen_clock_of_the_application_is_the_logins() -> None:
    app, clock = Shop("shop"), FrozenClock(1_000.0)
    app.config.update(TESTING=True, SECRET_KEY="x", SESSIONKIT_STORE="memory:")
    kit = SessionKit(app, clock=clock)
    client_of(app).login("ann")

    with app.app_context():
        assert [row.login_at for row in kit.sessions_of("ann")] == [1_000.0]
