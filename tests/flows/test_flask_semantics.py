"""An application written for Flask's own session goes on unchanged: each test here holds with Flask's own as well."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    copy_current_request_context,
    current_app,
    flash,
    get_flashed_messages,
    render_template_string,
    request,
    session,
    stream_with_context,
)
from flask.sessions import NullSession, SessionMixin
from flask.testing import FlaskClient
from markupsafe import Markup

from flask_sessionkit import SessionKit
from flask_sessionkit.stores.memory import MemoryStore

View = Callable[[], Any]
KINDS = ["kit", "flask"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(kind: str) -> Flask:
    """An application that sets everything after its sessions were taken over, as other projects' test suites do."""
    app = new_app(kind)
    app.config.update(TESTING=True, SECRET_KEY="a test's key")
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def new_app(kind: str, **kwargs: Any) -> Flask:
    app = Flask(__name__, **kwargs)
    if kind == "kit":
        SessionKit(app, store=MemoryStore())
    serve(app)
    return app


def serve(app: Flask) -> None:
    """Add a page that runs whatever ``ask`` is given."""

    @app.route("/", methods=["GET", "POST"], defaults={"rest": ""})
    @app.route("/<path:rest>")
    def page(rest: str) -> Any:
        current_app.extensions["value"] = value = current_app.extensions["view"]()
        return value if isinstance(value, Response | str) else "ok"


def ask(client: FlaskClient, view: View, path: str = "/", **kwargs: Any) -> Any:
    """Run any function as a page. What it returned is ``value`` of the response."""
    noted = client.application.extensions
    noted.update(view=view, value=None)
    response: Any = client.open(path, **kwargs)
    response.value = noted["value"]
    return response


def put(**values: Any) -> View:
    return lambda: session.update(values)


def kept(client: FlaskClient, **kwargs: Any) -> dict[str, Any]:
    """Return what the next request finds."""
    found: dict[str, Any] = ask(client, lambda: dict(session), **kwargs).value
    return found


def cookie_of(response: Any) -> str:
    """Return the one session cookie that a response sets, or an empty text."""
    lines = [line for line in response.headers.getlist("Set-Cookie") if line.startswith("session=")]
    assert len(lines) <= 1
    return lines[0] if lines else ""


def attributes_of(response: Any) -> set[str]:
    _, *attributes = cookie_of(response).split("; ")
    return {attribute for attribute in attributes if not attribute.startswith(("Expires", "Max-Age"))}


# The mapping.


def test_it_does_what_a_dict_does(app: Flask) -> None:
    with app.test_request_context():
        own: Any = session._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
        own |= {"a": 1, "b": [2]}

        assert session == {"a": 1, "b": [2]}
        assert session != {"a": 1}
        assert dict(session) == {**session} == own.copy() == {"a": 1, "b": [2]}
        assert own | {"c": 3} == {"a": 1, "b": [2], "c": 3}
        assert {"c": 3} | own == {"a": 1, "b": [2], "c": 3}
        assert list(session) == list(session.keys()) == ["a", "b"]
        assert list(reversed(own)) == ["b", "a"]
        assert list(session.items()) == [("a", 1), ("b", [2])]
        assert list(session.values()) == [1, [2]]
        assert (len(session), bool(session), "a" in session, "z" in session) == (2, True, True, False)
        assert session.get("z") is None
        assert session.get("z", 0) == 0
        assert isinstance(own, SessionMixin)
        with pytest.raises(TypeError):
            hash(own)


def test_it_is_changed_as_a_dict_is(app: Flask) -> None:
    with app.test_request_context():
        session.update({"a": 1}, b=[2])
        session.update([("d", 4)])

        assert session.setdefault("a", 9) == 1
        assert session.setdefault("c", 3) == 3
        assert (session.pop("c"), session.pop("c", 4)) == (3, 4)
        assert session.popitem() == ("d", 4)
        for missing in (lambda: session["z"], lambda: session.pop("z"), lambda: session.__delitem__("z")):
            with pytest.raises(KeyError):
                missing()
        session.clear()
        assert session == {}
        with pytest.raises(KeyError):
            session.popitem()


def test_the_proxy_takes_updates_in_place(client: FlaskClient) -> None:
    def view() -> None:
        global session
        kept_proxy = session
        try:
            session |= {"a": 1}  # type: ignore[operator,assignment]  # the proxy passes it on
        finally:
            session = kept_proxy

    ask(client, view)

    assert kept(client) == {"a": 1}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda own: own.copy(), dict])
