"""A visitor of an application under test: makes its requests as a server would, and carries its cookies by hand."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any, TypeAlias

Environ: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[..., Any]


class Subject:
    """An application under test, and one visitor of it whose cookies are carried by hand."""

    def __init__(self, app: Application, *, cookie: str | None = None, on_server: bool = True) -> None:
        self._app = app
        self._cookie = cookie
        self._on_server = on_server
        self._changes = 0

    def sign_in(self) -> Subject:
        """Begin a session and keep its cookie; see that it is kept and changed as it should be."""
        _, headers, _ = self._answer("begin")
        jar = SimpleCookie[str]()
        for name, value in headers:
            if name.lower() == "set-cookie":
                jar.load(value)
        self._cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())
        self.call("change")()
        self.check()
        return self

    def check(self) -> None:
        """See that no change was lost; one that only our cookie could tell is gone, as it is never carried on."""
        status, _, body = self._answer("read")
        count = self._changes if self._on_server else 0
        if (status, body) != ("200 OK", str(count).encode()):
            raise AssertionError(f"{self._app} answered {status} {body!r} after {count} changes.")

    def call(self, view: str) -> Callable[[], None]:
        """Return what makes one request, and as little as can be besides."""
        app, environ = self._app, self._environ(view)

        def start(status: str, headers: object, exc_info: object = None) -> None:
            if status != "200 OK":
                raise AssertionError(f"{app} answered {status}.")

        def request() -> None:
            answer = app(environ.copy(), start)
            for _ in answer:
                pass
            answer.close()

        def change() -> None:
            self._changes += 1
            request()

        return change if view == "change" else request

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
        if self._cookie and view != "begin":
            environ["HTTP_COOKIE"] = self._cookie
        return environ
