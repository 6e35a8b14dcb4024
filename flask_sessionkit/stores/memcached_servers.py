"""Memcached's servers as one process reaches them: connections, commands, and which server has what."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import weakref
from collections.abc import Sequence
from queue import Empty, LifoQueue
from typing import Any, Final

from pymemcache.client.base import Client  # type: ignore[import-untyped]  # pymemcache has no types
from pymemcache.client.rendezvous import RendezvousHash  # type: ignore[import-untyped]  # the same
from pymemcache.exceptions import (  # type: ignore[import-untyped]  # the same
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownError,
)

from ..errors import StoreError
from .memcached_addresses import Address, name_of

#: Connections that a process keeps to one server. Threads that are more than these wait for each other, a tenth of a
#: millisecond a trip; a thousand greenlets would else take all 1,024 that memcached has for everybody (``-c``).
_CONNECTIONS: Final = 32
#: Seconds after which a connection that nobody used is made anew. Firewalls forget one after minutes (AWS after 350 s,
#: Azure after 240 s) without a word to either end, and who then uses it waits for the whole timeout.
_MOST_IDLE: Final = 60.0


class Servers:
    """All servers as one process reaches them, and which of them has what. A child process gets connections of its own.

    On its parent's, both would read each other's answers.

    :param timeout: seconds to wait for a free connection, for it to be made, and for an answer.
    """

    def __init__(self, addresses: Sequence[Address], timeout: float) -> None:
        self._addresses, self._timeout = addresses, timeout
        # Kept, unused: they are the parent's to close.
        self._left_to_parent: list[object] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        addresses, timeout = self._addresses, self._timeout
        self._nodes: dict[str, Node] = {name_of(address): Node(address, timeout) for address in addresses}
        self._only = next(iter(self._nodes.values())) if len(self._nodes) == 1 else None
        # Its own hash is written in Python: 42 microseconds for three servers, as much as the trip to one.
        self._hash: Any = RendezvousHash(list(self._nodes), hash_function=_hash)

    def all(self) -> list[Node]:
        """Return every server."""
        self._leave_the_parents()
        return list(self._nodes.values())

    def node(self, key: str) -> Node:
        """Return the server that has a key or an owner's index; always the same one, whether it is up or down."""
        self._leave_the_parents()
        return self._only or self._nodes[self._hash.get_node(key)]

    def _leave_the_parents(self) -> None:
        if os.getpid() != self._pid:
            self._left_to_parent.append(self._nodes)
            self._begin()


