"""What Flask-Session keeps in Memcached, whichever client library it came by."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from ...errors import StoreError
from ...stores.memcached_addresses import Address, name_of
from ...stores.memcached_servers import Servers
from .former_ids import is_id_after
from .places import Lying

#: A line of what a server has: a name in percent-encoding, and Unix seconds or -1 (protocol.txt, "metadump").
_ENTRY: Final = re.compile(b"key=([^ ]+) exp=(-?[0-9]+) ")
#: Seconds that a part of such a list may take, for which no request waits.
_UNHURRIED: Final = 10.0


class MemcachedPlace:
    """Items in Memcached, read by a client of our own.

    The application's client would read a pickle as soon as the flags of an item say that it is one, and who can write
    to Memcached can say so. And each library has its own way to spread keys over servers, so all of them are asked.

    :param prefix: what the names of sessions begin with.
    :param before: what a cache puts before all names, prefix included.
    :param timeout: seconds.
    """

    def __init__(self, addresses: Sequence[Address], *, prefix: str, before: str = "", timeout: float) -> None:
        self._addresses = addresses
        self._servers = Servers(addresses, timeout)
        self._prefix, self._before = prefix, before

    def read(self, name: str, *, now: float) -> Lying | None:
        """Return what lies under a name; see ``Place.read``."""
        spot = self._before + name
        for node in self._servers.all():
            data, _ = node.gets(spot)
            if data:
                return Lying(spot, data)
        return None

    def remove(self, name: str) -> bool:
        """Remove what lies under a name; see ``Place.remove``."""
        # All of them, whatever the first says.
        removed = [node.delete(self._before + name) for node in self._servers.all()]
        return any(removed)

    def walk(self, *, now: float) -> Iterator[Lying]:
        """Yield everything that lies there; see ``Place.walk``."""
        for address in self._addresses:
            for spot, until in self._names_at(address):
                is_live = (until is None or until > now) and is_id_after(self._before + self._prefix, spot)
                lying = self.read(spot.removeprefix(self._before), now=now) if is_live else None
                if lying is not None:
                    yield Lying(spot, lying.data, until)

    def rewrite(self, lying: Lying, data: bytes, *, now: float) -> bool:
        """Put other data in a record's place; see ``Place.rewrite``."""
        # More than 30 days are a moment (memcached's protocol.txt, "Expiration times"); a moment is one always.
        until = int(lying.until or 0)
        for node in self._servers.all():
            there, version = node.gets(lying.spot)
            if there == lying.data:
                return node.cas(lying.spot, data, version, until) is True
        return False

    def _names_at(self, address: Address) -> list[tuple[str, float | None]]:
        """Return the names of all that a server has, and when each ends."""
        try:
            # By its hash table: its queues, between which it moves what it has, may miss a third ("all", 1.6.18).
            found = _listed(address, b"lru_crawler metadump hash\r\n")
            return found if found is not None else _listed(address, b"lru_crawler metadump all\r\n") or []
        except (OSError, ValueError) as error:
            raise StoreError(
                f"Memcached at {name_of(address)} does not list what it has (lru_crawler metadump, of 1.4.31). Its "
                "sessions cannot be imported."
            ) from error


def _listed(address: Address, command: bytes) -> list[tuple[str, float | None]] | None:
    """Return what a server lists; ``None`` if it does not know how.

    pymemcache would lose all but the last part of an answer in several (4.0, ``raw_command``).
    """
    with _connected(address) as connection:
        connection.sendall(command)
        found: list[tuple[str, float | None]] = []
        for line in connection.makefile("rb"):
            if line == b"END\r\n":
                return found
            if entry := _ENTRY.match(line):
                until = float(entry[2])
                found.append((unquote(entry[1].decode("ascii")), None if until < 0 else until))
            elif line.startswith((b"ERROR", b"CLIENT_ERROR")):
                return None
            else:
                break  # BUSY: it lists for one asker at a time
        raise ValueError("The list was cut off.")


def _connected(address: Address) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, _UNHURRIED)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_UNHURRIED)
    connection.connect(address)
    return connection
