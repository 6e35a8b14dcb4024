"""A wire between a store and its server that counts turns, falls silent, slows down and breaks."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Self

from .processes import HOST

Mode = Literal["pass", "silent", "refuse"]


class Proxy:
    """A TCP proxy on loopback.

    :ivar turns: how often a client spoke after it had listened, on all connections: the round trips.
    :ivar sent: bytes that went to the server.
    :ivar received: bytes that came from it.
    :ivar connections: how many were opened.
    :ivar mode: ``pass``; ``silent``: accepts, and neither asks nor answers; ``refuse``: ends all, and lets nobody in.
    :ivar delay: seconds before each answer goes back, or what tells them.
    :ivar cut_after: bytes of the next answer that still go back, then its connection ends; ``None`` for no such cut.
    :ivar hold: given what a client said, is called before that goes on to the server, and may wait.
    :ivar meddle: given what a client said and the answer, returns what goes back, or ``None`` to end the connection.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server((HOST, 0))
        self.host: str = HOST
        self.port: int = self._listener.getsockname()[1]
        self.turns = self.sent = self.received = self.connections = 0
        self.delay: float | Callable[[], float] = 0.0
        self.cut_after: int | None = None
        self.hold: Callable[[bytes], object] | None = None
        self.meddle: Callable[[bytes, bytes], bytes | None] | None = None
        self._mode: Mode = "pass"
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_all()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        before, self._mode = self._mode, mode
        if mode == "refuse":
            self._end_all()
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._threads[0].join()
        elif before == "refuse":
            self._changed.clear()
            self._listener = socket.create_server((HOST, self.port))
            self._threads[0] = threading.Thread(target=self._accept)
            self._threads[0].start()

    def reset(self) -> None:
        """Count from nothing."""
        with self._lock:
            self.turns = self.sent = self.received = self.connections = 0

    def _end_all(self) -> None:
        self._changed.set()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._server) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open |= {client, server}
            try:
                self._pass_on(client, server)
            finally:
                with self._lock:
                    self._open -= {client, server}

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        listens, question = True, b""
        while not self._changed.is_set():
            for speaker in _speaking(client, server):
                said = speaker.recv(65536)
                if not said:
                    return
                if self._mode == "silent":
                    continue
                if speaker is client:
                    with self._lock:
                        self.turns += listens
                        self.sent += len(said)
                    question = said
                    if self.hold is not None:
                        self.hold(said)
                    server.sendall(said)
                elif not self._answer(client, question, said):
                    return
                listens = speaker is server

    def _answer(self, client: socket.socket, question: bytes, said: bytes) -> bool:
        delay = self.delay() if callable(self.delay) else self.delay
        if delay and self._changed.wait(delay):
            return False
        if self.meddle is not None:
            meddled = self.meddle(question, said)
            if meddled is None:
                return False
            said = meddled
        with self._lock:
            self.received += len(said)
            cut, self.cut_after = self.cut_after, None
        client.sendall(said if cut is None else said[:cut])
        return cut is None


def _speaking(*connections: socket.socket) -> list[socket.socket]:
    """Wait until somebody speaks. ``select`` knows no number above 1,023, and a test run has more open files."""
    with selectors.DefaultSelector() as waiting:
        for one in connections:
            waiting.register(one, selectors.EVENT_READ)
        return [key.fileobj for key, _ in waiting.select()]  # type: ignore[misc]  # what was registered