class Node:
    """One server, and the connections of this process to it.

    pymemcache's own pool raises when it is empty; this one waits. The connection that was used last is the next one,
    so that no more are opened than are used at once.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.name: Final = name_of(address)
        self._timeout = timeout
        self._free: LifoQueue[_Client] = LifoQueue()
        server = f"unix:{address}" if isinstance(address, str) else address
        for _ in range(_CONNECTIONS):
            # Connects when it is used.
            self._free.put(_Client(server, connect_timeout=timeout, timeout=timeout, default_noreply=False))
        weakref.finalize(self, _close_all, self._free)

    def gets(self, name: str) -> tuple[bytes | None, bytes]:
        """Return a value and what a ``cas`` needs."""
        found: tuple[bytes | None, bytes] = self._ask("gets", name)
        return found

    def get_many(self, names: list[str]) -> dict[str, bytes]:
        """Return the values that are there."""
        found: dict[str, bytes] = self._ask("get_many", names)
        return found

    def add(self, name: str, value: bytes, time_to_live: int) -> bool:
        """Store a value unless there is one."""
        return self._ask("add", name, value, time_to_live) is True

    def cas(self, name: str, value: bytes, cas: bytes, time_to_live: int) -> bool | None:
        """Store a value in the place of the one that was read; ``False``: it is another one, ``None``: it is gone."""
        stored: bool | None = self._ask("cas", name, value, cas, time_to_live)
        return stored

    def delete(self, name: str) -> bool:
        """Remove a value."""
        return self._ask("delete", name) is True

    def stats(self, *kind: str) -> dict[bytes, Any]:
        """Return what it says of itself."""
        found: dict[bytes, Any] = self._ask("stats", *kind)
        return found

    def _ask(self, command: str, *args: object) -> Any:
        """Have a command carried out.

        :raises StoreError: there is no answer, or none that can be understood.
        """
        try:
            client = self._free.get(timeout=self._timeout)
        except Empty as error:
            raise StoreError(
                f"All {_CONNECTIONS} connections to Memcached at {self.name} are in use. "
                "See that it is not slow, or start more processes with fewer threads."
            ) from error
        if time.monotonic() - client.used_at > _MOST_IDLE:
            client.close()
        is_whole = False
        try:
            answer, was_repeated = _answer(client, command, args)
            is_whole = True
        except MemcacheServerError as error:
            raise self._refusal(error) from error
        except (MemcacheError, OSError) as error:
            raise StoreError(
                f"Memcached at {self.name} cannot answer. See that it runs, is reached from here, "
                "and has connections left (-c)."
            ) from error
        except (ValueError, LookupError):
            # pymemcache takes an answer apart with split() and int(). The cause goes, since it quotes the answer.
            raise StoreError(
                f"What answers at {self.name} is not Memcached. Correct the address."
            ) from MemcacheUnknownError(command)
        finally:
            # Also when a timeout of gevent's or the end of a worker comes in between, which pymemcache does not catch:
            # the answer would come, and be read as that of the next command.
            if not is_whole:
                client.close()
            client.used_at = time.monotonic()
            self._free.put(client)
        if was_repeated and command == "cas" and answer is False:
            raise RepeatedError(
                f"Memcached at {self.name} did not answer a change, and another came after it. It may have been made; "
                "look before it is made again."
            )
        return answer

    def _refusal(self, error: MemcacheServerError) -> StoreError:
        said = str(error)
        if isinstance(error, MemcacheUnexpectedCloseError):
            return StoreError(f"Memcached at {self.name} closed the connection. See that it runs.")
        if "too large" in said:
            return RefusedError(
                f"A value is too large for Memcached at {self.name}. "
                "Start memcached with a larger item size (-I), or lower SESSIONKIT_MAX_SIZE."
            )
        if "out of memory" in said:
            return RefusedError(f"Memcached at {self.name} is out of memory. Start it with more (-m), without -M.")
        return StoreError(f"Memcached at {self.name} failed. Look into its log.")


class RefusedError(StoreError):
    """A value that the server does not take; what was there before stays, since it was not written by ``set``."""


class RepeatedError(StoreError):
    """A ``cas`` that was sent twice and found another value: another's, or its own."""


def _answer(client: _Client, command: str, args: tuple[object, ...]) -> tuple[Any, bool]:
    """Return the answer to a command, and whether it was sent twice.

    That is done where a restart of the server broke a connection that was kept. Not after a timeout: a server that is
    silent stays so, and one that is slow may have done it. A write that happened before its answer was lost is known by
    its own version.
    """
    was_open = client.sock is not None
    try:
        return getattr(client, command)(*args), False
    except (ConnectionError, MemcacheUnexpectedCloseError):
        if not was_open:
            raise
    return getattr(client, command)(*args), True


class _Client(Client):  # type: ignore[misc]  # pymemcache has no types
    """A connection that tries every address of a host.

    pymemcache tries the first only: where ``localhost`` is ``::1`` first, it does not find a server on 127.0.0.1.

    :ivar used_at: when it was used last, by ``time.monotonic``.
    """

    used_at = 0.0

    def _connect(self) -> None:
        if isinstance(self.server, str):
            super()._connect()
            return
        self.close()
        connection = socket.create_connection(self.server, self.connect_timeout)
        connection.settimeout(self.timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = connection


def _hash(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _close_all(free: LifoQueue[_Client]) -> None:
    for client in free.queue:  # without its lock, which nobody may be left to give back
        client.close()
