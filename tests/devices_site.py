"""An application with the page of devices, browsers for it, and eyes for what the page offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from flask import Blueprint, Flask, render_template_string, request, session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_sessionkit import SessionKit, current_user_id, login_user
from flask_sessionkit.devices import devices_blueprint
from flask_sessionkit.testing import FrozenClock, PausingStore

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
    "Mobile Safari/537.36"
)
SECRET = "a secret of the flow tests"


class DevicesSite:
    """An application with the page, and browsers for it.

    :param in_cookies: sessions lie in the browser, and the store knows which of them count.
    :param config: settings in place of the defaults here.
    """

    def __init__(
        self,
        store: PausingStore | None,
        clock: FrozenClock,
        *,
        in_cookies: bool = False,
        blueprint: Blueprint | None = None,
        templates: str = "templates",
        **config: Any,
    ) -> None:
        self.store, self.clock = store, clock
        self.app = app = Flask("site", template_folder=templates)
        app.config.update(TESTING=True, SECRET_KEY=SECRET)
        if in_cookies:
            app.config.update(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=store)
        app.config.update(config)
        self.kit = SessionKit(app, store=None if in_cookies else store, clock=clock)
        app.register_blueprint(blueprint or devices_blueprint())

        @app.get("/login/<name>")
        def login(name: str) -> str:
            login_user(name, remember="remember" in request.args)
            return "in"

        @app.get("/login")
        def ask() -> str:
            return render_template_string("{{ get_flashed_messages() }} {{ request.args.next }}")

        @app.get("/who")
        def who() -> dict[str, str | None]:
            return {"user": current_user_id(), "ended": session.ended_because}  # type: ignore[attr-defined]

        @app.post("/renew")
        def renew() -> str:
            session.regenerate()  # type: ignore[attr-defined]  # the kit's own
            return "renewed"

    def browser(self, user: str | None = "ann", agent: str = FIREFOX, address: str = "192.0.2.1") -> FlaskClient:
        """Return a browser, signed in unless told otherwise."""
        client = self.app.test_client()
        client.environ_base.update(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
        if user is not None:
            assert client.get(f"/login/{user}").text == "in"
        return client


def user_of(client: FlaskClient) -> str | None:
    user: str | None = client.get("/who").get_json()["user"]
    return user


@dataclass
class Form:
    action: str
    fields: dict[str, str]
    button: str


class Page(HTMLParser):
    """What a visitor can do with a page and is told by it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.told: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._role: str | None = None
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        given = dict(pairs)
        self.tags.append((tag, given))
        self._role = given.get("role") if given.get("role") in ("status", "alert") else None
        if tag == "form":
            assert given["method"] == "post"
            self.forms.append(Form(given["action"] or "", {}, ""))
        elif tag == "input":
            self.forms[-1].fields[given["name"] or ""] = given["value"] or ""
        elif tag == "button":
            self.forms[-1].button = given.get("aria-label") or ""

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._role and data.strip():
            self.told.append((self._role, data))
        if self.forms and not self.forms[-1].button and data.strip():
            self.forms[-1].button = data

    def form(self, button: str) -> Form:
        [found] = [form for form in self.forms if form.button == button]
        return found


def page_of(response: TestResponse) -> Page:
    assert response.status_code == 200, response.text
    return Page(response.text)


def open_list(client: FlaskClient, path: str = "/devices/") -> Page:
    return page_of(client.get(path))


def send(client: FlaskClient, form: Form, *, headers: Mapping[str, str] | None = None, **fields: str) -> TestResponse:
    return client.post(form.action, data={**form.fields, **fields}, headers=headers)


def press(client: FlaskClient, button: str, path: str = "/devices/") -> Page:
    """Open the list, press a button, and return the page on which that ends."""
    response = send(client, open_list(client, path).form(button))
    assert response.status_code == 303, response.text
    return page_of(client.get(response.location))
