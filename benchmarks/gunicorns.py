"""An application under test behind gunicorn, with many visitors who are signed in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path

from tests.servers import Server
from tests.servers.processes import answers

WORKERS, THREADS = 2, 4
VISITORS = 200

_ROOT = Path(__file__).parents[1]
_HEADERS = {"Host": "shop.example", "X-Forwarded-Proto": "https"}


class Gunicorn(Server):
    """Gunicorn with workers of threads, which logs no requests.

    :param app: a call of ``benchmarks.served``, as Python has it.
    :param has_sessions: whether a visitor has one.
    :param on_server: whether a change of it lies there, and not in an answer's cookie, which nobody carries here.
    :param has_table: whether it makes one when it is imported, where two workers would stand in each other's way.
    :ivar changes: what ``count`` said last.
    """

    package = "gunicorn"
    program = "gunicorn"

    def __init__(self, app: str, *, has_sessions: bool = True, on_server: bool = True, has_table: bool = False) -> None:
        super().__init__()
        self.has_sessions = has_sessions
        self.on_server = on_server
        self._has_table = has_table
        self._app = f"benchmarks.served:{app}"
        self.changes = 0
        self._cookies: list[str] = []

    def __str__(self) -> str:
        return self._app

    def prepare(self) -> None:
        if self._has_table:
            self.run(*self._gunicorn("--check-config"))

    def command(self) -> list[str]:
        how = ["--workers", f"{WORKERS}", "--worker-class", "gthread", "--threads", f"{THREADS}"]
        place = ["--bind", f"{self.host}:{self.port}", "--keep-alive", "600", "--log-level", "warning"]
        return self._gunicorn(*how, *place)

    def is_ready(self) -> bool:
        return answers(self.port, b"GET /ignore HTTP/1.0\r\nHost: shop.example\r\n\r\n", b"HTTP/1.")

    def sign_in(self) -> None:
        """Begin a session for each visitor."""
        with self._connection() as connection:
            self._cookies = [_cookie_of(connection, self.has_sessions) for _ in range(VISITORS)]
        self.cookies.write_text("".join(f"{cookie}\n" for cookie in self._cookies))

    @property
    def cookies(self) -> Path:
        """The file with a visitor's cookie in each line."""
        return self.folder / "cookies"

    def count(self) -> int:
        """Ask how often all sessions together were changed."""
        with self._connection() as connection:
            self.changes = sum(int(_answer(connection, "/read", cookie)[0]) for cookie in self._cookies)
        return self.changes

    @contextmanager
    def _connection(self) -> Iterator[HTTPConnection]:
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            yield connection
        finally:
            connection.close()

    def _gunicorn(self, *args: str) -> list[str]:
        gunicorn = [sys.executable, "-m", "gunicorn", "--pythonpath", str(_ROOT), "--no-control-socket"]
        return [*gunicorn, *args, self._app]


def _cookie_of(connection: HTTPConnection, has_sessions: bool) -> str:
    cookies = SimpleCookie[str]()
    for name, value in _answer(connection, "/begin_as_someone")[1]:
        if name.lower() == "set-cookie":
            cookies.load(value)
    if bool(cookies) is not has_sessions:
        raise AssertionError(f"A visitor was given {len(cookies)} cookies.")
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()) or "session=" + "A" * 43


def _answer(connection: HTTPConnection, path: str, cookie: str = "") -> tuple[bytes, list[tuple[str, str]]]:
    connection.request("GET", path, headers={**_HEADERS, "Cookie": cookie} if cookie else _HEADERS)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise AssertionError(f"{path} was answered by {answer.status}: {body[:200]!r}")
    return body, answer.getheaders()
