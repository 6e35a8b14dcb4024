"""A visitor of the example shop, who fills in forms as a browser does."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Flask
from werkzeug.test import TestResponse

from example_app import create_app, people
from flask_sessionkit.testing import FrozenClock

SECRET = "Kx8vQ2mZr5TnW7bYc4JdLf1HgPs9AeUo"
#: Of those who sign up.
PASSWORD = "kettle-song"


def shop(clock: FrozenClock, folder: Path, **config: object) -> Flask:
    given = {"TESTING": True, "SESSIONKIT_STORE": "memory:", "SECRET_KEY": SECRET, **config}
    return create_app(given, clock=clock, instance_path=str(folder))


class Visitor:
    """A browser's worth of one person: fills in forms with the token that their page gave."""

    def __init__(self, app: Flask, agent: str = "") -> None:
        self.client = app.test_client()
        if agent:
            self.client.environ_base["HTTP_USER_AGENT"] = agent

    def read(self, path: str) -> str:
        return self.client.get(path, follow_redirects=True).text

    def send(self, path: str, *, of: str | None = None, follow: bool = True, **fields: str) -> TestResponse:
        """Post a form.

        :param of: the page that holds it, if that is not the form's own address.
        """
        page = self.client.get(of or path, follow_redirects=True).text
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
        assert token is not None, "no form on the page"
        return self.client.post(path, data={"csrf_token": token[1], **fields}, follow_redirects=follow)

    def buy(self, slug: str = "green-room", quantity: str = "1") -> TestResponse:
        return self.send(f"/cart/{slug}", of=f"/goods/{slug}", quantity=quantity)

    def log_in(
        self, name: str = "alice", password: str = people.DEMO_PASSWORD, at: str = "/login", **more: str
    ) -> TestResponse:
        return self.send(at, follow=False, name=name, password=password, **more)

    def sign_up(self, name: str, password: str = PASSWORD, *, of: str = "/sign-up") -> TestResponse:
        return self.send(of, follow=False, name=name, password=password, repeated=password)

    def log_out(self) -> TestResponse:
        return self.send("/logout", of="/")

    @property
    def pieces(self) -> int:
        return int(re.search(r'id="cart-count">(\d+)<', self.read("/"))[1])

    @property
    def is_signed_in(self) -> bool:
        return "Sign out" in self.read("/")

    @property
    def cookie(self) -> str | None:
        cookie = self.client.get_cookie("session")
        return cookie.value if cookie else None

    def come_with(self, cookie: str | None) -> None:
        assert cookie is not None
        self.client.set_cookie("session", cookie)
