"""The page as HTML: safe, accessible, and an application's own where it wants that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import flask_login
import pytest
from devices_site import CHROME, FIREFOX, DevicesSite, Page, open_list, page_of, press, send, user_of
from flask import Blueprint, Flask, render_template, render_template_string

from flask_sessionkit import ConfigError, SessionKit, login_required
from flask_sessionkit.devices import device_list, devices_blueprint
from flask_sessionkit.record import Record
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

EVIL = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """The folder where templates of the application's own replace ours."""
    (tmp_path / "flask_sessionkit").mkdir()
    return tmp_path / "flask_sessionkit"


def make(clock: FrozenClock, blueprint: Blueprint | None = None, templates: Path | None = None) -> DevicesSite:
    folder = "templates" if templates is None else str(templates.parent)
    return DevicesSite(PausingStore(MemoryStore()), clock, blueprint=blueprint, templates=folder)


# Safe.


def test_what_clients_say_of_themselves_is_escaped(clock: FrozenClock) -> None:
    site = make(clock, devices_blueprint(texts={"device": "%(program)s <on> %(system)s", "title": "<i>"}))
    site.browser("ann", FIREFOX, EVIL)
    here = site.browser("ann", EVIL, EVIL)

    page = open_list(here)

    assert not {"img", "i", "on"} & {tag for tag, _ in page.tags}
    assert [form.button for form in page.forms][1] == f"Sign out Firefox <on> Windows, {EVIL}"
    assert EVIL in page.words
    told = press(here, f"Sign out Firefox <on> Windows, {EVIL}")
    assert told.told == [("status", "Firefox <on> Windows was signed out.")]
    assert not {"img", "i", "on"} & {tag for tag, _ in told.tags}


