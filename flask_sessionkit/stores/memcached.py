"""Sessions in Memcached, on one server or spread over several."""

from __future__ import annotations

import hashlib
import heapq
import math
import os
import re
import socket
import struct
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv6Address
from itertools import islice
from queue import Empty, LifoQueue
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote

from msgspec.structs import replace as changed
from pymemcache.client.base import Client  # type: ignore[import-untyped]  # pymemcache has no types
from pymemcache.client.rendezvous import RendezvousHash  # type: ignore[import-untyped]  # the same
from pymemcache.exceptions import (  # type: ignore[import-untyped]  # the same
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownError,
)

from ..errors import ConfigError, StoreError
from ..record import Outcome, Purged, Record, Version, Write
from .base import GRACE, Capability, Judgement, judged_clock, settled, touch_is_due
from .memcached_findings import judged

#: What stands before info and payload: format, version, ``created_at``, ``seen_at``, ``idle``, ``absolute_at``, whether
#: there is an owner, the owner, and the length of info.
_HEADER: Final = struct.Struct(">B8sdddd?16sI")
_FORMAT: Final = 1
#: One session in the index of its owner: its key, and when it ends at the latest.
_ENTRY: Final = struct.Struct(">32sd")
#: A full index of 400 KB, below what an item may have.
_MOST_ENTRIES: Final = 10_000
#: Of the 1 MiB of an item (memcached's ``-I``), this is left to the server's own header, the key and chunks: 303 bytes
#: at most on 1.6.18, measured.
_SERVERS_OWN: Final = 1024
_MOST_INFO: Final = 1024
#: Connections that a process keeps to one server. Threads that are more than these wait for each other, a tenth of a
#: millisecond a trip; a thousand greenlets would else take all 1,024 that memcached has for everybody (``-c``).
_CONNECTIONS: Final = 32
#: Seconds after which a connection that nobody used is made anew. Firewalls forget one after minutes (AWS after 350 s,
#: Azure after 240 s) without a word to either end, and who then uses it waits for the whole timeout.
_MOST_IDLE: Final = 60.0
#: Attempts at a compare-and-swap, of which each that fails is another writer's success.
_ATTEMPTS: Final = 32
#: Records that are read at once for a list; they come with their payloads.
_PAGE: Final = 50
#: Memcached reads a longer time to live as a date (protocol.txt, "Expiration times").
_MONTH: Final = 30 * 86_400
#: Memcached takes no later date: 32 bits with a sign.
_LAST_DATE: Final = 2**31 - 1

_KEY: Final = re.compile("[0-9a-f]{64}")
_OWNER: Final = re.compile("[0-9a-f]{32}")
#: A key has at most 250 bytes (protocol.txt, "Keys"); the longest of ours is the prefix, ``owner:`` and 64 characters.
_PREFIX: Final = re.compile(f"[\x21-\x7e]{{0,{250 - 64 - 6}}}")
_HOST: Final = re.compile(r"[^\s\x00-\x1f\x7f:/@?#\[\],]+")

