"""Servers in processes of their own that can be killed between two steps, and browsers that go on all the same."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from flask import Flask, session
from movers import Death, Killing

from flask_sessionkit import current_user_id, login_user, logout_user
from flask_sessionkit.stores.base import Store

SERVERS = 8
# A server that is killed is replaced at once by one that has its imports already.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__, "flask_sessionkit.stores.redis", "flask_sessionkit.stores.sqlalchemy"])

#: Seconds after which an answer is waited for no longer.
_PATIENCE = 30.0


class Mortal(Killing):
    """A store whose process is killed in one request at one of its calls, and not in the next.

    :param at_new: whether it is the one that sessions are taken to.
    """

    def __init__(self, inner: Store, *, at_new: bool) -> None:
        super().__init__(inner, _NEVER)
        self._at_new = at_new

    def begin(self, death: Death | None) -> None:
        """Count calls from here on."""
        self._death = death if death and death.at_new == self._at_new else _NEVER
        self._left = self._death.nth


#: No store has such a call.
_NEVER = Death(at_new=False, call="", nth=1, after=False)


def add_views(app: Flask) -> Flask:
    """Give an application the views of these tests."""

    def put(key: str) -> dict[str, Any]:
        session[key] = key
        return {"user": current_user_id()}

    def login(user: str) -> dict[str, Any]:
        login_user(user)
        return {"user": user}

    def logout() -> dict[str, Any]:
        logout_user()
        return {}

    app.add_url_rule("/put/<key>", "put", put)
    app.add_url_rule("/login/<user>", "login", login)
    app.add_url_rule("/logout", "logout", logout)
    app.add_url_rule("/", "look", lambda: {"user": current_user_id(), "data": dict(session)})
    return app


#: Makes a server's application and its mortal stores; a function of a module, so that a process can be given it.
Maker = Callable[..., tuple[Flask, list[Mortal]]]


@dataclass
class Browser:
    """One visitor.

    :ivar cookie: what it holds.
    :ivar held: all that it ever held.
    :ivar answered: the keys whose writing was answered.
    :ivar is_out: a logout was answered.
    """

    user: str
    cookie: str
    held: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    is_out: bool = False
    asked_out: bool = False

    def take(self, set_cookies: Iterable[str]) -> None:
        """Keep what an answer sets."""
        for line in set_cookies:
            self.held.add(self.cookie)
            self.cookie = line.partition(";")[0].partition("=")[2]
            self.held.add(self.cookie)


@dataclass(frozen=True)
class Errand:
    """One request of a browser, made again until it is answered.

    :ivar death: of the server that is asked first.
    """

    browser: Browser
    path: str
    death: Death | None = None


class Crowd:
    """Browsers that send their errands to all servers at once.

    :ivar killed: how many servers were.
    :ivar wrong: what should not have been seen.
    """

    def __init__(self, maker: Maker, *args: Any) -> None:
        self.killed = 0
        self.wrong: list[str] = []
        self._maker, self._args = maker, args
        self._errands: queue.SimpleQueue[Errand] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def run(self, errands: Iterable[Errand]) -> None:
        """Send all errands, in about their order; return when all are answered."""
        for errand in errands:
            self._errands.put(errand)
        threads = [threading.Thread(target=self._serve) for _ in range(SERVERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self) -> None:
        server = _Server(self._maker, self._args)
        try:
            while True:
                try:
                    errand = self._errands.get_nowait()
                except queue.Empty:
                    return
                if not self._run(server, errand):
                    server = _Server(self._maker, self._args)
        finally:
            server.stop()

    def _run(self, server: _Server, errand: Errand) -> bool:
        """Return whether the server is still there."""
        browser = errand.browser
        if errand.path == "/logout":
            browser.asked_out = True
        elif browser.asked_out:
            return True
        try:
            status, set_cookies, value = server.ask(errand.path, browser.cookie, errand.death)
        except EOFError:
            with self._lock:
                self.killed += 1
            self._errands.put(Errand(browser, errand.path))
            return False
        browser.take(set_cookies)
        if status != 200:
            self.wrong.append(f"{status} to {errand.path} of {browser.user}: {value}")
        elif errand.path == "/logout":
            browser.is_out = True
        elif value["user"] != browser.user and not browser.asked_out:
            self.wrong.append(f"{value['user']} in place of {browser.user} at {errand.path}")
        else:
            browser.answered.add(errand.path.removeprefix("/put/"))
        return True


class _Server:
    def __init__(self, maker: Maker, args: tuple[Any, ...]) -> None:
        self._end, other = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(other, maker, args), daemon=True)
        self._process.start()
        other.close()

    def ask(self, path: str, cookie: str, death: Death | None) -> Any:
        """Return the status, what is set and the value of an answer.

        :raises EOFError: the process was killed.
        """
        try:
            self._end.send((path, cookie, death))
            if not self._end.poll(_PATIENCE):
                raise AssertionError(f"no answer to {path}")
            return self._end.recv()
        except (ConnectionError, EOFError) as error:
            self._process.join(_PATIENCE)
            raise EOFError from error

    def stop(self) -> None:
        self._end.close()
        self._process.join(_PATIENCE)


def _serve(end: Connection, maker: Maker, args: tuple[Any, ...]) -> None:
    app, stores = maker(*args)
    while True:
        try:
            path, cookie, death = end.recv()
        except EOFError:
            return
        for store in stores:
            store.begin(death)
        client = app.test_client(use_cookies=False)
        response = client.get(path, headers={"Cookie": f"session={cookie}"} if cookie else {})
        end.send((response.status_code, response.headers.getlist("Set-Cookie"), response.get_json(silent=True)))
