"""Where a login leads, and who is sent to it. CS-02."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, redirect, request, session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_sessionkit import (
    ConfigError,
    SessionKit,
    SessionKitError,
    fresh_login_required,
    login_required,
    login_user,
    next_url,
)
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock

ELSEWHERE = [
    "//evil",
    "///evil",
    "////evil",
    "/\\evil",
    "\\/evil",
    "\\\\evil",
    "\\evil",
    "http:evil",
    "http:/evil",
    "http://evil",
    "https:///evil",
    "https:evil",
    "HTTPS://evil",
    "//evil@host/",
    "//\\evil",
    "/\t/evil",
    "/\n/evil",
    "/\r/evil",
    "\t//evil",
    "\n/ok",
    " //evil",
    " /ok",
    "/ok ",
    "/ok\n",
    "/\0/evil",
    "/\x0b/evil",
    "/\x0c/evil",
    "/\x1f/evil",
    "/\x7f/evil",
    "/\x85/evil",
    "/\xa0/evil",
    "/\xad\\evil",
    "/\u200b/evil",
    "/\u200e/evil",
    "/\u2028/evil",
    "/\u202e/evil",
    "/\u2060/evil",
    "/\u3000/evil",
    "/\ufeff/evil",
    "/ok\r\nSet-Cookie: x=y",
    "/ok\\..\\..",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "mailto:x@evil",
    "//%65vil",
    "evil",
    "evil/",
    "./x",
    "../x",
    "?x",
    "#x",
    "@evil",
    ":evil",
    "",
    "\uff0f\uff0fevil",
]
HERE = [
    "/",
    "/ok",
    "/ok/",
    "/ok?x=1&y=2",
    "/ok?next=http://evil/",
    "/ok#part",
    "/a//b",
    "/@evil",
    "/:80",
    "/.",
    "/..",
    "/..//evil",
    "/%2f%2fevil",
    "/%5cevil",
    "/%09/evil",
    "/wiki/a%20b",
    "/straße/✓",
    "/;x=y",
    "/ok?a=b%0d%0ac",
]


@pytest.fixture
def app(clock: FrozenClock) -> Flask:
    app = Flask("flows")
    app.config.update(SECRET_KEY="x", TESTING=True, SESSIONKIT_LOGIN_VIEW="login")
    SessionKit(app, store=MemoryStore(), clock=clock)

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "GET":
            return "the form"
        login_user("alice")
        return redirect(next_url("/default"))

    @app.route("/remembered", methods=["POST"])
    def remembered() -> str:
        session["_fresh"] = False
        session["_user_id"] = "alice"
        return "by its cookie"

    @app.route("/", defaults={"rest": ""}, methods=["GET", "POST"])
    @app.route("/private/<path:rest>", methods=["GET", "POST", "DELETE"])
    @login_required
    def private(rest: str) -> str:
        """What only users see."""
        return f"private {rest}"

    @app.post("/sudo")
    @fresh_login_required
    def sudo() -> str:
        return "done"

    @app.get("/quick")
    @fresh_login_required(timedelta(minutes=1))
    def quick() -> str:
        return "done"

    @app.get("/seconds")
    @fresh_login_required(max_age=60)
    def seconds() -> str:
        return "done"

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def sent_to(answer: TestResponse) -> str:
    assert answer.status_code in (302, 303)
    return answer.headers["Location"]


@pytest.mark.requirement("CS-02")
@pytest.mark.parametrize("wanted", ELSEWHERE, ids=ascii)
def test_a_next_that_could_lead_elsewhere_is_dropped(client: FlaskClient, wanted: str) -> None:
    assert sent_to(client.post("/login", query_string={"next": wanted})) == "/default"
    assert sent_to(client.post("/login", data={"next": wanted})) == "/default"


@pytest.mark.parametrize("wanted", HERE, ids=ascii)
def test_a_next_on_this_origin_is_followed(client: FlaskClient, wanted: str) -> None:
    location = sent_to(client.post("/login", query_string={"next": wanted}))
    parts = urlsplit(location)

    assert (parts.scheme, parts.netloc) == ("", "")
    assert parts.path.startswith("/")
    assert not location.startswith("//")
    assert location.isascii()


def test_without_a_next_it_is_the_default(client: FlaskClient, app: Flask) -> None:
    assert sent_to(client.post("/login")) == "/default"
    with app.test_request_context("/"):
        assert next_url() == "/"


def test_a_raw_byte_that_is_no_text_is_dropped(client: FlaskClient) -> None:
    assert client.post("/login?next=/%ff%5c%5cevil").headers["Location"] == "/default"
    assert client.post("/login?next=%ff%fe").headers["Location"] == "/default"


# Who is sent where.


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ("/private/x", "/private/x"),
        ("/private/x?", "/private/x"),
        ("/private/x?y=1&z=%26", "/private/x?y=1&z=%26"),
        ("/private/a%20b", "/private/a%20b"),
        ("/private/a%3Fb%23c?d", "/private/a%3Fb%23c?d"),
        ("/private/100%25", "/private/100%25"),
        ("/private/stra%C3%9Fe", "/private/stra%C3%9Fe"),
        ("/private/%09", "/private/%09"),
        ("/private/x?q=a+b", "/private/x?q=a+b"),
        ("/private/x?q=%FF", "/private/x?q=%FF"),
    ],
)
def test_a_page_comes_back_to_where_it_was_asked_for(client: FlaskClient, asked: str, back: str) -> None:
    location = sent_to(client.get(asked))
    assert location.startswith("/login?next=")

    assert sent_to(client.post(location)) == back
    assert client.get(back).status_code == 200


def test_bytes_in_a_query_that_are_no_text_make_no_error(app: Flask) -> None:
    """Werkzeug's ``full_path`` raises for them."""
    answer = app.test_client().get("/private/x", environ_overrides={"QUERY_STRING": "q=\xff\xfe"})

    assert sent_to(app.test_client().post(sent_to(answer))) == "/private/x?q=%FF%FE"