def test_a_change_of_a_copy_is_none_of_the_session(client: FlaskClient, copied: Callable[[Any], Any]) -> None:
    ask(client, put(a=1))

    def view() -> Any:
        assert session["a"] == 1
        other = copied(session)
        other["a"] = 2
        return other

    assert dict(ask(client, view).value) == {"a": 2}
    assert kept(client) == {"a": 1}


def test_values_of_a_deep_copy_are_its_own(client: FlaskClient) -> None:
    ask(client, put(cart=[1]))

    def view() -> None:
        copy.deepcopy(session)["cart"].append(2)
        session["other"] = 1

    ask(client, view)

    assert kept(client) == {"cart": [1], "other": 1}


def test_the_types_of_flasks_own_session_come_back(client: FlaskClient) -> None:
    values = {
        "t": (1, "2", (3,)),
        "b": b"\xff\x00",
        "m": Markup("<em>x</em>"),
        "u": UUID(int=7),
        "d": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        "l": [None, True, 1, 1.5, "ä"],
        "o": {"a": {"b": ()}},
        " t": "a key that looks like a tag",
    }
    ask(client, lambda: session.update(values))

    back = kept(client)

    assert back == values
    assert {key: type(value) for key, value in back.items()} == {key: type(value) for key, value in values.items()}


def test_a_lazy_text_is_flashed_as_markup(client: FlaskClient) -> None:
    class Lazy:  # Flask-Babel's lazy_gettext(), as Flask-Login's login_message is one
        def __html__(self) -> str:
            return "Bitte anmelden"

    ask(client, lambda: flash(Lazy()))  # type: ignore[arg-type]  # as people do

    assert ask(client, get_flashed_messages).value == [Markup("Bitte anmelden")]


# What is saved, and when.


def test_what_is_set_is_there_in_the_next_request(client: FlaskClient) -> None:
    ask(client, put(a=1, b=2))
    ask(client, lambda: session.pop("b"))

    assert kept(client) == {"a": 1}


def test_modified_set_to_true_saves_a_nested_change(client: FlaskClient) -> None:
    ask(client, put(cart=[1]))

    def view() -> None:
        session["cart"].append(2)
        session.modified = True

    assert cookie_of(ask(client, view))
    assert kept(client) == {"cart": [1, 2]}


def test_modified_set_to_false_saves_nothing(client: FlaskClient) -> None:
    ask(client, put(a=1))

    def view() -> None:
        session["a"] = 2
        session.modified = False

    assert cookie_of(ask(client, view)) == ""
    assert kept(client) == {"a": 1}


@pytest.mark.parametrize(
    ("change", "is_change"),
    [
        (lambda: session.get("a"), False),
        (lambda: dict(session), False),
        (lambda: session.setdefault("a", 2), False),
        (lambda: session.pop("z", None), False),
        (lambda: session.setdefault("z", 2), True),
        (lambda: session.pop("a"), True),
        (lambda: session.__setitem__("a", 1), True),
        (lambda: session.__delitem__("a"), True),
        (lambda: session.clear(), True),
        (lambda: session.popitem(), True),
        (lambda: session.update(a=2), True),
        (lambda: setattr(session, "permanent", True), True),
    ],
)
def test_modified_tells_whether_a_key_was_changed(client: FlaskClient, change: View, is_change: bool) -> None:
    ask(client, put(a=1))

    def view() -> bool:
        change()
        return session.modified

    assert ask(client, view).value is is_change


def test_hooks_before_and_after_a_view_change_it(app: Flask, client: FlaskClient) -> None:
    @app.before_request
    def before() -> None:
        session["before"] = 1

    @app.after_request
    def after(response: Response) -> Response:
        session["after"] = 1
        return response

    ask(client, put(view=1))

    assert kept(client) == {"before": 1, "after": 1, "view": 1}


def test_hooks_of_a_blueprint_change_it(app: Flask, client: FlaskClient) -> None:
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @shop.before_request
    def before() -> None:
        session["before"] = 1

    @shop.after_request
    def after(response: Response) -> Response:
        session["after"] = 1
        return response

    @shop.teardown_request
    def teardown(_: BaseException | None) -> None:
        session["teardown"] = 1

    shop.add_url_rule("/", "page", lambda: "ok")
    app.register_blueprint(shop)
    client.get("/shop/")

    assert kept(client) == {"before": 1, "after": 1}


