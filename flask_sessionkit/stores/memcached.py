"""Sessions in Memcached, on one server or spread over several."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, Self

from msgspec.structs import replace as changed

from ..errors import ConfigError, StoreError
from ..filing import is_key, is_owner
from ..record import Outcome, Purged, Record, Version, Write
from .base import GRACE, Capability, Judgement, judged_clock, settled, touch_is_due
from .memcached_addresses import address_of, servers_of, usable
from .memcached_findings import judged
from .memcached_servers import Node, RefusedError, RepeatedError, Servers
from .memcached_values import HEADER, pack, pack_entries, time_to_live, unpack, unpack_entries

#: A full index of 400 KB, below what an item may have.
_MOST_ENTRIES: Final = 10_000
#: Of the 1 MiB of an item (memcached's ``-I``), this is left to the server's own header, the key and chunks: 303 bytes
#: at most on 1.6.18, measured.
_SERVERS_OWN: Final = 1024
_MOST_INFO: Final = 1024
#: Attempts at a compare-and-swap, of which each that fails is another writer's success.
_ATTEMPTS: Final = 32
#: Records that are read at once for a list; they come with their payloads.
_PAGE: Final = 50

#: A key has at most 250 bytes (protocol.txt, "Keys"); the longest of ours is the prefix, ``owner:`` and 64 characters.
_PREFIX: Final = re.compile(f"[\x21-\x7e]{{0,{250 - 64 - 6}}}")


class MemcachedStore:
    """Records in Memcached, for many machines; nothing of it outlives a restart of the server.

    Memcached is a cache: it forgets what it has no room for (the sessions that were used longest ago first), and all
    of it when it is restarted. Those sessions end without a word. It is fit for sites where signing in again costs
    little. What was ended stays ended.

    With several servers each session lies on one of them, by a hash of its key. One that is lost takes its own
    sessions along and no other's: nothing is moved to another server while it is away, since what was written before
    would come back with it. Until it is back, or gone from the list, its sessions raise ``StoreError``, and so does one
    new session of so many. **When you change the list, restart all servers in it**, or empty them with ``flush_all``:
    one that was away from the list for a while does not know what was ended meanwhile.

    Who is signed in where is known at best effort: a list may miss sessions whose index was forgotten or lay on a
    server that was down. Use a ``user_stamp`` to revoke.

    :param servers: each ``"host:port"``, ``(host, port)`` or the path of a Unix socket; the port is 11211 by default.
        The order does not matter, the spelling does: a session lies where the hash of the server's name says.
    :param prefix: what keys begin with, where others use the same servers.
    :param timeout: seconds to wait for a free connection, then for it to be made, then for an answer; the first that
        takes longer ends the call. A name is looked up in the system's own time.
    :raises ConfigError: no server, one that cannot be, one twice, or a prefix or timeout that cannot work.
    """

    capabilities: Capability = Capability.INDEX_BEST_EFFORT | Capability.SHARED
    #: Bytes of payload that fit into an item of 1 MiB, which is memcached's limit unless its ``-I`` says otherwise.
    max_payload: int = 2**20 - _SERVERS_OWN - HEADER.size - _MOST_INFO

    def __init__(
        self,
        servers: Sequence[str | tuple[str, int]],
        *,
        prefix: str = "session:",
        timeout: float = 0.5,
    ) -> None:
        if isinstance(servers, str):
            raise ConfigError(f"MemcachedStore(servers=...) must be a list, not a text. Write [{servers!r}].")
        self._addresses = usable([address_of(server, "MemcachedStore(servers=...)") for server in servers])
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"The key prefix {prefix!r} cannot stand in a Memcached key. "
                f"Use at most {250 - 64 - 6} ASCII characters without spaces, as in 'session:'."
            )
        if not timeout > 0:
            raise ConfigError(f"MemcachedStore(timeout=...) must be a positive number, not {timeout}. Use 0.5.")
        self._prefix = prefix
        self._timeout = timeout
        self._servers = Servers(self._addresses, timeout)

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "session:", timeout: float = 0.5) -> Self:
        """Return the store that a URL names: ``memcached://host:port,host:port`` or ``memcached:///path/to.sock``.

        Connects to nothing.

        :raises ConfigError: the URL cannot work.
        """
        servers = [address_of(server, "SESSIONKIT_STORE") for server in servers_of(url)]
        return cls(servers, prefix=prefix, timeout=timeout)

    def load(self, key: str, *, now: float, touch_every: float | None = None) -> Record | None:
        """Return the record of a key, or ``None``; see ``Store.load``. A second trip only for a touch that is due."""
        read = self._read(key)
        if read is None:
            return None
        record = read.given()
        if touch_every is None or record.expires_at <= now or not touch_is_due(record.seen_at, now, touch_every):
            return record
        return changed(record, seen_at=now) if self.touch(record, now=now) else record

    def touch(self, record: Record, *, now: float) -> bool:
        """Write down that a live record, as a ``load`` gave it, was seen now; one trip.

        :return: ``False`` if it ended or is not as it was read any more, or if there is no room for it, and nothing was
            written. Then the idle window is shorter than it might be, and no session is hidden.
        :raises StoreError: the store cannot answer.
        """
        read = _remembered(record.version, record.key) or self._read(record.key)
        if read is None or read != record.version or read.record.expires_at <= now:
            return False
        seen_at = max(settled(read.record.seen_at, now), now)
        try:
            return self._swap(read, changed(read.record, seen_at=seen_at), now) is True
        except (RefusedError, RepeatedError):
            return False

    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        if not is_key(record.key):
            raise StoreError("A record's key is not 64 characters of lowercase hex. Use one of tokens.py's.")
        self._index(record, record.seen_at)
        lasts = time_to_live(record.expires_at, record.seen_at)
        if self._node(record.key).add(self._prefix + record.key, pack(record), lasts):
            return True
        there = self._read(record.key)
        return there is not None and there == record.version

    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``.

        One trip with the version that a ``load`` or a conflict gave, if its owner and its absolute end are the same.
        """
        read = _remembered(expected, record.key)
        if read is None or read.record.expires_at <= now:
            read = self._read(record.key)
        lost: RepeatedError | None = None
        for _ in range(_ATTEMPTS):
            if read is None:
                return Write(Outcome.GONE)
            if read == record.version:
                return Write(Outcome.OK)
            current = read.record
            if current.expires_at <= now:
                return Write(Outcome.GONE)
            if expected is not None and read != expected:
                break
            if record.owner != current.owner or record.absolute_at > current.absolute_at:
                self._index(record, now)
            seen_at = max(settled(current.seen_at, now), settled(record.seen_at, now))
            try:
                stored = self._swap(read, changed(record, seen_at=seen_at), now)
            except RepeatedError as error:
                stored, lost = False, error
            if stored is not False:
                return Write(Outcome.OK if stored else Outcome.GONE)
            read = self._read(record.key)  # a touch has been there, which does not move the version, or a writer
        if read is not None and lost is not None:
            raise lost  # ours may have been written before the other's, and to merge it once more could count it twice
        return Write(Outcome.GONE) if read is None else Write(Outcome.CONFLICT, read.given())

    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it; see ``Store.delete``.

        One whose answer was lost and that was sent again may say ``False``, since nothing tells whose work it was.
        """
        return is_key(key) and self._node(key).delete(self._prefix + key)

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        if not is_owner(owner):
            return []
        name = self._owner_name(owner)
        entries = unpack_entries(self._node(owner).get_many([name]).get(name))
        keys = sorted(key for key in map(bytes.hex, entries) if after is None or key > after)
        live = (record for record in self._read_many(keys) if record.owner == owner and record.expires_at > now)
        return [changed(record, payload=b"") for record in islice(live, limit)]

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Do nothing: Memcached removes what has ended by itself."""
        return Purged(0, more=False)

    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is to be said of each server; see ``Judges.judge``."""
        said: list[Judgement] = []
        item = min(largest, self.max_payload) + HEADER.size + _MOST_INFO + _SERVERS_OWN
        for node in self._all():
            stats = node.stats()
            if isinstance(at := stats.get(b"time"), int):
                said.append(judged_clock(at, now))
            said += judged(stats, node.stats("settings"), node.stats("items"), largest=item)
        return list(dict.fromkeys(said))

    def _all(self) -> list[Node]:
        return self._servers.all()

    def _node(self, key: str) -> Node:
        """Return the server on which something lies."""
        return self._servers.node(key)

    def _read(self, key: str) -> _VersionAsRead | None:
        if not is_key(key):
            return None
        value, cas = self._node(key).gets(self._prefix + key)
        record = None if value is None else unpack(key, value)
        return None if record is None else _VersionAsRead.of(record, cas)

    def _read_many(self, keys: Sequence[str]) -> Iterator[Record]:
        for start in range(0, len(keys), _PAGE):
            page = keys[start : start + _PAGE]
            names: dict[Node, list[str]] = {}
            for key in page:
                names.setdefault(self._node(key), []).append(self._prefix + key)
            values: dict[str, bytes] = {}
            for node, its_names in names.items():
                values |= node.get_many(its_names)
            for key in page:
                value = values.get(self._prefix + key)
                record = None if value is None else unpack(key, value)
                if record is not None:
                    yield record

    def _swap(self, read: _VersionAsRead, record: Record, now: float) -> bool | None:
        """Write a record in the place of what was read; ``False``: it changed meanwhile, ``None``: it is gone."""
        lasts = time_to_live(record.expires_at, now)
        stored = self._node(record.key).cas(self._prefix + record.key, pack(record), read.cas, lasts)
        read.is_fresh = False
        return stored

    def _index(self, record: Record, now: float) -> None:
        """Note whose a record is, before it is written. What hinders only this hinders no login."""
        if record.owner is None:
            return
        if not is_owner(record.owner):
            raise StoreError("A record's owner is not 32 characters of lowercase hex. Use one of sealing.py's.")
        node, name = self._node(record.owner), self._owner_name(record.owner)
        try:
            _note(node, name, bytes.fromhex(record.key), record.absolute_at, now)
        except RefusedError:
            pass
        except StoreError:
            if node is self._node(record.key):  # which would only fail again, after another timeout
                raise

    def _owner_name(self, owner: str) -> str:
        return f"{self._prefix}owner:{owner}"


def _note(node: Node, name: str, key: bytes, ends_at: float, now: float) -> None:
    """Add a session to the index of its owner, and sweep what has ended.

    Gives up where others are faster many times in a row: an index is best effort here.
    """
    for _ in range(_ATTEMPTS):
        value, cas = node.gets(name)
        entries = unpack_entries(value)
        if entries.get(key, -math.inf) >= ends_at:
            return
        entries = {other: at for other, at in entries.items() if at + GRACE >= now} | {key: ends_at}
        if len(entries) > _MOST_ENTRIES:
            entries = dict(heapq.nlargest(_MOST_ENTRIES, entries.items(), key=lambda entry: entry[1]))
        new = pack_entries(entries)
        lasts = time_to_live(max(entries.values()), now)
        with suppress(RepeatedError):  # the next look tells whether it is there
            if node.add(name, new, lasts) if value is None else node.cas(name, new, cas, lasts):
                return


class _VersionAsRead(bytes):
    """A version that remembers what was read with it, so that a ``replace`` needs not read again.

    To everybody else, and to another process, it is its 8 bytes.

    :ivar cas: memcached's own number of the value.
    :ivar record: the record, under a version that remembers nothing.
    :ivar is_fresh: whether nothing has been written in its place since, as far as is known here.
    """

    cas: bytes
    record: Record
    is_fresh = True

    @classmethod
    def of(cls, record: Record, cas: bytes) -> Self:
        """Return the version of a record that was read."""
        version = cls(record.version)
        version.cas, version.record = cas, record
        return version

    def given(self) -> Record:
        """Return the record with this version."""
        return changed(self.record, version=self)

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (bytes(self),)


def _remembered(version: Version | None, key: str) -> _VersionAsRead | None:
    """Return what was read with a version, or ``None`` if it does not remember or is known to be out of date."""
    if not isinstance(version, _VersionAsRead) or not version.is_fresh:
        return None
    return version if version.record.key == key else None