@pytest.mark.requirement("CS-02")
@pytest.mark.parametrize("asked", ["//evil/x", "/\\evil", "/%2F/evil", "/%5Cevil"])
def test_a_path_that_looks_like_a_host_is_never_led_to(app: Flask, asked: str) -> None:
    app.add_url_rule("/<path:rest>", "any", login_required(lambda rest: "any"))
    app.url_map.merge_slashes = False
    client = app.test_client()
    answer = client.get("/", environ_overrides={"PATH_INFO": asked})
    if answer.status_code == 302:
        location = sent_to(client.post(answer.headers["Location"]))

        assert not location.startswith(("//", "/\\", "http"))


def test_behind_a_prefix_the_way_back_has_it_too(app: Flask) -> None:
    client = app.test_client()
    location = sent_to(client.get("/private/x", environ_overrides={"SCRIPT_NAME": "/shop"}))

    assert location == "/shop/login?next=/shop/private/x"


def test_a_form_that_was_sent_is_not_sent_again(client: FlaskClient) -> None:
    answer = client.post("/private/x", data={"secret": "1"})

    assert (answer.status_code, sent_to(answer)) == (303, "/login")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "text/html"},
        {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        {"Accept": "*/*"},
        {"Accept": "text/html, application/json"},
        {"Sec-Fetch-Mode": "navigate", "Accept": "application/json"},
    ],
    ids=str,
)
def test_a_page_is_sent_to_the_login(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get("/private/x", headers=headers)

    assert sent_to(answer) == "/login?next=/private/x"
    assert "private" not in answer.get_data(as_text=True).replace("/private/x", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/json"},
        {"Accept": "application/json, text/plain, */*"},
        {"Accept": "application/json, text/html;q=0.5"},
        {"Accept": "image/png"},
        {"Accept": "application/vnd.api+json"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Sec-Fetch-Mode": "cors", "Accept": "*/*"},
        {"Sec-Fetch-Mode": "same-origin", "Accept": "text/html"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Content-Type": "application/json"},
    ],
    ids=str,
)
def test_anything_else_is_answered_401(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get("/private/x", headers=headers)

    assert answer.status_code == 401
    assert "Location" not in answer.headers
    assert "Cookie" in answer.vary


def test_without_a_login_view_it_is_401_for_all(app: Flask, clock: FrozenClock) -> None:
    other = Flask("other")
    other.config.update(SECRET_KEY="x", TESTING=True)
    SessionKit(other, store=MemoryStore(), clock=clock)
    other.add_url_rule("/", "index", login_required(lambda: "in"))

    assert other.test_client().get("/").status_code == 401


def test_a_user_is_let_in_and_the_view_keeps_its_name(client: FlaskClient, app: Flask) -> None:
    client.post("/login")

    assert client.get("/private/x").get_data(as_text=True) == "private x"
    assert app.view_functions["private"].__name__ == "private"
    assert app.view_functions["private"].__doc__ == "What only users see."


def test_an_anonymous_session_is_no_login(client: FlaskClient) -> None:
    with client.session_transaction() as current:
        current["user"] = current["user_id"] = current["_user"] = "alice"

    assert client.get("/private/x").status_code == 302


# Fresh logins.


@pytest.mark.parametrize(("path", "seconds"), [("/sudo", 900), ("/quick", 60), ("/seconds", 60)])
def test_a_login_is_fresh_until_its_second(client: FlaskClient, clock: FrozenClock, path: str, seconds: int) -> None:
    method = "POST" if path == "/sudo" else "GET"
    client.post("/login")
    clock.tick(seconds - 1)
    assert client.open(path, method=method).status_code == 200
    clock.tick(1)

    assert client.open(path, method=method).status_code in (302, 303)


def test_no_number_of_views_keeps_a_login_fresh(client: FlaskClient, clock: FrozenClock) -> None:
    client.post("/login")
    for _ in range(15):
        clock.tick(60)
        client.get("/private/x")

    assert client.get("/private/x").status_code == 200
    assert client.post("/sudo", headers={"Accept": "application/json"}).status_code == 401


def test_a_second_login_makes_it_fresh_again(client: FlaskClient, clock: FrozenClock) -> None:
    client.post("/login")
    clock.tick(900)
    client.post("/login")

    assert client.post("/sudo").status_code == 200


def test_a_remember_cookie_is_no_fresh_login(client: FlaskClient) -> None:
    client.post("/remembered")

    assert client.get("/private/x").status_code == 200
    assert client.post("/sudo").status_code == 303


def test_a_login_that_flask_login_calls_stale_is_not_fresh(client: FlaskClient) -> None:
    """Its "basic" protection does so when the browser looks like another one."""
    client.post("/login")
    assert client.post("/sudo").status_code == 200
    with client.session_transaction() as current:
        current["_fresh"] = False

    assert client.get("/private/x").status_code == 200
    assert client.post("/sudo").status_code == 303


def test_nobody_is_not_fresh(client: FlaskClient) -> None:
    assert client.post("/sudo").status_code == 303


def test_a_coroutine_is_no_answer_to_a_stranger() -> None:
    app = Flask("flows")
    app.config.update(SECRET_KEY="x", TESTING=True)
    SessionKit(app, store=MemoryStore())

    async def view() -> str:
        return "in"

    app.add_url_rule("/", "index", login_required(view))

    assert app.test_client().get("/").status_code == 401


def test_a_login_view_that_is_no_endpoint_is_named() -> None:
    app = Flask("flows")
    app.config.update(SECRET_KEY="x", TESTING=True, SESSIONKIT_LOGIN_VIEW="nowhere")
    SessionKit(app, store=MemoryStore())
    app.add_url_rule("/", "index", login_required(lambda: "in"))

    with pytest.raises(ConfigError, match="SESSIONKIT_LOGIN_VIEW is 'nowhere'"):
        app.test_client().get("/")


@pytest.mark.parametrize("guard", [login_required, fresh_login_required])
def test_a_forgotten_sessionkit_is_named(guard: Callable[[Any], Any]) -> None:
    app = Flask("flows")
    app.config.update(SECRET_KEY="x", TESTING=True)
    app.add_url_rule("/", "index", guard(lambda: "in"))

    with pytest.raises(SessionKitError, match=r"Call SessionKit\(app\)"):
        app.test_client().get("/")


@pytest.mark.parametrize("seconds", [0, -5, timedelta(seconds=-1)])
def test_a_duration_that_is_none_is_refused(seconds: Any) -> None:
    with pytest.raises(ValueError, match="positive duration"):
        fresh_login_required(seconds)