def test_a_teardown_function_changes_only_the_object(app: Flask, client: FlaskClient) -> None:
    seen = []

    @app.teardown_request
    def teardown(_: BaseException | None) -> None:
        session["teardown"] = 1
        seen.append(dict(session))

    ask(client, put(a=1))

    assert seen == [{"a": 1, "teardown": 1}]
    assert kept(client) == {"a": 1}


def test_error_pages_change_it(app: Flask, client: FlaskClient) -> None:
    @app.errorhandler(404)
    def missing(_: Exception) -> tuple[str, int]:
        session["missed"] = session.get("missed", 0) + 1
        return "missing", 404

    def view() -> None:
        session["a"] = 1
        abort(404)

    assert ask(client, view).status_code == 404
    assert ask(client, lambda: abort(404)).status_code == 404
    assert kept(client) == {"a": 1, "missed": 2}


def test_an_error_handler_of_the_applications_own_changes_it(app: Flask, client: FlaskClient) -> None:
    @app.errorhandler(ZeroDivisionError)
    def mended(_: Exception) -> str:
        session["mended"] = True
        return "mended"

    assert ask(client, lambda: 1 // 0).status_code == 200
    assert kept(client) == {"mended": True}


def test_a_template_reads_it(client: FlaskClient) -> None:
    ask(client, put(name="<Ann>"))

    page = ask(client, lambda: render_template_string("{{ session.name }} {{ session['name'] }} {{ session.other }}"))

    assert page.text == "&lt;Ann&gt; &lt;Ann&gt; "
    assert page.headers["Vary"] == "Cookie"


def test_an_async_view_has_it(app: Flask, client: FlaskClient) -> None:
    @app.get("/async")
    async def view() -> str:
        session["a"] = session.get("a", 0) + 1
        return str(session["a"])

    assert [client.get("/async").text for _ in range(3)] == ["1", "2", "3"]


# Messages.


def test_messages_are_shown_once(client: FlaskClient) -> None:
    def view() -> None:
        flash("one")
        flash("two", "error")
        flash(Markup("<b>three</b>"))

    ask(client, view)

    everything = ask(client, lambda: get_flashed_messages(with_categories=True)).value
    assert everything == [("message", "one"), ("error", "two"), ("message", Markup("<b>three</b>"))]
    assert type(everything[2][1]) is Markup
    assert ask(client, get_flashed_messages).value == []


def test_the_last_message_leaves_no_cookie_behind(client: FlaskClient) -> None:
    ask(client, lambda: flash("bye"))
    page = ask(client, lambda: render_template_string("{{ get_flashed_messages()[0] }}"))

    assert page.text == "bye"
    assert "Max-Age=0" in cookie_of(page)
    assert client.get_cookie("session") is None


def test_messages_of_the_same_request_are_seen(client: FlaskClient) -> None:
    def view() -> list[Any]:
        flash("now")
        return get_flashed_messages()  # type: ignore[return-value]  # without categories they are texts

    assert ask(client, view).value == ["now"]
    assert kept(client) == {}


# In tests of applications.


def test_a_client_context_keeps_the_session_of_its_last_request(client: FlaskClient) -> None:
    with client:
        ask(client, put(a=1))
        assert session["a"] == 1
        ask(client, put(a=2))
        assert session["a"] == 2
        session["late"] = 1  # changes the object only

    assert kept(client) == {"a": 2}


def test_messages_can_be_got_after_the_request(client: FlaskClient) -> None:
    with client:
        ask(client, lambda: flash("saved"))

        assert get_flashed_messages() == ["saved"]


def test_client_contexts_lie_within_each_other(app: Flask) -> None:
    one, two = app.test_client(), app.test_client()
    with one:
        ask(one, put(who="one"))
        with two:
            ask(two, put(who="two"))
            assert session["who"] == "two"
        assert session["who"] == "one"

    assert (kept(one), kept(two)) == ({"who": "one"}, {"who": "two"})


def test_session_transaction_reads_and_writes(client: FlaskClient) -> None:
    with client.session_transaction() as stored:
        stored["a"] = 1
        stored["b"] = 2
    assert kept(client) == {"a": 1, "b": 2}

    ask(client, put(c=3))
    with client.session_transaction() as stored:
        assert stored == {"a": 1, "b": 2, "c": 3}
        del stored["b"]
    assert kept(client) == {"a": 1, "c": 3}

    with client.session_transaction() as stored:
        stored.clear()
    assert client.get_cookie("session") is None
    assert kept(client) == {}


def test_session_transaction_works_within_a_client_context(client: FlaskClient) -> None:
    with client:
        ask(client, put(a=1))
        with client.session_transaction() as stored:
            stored["b"] = 2
        assert session == {"a": 1}

        assert kept(client) == {"a": 1, "b": 2}


def test_session_transaction_saves_nothing_when_it_fails(client: FlaskClient) -> None:
    ask(client, put(a=1))

    with pytest.raises(ZeroDivisionError), client.session_transaction() as stored:
        stored["a"] = 1 // 0

    assert kept(client) == {"a": 1}


def test_session_transaction_works_before_any_request_and_within_one(app: Flask, client: FlaskClient) -> None:
    with app.test_request_context(), client.session_transaction() as stored:
        stored["a"] = 1

        assert "a" not in session

    assert kept(client) == {"a": 1}


def test_session_transaction_takes_the_arguments_of_a_request(app: Flask, client: FlaskClient) -> None:
    app.config["SESSION_COOKIE_DOMAIN"] = "example.org"
    with client.session_transaction("/x", base_url="http://shop.example.org") as stored:
        stored["a"] = 1

    assert kept(client, base_url="http://www.example.org") == {"a": 1}
    assert kept(client, base_url="http://example.com") == {}


def test_a_test_request_context_has_an_empty_session(app: Flask, client: FlaskClient) -> None:
    with app.test_request_context():
        assert session == {}
        assert not session.modified
        session["a"] = 1
        assert session["a"] == 1

    assert kept(client) == {}


def test_a_request_context_that_is_pushed_by_hand_has_the_session(app: Flask, client: FlaskClient) -> None:
    ask(client, put(a=1))
    cookie = client.get_cookie("session")
    assert cookie is not None

    context = app.test_request_context(headers={"Cookie": f"session={cookie.value}"})
    context.push()
    found = dict(session)
    context.pop()

    assert found == {"a": 1}


# Where Flask carries a request further.


def test_a_copied_context_has_the_session(client: FlaskClient) -> None:
    ask(client, put(a=1))

    def view() -> Any:
        found: list[Any] = []

        @copy_current_request_context
        def work() -> None:
            found.append(session["a"])
            session["b"] = 2

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return found

    assert ask(client, view).value == [1]
    assert kept(client) == {"a": 1, "b": 2}


def test_a_stream_with_context_reads_it(client: FlaskClient) -> None:
    ask(client, put(a=1))

    def view() -> Response:
        @stream_with_context
        def chunks() -> Iterator[str]:
            yield str(session["a"])
            yield str(session.get("b"))

        return Response(chunks())

    assert ask(client, view).text == "1None"


def test_a_change_before_a_stream_is_saved(client: FlaskClient) -> None:
    def view() -> Response:
        session["a"] = 1
        return Response(stream_with_context(iter([str(session["a"])])))

    assert ask(client, view).text == "1"
    assert kept(client) == {"a": 1}


# The cookie.


def test_permanent_is_a_key_of_the_session(client: FlaskClient) -> None:
    def view() -> bool:
        session.permanent = True
        return session.permanent

    assert ask(client, view).value is True
    assert kept(client) == {"_permanent": True}
    ask(client, lambda: setattr(session, "permanent", False))
    assert kept(client) == {"_permanent": False}


def test_a_permanent_cookie_has_an_end(app: Flask, client: FlaskClient) -> None:
    app.permanent_session_lifetime = timedelta(days=3)

    response = ask(client, lambda: setattr(session, "permanent", True))

    cookie = client.get_cookie("session")
    assert cookie is not None
    assert cookie.expires is not None
    assert abs(cookie.expires - datetime.now(UTC) - timedelta(days=3)) < timedelta(seconds=5)
    assert "Expires=" in cookie_of(response)


def test_a_cookie_that_is_not_permanent_has_none(client: FlaskClient) -> None:
    first = cookie_of(ask(client, put(a=1)))
    ask(client, lambda: setattr(session, "permanent", True))
    last = cookie_of(ask(client, lambda: setattr(session, "permanent", False)))

    for cookie in (first, last):
        assert cookie
        assert "Expires=" not in cookie
        assert "Max-Age=" not in cookie


@pytest.mark.parametrize("refreshes", [True, False])
def test_a_permanent_cookie_is_sent_again_if_asked_for(app: Flask, client: FlaskClient, refreshes: bool) -> None:
    app.config["SESSION_REFRESH_EACH_REQUEST"] = refreshes
    ask(client, lambda: setattr(session, "permanent", True))

    response = ask(client, lambda: session.get("a"))

    assert bool(cookie_of(response)) is refreshes


def test_another_cookie_is_not_sent_again_for_a_look(client: FlaskClient) -> None:
    ask(client, put(a=1))

    assert cookie_of(ask(client, lambda: session.get("a"))) == ""


@pytest.mark.parametrize(
    ("config", "attributes"),
    [
        ({}, {"HttpOnly", "Path=/"}),
        ({"SESSION_COOKIE_HTTPONLY": False}, {"Path=/"}),
        ({"SESSION_COOKIE_SECURE": True}, {"HttpOnly", "Path=/", "Secure"}),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, {"HttpOnly", "Path=/", "SameSite=Strict"}),
        ({"SESSION_COOKIE_DOMAIN": "example.org"}, {"HttpOnly", "Path=/", "Domain=example.org"}),
        ({"SESSION_COOKIE_DOMAIN": ".example.org"}, {"HttpOnly", "Path=/", "Domain=example.org"}),
        ({"SESSION_COOKIE_PATH": "/shop"}, {"HttpOnly", "Path=/shop"}),
        ({"APPLICATION_ROOT": "/root"}, {"HttpOnly", "Path=/root"}),
        ({"APPLICATION_ROOT": "/root", "SESSION_COOKIE_PATH": "/shop"}, {"HttpOnly", "Path=/shop"}),
        ({"SESSION_COOKIE_PARTITIONED": True}, {"HttpOnly", "Path=/", "Secure", "Partitioned"}),
    ],
)
def test_the_cookie_is_as_the_settings_say(
    app: Flask, client: FlaskClient, config: dict[str, Any], attributes: set[str]
) -> None:
    app.config.update(config)
    path = next(attribute for attribute in attributes if attribute.startswith("Path=")).removeprefix("Path=")

    made = ask(client, put(a=1), path, base_url="http://www.example.org")
    deleted = ask(client, lambda: session.clear(), path, base_url="http://www.example.org")

    assert attributes_of(made) == attributes
    assert attributes_of(deleted) == attributes
    assert "Max-Age=0" in cookie_of(deleted)


