"""Clients of a real web server: each user knows what it should see, any connection carries any user."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Self

from wsgi_servers import WebServer

#: Seconds: no answer takes that long.
PATIENCE = 60.0
#: Requests of a connection. With a new one now and then the workers take turns.
_KEPT_FOR = 20


@dataclass
class Reply:
    """What came back.

    :param token: of the cookie that was set, as it stands in the header.
    """

    status: int
    told: dict[str, Any] = field(default_factory=dict)
    cookie: str | None = None


class Browser:
    """One client's connection, kept alive; the cookie is given with each request."""

    def __init__(self, server: WebServer) -> None:
        self._server = server
        self._connection = HTTPConnection(server.host, server.port, timeout=PATIENCE)
        self._requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, cookie: str | None = None) -> Reply:
        if self._requests % _KEPT_FOR == 0:
            self._connection.close()
        self._requests += 1
        self._connection.request(method, path, headers={"Cookie": cookie} if cookie else {})
        response = self._connection.getresponse()
        body = response.read()
        set_cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
        told = json.loads(body) if response.headers.get_content_type() == "application/json" else {}
        return Reply(response.status, told, set_cookie or None)


def share(server: WebServer, work: list[Any], step: Callable[[Browser, Any], bool], *, clients: int = 8) -> None:
    """Let several clients take turns at pieces of work, until ``step`` says of each that it is done.

    :raises Exception: the first that a step raised.
    """
    todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for piece in work:
        todo.put(piece)
    faults: list[BaseException] = []

    def serve() -> None:
        try:
            with Browser(server) as browser:
                while not faults:
                    piece = todo.get_nowait()
                    if not step(browser, piece):
                        todo.put(piece)
        except queue.Empty:
            pass
        except (AssertionError, OSError, HTTPException, KeyError) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=serve) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
