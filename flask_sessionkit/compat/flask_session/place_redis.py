"""What Flask-Session, or a cache of cachelib's, keeps in Redis or Valkey: a string with a time to live for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import StoreError
from ...stores.redis_advice import message
from ...stores.redis_clients import server_of
from .former_ids import is_id_after
from .places import Lying

_PAGE = 500
#: Compare and swap; the time to live stays (KEEPTTL is Redis 6.0's, and of 2020).
_SWAP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
    return 1
end
return 0
"""


class RedisPlace:
    """Strings in Redis.

    :param client_or_url: as for ``RedisStore``.
    :param prefix: what the names of sessions begin with.
    :param before: what a cache puts before all names, prefix included.
    :param mark: what stands before a value; cachelib marks its pickles so.
    :param timeout: seconds, for a URL; a client keeps its own.
    :raises ConfigError: a client that can never work.
    """

    def __init__(
        self, client_or_url: object, *, prefix: str, before: str = "", mark: bytes = b"", timeout: float
    ) -> None:
        self._server = server_of(client_or_url, timeout=timeout)
        self._prefix, self._before, self._mark = prefix, before, mark

    def read(self, name: str, *, now: float) -> Lying | None:
        """Return what lies under a name; see ``Place.read``."""
        return self._read(self._before + name, now)

    def remove(self, name: str) -> bool:
        """Remove what lies under a name; see ``Place.remove``."""
        return bool(self._call("DEL", self._before + name) == 1)

    def walk(self, *, now: float) -> Iterator[Lying]:
        """Yield everything that lies there; see ``Place.walk``."""
        pattern = "".join(f"\\{sign}" if sign in "\\*?[]^" else sign for sign in self._before + self._prefix) + "*"
        try:
            for primary in self._server.primaries():
                cursor = -1
                while cursor:
                    cursor, names = self._server.scan(primary, max(cursor, 0), match=pattern, count=_PAGE)
                    for name in (name.decode("utf-8", "surrogateescape") for name in names):
                        lying = self._read(name, now) if is_id_after(self._before + self._prefix, name) else None
                        if lying is not None:
                            yield lying
        except self._server.errors as error:
            raise self._failure(error) from error

    def rewrite(self, lying: Lying, data: bytes, *, now: float) -> bool:
        """Put other data in a record's place; see ``Place.rewrite``."""
        # The mark goes: what was rewritten is no pickle any more.
        for before in {self._mark + lying.data, lying.data}:
            if self._call("EVAL", _SWAP, 1, _encoded(lying.spot), before, data) == 1:
                return True
        return False

    def _read(self, spot: str, now: float) -> Lying | None:
        try:
            data, lasts = self._server.call_all([("GET", _encoded(spot)), ("PTTL", _encoded(spot))])
        except self._server.errors as error:
            if "WRONGTYPE" in str(error):
                return None  # somebody else's
            raise self._failure(error) from error
        if data is None or lasts == -2:
            return None
        return Lying(spot, data.removeprefix(self._mark), None if lasts == -1 else now + lasts / 1000)

    def _call(self, *command: bytes | str | int) -> Any:
        try:
            return self._server.call(*command)
        except self._server.errors as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> StoreError:
        return StoreError(f"The sessions of Flask-Session cannot be had. {message(self._server.name, error)}")


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
