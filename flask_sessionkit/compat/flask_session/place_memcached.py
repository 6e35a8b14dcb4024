"""What Flask-Session keeps in Memcached, whichever client library it came by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from pymemcache.client.base import Client  # type: ignore[import-untyped]  # pymemcache has no types
from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]  # the same

from ...errors import StoreError
from ...stores.memcached_addresses import Address, name_of
from ...stores.memcached_servers import Servers
from .former_ids import is_id_after
from .places import Lying

#: A line of what a server has: a name in percent-encoding, and Unix seconds or -1 (protocol.txt, "metadump").
_ENTRY: Final = re.compile("key=([^ ]+) exp=(-?[0-9]+) ")
#: Seconds between two parts of such a list, for which no request waits.
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
        self._timeout = timeout
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
        """Return the names of all that a server has, and when each ends. It may miss some that were just written."""
        server = f"unix:{address}" if isinstance(address, str) else address
        client = Client(server, connect_timeout=self._timeout, timeout=_UNHURRIED)
        try:
            lines = client.raw_command("lru_crawler metadump all", "END\r\n").decode("ascii", "replace").splitlines()
        except (MemcacheError, OSError) as error:
            raise StoreError(
                f"Memcached at {name_of(address)} does not list what it has (lru_crawler metadump, of 1.4.31). Its "
                "sessions cannot be imported."
            ) from error
        finally:
            client.close()
        found = (_ENTRY.match(line) for line in lines)
        return [(unquote(entry[1]), float(entry[2]) if entry[2] != "-1" else None) for entry in found if entry]
