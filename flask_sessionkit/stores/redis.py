"""Sessions in Redis or Valkey: one server, a Sentinel's master, or a Cluster."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from ..errors import StoreError
from ..filing import is_key, is_owner
from ..record import Outcome, Purged, Record, Version, Write
from .base import Capability, Judgement, Mark, judged_clock
from .redis_advice import is_forbidden, message
from .redis_clients import server_of
from .redis_findings import judged
from .redis_scripts import ENTER, LOAD, WRITE, Script
from .redis_server import Command, Server
from .redis_values import behind, entry_of, pack, payload_at, unpack

P = ParamSpec("P")
T = TypeVar("T")


def _as_store_error(method: Callable[Concatenate[RedisStore, P], T]) -> Callable[Concatenate[RedisStore, P], T]:
    """Raise what the driver or the server refuses as ``StoreError``."""

    @wraps(method)
    def answered(self: RedisStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except self._server.errors as error:
            # Of a script that it does not know a server may quote what was to be written.
            is_quoting = "args beginning with" in str(error)
            raise StoreError(message(self._server.name, error)) from (None if is_quoting else error)
        except (ValueError, LookupError, TypeError, struct.error):
            # What redis-py, or this file, cannot take apart. The cause goes, since it quotes the answer.
            raise StoreError(f"What answers at {self._server.name} is not Redis. Correct the address.") from None

    return answered


class RedisStore:
    """Records in Redis 6.2 or later or in Valkey, each in one round trip; the server expires them by itself.

    ``<prefix><key>`` is a string: what is known of a session, then its payload. A touch writes eight bytes in the place
    where they lie, and a list leaves the payload there. (A hash of the two takes 180 bytes more a session.)
    ``<prefix>owner:<owner>`` is a sorted set of an owner's keys, each with the end after which its session cannot live.
    It is written before the record; entries are removed by that end, a few at each new one. Every key has an expiry,
    counted from the application's clock, and no command looks for keys.

    What was acknowledged outlives this process. Whether it outlives the server is the server's to say: ``appendonly``
    with ``appendfsync always`` keeps all, ``everysec`` loses up to a second, neither loses everything at a restart. A
    replica that is made the primary may lack the last writes, and bring back what they ended. Choose ``noeviction`` or
    ``volatile-ttl`` as ``maxmemory-policy``: any eviction ends sessions early, or takes them off their user's list.

    A user for this store alone; a database but 0 wants ``+select`` too, a Cluster ``+cluster|slots +command``, a walk
    through all sessions ``+scan``::

        ACL SETUSER sessions on >password ~session:* resetchannels -@all
            +evalsha +eval +get +getrange +set +setrange +pexpire +pttl +zadd +zrem +zrangebylex +del

    :param client_or_url: a URL, or a client of redis-py or valkey-py: a ``Redis``, a ``RedisCluster``, or what
        ``Sentinel.master_for()`` gives. A client keeps its own timeouts; those of redis-py let a request wait a minute,
        so give it ``socket_timeout``, ``socket_connect_timeout`` and ``retry=Retry(NoBackoff(), 0)``. With more
        attempts a change whose answer was lost, and that another came after, may be made twice; of a URL's client it
        is known what was sent again.
    :param prefix: stands before every key.
    :param timeout: seconds to connect and to answer, for a URL; there is one more attempt.
    :raises ConfigError: a URL or a client that cannot work.
    :raises ImportError: redis-py is not installed.
    """

    capabilities: Capability = Capability.INDEX | Capability.TOUCH_ON_LOAD | Capability.SHARED | Capability.DURABLE

    def __init__(self, client_or_url: object, *, prefix: str = "session:", timeout: float = 0.5) -> None:
        self._server: Final[Server] = server_of(client_or_url, timeout=timeout)
        self._prefix = prefix

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "session:", timeout: float = 0.5) -> RedisStore:
        """Return the store of a URL; connects to nothing.

        ``redis://user:password@host:6379/0``, ``rediss://`` (with ``?ssl_ca_certs=``, ``ssl_certfile=``,
        ``ssl_keyfile=``, each a path), ``unix:///path?db=0``, ``redis+sentinel://host:26379,host:26379/service/0``
        (with ``?sentinel_username=`` and ``sentinel_password=`` where Sentinel wants its own) and
        ``redis+cluster://host:6379,host:6379``; ``rediss+sentinel://`` and ``rediss+cluster://`` speak TLS.
        """
        return cls(url, prefix=prefix, timeout=timeout)

    @_as_store_error
    def load(
        self, key: str, *, now: float, touch_every: float | None = None, touch_within: float = math.inf
    ) -> Record | None:
        """Return the record of a key, touched if that is due, or ``None``; see ``TouchesOnLoad.load``."""
        if touch_every is None:
            there = self._unless_foreign("GET", self._key(key))
            return None if there is None else unpack(key, there)
        found = self._run(LOAD, [self._key(key)], struct.pack(">ddd", now, touch_every, touch_within))
        if isinstance(found, list):  # touched
            packed, seen = found
            found = packed[:16] + seen + packed[24:]
        return None if found is None else unpack(key, found)

    @_as_store_error
    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        outcome, *_ = self._write(record, b"create", b"", now=record.seen_at)
        return outcome == b"ok"

    @_as_store_error
    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``."""
        outcome, *current = self._write(record, b"replace", expected or b"", now=now)
        if outcome == b"conflict" and self._server.was_repeated:
            # Ours may have been written before the other's, and to merge it once more could count it twice.
            raise StoreError(
                f"The Redis server {self._server.name} did not answer a change, and another came after it. It may have "
                "been made; look before it is made again."
            )
        if outcome == b"conflict":
            return Write(Outcome.CONFLICT, unpack(record.key, *current))
        return Write(Outcome.OK if outcome == b"ok" else Outcome.GONE)

    @_as_store_error
    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it; see ``Store.delete``."""
        return bool(self._server.call("DEL", self._key(key)))

    @_as_store_error
    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        rows = (row for row in self._rows(owner, limit, after) if row.owner == owner and row.expires_at > now)
        return list(islice(rows, limit))

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Do nothing: the server removes what has ended; see ``Store.purge``."""
        return Purged(0, more=False)

    def scan(self) -> Iterator[Record]:
        """Yield every record, on a Cluster one primary after the other; see ``Scans.scan``."""
        for primary in self._primaries():
            cursor = 0
            while True:
                cursor, records = self._page(primary, cursor)
                yield from records
                if cursor == 0:
                    break

    @_as_store_error
    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is to be said of the server, or of each primary of a Cluster; see ``Judges.judge``."""
        said: list[Judgement] = [(Mark.NOTE, self._server.advice)] if self._server.advice else []
        for primary in self._server.primaries():
            try:
                seconds, microseconds = self._server.call_at(primary, "TIME")
                said.append(judged_clock(int(seconds) + int(microseconds) / 1e6, now))
                said += judged(self._server.call_at(primary, "INFO"))
            except self._server.errors as error:
                if not is_forbidden(error):
                    raise
                said.append(
                    (Mark.NOTE, "It does not let us ask for its clock and its settings. Grant +time and +info.")
                )
        return list(dict.fromkeys(said))

    @_as_store_error
    def _primaries(self) -> list[Any]:
        return self._server.primaries()

    @_as_store_error
    def _page(self, primary: Any, cursor: int) -> tuple[int, list[Record]]:
        after, names = self._server.scan(primary, cursor, match=_literally(self._prefix) + "?" * 64, count=_PAGE)
        ours = (name.decode("utf-8", "replace").removeprefix(self._prefix) for name in names)
        keys = [key for key in ours if is_key(key)]
        found = zip(keys, self._all_of(("GET", self._key(key)) for key in keys), strict=True)
        return after, [record for key, packed in found if packed and (record := unpack(key, packed))]

    def _key(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def _index(self, owner: str) -> str:
        return f"{self._prefix}owner:{owner}"

    def _run(self, script: Script, keys: list[str], *args: bytes) -> Any:
        try:
            return self._server.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except self._server.NoScriptError:  # a server that was restarted, or has become the primary
            return self._server.call("EVAL", script.text, len(keys), *keys, *args)

    def _write(self, record: Record, mode: bytes, expected: Version, *, now: float) -> list[bytes]:
        if not is_key(record.key) or not (record.owner is None or is_owner(record.owner)):
            raise StoreError("A record's key or owner is not lowercase hex, so it cannot be filed. Use tokens.py's.")
        keys = [self._key(record.key)]
        args = [mode, pack(record), expected, struct.pack(">d", now)]
        answer: list[bytes]
        if record.owner is None:
            answer = self._run(WRITE, keys, *args, b"")
            return answer
        entry, index = entry_of(record), self._index(record.owner)
        if not self._server.is_cluster:
            answer = self._run(WRITE, [*keys, index], *args, entry)
            return answer
        # The index lies in another slot, and no script reaches both. It comes first: a crash between the two leaves an
        # entry too many, never a session that no list shows. What is replaced has one, unless the script denies it.
        if mode == b"replace":
            answer = self._run(WRITE, keys, *args, entry)
            if answer[0] != b"unlisted":
                return answer
        self._run(ENTER, [index], entry, struct.pack(">dd", now, record.absolute_at))
        answer = self._run(WRITE, keys, *args, b"")
        return answer

    def _rows(self, owner: str, limit: int, after: str | None) -> Iterator[Record]:
        # A key that was given a later end has two entries, so each page begins behind all entries of the last key.
        size = min(limit + 16, 1000)
        first = b"-" if after is None else behind(after)
        while True:
            entries = self._server.call("ZRANGEBYLEX", self._index(owner), first, "+", "LIMIT", 0, size)
            keys = list(dict.fromkeys(entry[:32].hex() for entry in entries))
            for key, packed in zip(keys, self._heads_of(keys), strict=True):
                if packed and (row := unpack(key, packed)):
                    yield row
            if len(entries) < size:
                return
            first, size = behind(keys[-1]), 1000

    def _heads_of(self, keys: list[str]) -> list[bytes | None]:
        """Return what lies before each payload, or ``None`` where there is no string."""
        heads = self._all_of(("GETRANGE", self._key(key), 0, _USUAL - 1) for key in keys)
        cut = [(place, end) for place, head in enumerate(heads) if head and (end := payload_at(head)) > _USUAL]
        whole = self._all_of(("GETRANGE", self._key(keys[place]), 0, end - 1) for place, end in cut)
        for (place, _), head in zip(cut, whole, strict=True):
            heads[place] = head
        return [head and head[: payload_at(head)] for head in heads]

    def _all_of(self, commands: Iterable[Command]) -> list[bytes | None]:
        """Return what each command reads, or ``None`` where there is no string."""
        asked = list(commands)
        try:
            return self._server.call_all(asked) if asked else []
        except self._server.errors as error:
            if "WRONGTYPE" not in str(error):
                raise
        # Somebody put another kind of key in a session's place, which must not hide all others.
        return [self._unless_foreign(*command) for command in asked]

    def _unless_foreign(self, *command: bytes | str | int) -> bytes | None:
        try:
            packed: bytes | None = self._server.call(*command)
        except self._server.errors as error:
            if "WRONGTYPE" not in str(error):
                raise
            return None
        return packed


#: Bytes that a list asks for at once: all before the payload, but where the info is long.
_USUAL: Final = 256
#: Names that a walk asks for at once, of which those of sessions are read.
_PAGE: Final = 200


def _literally(text: str) -> str:
    """Return the pattern that matches a text and nothing else (redis.io, "KEYS")."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", text)
