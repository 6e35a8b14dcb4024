"""The cookie, and what caches are told. CK-01, CK-04, CK-06 to CK-12, CA-01 to CA-05, ID-09, TO-10."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, abort, flash, redirect, request, session
from werkzeug.test import TestResponse

from flask_sessionkit import SessionKit, current_user_id, login_user, logout_user
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

SECRET = secrets.token_hex()
TOKEN = "[A-Za-z0-9_-]{43}"


class Shop:
    """An application outside of debug and testing, whose views are functions of the test."""

    def __init__(self, **config: Any) -> None:
        self.app = app = Flask("shop")
        app.config.update({"SECRET_KEY": SECRET, **config})
        self.clock = FrozenClock()
        self.store = PausingStore(MemoryStore())
        self.kit = SessionKit(app, store=self.store, clock=self.clock)
        self.view: Callable[[], Any] = lambda: None
        app.add_url_rule("/", "view", lambda: self.view() or "done", methods=["GET", "POST"])

    def get(self, view: Callable[[], Any], cookie: str | bytes | None = None, **given: Any) -> TestResponse:
        self.view = view
        environ = (
            {} if cookie is None else {"HTTP_COOKIE": cookie if isinstance(cookie, str) else cookie.decode("latin-1")}
        )
        given.setdefault("base_url", "https://shop.example")
        client = self.app.test_client(use_cookies=False)
        return client.open("/", environ_overrides={**environ, **given.pop("environ_overrides", {})}, **given)

    def who(self, cookie: str | bytes | None) -> str:
        return self.get(lambda: current_user_id() or "-", cookie).get_data(as_text=True)

    def login(self, user: str = "alice") -> str:
        """Return a cookie, as a browser sends it."""
        return set_cookie(self.get(lambda: login_user(user))).partition(";")[0]


def cookies(answer: TestResponse) -> list[str]:
    return answer.headers.getlist("Set-Cookie")


def set_cookie(answer: TestResponse) -> str:
    [header] = cookies(answer)
    return header


def put(**values: Any) -> Callable[[], None]:
    return lambda: session.update(values)


@pytest.fixture
def shop() -> Shop:
    return Shop()


# What it looks like.


@pytest.mark.requirement("CK-01", "ID-09")
def test_by_default_it_is_as_strict_as_browsers_allow(shop: Shop) -> None:
    header = set_cookie(shop.get(put(v=1)))

    assert re.fullmatch(f"__Host-session={TOKEN}; Secure; HttpOnly; Path=/; SameSite=Lax", header)


@pytest.mark.requirement("CK-01")
@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"SESSION_COOKIE_NAME": "shop"}, "__Host-shop={}; Secure; HttpOnly; Path=/; SameSite=Lax"),
        ({"APPLICATION_ROOT": "/app"}, "__Host-session={}; Secure; HttpOnly; Path=/; SameSite=Lax"),
        ({"SESSION_COOKIE_PATH": "/app"}, "__Secure-session={}; Secure; HttpOnly; Path=/app; SameSite=Lax"),
        (
            {"SESSION_COOKIE_DOMAIN": "shop.example"},
            "__Secure-session={}; Domain=shop.example; Secure; HttpOnly; Path=/; SameSite=Lax",
        ),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, "__Host-session={}; Secure; HttpOnly; Path=/; SameSite=Strict"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "__Host-session={}; Secure; HttpOnly; Path=/; SameSite=None"),
        ({"SESSION_COOKIE_SECURE": False}, "__Host-session={}; Secure; HttpOnly; Path=/; SameSite=Lax"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "__Host-session={}; Secure; HttpOnly; Path=/; SameSite=Lax"),
        (
            {"SESSION_COOKIE_PARTITIONED": True},
            "__Host-session={}; Secure; HttpOnly; Path=/; SameSite=Lax; Partitioned",
        ),
        ({"SESSION_COOKIE_NAME": "__Host-shop"}, "__Host-shop={}; Secure; HttpOnly; Path=/; SameSite=Lax"),
        ({"SESSION_COOKIE_NAME": "__secure-shop"}, "__secure-shop={}; Secure; HttpOnly; Path=/; SameSite=Lax"),
        ({"SESSIONKIT_SECURE_COOKIE": False}, "session={}; HttpOnly; Path=/"),
        ({"TESTING": True}, "session={}; HttpOnly; Path=/"),
        ({"DEBUG": True}, "session={}; HttpOnly; Path=/"),
        (
            {
                "TESTING": True,
                "SESSION_COOKIE_NAME": "shop",
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_HTTPONLY": False,
                "SESSION_COOKIE_SAMESITE": "Strict",
                "SESSION_COOKIE_PATH": "/app",
                "SESSION_COOKIE_DOMAIN": "shop.example",
            },
            "shop={}; Domain=shop.example; Secure; Path=/app; SameSite=Strict",
        ),
    ],
    ids=str,
)
def test_settings_of_flask_are_honoured_as_far_as_they_are_safe(config: dict[str, Any], wanted: str) -> None:
    shop = Shop(**config)
    header = set_cookie(shop.get(put(v=1)))
    token = header.partition("=")[2].partition(";")[0]

    assert re.fullmatch(TOKEN, token)
    assert header == wanted.format(token)


@pytest.mark.requirement("TR-06")
@pytest.mark.parametrize("config", [{}, {"SESSION_COOKIE_DOMAIN": "shop.example"}, {"TESTING": True}], ids=str)
def test_the_cookie_that_deletes_it_has_the_same_attributes(config: dict[str, Any]) -> None:
    """Browsers take a deleting ``__Host-`` cookie only with Secure and Path=/ (RFC 6265bis, 5.7)."""
    shop = Shop(**config)
    sent = set_cookie(shop.get(lambda: login_user("alice")))
    deleted = set_cookie(shop.get(logout_user, sent.partition(";")[0]))

    name, *attributes = deleted.split("; ")
    assert name == sent.partition("=")[0] + "="
    assert {*attributes} - {*sent.split("; ")[1:]} == {"Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Max-Age=0"}
    assert {*sent.split("; ")[1:]} <= {*attributes}


def test_settings_of_flask_are_read_at_each_request(shop: Shop) -> None:
    shop.login()
    shop.app.config["SESSION_COOKIE_NAME"] = "other"

    assert set_cookie(shop.get(put(v=1))).startswith("__Host-other=")


@pytest.mark.requirement("TO-10")
def test_it_ends_with_the_browser_unless_it_is_permanent(shop: Shop) -> None:
    header = set_cookie(shop.get(lambda: login_user("alice")))
    assert "Max-Age" not in header
    assert "Expires" not in header

    header = set_cookie(shop.get(lambda: login_user("alice", remember=True)))
    assert f"; Max-Age={30 * 86400};" in header
    cookie = header.partition(";")[0]
    shop.clock.tick(3600)
    assert f"; Max-Age={30 * 86400 - 3600};" in set_cookie(shop.get(put(v=1), cookie))


@pytest.mark.requirement("CK-07")
def test_its_value_uses_only_what_no_proxy_changes(shop: Shop) -> None:
    values = {shop.login().partition("=")[2] for _ in range(300)}

    assert len(values) == 300
    assert all(re.fullmatch(TOKEN, value) for value in values)


@pytest.mark.requirement("ID-09")
def test_another_name_is_ignored_after_it_was_changed() -> None:
    shop = Shop(SESSION_COOKIE_NAME="one")
    cookie = shop.login()
    shop.app.config["SESSION_COOKIE_NAME"] = "two"

    assert shop.who(cookie) == "-"
    assert shop.who(cookie.replace("one", "two")) == "alice"


# When it is sent.


@pytest.mark.requirement("CK-08")
@pytest.mark.parametrize(
    "look",
    [lambda: session.get("v"), lambda: current_user_id(), lambda: len(session), lambda: repr(session), lambda: None],
)
def test_a_session_that_did_not_change_sends_none(shop: Shop, look: Callable[[], Any]) -> None:
    cookie = shop.login()
    for _ in range(10):
        shop.clock.tick(5)
        assert cookies(shop.get(lambda: (look(), None)[1], cookie)) == []


def test_not_even_when_it_is_touched_or_written(shop: Shop) -> None:
    """The browser has it already, and each Set-Cookie is a chance for an old one to come back."""
    cookie = shop.login()
    shop.clock.tick(61)

    assert cookies(shop.get(lambda: session.get("v") and None, cookie)) == []
    assert cookies(shop.get(put(v=2), cookie)) == []


@pytest.mark.requirement("CK-06")
def test_only_one_is_sent_whatever_happened_and_others_stay(shop: Shop) -> None:
    def everything() -> Response:
        session["a"] = 1
        session.regenerate()  # type: ignore[attr-defined]
        login_user("alice")
        flash("hello")
        session.permanent = True
        login_user("bob")
        session.regenerate()  # type: ignore[attr-defined]
        answer = Response("done")
        answer.set_cookie("theirs", "1")
        answer.set_cookie("session", "also theirs")
        return answer

    names = [header.partition("=")[0] for header in cookies(shop.get(everything, shop.login("carol")))]

    assert sorted(names) == ["__Host-session", "session", "theirs"]


@pytest.mark.requirement("CK-06")
def test_only_one_is_sent_for_a_logout_and_a_login(shop: Shop) -> None:
    def again() -> None:
        logout_user()
        login_user("bob")

    answer = shop.get(again, shop.login())

    assert shop.who(set_cookie(answer).partition(";")[0]) == "bob"


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_sends_none(shop: Shop, status: int) -> None:
    assert cookies(shop.get(lambda: (session.update(v=1), abort(status)))) == []


@pytest.mark.requirement("CK-04")
def test_it_is_sent_over_plain_http_with_one_line_in_the_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A proxy may speak TLS for the application, so it cannot be kept back (note on CK-04)."""
    caplog.set_level(logging.INFO)
    for _ in range(3):
        assert "; Secure;" in set_cookie(shop.get(put(v=1), base_url="http://shop.example"))

    [line] = [record.getMessage() for record in caplog.records if "http" in record.getMessage()]
    assert "ProxyFix" in line
    assert "SESSIONKIT_SECURE_COOKIE" in line


