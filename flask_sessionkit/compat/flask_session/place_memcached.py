"""What Flask-Session keeps in Memcached, whichever client library it came by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...errors import StoreError
from ...stores.memcached_addresses import Address
from ...stores.memcached_servers import Servers
from .places import Lying


class MemcachedPlace:
    """Items in Memcached, read by a client of our own.

    The application's client would read a pickle as soon as the flags of an item say that it is one, and who can write
    to Memcached can say so. And each library has its own way to spread keys over servers, so all of them are asked.

    :param prefix: what the names of sessions begin with.
    :param before: what a cache puts before all names, prefix included.
    :param timeout: seconds.
    """

    def __init__(self, addresses: Sequence[Address], *, prefix: str, before: str = "", timeout: float) -> None:
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
        raise StoreError("Memcached")

    def rewrite(self, lying: Lying, data: bytes, *, now: float) -> bool:
        """Put other data in a record's place; see ``Place.rewrite``."""
        raise StoreError("Memcached")