def test_the_strictest_policy_for_content_finds_nothing_to_forbid(plain: DevicesSite) -> None:
    here = plain.browser()
    for page in (open_list(here), Page(here.post("/devices/end").text)):
        attributes = [(name, value) for _, given in page.tags for name, value in given.items()]
        styles = [given["href"] for tag, given in page.tags if tag == "link"]

        assert not {"script", "style", "img", "iframe"} & {tag for tag, _ in page.tags}
        assert not [name for name, _ in attributes if name == "style" or name.startswith("on")]
        assert styles == ["/devices/style/devices.css"]
    answer = here.get("/devices/style/devices.css", buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert "url(" not in answer.text


# Accessible.


def test_its_parts_have_their_roles_and_names(plain: DevicesSite) -> None:
    here = plain.browser()
    plain.browser("ann", CHROME)
    page = open_list(here)
    tags = [tag for tag, _ in page.tags]

    assert ("html", {"lang": "en", "dir": "ltr"}) in page.tags
    assert [tags.count(one) for one in ("title", "h1", "header", "main", "ul", "li")] == [1, 1, 1, 1, 1, 2]
    assert ("ul", {"role": "list"}) in page.tags  # Safari takes an unmarked list for none
    labels = [form.button for form in page.forms]
    assert len(set(labels)) == len(labels)
    ids = [given["id"] for _, given in page.tags if "id" in given]
    described = [given["aria-describedby"] for tag, given in page.tags if "aria-describedby" in given]
    assert described == ids
    assert len(set(ids)) == 2


# Of the application's own.


def test_the_layout_is_overridden_the_way_of_flask(clock: FrozenClock, templates: Path) -> None:
    (templates / "devices_layout.html").write_text("<main class=ours>{% block content %}{% endblock %}</main>")
    here = make(clock, templates=templates).browser()

    assert here.get("/devices/").text.startswith("<main class=ours>")
    assert "Sign out Firefox on Windows" in here.get("/devices/").text
    assert here.post("/devices/end").text.startswith("<main class=ours>")


def test_the_list_is_overridden_the_way_of_flask(clock: FrozenClock, templates: Path) -> None:
    (templates / "_devices.html").write_text(
        "{% for row in devices %}{{ row.name }}|{{ row.address }}|{{ row.seen.words }}|{{ row.signed_in.iso }}"
        "|{{ row.is_current }}|{{ row.is_remembered }}|{{ row.label }};{% endfor %}"
    )
    text = make(clock, templates=templates).browser().get("/devices/").text

    assert "Firefox on Windows|192.0.2.1|just now|" in text
    assert "|True|False|Sign out Firefox on Windows, 192.0.2.1;" in text


def test_texts_language_and_direction_are_the_applications(clock: FrozenClock) -> None:
    texts = {"lang": lambda: "he", "direction": "rtl", "title": "המכשירים שלך", "ended_others": "%(count)d"}
    site = make(clock, devices_blueprint(texts=texts))
    here = site.browser()
    site.browser("ann", CHROME)
    page = open_list(here)

    assert ("html", {"lang": "he", "dir": "rtl"}) in page.tags
    assert page.words.count("המכשירים שלך") == 2
    assert press(here, "Sign out all other devices").told == [("status", "1")]


OWN_PAGE = """<!doctype html><title>x</title><h1>Account</h1>
{% for category, message in get_flashed_messages(with_categories=true) %}<p role="status">{{ message }}</p>{% endfor %}
{% include "flask_sessionkit/_devices.html" %}"""


def test_the_list_stands_in_a_page_of_ones_own(clock: FrozenClock) -> None:
    site = make(clock, devices_blueprint(page="accounts.account"))
    accounts = Blueprint("accounts", __name__)

    @accounts.get("/account")
    @login_required
    def account() -> str:
        return render_template_string(OWN_PAGE, devices=device_list())

    site.app.register_blueprint(accounts)
    here, there = site.browser(), site.browser("ann", CHROME)

    answer = send(here, open_list(here, "/account").form("Sign out Chrome on Android, 192.0.2.1"))

    assert answer.location == "/account"
    assert page_of(here.get("/account")).told == [("status", "Chrome on Android was signed out.")]
    assert user_of(there) is None


@pytest.mark.parametrize("page", ["nope", ".nope", "static"])
def test_a_page_of_ones_own_that_is_none_is_told_before_anything_is_ended(clock: FrozenClock, page: str) -> None:
    site = make(clock, devices_blueprint(page=page))

    @site.app.get("/account")
    @login_required
    def account() -> str:
        return render_template_string(OWN_PAGE, devices=device_list())

    here, there = site.browser(), site.browser("ann", CHROME)
    form = open_list(here, "/account").form("Sign out all other devices")
    for fault in (lambda: here.get("/devices/"), lambda: send(here, form)):
        with pytest.raises(ConfigError, match=rf"devices_blueprint\(page='{page}'\) has no address"):
            fault()

    assert user_of(here) == user_of(there) == "ann"


@pytest.mark.parametrize(
    ("name", "prefix", "outer", "path"),
    [
        ("devices", "/devices", None, "/devices/"),
        ("where", "/account/where", None, "/account/where/"),
        ("devices", "/devices", "account", "/account/devices/"),
        ("where", None, "account", "/account/"),
        ("where", None, None, "/"),
    ],
)
def test_it_works_under_any_name_and_place(
    clock: FrozenClock, name: str, prefix: str | None, outer: str | None, path: str
) -> None:
    ours = devices_blueprint(name, url_prefix=prefix)
    if outer is not None:
        parent = Blueprint(outer, __name__, url_prefix=f"/{outer}")
        parent.register_blueprint(ours)
    site = make(clock, ours if outer is None else parent)

    @site.app.get("/own")
    def own() -> str:
        return render_template_string(OWN_PAGE, devices=device_list())

    here = site.browser()
    for place in (path, "/own"):
        there = site.browser("ann", CHROME)
        page = press(here, "Sign out Chrome on Android, 192.0.2.1", place)

        assert page.told == [("status", "Chrome on Android was signed out.")]
        assert user_of(there) is None
    for _, given in open_list(here, path).tags:
        if given.get("rel") == "stylesheet":
            assert here.get(given["href"] or "", buffered=True).status_code == 200
    assert here.get(f"{path}time-left").get_json()["signed_in"] is True


def test_two_of_them_are_told_apart(clock: FrozenClock) -> None:
    site = make(clock)
    site.app.register_blueprint(devices_blueprint("second", url_prefix="/second", texts={"title": "Second"}))

    @site.app.get("/own/<name>")
    def own(name: str) -> str:
        return str(device_list(name).say("title"))

    assert site.browser().get("/own/second").text == "Second"
    assert site.browser().get("/own/devices").text == "Your devices"
    assert "<h1>Second</h1>" in site.browser().get("/second/").text


@pytest.mark.parametrize("name", [None, "devices", "static"])
def test_a_list_without_the_blueprint_is_told(name: str | None) -> None:
    app = Flask("site")
    app.config.update(TESTING=True, SECRET_KEY="test", SESSIONKIT_STORE="memory:")
    SessionKit(app)
    app.register_blueprint(Blueprint("static", __name__))

    with app.test_request_context(), pytest.raises(ConfigError, match=r"register_blueprint\(devices_blueprint\(\)\)"):
        device_list(name)


# Beside Flask-Login.


def test_a_remember_cookie_of_flask_login_does_not_sign_in_again(plain: DevicesSite) -> None:
    class Person(flask_login.UserMixin):
        id = "ann"

    flask_login.LoginManager(plain.app).user_loader(lambda _: Person())

    @plain.app.get("/enter")
    def enter() -> str:
        flask_login.login_user(Person(), remember=True)
        return "in"

    @plain.app.get("/person")
    def person() -> str:
        return str(flask_login.current_user.is_authenticated)

    here = plain.browser(None)
    here.get("/enter")
    assert here.get_cookie("remember_token") is not None

    send(here, open_list(here).forms[0])

    assert here.get_cookie("remember_token") is None
    assert here.get("/person").text == "False"
    assert user_of(here) is None


def test_a_device_that_was_remembered_says_so(plain: DevicesSite) -> None:
    class Person(flask_login.UserMixin):
        id = "ann"

    flask_login.LoginManager(plain.app).user_loader(lambda _: Person())

    @plain.app.get("/enter")
    def enter() -> str:
        flask_login.login_user(Person(), remember=True)
        return "in"

    @plain.app.get("/person")
    def person() -> str:
        return str(flask_login.current_user.is_authenticated)

    here = plain.browser(None)
    here.get("/enter")
    here.delete_cookie("session")
    here.get("/person")

    assert "Remembered sign-in just now" in open_list(here).words


# Stores that cannot list.


class Listless(MemoryStore):
    capabilities = MemoryStore.capabilities & ~Capability.INDEX

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        raise AssertionError("it has no index")


class Forgetful(MemoryStore):
    """As Memcached: what was evicted from its index lives on."""

    capabilities = (MemoryStore.capabilities & ~Capability.INDEX) | Capability.INDEX_BEST_EFFORT


class Forgot(Forgetful):
    """It has lost the first login of a user."""

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        found = super().list_owner(owner, now=now, limit=limit, after=after)
        first = min((record.created_at for record in found), default=now)
        return [record for record in found if record.created_at > first]


@pytest.mark.parametrize("kind", ["cookie", "listless"])
def test_where_nobody_keeps_a_list_only_this_device_is_shown_and_ended(clock: FrozenClock, kind: str) -> None:
    in_cookies = kind == "cookie"
    site = DevicesSite(None if in_cookies else PausingStore(Listless()), clock, in_cookies=in_cookies)
    here, there = site.browser(), site.browser("ann", CHROME)
    page = open_list(here)

    assert "This site keeps no list of devices." in page.words
    assert [form.button for form in page.forms] == ["Sign out Firefox on Windows, 192.0.2.1"]

    proof = {"devices_proof": page.forms[0].fields["devices_proof"]}
    others = open_list(here, here.post("/devices/end-others", data=proof).location)
    assert [role for role, _ in others.told] == ["alert"]
    assert "This site keeps no list of devices." in others.told[0][1]

    send(here, page.forms[0])
    assert (user_of(here), user_of(there)) == (None, "ann")


@pytest.mark.parametrize("has_stamp", [False, True])
def test_where_the_list_may_have_gaps_the_page_says_so(clock: FrozenClock, has_stamp: bool) -> None:
    site = DevicesSite(PausingStore(Forgetful()), clock)
    if has_stamp:
        site.kit.user_stamp(lambda _: "as ever")
    here, there = site.browser(), site.browser("ann", CHROME)
    may_be_more = "This site may not know all of your devices."
    assert may_be_more in open_list(here).words

    page = press(here, "Sign out all other devices")

    assert page.told == [("status", "1 device was signed out.")]
    assert may_be_more in page.words
    assert "on this device only" not in page.words
    assert (user_of(here), user_of(there)) == ("ann", None)


def test_this_device_is_shown_even_where_the_list_has_lost_it(clock: FrozenClock) -> None:
    site = DevicesSite(PausingStore(Forgot()), clock)
    here = site.browser()
    clock.tick(1)
    there = [site.browser("ann", CHROME)]
    clock.tick(1)
    there.append(site.browser("ann", "curl/8.5.0"))
    page = open_list(here)
    assert [form.button for form in page.forms] == [
        "Sign out Firefox on Windows, 192.0.2.1",
        "Sign out curl, 192.0.2.1",
        "Sign out Chrome on Android, 192.0.2.1",
        "Sign out all other devices",
    ]

    send(here, page.forms[0])

    assert [user_of(one) for one in (here, *there)] == [None, "ann", "ann"]


def test_of_sessions_in_browsers_the_list_has_no_gaps(clock: FrozenClock) -> None:
    here = DevicesSite(PausingStore(Forgetful()), clock, in_cookies=True).browser()

    assert "may not know all" not in open_list(here).words


def test_a_list_of_nobody_is_empty(plain: DevicesSite) -> None:
    @plain.app.get("/own")
    def own() -> str:
        return render_template_string(OWN_PAGE, devices=device_list())

    page = open_list(plain.browser(None), "/own")

    assert page.forms == []
    assert "device" not in page.words


@pytest.mark.parametrize("call", ["load", "list_owner"])
def test_a_store_that_fails_is_a_503(clock: FrozenClock, call: Literal["load", "list_owner"]) -> None:
    store = PausingStore(MemoryStore())
    here = DevicesSite(store, clock).browser()
    store.fail(call)

    assert here.get("/devices/").status_code == 503


def test_a_store_that_fails_while_others_are_ended_is_a_503(clock: FrozenClock) -> None:
    store = PausingStore(MemoryStore())
    site = DevicesSite(store, clock)
    here, there = site.browser(), site.browser("ann", CHROME)
    form = open_list(here).form("Sign out all other devices")
    store.fail("list_owner")

    assert send(here, form).status_code == 503
    assert user_of(there) == "ann"


def test_without_client_info_a_device_has_neither_name_nor_address(make_site: Callable[..., DevicesSite]) -> None:
    page = open_list(make_site(SESSIONKIT_CLIENT_INFO=False).browser())

    assert page.forms[0].button == "Sign out Unknown device"
    assert "192.0.2.1" not in page.words


def test_the_page_renders_where_undefined_names_are_errors(plain: DevicesSite) -> None:
    from jinja2 import StrictUndefined

    plain.app.jinja_env.undefined = StrictUndefined

    assert plain.browser().get("/devices/").status_code == 200
    with plain.app.test_request_context("/devices/"):
        assert render_template("flask_sessionkit/devices_refused.html", devices=device_list(), why="refused_stale")