def test_settings_of_the_cookie_may_change_while_the_application_runs(app: Flask, client: FlaskClient) -> None:
    ask(client, put(a=1))
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"

    assert "SameSite=Lax" in cookie_of(ask(client, put(a=1)))
    assert kept(client) == {"a": 1}


def test_a_samesite_that_is_none_of_the_words_is_an_error(app: Flask, client: FlaskClient) -> None:
    app.config["SESSION_COOKIE_SAMESITE"] = "Loose"

    with pytest.raises(ValueError, match="SameSite"):
        ask(client, put(a=1))


def test_its_name_is_a_setting(app: Flask, client: FlaskClient) -> None:
    app.config["SESSION_COOKIE_NAME"] = "shop"
    ask(client, put(a=1))

    assert client.get_cookie("shop") is not None
    assert client.get_cookie("session") is None
    assert kept(client) == {"a": 1}


def test_subdomains_share_a_session_of_the_domain(kind: str) -> None:
    app = new_app(kind, subdomain_matching=True)
    app.config.update(TESTING=True, SECRET_KEY="k", SERVER_NAME="example.org", SESSION_COOKIE_DOMAIN="example.org")
    for subdomain in ("www", "shop"):
        app.add_url_rule("/put", f"put_{subdomain}", lambda: session.update(a=1) or "ok", subdomain=subdomain)
        app.add_url_rule("/get", f"get_{subdomain}", lambda: str(session.get("a")), subdomain=subdomain)
    client = app.test_client()

    client.get("/put", base_url="http://www.example.org")

    assert client.get("/get", base_url="http://shop.example.org").text == "1"


