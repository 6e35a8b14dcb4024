"""A visitor of an application under test: makes its requests as a server would, and carries its cookies by hand."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any, TypeAlias

from .timing import Prepared
from .views import FIRST

Environ: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[..., Any]


class Subject:
    """An application under test, and one visitor of it whose cookies are carried by hand.

    :param on_server: whether its sessions lie there, so that an old cookie leads to what was saved last.
    :param ends_old: whether the cookie from before a login is worth nothing after it; by default as ``on_server``.
    :param ends: whether one from before a logout is; the same.
    """

    def __init__(
        self,
        app: Application,
        *,
        cookie: str | None = None,
        on_server: bool = True,
        ends_old: bool | None = None,
        ends: bool | None = None,
    ) -> None:
        self._app = app
        self._jar: dict[str, str] = dict([cookie.split("=", 1)]) if cookie else {}
        self._on_server = on_server
        self._ends_old = on_server if ends_old is None else ends_old
        self._ends = on_server if ends is None else ends
        self._changes = 0

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    @property
    def on_server(self) -> bool:
        """Whether its sessions lie on the server."""
        return self._on_server

    def another(self) -> Subject:
        """Return a visitor of the same application who was never there."""
        return Subject(self._app, on_server=self._on_server, ends_old=self._ends_old, ends=self._ends)

    def sign_in(self, first: str = "begin", change: str = "change") -> Subject:
        """Begin a session and keep its cookie; see that it is kept and changed as it should be."""
        self.visit(first)
        self.call(change)()
        self.check()
        return self

    def check(self) -> None:
        """See that no change was lost; one that only our cookie could tell is gone, as it is never carried on."""
        status, _, body = self._answer("read")
        count = self._changes if self._on_server else 0
        if status != "200 OK" or int(body[:8]) != count:
            raise AssertionError(f"{self._app} answered {status} {body!r} after {count} changes.")

    def check_login(self) -> None:
        """See that a login keeps what was there and gives a new cookie, and that after a logout nothing is there."""
        steps = [self.another()]
        for view in ("write", "login", "logout"):
            steps.append(steps[-1]._after(view))
        found = [step._answer("find")[2] for step in steps]
        there, gone = b"0", b"None"
        old = gone if self._ends_old else there
        ended = gone if self._ends else there
        if found != [gone, old, ended, gone] or steps[1]._jar == steps[2]._jar:
            raise AssertionError(f"{self._app} does not sign in and out as it should: {found}.")

    def call(self, view: str) -> Callable[[], None]:
        """Return what makes one request, and as little as can be besides."""
        environ = self._environ(view)

        def request() -> None:
            self._send(environ)

        def change() -> None:
            self._changes += 1
            self._send(environ)

        return change if view.startswith("change") else request

    def call_after(self, view: str, *before: str) -> Prepared:
        """Return what makes one request of another visitor each time, who made these before: a login, a logout."""

        def environ() -> Environ:
            visitor = self.another()
            for step in before:
                visitor.visit(step)
            return visitor._environ(view)

        return Prepared(environ, self._send)

    def visit(self, view: str) -> bytes:
        """Make one request, keep the cookies of its answer and return what it says."""
        status, headers, body = self._answer(view)
        if status != "200 OK":
            raise AssertionError(f"{self._app} answered {status} {body!r} to {view}.")
        for name, value in headers:
            if name.lower() == "set-cookie":
                self._keep(SimpleCookie[str](value))
        return body

    def _after(self, view: str) -> Subject:
        visitor = self.another()
        visitor._jar.update(self._jar)
        visitor.visit(view)
        return visitor

    def _keep(self, cookies: SimpleCookie[str]) -> None:
        for name, morsel in cookies.items():
            if morsel.value.strip("'") and morsel["max-age"] != "0":
                self._jar[name] = morsel.value
            else:
                self._jar.pop(name, None)

    def _send(self, environ: Environ) -> None:
        answer = self._app(environ.copy(), self._start)
        for _ in answer:
            pass
        answer.close()

    def _start(self, status: str, headers: object, exc_info: object = None) -> None:
        if status != "200 OK":
            raise AssertionError(f"{self._app} answered {status}.")

    def _answer(self, view: str) -> tuple[str, list[tuple[str, str]], bytes]:
        told: list[Any] = []
        answer = self._app(self._environ(view), lambda *args: told.extend(args))
        body = b"".join(answer)
        answer.close()
        return told[0], told[1], body

    def _environ(self, view: str) -> Environ:
        environ: Environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": f"/{view}",
            "QUERY_STRING": "",
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.7",
            "HTTP_HOST": "shop.example",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "HTTP_ACCEPT_LANGUAGE": "en-US,en;q=0.5",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if self._jar and view not in FIRST:
            environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in self._jar.items())
        return environ
