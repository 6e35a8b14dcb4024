"""Browsers of the applications here: what they hold, what they lose, and who has copied it."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

REMEMBER = "remember_token"


def browser(app: Flask, agent: str = "Firefox", **cookies: str) -> FlaskClient:
    """Return a browser that has nothing but some cookies."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = agent
    for name, value in cookies.items():
        client.set_cookie(name, value)
    return client


def cookie_of(client: FlaskClient, name: str = "session") -> str:
    """Return the value of a cookie, or the empty text."""
    cookie = client.get_cookie(name)
    return "" if cookie is None else cookie.value


def close(client: FlaskClient) -> None:
    """Close the browser and open it again: it keeps what has a date."""
    for name in ("session", REMEMBER):
        cookie = client.get_cookie(name)
        if cookie is not None and cookie.expires is None and cookie.max_age is None:
            client.delete_cookie(name)


def csrf_of(response: TestResponse, field: str = "csrf_token") -> str:
    """Return the token of the form in a page."""
    found = re.search(rf'<input[^>]*name="{field}"[^>]*value="([^"]+)"', response.text)
    assert found, response.text
    return found[1]