def test_subdomains_share_nothing_unless_told(app: Flask, client: FlaskClient) -> None:
    ask(client, put(a=1), base_url="http://www.example.org")

    assert kept(client, base_url="http://shop.example.org") == {}
    assert kept(client, base_url="http://www.example.org") == {"a": 1}


@pytest.mark.parametrize(
    "look",
    [
        lambda: session.get("a"),
        lambda: "a" in session,
        lambda: len(session),
        lambda: session.setdefault("a", 1),
        lambda: session.pop("a", None),
        lambda: session.__setitem__("a", 1),
        lambda: list(session),
        lambda: session == {},
        lambda: session.permanent,
    ],
)
def test_a_look_varies_by_cookie(client: FlaskClient, look: View) -> None:
    assert ask(client, look).headers["Vary"] == "Cookie"


def test_no_look_does_not(client: FlaskClient) -> None:
    ask(client, put(a=1))

    assert "Vary" not in ask(client, lambda: "ok").headers


def test_a_new_session_that_stays_empty_sends_none(client: FlaskClient) -> None:
    def view() -> None:
        session["a"] = 1
        session.pop("a")

    response = ask(client, view)

    assert "Max-Age=0" in cookie_of(response) or cookie_of(response) == ""
    assert client.get_cookie("session") is None