def test_over_https_nothing_is_said_of_http(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shop.get(put(v=1))

    assert [message for message in caplog.messages if "http" in message] == []


# Which one is believed.


@pytest.mark.requirement("CK-09")
def test_two_live_ones_are_nobody_in_both_orders(shop: Shop) -> None:
    alice, mallory = shop.login("alice"), shop.login("mallory")

    assert shop.who(f"{alice}; {mallory}") == shop.who(f"{mallory}; {alice}") == "-"
    assert shop.who(alice) == "alice"


def test_one_live_one_is_found_beside_two_that_are_none(shop: Shop) -> None:
    alice, dead = shop.login("alice"), shop.login("bob")
    shop.get(logout_user, dead)
    stranger = f"__Host-session={'A' * 43}"

    for order in (f"{alice}; {dead}; {stranger}", f"{stranger}; {dead}; {alice}", f"{dead}; {alice}; {alice}"):
        assert shop.who(order) == "alice"


def test_what_two_live_ones_write_begins_a_session_of_its_own(shop: Shop) -> None:
    alice, mallory = shop.login("alice"), shop.login("mallory")
    begun = set_cookie(shop.get(put(v=1), f"{alice}; {mallory}")).partition(";")[0]

    assert begun not in (alice, mallory)
    assert [shop.who(cookie) for cookie in (begun, alice, mallory)] == ["-", "alice", "mallory"]


@pytest.mark.requirement("CK-10")
@pytest.mark.parametrize(
    "name",
    [
        b"session",
        b"__host-session",
        b"__HOST-SESSION",
        b"__Host-Session",
        b"%5f%5fHost-session",
        b"__Host%2Dsession",
        "\u2000__Host-session".encode(),
        "__Host-session\u2000".encode(),
        b"\xa0__Host-session",
        b"\x85__Host-session",
        b"\x0b__Host-session",
        b"__Host-session ",
        b"__Host-session\0",
        b"$__Host-session",
        b'"__Host-session"',
        b"__Host-session[]",
        b"__Host_session",
        "\uff3f\uff3fHost-session".encode(),
        b"",
        b"=__Host-session",
    ],
)
def test_names_match_byte_for_byte(shop: Shop, name: bytes) -> None:
    _, _, token = shop.login().partition("=")
    shop.store.reset()

    assert shop.who(name + b"=" + token.encode()) == "-"
    assert shop.store.counts == {}


@pytest.mark.requirement("CK-11")
def test_a_cookie_without_a_name_is_ignored(shop: Shop) -> None:
    cookie = shop.login()

    for header in (f"={cookie}", f"=; {cookie.replace('=', '')}", cookie.partition("=")[2]):
        assert shop.who(header) == "-"


@pytest.mark.requirement("CK-12")
def test_no_body_and_no_other_header_holds_its_value(shop: Shop) -> None:
    cookie = shop.login()
    token = cookie.partition("=")[2]
    for view in (
        lambda: repr(session),
        lambda: str(dict(session)),
        lambda: abort(404),
        lambda: redirect("/x"),
        logout_user,
    ):
        answer = shop.get(view, f'a="x; {cookie}; b=y"; {cookie}')

        assert token not in answer.get_data(as_text=True) + str(answer.headers)


# What caches are told.

LOOKS: dict[str, Callable[[], Any]] = {
    "get": lambda: session.get("v"),
    "in": lambda: "v" in session,
    "len": lambda: len(session),
    "iter": lambda: list(session),
    "bool": lambda: bool(session),
    "keys": lambda: session.keys(),
    "items": lambda: list(session.items()),
    "values": lambda: list(session.values()),
    "==": lambda: session == {},
    "copy": lambda: session.copy(),  # type: ignore[attr-defined]
    "|": lambda: session | {},  # type: ignore[operator]
    "repr": lambda: repr(session),
    "str": lambda: str(session),
    "pop": lambda: session.pop("v", None),
    "setdefault": lambda: session.setdefault("v", 1),
    "new": lambda: session.new,
    "permanent": lambda: session.permanent,
    "modified": lambda: session.modified,
    "user_id": lambda: session.user_id,  # type: ignore[attr-defined]
    "login_at": lambda: session.login_at,  # type: ignore[attr-defined]
    "current_user_id": lambda: current_user_id(),
}


@pytest.mark.requirement("CA-01")
def test_a_look_at_a_key_that_is_missing_varies_by_cookie_too(shop: Shop) -> None:
    def view() -> str:
        try:
            return str(session["v"])
        except KeyError:
            return "none"

    assert "Cookie" in shop.get(view).vary
    assert "Cookie" in shop.get(view, shop.login()).vary


@pytest.mark.requirement("CA-01")
@pytest.mark.parametrize("with_cookie", [False, True])
@pytest.mark.parametrize("look", LOOKS)
def test_any_look_at_the_session_varies_by_cookie(shop: Shop, look: str, with_cookie: bool) -> None:
    cookie = shop.login() if with_cookie else None
    answer = shop.get(lambda: (LOOKS[look](), None)[1], cookie)

    assert "cookie" in {name.lower() for name in answer.vary}


@pytest.mark.requirement("CA-04")
def test_no_look_at_the_session_costs_and_says_nothing(shop: Shop) -> None:
    cookie = shop.login()
    shop.store.reset()
    shop.clock.tick(61)
    answer = shop.get(lambda: None, cookie)

    assert shop.store.counts == {}
    assert "Vary" not in answer.headers
    assert "Cache-Control" not in answer.headers


@pytest.mark.requirement("CA-02", "CA-03")
@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize("change", ["put", "login", "logout", "regenerate", "clear", "permanent"])
def test_a_response_with_the_cookie_is_stored_by_nobody(shop: Shop, change: str, signed_in: bool) -> None:
    current: Any = session
    changes: dict[str, Callable[[], object]] = {
        "put": put(v=1),
        "login": lambda: login_user("alice"),
        "logout": logout_user,
        "regenerate": lambda: current.regenerate(),
        "clear": lambda: current.clear(),
        "permanent": lambda: setattr(current, "permanent", True),
    }

    def view() -> Response:
        changes[change]()
        return Response("page", headers={"Cache-Control": "public, max-age=600, s-maxage=600"})

    answer = shop.get(view, shop.login() if signed_in else None)

    # Only these leave the browser with the cookie that it has.
    assert bool(cookies(answer)) == (change not in (["put"] if signed_in else ["logout", "regenerate", "clear"]))
    assert "Cookie" in answer.vary
    if cookies(answer):
        assert answer.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.requirement("CA-03")
def test_a_login_behind_a_cache_is_stored_by_nobody(shop: Shop) -> None:
    def view() -> Response:
        login_user("alice")
        return Response("page", headers={"Cache-Control": "public, max-age=600"})

    for answer in (shop.get(view), shop.get(view, shop.login())):
        assert set_cookie(answer)
        assert answer.headers.getlist("Cache-Control") == ["no-store"]


def test_what_a_user_sees_is_stored_by_nobody_unless_the_view_says_so(shop: Shop) -> None:
    cookie = shop.login()
    page = Response("page", headers={"Cache-Control": "private, max-age=5"})

    assert shop.get(lambda: current_user_id() and None, cookie).headers["Cache-Control"] == "no-store"
    assert shop.get(lambda: current_user_id() and page, cookie).headers["Cache-Control"] == "private, max-age=5"
    assert "Cache-Control" not in shop.get(lambda: session.get("v")).headers


@pytest.mark.requirement("CA-05")
@pytest.mark.parametrize("there", ["*", "Accept-Encoding", "Cookie", "cookie", "Accept, COOKIE", ""])
@pytest.mark.parametrize("status", [200, 204, 302, 304, 404, 410])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_response_varied_by_already_stays(shop: Shop, there: str, status: int, method: str) -> None:
    def view() -> Response:
        session.get("v")
        return Response(status=status, headers={"Vary": there} if there else {})

    varies = [
        name.strip().lower() for name in ",".join(shop.get(view, method=method).headers.getlist("Vary")).split(",")
    ]

    wanted = {name.strip().lower() for name in there.split(",") if name}
    assert set(varies) == (wanted if there == "*" else wanted | {"cookie"})
    assert len(varies) == len(set(varies))


@pytest.mark.requirement("CA-05")
@pytest.mark.parametrize("how", ["abort", "raise", "missing"])
def test_error_pages_vary_too(shop: Shop, how: str) -> None:
    def view() -> None:
        session.get("v")
        if how == "raise":
            raise LookupError
        if how == "abort":
            abort(404)

    @shop.app.errorhandler(404)
    def missing(error: object) -> tuple[str, int]:
        return str(session.get("v")), 404

    answer = shop.get(view) if how != "missing" else shop.app.test_client().get("/nowhere")

    assert answer.status_code in (404, 500)
    assert "Cookie" in answer.vary


@pytest.fixture
def hooked(shop: Shop) -> Shop:
    @shop.app.after_request
    def note(response: Response) -> Response:
        if request.args.get("late"):
            session["late"] = 1
        return response

    return shop


def test_a_look_in_after_request_counts(hooked: Shop) -> None:
    answer = hooked.get(lambda: None, query_string="late=1")

    assert "Cookie" in answer.vary
    assert answer.headers["Cache-Control"] == "no-store"
    assert set_cookie(answer)