#: A host and a port, or the path of a Unix socket.
_Address: TypeAlias = tuple[str, int] | str


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
    max_payload: int = 2**20 - _SERVERS_OWN - _HEADER.size - _MOST_INFO

    def __init__(
        self,
        servers: Sequence[str | tuple[str, int]],
        *,
        prefix: str = "session:",
        timeout: float = 0.5,
    ) -> None:
        if isinstance(servers, str):
            raise ConfigError(f"MemcachedStore(servers=...) must be a list, not a text. Write [{servers!r}].")
        self._addresses = _usable([_address(server, "MemcachedStore(servers=...)") for server in servers])
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"The key prefix {prefix!r} cannot stand in a Memcached key. "
                f"Use at most {250 - 64 - 6} ASCII characters without spaces, as in 'session:'."
            )
        if not timeout > 0:
            raise ConfigError(f"MemcachedStore(timeout=...) must be a positive number, not {timeout}. Use 0.5.")
        self._prefix = prefix
        self._timeout = timeout
        self._left_to_parent: list[object] = []
        self._pid = os.getpid()
        self._servers = _Servers(self._addresses, timeout)

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "session:", timeout: float = 0.5) -> Self:
        """Return the store that a URL names: ``memcached://host:port,host:port`` or ``memcached:///path/to.sock``.

        Connects to nothing.

        :raises ConfigError: the URL cannot work.
        """
        servers = [_address(server, "SESSIONKIT_STORE") for server in _servers_of(url)]
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
        except (_RefusedError, _RepeatedError):
            return False

    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        if not _is_key(record.key):
            raise StoreError("A record's key is not 64 characters of lowercase hex. Use one of tokens.py's.")
        self._index(record, record.seen_at)
        time_to_live = _time_to_live(record.expires_at, record.seen_at)
        if self._node(record.key).add(self._prefix + record.key, _packed(record), time_to_live):
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
        lost: _RepeatedError | None = None
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
            except _RepeatedError as error:
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
        return _is_key(key) and self._node(key).delete(self._prefix + key)

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        if not _is_owner(owner):
            return []
        name = self._owner_name(owner)
        entries = _entries(self._node(owner).get_many([name]).get(name))
        keys = sorted(key for key in map(bytes.hex, entries) if after is None or key > after)
        live = (record for record in self._read_many(keys) if record.owner == owner and record.expires_at > now)
        return [changed(record, payload=b"") for record in islice(live, limit)]

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Do nothing: Memcached removes what has ended by itself."""
        return Purged(0, more=False)

    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is to be said of each server; see ``Judges.judge``."""
        said: list[Judgement] = []
        item = min(largest, self.max_payload) + _HEADER.size + _MOST_INFO + _SERVERS_OWN
        for node in self._all():
            stats = node.stats()
            if isinstance(at := stats.get(b"time"), int):
                said.append(judged_clock(at, now))
            said += judged(stats, node.stats("settings"), node.stats("items"), largest=item)
        return list(dict.fromkeys(said))

    def _all(self) -> list[_Node]:
        self._node("")
        return self._servers.all()

    def _node(self, key: str) -> _Node:
        """Return the server on which something lies. A child process gets connections of its own.

        On its parent's, both would read each other's answers. Those are kept, unused: they are the parent's to close.
        """
        pid = os.getpid()
        if pid != self._pid:
            self._left_to_parent.append(self._servers)
            self._servers = _Servers(self._addresses, self._timeout)
            self._pid = pid
        return self._servers.node(key)

    def _read(self, key: str) -> _VersionAsRead | None:
        if not _is_key(key):
            return None
        value, cas = self._node(key).gets(self._prefix + key)
        record = None if value is None else _parsed(key, value)
        return None if record is None else _VersionAsRead.of(record, cas)

    def _read_many(self, keys: Sequence[str]) -> Iterator[Record]:
        for start in range(0, len(keys), _PAGE):
            page = keys[start : start + _PAGE]
            names: dict[_Node, list[str]] = {}
            for key in page:
                names.setdefault(self._node(key), []).append(self._prefix + key)
            values: dict[str, bytes] = {}
            for node, its_names in names.items():
                values |= node.get_many(its_names)
            for key in page:
                value = values.get(self._prefix + key)
                record = None if value is None else _parsed(key, value)
                if record is not None:
                    yield record

    def _swap(self, read: _VersionAsRead, record: Record, now: float) -> bool | None:
        """Write a record in the place of what was read; ``False``: it changed meanwhile, ``None``: it is gone."""
        time_to_live = _time_to_live(record.expires_at, now)
        stored = self._node(record.key).cas(self._prefix + record.key, _packed(record), read.cas, time_to_live)
        read.is_fresh = False
        return stored

    def _index(self, record: Record, now: float) -> None:
        """Note whose a record is, before it is written. What hinders only this hinders no login."""
        if record.owner is None:
            return
        if not _is_owner(record.owner):
            raise StoreError("A record's owner is not 32 characters of lowercase hex. Use one of sealing.py's.")
        node, name = self._node(record.owner), self._owner_name(record.owner)
        try:
            _note(node, name, bytes.fromhex(record.key), record.absolute_at, now)
        except _RefusedError:
            pass
        except StoreError:
            if node is self._node(record.key):  # which would only fail again, after another timeout
                raise

    def _owner_name(self, owner: str) -> str:
        return f"{self._prefix}owner:{owner}"


