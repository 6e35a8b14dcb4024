"""A small application for real browsers, served by threads of the test's own process, so that its clock is at hand."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, redirect, render_template_string, request, session
from flask.typing import ResponseReturnValue
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_sessionkit import (
    SessionKit,
    current_user_id,
    login_required,
    login_user,
    logout_user,
    passive,
)
from flask_sessionkit.clock import Clock
from flask_sessionkit.stores.base import Store

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

#: Enough of one for an application that is neither in debug nor in testing.
SECRET = "the secret of a club that is open to browsers only"
#: Its own host, one beside it on the same site, and one of another site.
HOME, SIBLING, ELSEWHERE = "club.test", "evil.club.test", "other.test"
#: Seconds after which a test no longer waits for what should have come.
PATIENCE = 20.0

_HALL = """<!doctype html>
<title>Hall</title>
<link rel="icon" href="data:,">
<p>Here is <b id="user">{{ user }}</b>.</p>
<p id="why">{{ why or "" }}</p>
<form method="post" action="/login">
  <label>Name <input name="name"></label> <label><input type="checkbox" name="remember"> Remember me</label>
  <button>Sign in</button>
</form>
<form method="post" action="/logout"><button>Sign out</button></form>
<form method="post" action="/others"><button>End my other sessions</button></form>
"""
_DIARY = """<!doctype html>
<title>Private</title>
<link rel="icon" href="data:,">
<h1>The diary of {{ user }}</h1>
<form method="post" action="/logout"><button>Sign out</button></form>
"""
_OTHER_SITE = """<!doctype html>
<title>Elsewhere</title>
<link rel="icon" href="data:,">
<a href="{{ target }}/">A link</a>
<form method="post" action="{{ target }}/look?by=form"><button>A form</button></form>
"""


class Club:
    """Who is in, and what they noted.

    :param config: settings in place of the defaults; ``TESTING=True`` gives the cookie of where people develop.
    :ivar came: the path and the user of every request that looked at its session, in their order.
    :ivar to_toss: the cookie that those are sent who come by way of ``/toss``.
    """

    def __init__(self, store: Store, clock: Clock, *, in_cookies: bool = False, **config: Any) -> None:
        self.app = app = Flask("club")
        app.config.update(SECRET_KEY=SECRET)
        if in_cookies:
            app.config.update(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=store)
        app.config.update(config)
        self.kit = SessionKit(app, store=None if in_cookies else store, clock=clock)
        self.came: list[tuple[str, str | None]] = []
        self._somebody_came = threading.Condition()
        self.to_toss = ""

        app.add_url_rule("/", "hall", self.hall)
        app.add_url_rule("/private", "private", login_required(self.private))
        app.add_url_rule("/login", "login", self.login, methods=["POST"])
        app.add_url_rule("/logout", "logout", self.logout, methods=["POST"])
        app.add_url_rule("/enter", "enter", self.enter, methods=["POST"])
        app.add_url_rule("/leave", "leave", self.leave, methods=["POST"])
        app.add_url_rule("/others", "others", self.others, methods=["POST"])
        app.add_url_rule("/note", "note", self.note, methods=["POST"])
        app.add_url_rule("/look", "look", self.look, methods=["GET", "POST"])
        app.add_url_rule("/glance", "glance", passive(lambda: self.look()))
        app.add_url_rule("/elsewhere", "elsewhere", self.elsewhere)
        app.add_url_rule("/toss", "toss", self.toss)

    # For members.

    def hall(self) -> str:
        return render_template_string(_HALL, user=self._who(), why=self._why())

    def private(self) -> str:
        return render_template_string(_DIARY, user=self._who())

    def login(self) -> ResponseReturnValue:
        login_user(request.form["name"], remember="remember" in request.form)
        return redirect("/", 303)

    def logout(self) -> ResponseReturnValue:
        logout_user()
        return redirect("/", 303)

    def others(self) -> ResponseReturnValue:
        user = current_user_id()
        assert user is not None
        for one in self.kit.sessions_of(user):
            if not one.current:
                self.kit.revoke(one.handle, user_id=user)
        return redirect("/", 303)

    def note(self) -> ResponseReturnValue:
        session.update(request.get_json() if request.is_json else request.args.to_dict())
        return self.look()

    def look(self) -> ResponseReturnValue:
        return {"user": self._who(), "why": self._why(), "data": dict(session)}

    # For scripts, which see no header of a redirect.

    def enter(self) -> ResponseReturnValue:
        login_user(request.args["name"])
        return {}

    def leave(self) -> ResponseReturnValue:
        logout_user()
        return {}

    # For those who mean no good.

    def elsewhere(self) -> str:
        return render_template_string(_OTHER_SITE, target=request.args["target"])

    def toss(self) -> ResponseReturnValue:
        response = Response("Tossed.")
        response.headers["Set-Cookie"] = self.to_toss
        return response

    # For tests.

    def wait_for(self, path: str) -> str | None:
        """Return who asked for a path, as soon as somebody has."""
        with self._somebody_came:
            assert self._somebody_came.wait_for(lambda: path in dict(self.came), PATIENCE), self.came
            return dict(self.came)[path]

    def _who(self) -> str | None:
        with self._somebody_came:
            self.came.append((request.full_path.rstrip("?"), current_user_id()))
            self._somebody_came.notify_all()
        return current_user_id()

    def _why(self) -> str | None:
        why = session.ended_because  # type: ignore[attr-defined]  # Flask's type of its proxy knows no more
        return None if why is None else str(why)


@dataclass(frozen=True)
class Place:
    """Where a club is open."""

    club: Club
    scheme: str
    port: int

    def at(self, host: str = HOME) -> str:
        """Return the origin that browsers know under a host's name."""
        return f"{self.scheme}://{host}:{self.port}"


class _OneRequestEach(WSGIRequestHandler):
    """Closes after each answer: browsers ask again by themselves when one that they used before breaks."""

    protocol_version = "HTTP/1.0"


@contextmanager
def opened(club: Club, tls: ssl.SSLContext | None = None) -> Iterator[Place]:
    """Serve a club on a free port of loopback."""
    with serving(club.app, tls) as port:
        yield Place(club, "http" if tls is None else "https", port)


@contextmanager
def serving(app: Flask, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve an application by threads of this process on a free port of loopback, and give the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_OneRequestEach)
    if tls is not None:
        # Not in the thread that accepts: a browser that connects ahead of its needs would keep others waiting.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.ssl_context = tls  # by this it knows that it is spoken to over TLS
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()


# What people do there.


def sign_in(page: Page, name: str, *, remember: bool = False) -> None:
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Remember me").set_checked(remember)
    press(page, "Sign in")
    assert user(page) == name


def press(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()


def user(page: Page) -> str:
    """Return whom the page that is open greets."""
    return page.locator("#user").inner_text()


def look(page: Page, path: str = "/look") -> Any:
    """Ask by a script of the page how the session stands."""
    return page.evaluate("async (path) => (await fetch(path)).json()", path)


def note(page: Page, **data: Any) -> Any:
    """Put values into the session by a script of the page."""
    return page.evaluate(
        """async (data) => {
            const body = {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(data)};
            return (await fetch("/note", body)).json();
        }""",
        data,
    )


def cookie_of(context: BrowserContext) -> Any:
    """Return the one cookie that a browser has."""
    [cookie] = context.cookies()
    return cookie
