"""Users of a real web server who go on while its store breaks, and know what they should see."""

from __future__ import annotations

import queue
import random
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Self

from clients import Browser, Reply
from wsgi_servers import WebServer

CLIENTS = 8
USERS = 40
#: Seconds that a client waits after it was refused, as the header of the answer would have it, but shorter.
_PAUSE = 0.02
#: Seconds within which everything is expected to go on.
_PATIENCE = 60.0


@dataclass
class User:
    """What one user did, and so may see.

    :ivar allowed: the numbers that the session may hold: the one that was answered, and those that were refused since
        and may have been written all the same.
    :ivar is_leaving: whether it asked to sign out, and was not answered.
    :ivar dead: cookies of sessions that were ended, as answered.
    """

    name: str
    random: random.Random
    cookie: str | None = None
    allowed: set[int] = field(default_factory=set)
    written: int = 0
    is_leaving: bool = False
    dead: list[str] = field(default_factory=list)


class Load:
    """Clients that sign in, write, read and sign out until they are told to stop.

    :param loses: whether the store may forget what it acknowledged, as one does whose replica was behind: then a user
        may see an earlier number of its own, or nobody, and a session that ended may be back. Never another user.
    :ivar answered: requests that were answered with 200.
    :ivar refused: those that were answered with 503.
    :ivar wrong: what should not have been seen.
    :ivar last_write_at: when a write was answered last, by ``time.monotonic()``.
    :ivar last_refusal_at: when a request was refused last.
    """

    def __init__(self, web: WebServer, *, loses: bool = False) -> None:
        self.answered = self.refused = 0
        self.wrong: list[str] = []
        self.last_write_at = self.last_refusal_at = 0.0
        self._web = web
        self._loses = loses
        self._users = [User(f"user-{number}", random.Random(number)) for number in range(USERS)]
        self._waiting: queue.SimpleQueue[User] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._serve) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for user in self._users:
            self._waiting.put(user)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answered: int) -> None:
        """Wait until so many requests were answered with 200, or something was wrong."""
        deadline = time.monotonic() + _PATIENCE
        while self.answered < answered and not self._stop.is_set():
            assert time.monotonic() < deadline, f"{self.answered} answered, {self.refused} refused, no more"
            time.sleep(0.005)

    def wait_for_refusal(self, since: float) -> None:
        """Wait until somebody notices that the store is away."""
        deadline = since + _PATIENCE
        while self.last_refusal_at <= since and not self._stop.is_set():
            assert time.monotonic() < deadline, "nobody was refused"
            time.sleep(0.005)

    def wait_for_write(self, since: float) -> float:
        """Wait for the next write that is answered, and return how many seconds that is after a moment."""
        deadline, before = since + _PATIENCE, self.last_write_at
        while self.last_write_at == before and not self._stop.is_set():
            assert time.monotonic() < deadline, "no write was answered"
            time.sleep(0.005)
        return self.last_write_at - since

    def wait_until_calm(self, seconds: float) -> None:
        """Wait until nobody was refused for so long."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < self.last_refusal_at + seconds and not self._stop.is_set():
            assert time.monotonic() < deadline, "requests are still refused"
            time.sleep(0.005)

    def check(self) -> None:
        """Look at every session once more, live or ended, when all is quiet."""
        with Browser(self._web) as browser:
            for user in self._users:
                if user.is_leaving:
                    self._logout(browser, user)
                if user.cookie is not None:
                    self._look(browser, user)
                for cookie in user.dead:
                    reply = browser.ask("GET", "/look", cookie)
                    self._judge(reply.status == 200, user, f"status {reply.status} after all")
                    self._judge_dead(user, reply)

    def _serve(self) -> None:
        try:
            with Browser(self._web) as browser:
                while not self._stop.is_set():
                    user = self._waiting.get(timeout=_PATIENCE)
                    status = self._step(browser, user)
                    self._waiting.put(user)
                    with self._lock:
                        self.answered += status == 200
                        self.refused += status == 503
                    if status == 503:
                        self.last_refusal_at = time.monotonic()
                        time.sleep(_PAUSE)
                    self._judge(status in (200, 503), user, f"status {status}")
        except (OSError, HTTPException) as error:
            self.wrong.append(f"{error!r}, from the web server itself")
            self._stop.set()

    def _step(self, browser: Browser, user: User) -> int:
        if user.cookie is None:
            return self._login(browser, user)
        if user.is_leaving:
            return self._logout(browser, user)
        kind = user.random.random()
        if kind < 0.5:
            return self._write(browser, user)
        if kind < 0.85:
            return self._look(browser, user)
        if kind < 0.9:
            return self._list(browser, user)
        if kind < 0.95 or not user.dead:
            return self._logout(browser, user)
        reply = browser.ask("GET", "/look", user.random.choice(user.dead))
        if reply.status == 200:
            self._judge_dead(user, reply)
        return reply.status

    def _login(self, browser: Browser, user: User) -> int:
        reply = browser.ask("POST", f"/login?user={user.name}")
        if reply.status == 200:
            self._judge((reply.told["user"], reply.told["n"]) == (user.name, 0), user, f"at login {reply.told}")
            user.cookie, user.allowed = reply.cookie, {0}
            self.last_write_at = time.monotonic()
        return reply.status

    def _write(self, browser: Browser, user: User) -> int:
        user.written += 1
        reply = browser.ask("POST", f"/write?n={user.written}", user.cookie)
        if reply.status == 503:
            user.allowed.add(user.written)  # it may have been done all the same
        elif reply.status == 200 and self._is_lost(user, reply):
            user.cookie = None
        elif reply.status == 200:
            self._judge_own(user, reply, {user.written})
            user.allowed = {*user.allowed, user.written} if self._loses else {user.written}
            self.last_write_at = time.monotonic()
        return reply.status

    def _look(self, browser: Browser, user: User) -> int:
        reply = browser.ask("GET", "/look", user.cookie)
        if reply.status == 200 and self._is_lost(user, reply):
            user.cookie = None
        elif reply.status == 200:
            self._judge_own(user, reply, user.allowed)
            if not self._loses and reply.told["n"] in user.allowed:
                # A write that was refused may still be done now, but not in the place of a later one.
                user.allowed = {n for n in user.allowed if n >= reply.told["n"]}
        return reply.status

    def _list(self, browser: Browser, user: User) -> int:
        reply = browser.ask("GET", "/sessions", user.cookie)
        if reply.status == 200 and not self._loses:
            self._judge(reply.told["current"] == 1, user, f"is not on the list: {reply.told}")
        return reply.status

    def _logout(self, browser: Browser, user: User) -> int:
        reply = browser.ask("POST", "/logout", user.cookie)
        user.is_leaving = reply.status != 200
        if reply.status == 200 and user.cookie is not None:
            user.dead.append(user.cookie)
            user.cookie = None
        return reply.status

    def _is_lost(self, user: User, reply: Reply) -> bool:
        is_nobody = (reply.told["user"], reply.told["name"], reply.told["n"]) == (None, None, None)
        return is_nobody and self._loses

    def _judge_own(self, user: User, reply: Reply, allowed: set[int]) -> None:
        seen = (reply.told["user"], reply.told["name"])
        self._judge(seen == (user.name, user.name), user, f"is somebody else: {reply.told}")
        self._judge(reply.told["n"] in allowed, user, f"sees {reply.told['n']} in place of {sorted(allowed)}")

    def _judge_dead(self, user: User, reply: Reply) -> None:
        if reply.status == 200 and reply.told["user"] is not None:
            is_allowed = self._loses and reply.told["user"] == user.name
            self._judge(is_allowed, user, f"has an ended session back: {reply.told}")

    def _judge(self, is_right: bool, user: User, what: str) -> None:
        if not is_right:
            self.wrong.append(f"{user.name} {what}")
            self._stop.set()