def _note(node: _Node, name: str, key: bytes, ends_at: float, now: float) -> None:
    """Add a session to the index of its owner, and sweep what has ended.

    Gives up where others are faster many times in a row: an index is best effort here.
    """
    for _ in range(_ATTEMPTS):
        value, cas = node.gets(name)
        entries = _entries(value)
        if entries.get(key, -math.inf) >= ends_at:
            return
        entries = {other: at for other, at in entries.items() if at + GRACE >= now} | {key: ends_at}
        if len(entries) > _MOST_ENTRIES:
            entries = dict(heapq.nlargest(_MOST_ENTRIES, entries.items(), key=lambda entry: entry[1]))
        new = b"".join(_ENTRY.pack(*entry) for entry in entries.items())
        time_to_live = _time_to_live(max(entries.values()), now)
        with suppress(_RepeatedError):  # the next look tells whether it is there
            if node.add(name, new, time_to_live) if value is None else node.cas(name, new, cas, time_to_live):
                return


class _Servers:
    """All servers as one process reaches them, and which of them has what."""

    def __init__(self, addresses: Sequence[_Address], timeout: float) -> None:
        self._nodes = {_name(address): _Node(address, timeout) for address in addresses}
        self._only = next(iter(self._nodes.values())) if len(self._nodes) == 1 else None
        # Its own hash is written in Python: 42 microseconds for three servers, as much as the trip to one.
        self._hash: Any = RendezvousHash(list(self._nodes), hash_function=_hash)

    def all(self) -> list[_Node]:
        """Return every server."""
        return list(self._nodes.values())

    def node(self, key: str) -> _Node:
        """Return the server that has a key or an owner's index; always the same one, whether it is up or down."""
        return self._only or self._nodes[self._hash.get_node(key)]


class _Node:
    """One server, and the connections of this process to it.

    pymemcache's own pool raises when it is empty; this one waits. The connection that was used last is the next one,
    so that no more are opened than are used at once.
    """

    def __init__(self, address: _Address, timeout: float) -> None:
        self.name = _name(address)
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
            raise _RepeatedError(
                f"Memcached at {self.name} did not answer a change, and another came after it. It may have been made; "
                "look before it is made again."
            )
        return answer

    def _refusal(self, error: MemcacheServerError) -> StoreError:
        said = str(error)
        if isinstance(error, MemcacheUnexpectedCloseError):
            return StoreError(f"Memcached at {self.name} closed the connection. See that it runs.")
        if "too large" in said:
            return _RefusedError(
                f"A value is too large for Memcached at {self.name}. "
                "Start memcached with a larger item size (-I), or lower SESSIONKIT_MAX_SIZE."
            )
        if "out of memory" in said:
            return _RefusedError(f"Memcached at {self.name} is out of memory. Start it with more (-m), without -M.")
        return StoreError(f"Memcached at {self.name} failed. Look into its log.")


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


class _RefusedError(StoreError):
    """A value that the server does not take; what was there before stays, since it was not written by ``set``."""


class _RepeatedError(StoreError):
    """A ``cas`` that was sent twice and found another value: another's, or its own."""


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


def _packed(record: Record) -> bytes:
    header = _HEADER.pack(
        _FORMAT,
        record.version,
        record.created_at,
        record.seen_at,
        record.idle,
        record.absolute_at,
        record.owner is not None,
        bytes.fromhex(record.owner or ""),
        len(record.info),
    )
    return header + record.info + record.payload


def _parsed(key: str, value: bytes) -> Record | None:
    """Return the record that a value holds; ``None`` for what somebody else wrote there."""
    if len(value) < _HEADER.size:
        return None
    format_, version, created_at, seen_at, idle, absolute_at, has_owner, owner, length = _HEADER.unpack_from(value)
    start = _HEADER.size + length
    times = (created_at, seen_at, idle, absolute_at)
    if format_ != _FORMAT or start > len(value) or not all(map(math.isfinite, times)):
        return None
    return Record(
        key=key,
        payload=value[start:],
        created_at=created_at,
        seen_at=seen_at,
        idle=idle,
        absolute_at=absolute_at,
        owner=owner.hex() if has_owner else None,
        info=value[_HEADER.size : start],
        version=version,
    )


def _entries(value: bytes | None) -> dict[bytes, float]:
    """Return an index as keys and ends; nothing for what somebody else wrote there."""
    if value is None or len(value) % _ENTRY.size:
        return {}
    return dict(_ENTRY.iter_unpack(value))