# The secret.


def test_without_a_secret_it_reads_empty_and_a_change_tells(app: Flask) -> None:
    app.secret_key = None

    with app.test_request_context():
        assert session.get("a") is None
        assert dict(session) == {}
        assert isinstance(session._get_current_object(), NullSession)  # type: ignore[attr-defined]  # the proxy's own
        for change in (put(a=1), lambda: session.clear(), lambda: session.setdefault("a"), lambda: session.pop("a")):
            with pytest.raises(RuntimeError, match="The session is unavailable because no secret key was set"):
                change()


def test_without_a_secret_a_page_that_looks_is_served(app: Flask, client: FlaskClient) -> None:
    app.secret_key = None

    assert ask(client, lambda: str(session.get("a"))).text == "None"
    with pytest.raises(RuntimeError, match="did not open a session"), client.session_transaction():
        pass


def test_a_secret_may_come_late(app: Flask, client: FlaskClient) -> None:
    app.secret_key = None
    ask(client, lambda: session.get("a"))
    app.secret_key = "late"
    ask(client, put(a=1))

    assert kept(client) == {"a": 1}


def test_another_secret_opens_nothing(app: Flask, client: FlaskClient) -> None:
    ask(client, put(a=1))

    app.secret_key = "another key"

    assert kept(client) == {}


def test_fallbacks_open_what_an_older_secret_closed(app: Flask, client: FlaskClient) -> None:
    ask(client, put(a=1))

    app.config.update(SECRET_KEY="a newer key", SECRET_KEY_FALLBACKS=["a test's key"])
    assert kept(client) == {"a": 1}

    app.config.update(SECRET_KEY="a third key", SECRET_KEY_FALLBACKS=[])
    assert kept(client) == {}


# The application.


def test_an_application_is_freed_with_its_last_reference_after_requests(kind: str) -> None:
    app = new_app(kind)
    app.config.update(TESTING=True, SECRET_KEY="k")
    with app.test_client() as client:
        ask(client, put(a=1))
        assert session["a"] == 1
    del client
    alive = weakref.ref(app)
    gc.collect()
    gc.disable()
    try:
        del app

        assert alive() is None
    finally:
        gc.enable()


def test_the_interface_answers_flasks_questions(app: Flask) -> None:
    interface = app.session_interface
    with app.test_request_context():
        own = session._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
        own["a"] = 1

        answers = SimpleNamespace(
            name=interface.get_cookie_name(app),
            path=interface.get_cookie_path(app),
            end=interface.get_expiration_time(app, own),
            sends=interface.should_set_cookie(app, own),
            is_null=interface.is_null_session(own),
            null=interface.is_null_session(interface.make_null_session(app)),
        )

    assert answers == SimpleNamespace(name="session", path="/", end=None, sends=True, is_null=False, null=True)


def test_an_interface_made_of_it_may_name_the_cookie_by_request(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ByPath(type(app.session_interface)):  # type: ignore[misc]  # of either kind
        def get_cookie_name(self, app: Flask) -> str:
            return "dynamic_" + request.path.strip("/")

    monkeypatch.setattr(app.session_interface, "__class__", ByPath)  # Flask's own is one for all applications
    ask(client, put(a=1), "/one")

    assert kept(client, path="/one") == {"a": 1}
    assert kept(client, path="/two") == {}
