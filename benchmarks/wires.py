"""A wire to a server on which a trip takes as long as one likes, and on which trips and bytes are counted.

The tests' proxy counts too, and can break a connection; this one is precise to some microseconds.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

HOST = "127.0.0.1"
#: Seconds before its time at which a sleeper is woken: the system is late by less.
_EARLY = 0.0003


@dataclass(slots=True)
class Traffic:
    """What went over a wire.

    :ivar trips: how often a server answered a client that had spoken, and how often a connection was opened.
    :ivar sent: bytes to the server, of those that TCP carries.
    :ivar received: bytes from it.
    """

    trips: int = 0
    sent: int = 0
    received: int = 0


class Wire:
    """A TCP proxy on loopback for clients who do not speak at the same time.

    What a client says goes on at once, and so does all of an answer but its beginning, which waits. That a connection
    is opened costs a trip as well: it waits before the first word.

    :ivar hold: seconds that it waits.
    :ivar traffic: what went over it since this was set.
    """

    def __init__(self, host: str, port: int) -> None:
        self.hold = 0.0
        self.traffic = Traffic()
        self._server = (host, port)
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._end, self._told_to_end = socket.socketpair()
        self._thread = threading.Thread(target=self._carry)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # a socket
        self._selector.close()

    def _carry(self) -> None:
        self._selector.register(self._told_to_end, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._told_to_end:
                    return
                if key.fileobj is self._listener:
                    self._open()
                elif key in self._selector.get_map().values():  # else its other end has just gone
                    key.data.carry(key.fileobj)

    def _open(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._server)
        connection = _Connection(self, client, server)
        self.traffic.trips += 1
        self.wait()
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(one, selectors.EVENT_READ, connection)

    def close(self, *ends: socket.socket) -> None:
        """Forget a connection, which does this itself."""
        for end in ends:
            self._selector.unregister(end)
            end.close()

    def wait(self) -> None:
        """Let what a trip takes go by: asleep at first, then awake, to be in time."""
        if self.hold <= 0:
            return
        due = time.perf_counter() + self.hold
        if self.hold > _EARLY:
            time.sleep(self.hold - _EARLY)
        while time.perf_counter() < due:
            pass


class _Connection:
    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._is_asked = False

    def carry(self, speaker: socket.socket) -> None:
        said = b""
        with suppress(ConnectionError):
            said = speaker.recv(1 << 18)
        if not said:
            self._wire.close(self._client, self._server)
        elif speaker is self._client:
            self._is_asked = True
            self._wire.traffic.sent += len(said)
            self._server.sendall(said)
        else:
            if self._is_asked:
                self._is_asked = False
                self._wire.traffic.trips += 1
                self._wire.wait()
            self._wire.traffic.received += len(said)
            self._client.sendall(said)