def _time_to_live(until: float, now: float) -> int:
    """Return how long Memcached shall keep a value, in its own terms.

    A second is added, since its clock ticks in whole ones. ``now`` is the caller's, who may test with another day: only
    what Memcached would take for a date is given as one, by this machine's clock.
    """
    seconds = math.ceil(min(max(0.0, until - now + GRACE), _LAST_DATE)) + 1
    return seconds if seconds <= _MONTH else min(int(time.time()) + seconds, _LAST_DATE)


def _hash(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _is_key(key: str) -> bool:
    """Return whether a text is a key of ours. Anything else could be a command of its own on Memcached's wire."""
    return _KEY.fullmatch(key) is not None


def _is_owner(owner: str) -> bool:
    return _OWNER.fullmatch(owner) is not None


def _close_all(free: LifoQueue[_Client]) -> None:
    for client in free.queue:  # without its lock, which nobody may be left to give back
        client.close()


def _name(address: _Address) -> str:
    """Return a server as it is spelled in messages and hashed for keys; always in the same way."""
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _usable(addresses: Iterable[_Address]) -> list[_Address]:
    names: dict[str, _Address] = {}
    for address in addresses:
        if _name(address) in names:
            raise ConfigError(f"MemcachedStore(servers=...) names {_name(address)} twice. Name it once.")
        names[_name(address)] = address
    if not names:
        raise ConfigError("MemcachedStore(servers=...) is empty. Name a server, as in ['localhost:11211'].")
    return list(names.values())


def _address(server: str | tuple[str, int], setting: str) -> _Address:
    """Return where a server is, or refuse what can never be one."""
    if not isinstance(server, str):
        host, port = server
        return _checked(host, str(port), setting)
    if server.startswith("/"):
        return _checked_path(server, setting)
    if server.startswith("["):
        host, bracket, rest = server[1:].partition("]")
        if not bracket or rest[:1] not in {"", ":"} or ":" not in host:
            raise ConfigError(f"{setting} has brackets around what is no IPv6 address. Write [::1]:11211.")
        return _checked(host, rest[1:] if rest else "11211", setting)
    host, colon, text = server.partition(":")
    if ":" in text:
        raise ConfigError(f"{setting} has a server with more than one colon. Write an IPv6 address as [::1]:11211.")
    return _checked(host, text if colon else "11211", setting)


def _checked(host: str, port: str, setting: str) -> tuple[str, int]:
    try:
        if ":" in host:
            host = str(IPv6Address(host))  # one spelling of many
        elif not _HOST.fullmatch(host):
            raise ValueError
    except ValueError:
        raise ConfigError(f"{setting} has a server whose host cannot be one. Write host:port.") from None
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ConfigError(f"{setting} has no port for {host} that can be one. Write a number from 1 to 65535.")
    return host.lower(), int(port)


def _checked_path(path: str, setting: str) -> str:
    # Linux has 108 bytes for it, one of them for the end (unix(7)); others have fewer.
    if "\0" in path or len(os.fsencode(path)) > 107:
        raise ConfigError(f"{setting} has a path that no Unix socket can have. Write one of at most 107 bytes.")
    return path


def _servers_of(url: str) -> list[str]:
    """Return the servers that a URL names. Its text is in no message, since it may hold a password."""
    scheme, colon, rest = url.partition("://")
    hosts, slash, path = rest.partition("/")
    if not colon or scheme.lower() != "memcached":
        raise ConfigError("SESSIONKIT_STORE is no Memcached URL. Write memcached://host:port,host:port.")
    if "@" in rest:
        raise ConfigError(
            "SESSIONKIT_STORE has a user or password, which the Memcached protocol does not know. "
            "Remove it, and let nobody but the web servers reach the port."
        )
    if "?" in rest or "#" in rest:
        raise ConfigError("SESSIONKIT_STORE has a query, which a Memcached URL does not know. Remove it.")
    if path and hosts:
        raise ConfigError("SESSIONKIT_STORE has a path after its Memcached servers. Remove it.")
    if path:
        return [unquote(slash + path)]
    if not all(hosts.split(",")):
        raise ConfigError("SESSIONKIT_STORE lacks a host. Write memcached://host:port,host:port.")
    return hosts.split(",")
