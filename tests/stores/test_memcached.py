"""The Memcached store: the contract on one server and on three, and what only a cache on a wire can do wrong."""

from __future__ import annotations

import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from types import SimpleNamespace

import pytest
from msgspec import structs
from servers import MemcachedServer, Proxy, free_port, need

from flask_sessionkit.errors import ConfigError, StoreError
from flask_sessionkit.record import Outcome, Purged, Record, Write
from flask_sessionkit.stores import memcached, memcached_servers, memcached_values
from flask_sessionkit.stores.base import GRACE, Capability, CountsEnded, LimitsPayload
from flask_sessionkit.stores.memcached import MemcachedStore
from flask_sessionkit.testing.contract import (
    END,
    NOW,
    OWNER,
    StoreContract,
    StoreFactory,
    a_key,
    a_record,
    a_version,
)
from flask_sessionkit.testing.interleaving import in_thread, race
from flask_sessionkit.testing.processes import forked

pytestmark = pytest.mark.memcached

#: Seconds after which nobody waits any more for a store that is down, with the store's own timeout of 0.5.
AT_LAST = 1.5
#: Seconds. A busy machine must not fail what is no test of waiting.
PATIENCE = 5.0
DAY = 86_400.0
SMALL_ITEMS = ("-I", "64k", "-o", "slab_chunk_max=32768")


class _OnServers(StoreContract):
    servers: list[str]

    def make_store(self) -> MemcachedStore:
        return MemcachedStore(self.servers, timeout=PATIENCE)

    def make_peer(self) -> MemcachedStore:
        return MemcachedStore(self.servers[::-1], timeout=PATIENCE)

    def spawn_store(self) -> StoreFactory:
        return partial(MemcachedStore, self.servers, timeout=PATIENCE)

    def make_broken_store(self) -> MemcachedStore:
        return MemcachedStore([f"127.0.0.1:{free_port()}"])

    def _assert_rows(self, rows: list[Record], records: Iterable[Record]) -> None:
        """Check more than best effort promises: where all servers are up and have room, nothing is missed."""
        expected = sorted((structs.replace(record, payload=b"") for record in records), key=lambda row: row.key)
        assert rows == expected


class TestOneServer(_OnServers):
    @pytest.fixture(autouse=True)
    def _emptied(self, memcached_server: MemcachedServer) -> None:
        flush(memcached_server)
        self.servers = [address(memcached_server)]


class TestThreeServers(_OnServers):
    @pytest.fixture(autouse=True)
    def _emptied(self, ring: list[MemcachedServer]) -> None:
        for server in ring:
            flush(server)
        self.servers = [address(server) for server in ring]


@pytest.fixture(scope="module")
def ring() -> Iterator[list[MemcachedServer]]:
    need(MemcachedServer)
    with MemcachedServer() as one, MemcachedServer() as two, MemcachedServer() as three:
        yield [one, two, three]


@pytest.fixture
def own_ring() -> Iterator[list[MemcachedServer]]:
    """Three that a test may break."""
    need(MemcachedServer)
    with MemcachedServer() as one, MemcachedServer() as two, MemcachedServer() as three:
        yield [one, two, three]


@pytest.fixture
def server(memcached_server: MemcachedServer) -> MemcachedServer:
    flush(memcached_server)
    return memcached_server


@pytest.fixture
def store(server: MemcachedServer) -> MemcachedStore:
    return MemcachedStore([address(server)], timeout=PATIENCE)


@pytest.fixture
def proxy(server: MemcachedServer) -> Iterator[Proxy]:
    with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def proxied(proxy: Proxy) -> MemcachedStore:
    return MemcachedStore([address(proxy)], timeout=PATIENCE)


@pytest.fixture
def impatient(proxy: Proxy) -> MemcachedStore:
    """One that waits as long as it does by default."""
    return MemcachedStore([address(proxy)])


def address(server: MemcachedServer | Proxy) -> str:
    return f"{server.host}:{server.port}"


def told(server: MemcachedServer, command: bytes) -> bytes:
    """Return what the server answers on the wire."""
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as wire:
        wire.sendall(command + b"\r\nmn\r\n")
        said = b""
        while not said.endswith(b"MN\r\n"):
            said += wire.recv(65536)
        return said.removesuffix(b"MN\r\n")


def flush(server: MemcachedServer) -> None:
    assert told(server, b"flush_all") == b"OK\r\n"


def value_of(server: MemcachedServer, record: Record) -> bytes:
    return told(server, b"get session:" + record.key.encode()).split(b"\r\n", 1)[1].removesuffix(b"\r\nEND\r\n")


def put(server: MemcachedServer, name: str, value: bytes) -> None:
    assert told(server, b"set %s 0 0 %d\r\n%s" % (name.encode(), len(value), value)) == b"STORED\r\n"


def time_left(server: MemcachedServer, name: str) -> int:
    """Return seconds until the server forgets a value; -1: never."""
    flag = told(server, b"mg " + name.encode() + b" t").split()[1]
    return int(flag.removeprefix(b"t"))


def later(record: Record, **changes: object) -> Record:
    return structs.replace(record, **{"payload": b"later", "version": a_version(), **changes})  # type: ignore[arg-type]  # mypy: one type for all


def loaded(store: MemcachedStore, record: Record) -> Record:
    found = store.load(record.key, now=NOW)
    assert found is not None
    return found


def records_on(store: MemcachedStore, name: str, count: int) -> list[Record]:
    """Return anonymous records that lie on the server of that name."""
    records = (a_record(number, owner=None) for number in range(1000))
    return list(islice((record for record in records if lies_on(store, record.key) == name), count))


def lies_on(store: MemcachedStore, key: str) -> str:
    return store._node(key).name


def freeze(server: MemcachedServer) -> None:
    """Freeze it, and wait until its last thread stands: the signal alone may come later than the next call."""
    server.freeze()
    os.waitid(os.P_PID, server.pid, os.WSTOPPED | os.WNOWAIT)


@contextmanager
def at_last() -> Iterator[None]:
    """Fail if it takes longer than anybody shall wait."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < AT_LAST


# What it says of itself


def test_capabilities(store: MemcachedStore) -> None:
    assert store.capabilities == Capability.INDEX_BEST_EFFORT | Capability.SHARED
    assert store.purge(now=END + DAY) == Purged(0, more=False)
    assert isinstance(store, LimitsPayload)
    assert not isinstance(store, CountsEnded)


# Settings


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("memcached://cache", ["cache:11211"]),
        ("memcached://cache/", ["cache:11211"]),
        ("Memcached://Cache.Example:11212", ["cache.example:11212"]),
        ("memcached://one:1,two:65535,three", ["one:1", "two:65535", "three:11211"]),
        ("memcached://10.0.0.1,[::1],[2001:DB8:0::1]:5", ["10.0.0.1:11211", "[::1]:11211", "[2001:db8::1]:5"]),
        ("memcached:///run/memcached/a%20b.sock", ["/run/memcached/a b.sock"]),
    ],
)
def test_a_url_names_servers(url: str, names: list[str]) -> None:
    assert list(MemcachedStore.from_url(url)._servers._nodes) == names


@pytest.mark.parametrize(
    ("servers", "names"),
    [
        ([("cache", 1)], ["cache:1"]),
        ([("::1", 2), "[::2]", "/tmp/m.sock"], ["[::1]:2", "[::2]:11211", "/tmp/m.sock"]),
    ],
)
def test_servers_may_be_pairs_texts_and_paths(servers: list[str | tuple[str, int]], names: list[str]) -> None:
    assert list(MemcachedStore(servers)._servers._nodes) == names


@pytest.mark.parametrize(
    "url",
    [
        "memcached:",
        "memcached:/",
        "memcached:cache",
        "memcached://",
        "memcached:///",
        "memcached://one,,two",
        "memcached://one,",
        "memcached://:11211",
        "memcached://one:",
        "memcached://one:0",
        "memcached://one:65536",
        "memcached://one:-1",
        "memcached://one:x",
        "memcached://one:1:2",
        "memcached://one:\u0661",
        "memcached://o ne",
        "memcached://o\r\nne",
        "memcached://::1",
        "memcached://[::1",
        "memcached://[::1]1",
        "memcached://[::1]:",
        "memcached://[cache]",
        "memcached://[:::1]",
        "memcached://ann7:hunter2@one",
        "memcached://ann7:hunt/er2@one",
        "memcached://one?timeout=1",
        "memcached://one#two",
        "memcached://one/0",
        "memcached://one,two/run/m.sock",
        "memcached://one,two,one",
        "memcached://one,ONE:11211",
        "memcached://[::1],[0:0::1]",
        "memcached:///run/%00",
        "memcached:///run/" + "x" * 108,
        "redis://one",
    ],
)
def test_a_url_that_cannot_work_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MemcachedStore.from_url(url)

    assert not any(secret in str(caught.value) for secret in ("ann7", "hunt", "er2"))
    assert re.match(
        r"(SESSIONKIT_STORE|MemcachedStore\(servers=\.\.\.\)) .*\. (Write|Name|Remove) .*\.$", str(caught.value)
    )


@pytest.mark.parametrize("servers", [[], "cache:11211", ["one", ("one", 11211)], [("one", 0)], [("", 1)]])
def test_servers_that_cannot_work_are_a_config_error(servers: list[str]) -> None:
    with pytest.raises(ConfigError):
        MemcachedStore(servers)


@pytest.mark.parametrize("prefix", ["a b", "a\r\n", "a\0", "a\x7f", "\u00e4:", "x" * 181])
def test_a_prefix_that_cannot_stand_in_a_key_is_a_config_error(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        MemcachedStore(["cache"], prefix=prefix)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_cannot_work_is_a_config_error(timeout: float) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        MemcachedStore(["cache"], timeout=timeout)


def test_making_one_connects_to_nothing(proxy: Proxy) -> None:
    MemcachedStore.from_url(f"memcached://127.0.0.1:{proxy.port}")

    assert proxy.connections == 0


def test_without_pymemcache_the_import_says_so() -> None:
    code = (
        "import sys; sys.modules['pymemcache'] = None\n"
        "try:\n    import flask_sessionkit.stores.memcached\n"
        "except ImportError as error:\n    print(error.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.startswith("pymemcache")


@pytest.mark.requirement("ID-07")
def test_two_prefixes_on_one_server_are_two_stores(server: MemcachedServer, store: MemcachedStore) -> None:
    other, record = MemcachedStore([address(server)], prefix="shop:"), a_record()
    store.create(record)

    assert other.load(record.key, now=NOW) is None
    assert other.list_owner(OWNER, now=NOW) == []
    assert other.delete(record.key) is False
    assert told(server, b"mg session:%s k" % record.key.encode()).startswith(b"HD")


# Round trips


def trips(proxy: Proxy, call: Callable[[], object]) -> int:
    proxy.reset()
    call()
    return proxy.turns


def test_trips(proxy: Proxy, proxied: MemcachedStore) -> None:
    record, anonymous = a_record(1), a_record(2, owner=None)
    read = [record]

    def load(now: float = NOW, touch_every: float | None = None) -> None:
        found = proxied.load(record.key, now=now, touch_every=touch_every)
        assert found is not None
        read[0] = found

    assert trips(proxy, lambda: proxied.create(anonymous)) == 1
    assert trips(proxy, lambda: proxied.create(record)) == 3
    assert trips(proxy, load) == 1
    assert trips(proxy, lambda: load(touch_every=60.0)) == 1
    assert trips(proxy, lambda: load(now=NOW + 60, touch_every=60.0)) == 2
    load()
    assert trips(proxy, lambda: proxied.touch(read[0], now=NOW + 120)) == 1
    touched = later(record)
    assert trips(proxy, lambda: proxied.replace(touched, expected=read[0].version, now=NOW + 120)) == 2
    load()
    changed = later(read[0])
    assert trips(proxy, lambda: proxied.replace(changed, expected=read[0].version, now=NOW)) == 1
    assert trips(proxy, lambda: proxied.replace(later(record), expected=changed.version, now=NOW)) == 2
    assert trips(proxy, lambda: proxied.list_owner(OWNER, now=NOW)) == 2
    assert trips(proxy, lambda: proxied.delete(record.key)) == 1


def test_a_login_and_a_logout_are_within_their_trips(proxy: Proxy, proxied: MemcachedStore) -> None:
    """What the lifecycle asks of the store then: at most 5 and 3."""
    visitor, member = a_record(1, owner=None), a_record(2)
    proxied.create(visitor)

    def log_in() -> None:
        old = loaded(proxied, visitor)
        assert proxied.create(member)
        assert proxied.replace(later(old), expected=old.version, now=NOW) == Write(Outcome.OK)

    def log_out() -> None:
        old = loaded(proxied, member)
        assert proxied.replace(later(old, owner=None), expected=old.version, now=NOW) == Write(Outcome.OK)

    assert trips(proxy, log_in) == 5
    assert trips(proxy, log_out) == 2


def test_what_a_conflict_tells_is_replaced_in_one_trip(proxy: Proxy, proxied: MemcachedStore) -> None:
    record = a_record()
    proxied.create(record)
    current = proxied.replace(later(record), expected=a_version(), now=NOW).current
    assert current is not None

    assert trips(proxy, lambda: proxied.replace(later(current), expected=current.version, now=NOW)) == 1


# A version that was read


def test_a_touch_keeps_the_version_and_a_replace_from_before_wins(server: MemcachedServer) -> None:
    store, peer, record = MemcachedStore([address(server)]), MemcachedStore([address(server)]), a_record()
    store.create(record)
    read = loaded(store, record)
    changed = later(read)

    touched = peer.load(record.key, now=NOW + 100, touch_every=60.0)

    assert touched is not None
    assert touched.version == read.version
    assert store.replace(changed, expected=read.version, now=NOW + 101) == Write(Outcome.OK)
    assert peer.load(record.key, now=NOW) == structs.replace(changed, seen_at=NOW + 100)


def test_a_version_that_was_read_does_not_overwrite_an_end(store: MemcachedStore) -> None:
    record = a_record()
    store.create(record)
    read = loaded(store, record)
    tombstone = later(record, owner=None)
    store.replace(tombstone, expected=record.version, now=NOW)

    assert store.replace(later(read), expected=read.version, now=NOW) == Write(Outcome.CONFLICT, tombstone)
    store.delete(record.key)
    assert store.replace(later(read), expected=read.version, now=NOW) == Write(Outcome.GONE)
    assert store.touch(read, now=NOW + 100) is False
    assert store.load(record.key, now=NOW) is None


def test_a_version_that_was_read_revives_nothing_that_ended_since(store: MemcachedStore) -> None:
    record = a_record()
    store.create(record)
    read = loaded(store, record)

    assert store.replace(later(read, seen_at=END + 1), expected=read.version, now=END + 1) == Write(Outcome.GONE)
    assert store.load(record.key, now=NOW) == record


def test_a_session_that_was_touched_since_it_was_read_has_not_ended(store: MemcachedStore) -> None:
    record = a_record()
    store.create(record)
    read = loaded(store, record)
    store.load(record.key, now=END - 1, touch_every=60.0)

    assert store.replace(later(read), expected=read.version, now=END + 1) == Write(Outcome.OK)


def test_a_touch_of_a_record_that_changed_writes_nothing(store: MemcachedStore) -> None:
    record = a_record()
    store.create(record)
    read = loaded(store, record)
    changed = later(record)
    store.replace(changed, expected=record.version, now=NOW)

    assert store.touch(read, now=NOW + 100) is False
    assert store.touch(record, now=NOW + 100) is False
    assert store.load(record.key, now=NOW) == changed
    assert store.touch(changed, now=NOW + 100) is True
    assert loaded(store, record).seen_at == NOW + 100


def test_a_touch_revives_nothing_and_moves_nothing_back(store: MemcachedStore) -> None:
    record = a_record(seen_at=NOW + 30)
    store.create(record)

    read = loaded(store, record)
    assert [store.touch(read, now=NOW), store.touch(read, now=NOW)] == [True, True]
    assert store.load(record.key, now=NOW) == record
    assert store.touch(loaded(store, record), now=record.expires_at) is False
    assert store.load(record.key, now=NOW) == record


def test_a_version_of_one_record_is_nothing_to_another(store: MemcachedStore) -> None:
    """Each server numbers its values by itself, so two of them give two records the same number."""
    one, other = a_record(1), a_record(2)
    store.create(one)
    store.create(other)
    version = loaded(store, other).version
    assert isinstance(version, memcached._VersionAsRead)
    same_number = memcached._VersionAsRead.of(one, version.cas)

    assert store.replace(later(other), expected=same_number, now=NOW) == Write(Outcome.CONFLICT, other)


def test_a_version_that_was_read_is_its_eight_bytes_to_others(store: MemcachedStore) -> None:
    record = a_record()
    store.create(record)
    version = loaded(store, record).version

    assert version == record.version
    assert hash(version) == hash(record.version)
    assert type(pickle.loads(pickle.dumps(version))) is bytes  # noqa: S301  # our own
    assert repr(loaded(store, record)) == repr(record)


# Times to live


@pytest.mark.requirement("ST-06")
@pytest.mark.parametrize("days", [1, 29, 31, 365])
def test_a_session_of_more_than_a_month_lives_that_long(
    days: int, server: MemcachedServer, store: MemcachedStore
) -> None:
    """ST-06: above 30 days memcached reads a number as a date, and one near 1970 is long past."""
    record = a_record(idle=days * DAY, absolute_at=NOW + days * DAY)
    names = [f"session:{record.key}", f"session:owner:{OWNER}"]
    due = days * DAY + GRACE

    store.create(record)
    assert [due - 2 <= time_left(server, name) <= due + 3 for name in names] == [True, True]
    store.load(record.key, now=NOW + 100, touch_every=60.0)
    assert due - 102 <= time_left(server, names[0]) <= due - 97
    store.replace(later(record), expected=record.version, now=NOW + 200)
    assert due - 202 <= time_left(server, names[0]) <= due - 197


def test_a_session_of_less_does_not_depend_on_this_machines_clock(
    server: MemcachedServer, store: MemcachedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = a_record(idle=29 * DAY, absolute_at=NOW + 29 * DAY)
    monkeypatch.setattr(memcached_values, "time", SimpleNamespace(time=lambda: NOW))

    store.create(record)

    assert loaded(store, record) == record
    assert time_left(server, f"session:{record.key}") > 29 * DAY


def test_a_touch_moves_the_end_in_the_server_too(server: MemcachedServer, store: MemcachedStore) -> None:
    record = a_record()
    store.create(record)

    store.load(record.key, now=END - 1, touch_every=60.0)

    assert 1800 + GRACE - 2 <= time_left(server, f"session:{record.key}") <= 1800 + GRACE + 3


@pytest.mark.requirement("ST-06")
@pytest.mark.parametrize("absolute_at", [NOW - DAY, NOW + 1e15])
def test_every_value_has_an_end(absolute_at: float, server: MemcachedServer, store: MemcachedStore) -> None:
    """A time to live of 0 would be none at all, and one below it would be over at once."""
    record = a_record(idle=1e16, absolute_at=absolute_at)

    assert store.create(record) is True
    assert loaded(store, record) == record
    assert time_left(server, f"session:{record.key}") >= 0
    assert time_left(server, f"session:owner:{OWNER}") >= 0


# What somebody else wrote there


def garbage(server: MemcachedServer, store: MemcachedStore) -> Iterator[bytes]:
    record = a_record()
    store.create(record)
    whole = value_of(server, record)
    assert loaded(store, record) == record
    for length in range(memcached_values.HEADER.size + len(record.info)):
        yield whole[:length]
    yield b"\x02" + whole[1:]
    yield whole[:58] + b"\xff\xff\xff\xff" + whole[62:]  # the length of info
    for start in range(9, 41, 8):
        yield whole[:start] + b"\x7f\xf8" + whole[start + 2 :]  # not a number
        yield whole[:start] + b"\xff\xf0" + bytes(6) + whole[start + 8 :]  # minus infinity
    yield os.urandom(500)
    yield b"null\r\nEND\r\n"


@pytest.mark.requirement("ID-07")
def test_garbage_is_no_record(server: MemcachedServer, store: MemcachedStore) -> None:
    record = a_record()
    for value in garbage(server, store):
        put(server, f"session:{record.key}", value)

        assert store.load(record.key, now=NOW, touch_every=0.0) is None
        assert store.replace(later(record), expected=None, now=NOW) == Write(Outcome.GONE)
        assert store.replace(later(record), expected=record.version, now=NOW) == Write(Outcome.GONE)
        assert store.create(record) is False
        assert store.list_owner(OWNER, now=NOW) == []
        assert value_of(server, record) == value

    assert store.delete(record.key) is True
    assert store.create(record) is True


@pytest.mark.requirement("IN-06")
def test_any_byte_changed_is_no_error(server: MemcachedServer, store: MemcachedStore) -> None:
    """IN-06: what the record then says is for the seal to judge; the store only must not fail on it."""
    record = a_record()
    store.create(record)
    whole = value_of(server, record)
    for place in range(len(whole)):
        for bit in (0x01, 0x40, 0x80):
            put(server, f"session:{record.key}", whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            store.load(record.key, now=NOW)
            store.load(record.key, now=NOW + 100, touch_every=60.0)
            store.list_owner(OWNER, now=NOW)


@pytest.mark.parametrize(
    "value", [b"", b"x", b"\xff" * 40, bytes(range(1, 201)) * 2, b"\x7f\xf8" * 20, bytes(32) + b"\x7f\xf0" + bytes(6)]
)
def test_a_garbled_index_hinders_no_login(value: bytes, server: MemcachedServer, store: MemcachedStore) -> None:
    put(server, f"session:owner:{OWNER}", value)
    record = a_record()

    assert store.list_owner(OWNER, now=NOW) == []
    assert store.create(record) is True
    assert [row.key for row in store.list_owner(OWNER, now=NOW)] == [record.key]


@pytest.mark.requirement("IN-02")
def test_a_key_that_is_none_never_reaches_the_wire(
    server: MemcachedServer, proxy: Proxy, proxied: MemcachedStore
) -> None:
    """IN-02: a canary lives, and the next answer is the right one."""
    record = a_record()
    proxied.create(record)
    put(server, "canary", b"alive")
    proxy.reset()
    for key in [
        "",
        "a",
        a_key(1).upper(),
        a_key(1) + "\n",
        "a\r\ndelete canary\r\n",
        f"{a_key(1)} canary",
        "\u0660" * 64,
    ]:
        odd = a_record(key=key)
        assert proxied.load(key, now=NOW, touch_every=0.0) is None
        assert proxied.replace(odd, expected=None, now=NOW) == Write(Outcome.GONE)
        assert proxied.delete(key) is False
        assert proxied.list_owner(key, now=NOW) == []
        with pytest.raises(StoreError):
            proxied.create(odd)
        with pytest.raises(StoreError):
            proxied.create(a_record(2, owner=key))

    assert proxy.sent == 0
    assert told(server, b"get canary") == b"VALUE canary 0 5\r\nalive\r\nEND\r\n"
    assert loaded(proxied, record) == record


@pytest.mark.requirement("ST-06")
def test_flush_all_makes_everyone_anonymous(server: MemcachedServer, store: MemcachedStore) -> None:
    """ST-06: and nothing that was read before writes anybody back."""
    records = [a_record(number) for number in range(5)]
    for record in records:
        store.create(record)
    read = [loaded(store, record) for record in records]

    flush(server)

    for record in read:
        assert store.load(record.key, now=NOW + 100, touch_every=60.0) is None
        assert store.replace(later(record), expected=record.version, now=NOW) == Write(Outcome.GONE)
        assert store.touch(record, now=NOW + 100) is False
        assert store.load(record.key, now=NOW) is None
    assert store.list_owner(OWNER, now=NOW) == []


# What the server has no room for


@contextmanager
def a_server(*args: str) -> Iterator[tuple[MemcachedServer, MemcachedStore]]:
    need(MemcachedServer)
    with MemcachedServer(*args) as server:
        yield server, MemcachedStore([address(server)], timeout=PATIENCE)


def test_the_largest_payload_that_is_promised_fits(server: MemcachedServer) -> None:
    store = MemcachedStore([address(server)], prefix="p" * 180)
    record = a_record(payload=os.urandom(store.max_payload), info=os.urandom(1024))
    changed = later(record, payload=os.urandom(store.max_payload))

    assert store.max_payload > 1_000_000
    assert store.create(record) is True
    assert loaded(store, record) == record
    assert store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
    assert loaded(store, record) == changed


@pytest.mark.requirement("ST-06")
def test_a_payload_that_is_too_large_is_refused_and_what_was_stored_stays(store: MemcachedStore) -> None:
    """ST-06: `set` would remove what was there; `add` and `cas` do not."""
    record = a_record(1)
    store.create(record)
    read = loaded(store, record)

    with pytest.raises(StoreError, match="-I"):
        store.create(a_record(2, payload=bytes(2**21)))
    with pytest.raises(StoreError, match="-I"):
        store.replace(later(read, payload=bytes(2**21)), expected=read.version, now=NOW)

    assert loaded(store, record) == record
    assert store.load(a_key(2), now=NOW) is None
    assert [row.key for row in store.list_owner(OWNER, now=NOW)] == [record.key]


def test_a_server_of_smaller_items_says_so() -> None:
    with a_server(*SMALL_ITEMS) as (_, store):
        record = a_record()
        store.create(record)

        with pytest.raises(StoreError, match="-I"):
            store.replace(later(record, payload=bytes(65 * 1024)), expected=record.version, now=NOW)

        assert loaded(store, record) == record


def test_a_server_that_is_full_refuses_writes_and_goes_on_reading() -> None:
    with a_server("-M", "-m", "2", *SMALL_ITEMS) as (_, store):
        record = a_record(0, payload=bytes(10_000))
        store.create(record)

        def fill() -> None:
            for number in range(1, 1000):
                store.create(a_record(number, payload=bytes(10_000), owner=None))

        with pytest.raises(StoreError, match="-m"):
            fill()
        with pytest.raises(StoreError, match="-m"):
            store.replace(later(record, payload=bytes(10_000)), expected=record.version, now=NOW)
        assert store.load(record.key, now=NOW + 100, touch_every=60.0) == record
        assert store.delete(record.key) is True


# The index


def index_of(server: MemcachedServer, owner: str = OWNER) -> int:
    """Return how many entries an index has."""
    said = told(server, b"mg session:owner:%s s" % owner.encode())
    return int(said.split()[1].removeprefix(b"s")) // memcached_values.ENTRY.size


def test_the_index_is_swept_by_its_own_ends(server: MemcachedServer, store: MemcachedStore) -> None:
    for number in range(5):
        store.create(a_record(number, absolute_at=NOW + 100))
    store.create(a_record(5, seen_at=NOW + 100 + GRACE))
    assert index_of(server) == 6

    store.create(a_record(6, seen_at=NOW + 101 + GRACE))

    assert index_of(server) == 2


def test_an_absent_record_does_not_take_its_entry_along(server: MemcachedServer, store: MemcachedStore) -> None:
    """Its record may come a moment later: an index is written first."""
    store.create(a_record(1))
    store.delete(a_key(1))
    store.list_owner(OWNER, now=NOW)
    store.create(a_record(2))

    assert index_of(server) == 2


def test_a_full_index_drops_what_ends_first(
    server: MemcachedServer, store: MemcachedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memcached, "_MOST_ENTRIES", 3)
    for number, seconds in enumerate([300.0, 100.0, 400.0, 200.0]):
        store.create(a_record(number, absolute_at=NOW + seconds))

    assert index_of(server) == 3
    listed = {row.key for row in store.list_owner(OWNER, now=NOW)}
    assert listed == {a_key(0), a_key(2), a_key(3)}


def test_the_largest_index_fits_and_is_listed(server: MemcachedServer, store: MemcachedStore) -> None:
    entries = {bytes.fromhex(a_key(number)): NOW + 1000 for number in range(memcached._MOST_ENTRIES)}
    put(server, f"session:owner:{OWNER}", b"".join(memcached_values.ENTRY.pack(*entry) for entry in entries.items()))

    records = [a_record(number) for number in (1, 5000, 20_000)]
    for record in records:
        assert store.create(record) is True

    assert index_of(server) == memcached._MOST_ENTRIES
    assert {row.key for row in store.list_owner(OWNER, now=NOW)} == {record.key for record in records}


def test_an_index_that_grew_too_large_for_its_server_hinders_no_login() -> None:
    with a_server(*SMALL_ITEMS) as (server, store):
        for count in range(1700, 0, -1):
            index = memcached_values.ENTRY.pack(bytes(32), NOW + 1000) * count
            said = told(server, b"set session:owner:%s 0 0 %d\r\n%s" % (OWNER.encode(), len(index), index))
            if said == b"STORED\r\n":
                break
        entries = (
            memcached_values.ENTRY.pack(bytes.fromhex(a_key(number)), NOW + 1000) for number in range(1, count + 1)
        )
        put(server, f"session:owner:{OWNER}", b"".join(entries))

        assert store.create(a_record(0)) is True
        assert loaded(store, a_record(0)).owner == OWNER
        assert index_of(server) == count


def test_a_longer_life_is_noted_in_the_index(server: MemcachedServer, store: MemcachedStore) -> None:
    record = a_record(absolute_at=NOW + 100)
    longer = later(record, idle=DAY, absolute_at=NOW + DAY)
    store.create(record)
    store.replace(longer, expected=record.version, now=NOW)

    store.create(a_record(2, seen_at=NOW + 101 + GRACE))

    assert index_of(server) == 2
    assert time_left(server, f"session:owner:{OWNER}") > DAY - 300


def test_many_logins_of_one_user_at_once_are_all_listed(server: MemcachedServer, store: MemcachedStore) -> None:
    race(*[lambda number, lane=lane: store.create(a_record(8 * number + lane)) for lane in range(8)], rounds=10)

    assert len(store.list_owner(OWNER, now=NOW, limit=1000)) == 80


def test_an_index_that_was_forgotten_is_made_again(server: MemcachedServer, store: MemcachedStore) -> None:
    record = a_record(1)
    store.create(record)
    told(server, f"delete session:owner:{OWNER}".encode())

    store.create(a_record(2))

    assert [row.key for row in store.list_owner(OWNER, now=NOW)] == [a_key(2)]
    assert loaded(store, record) == record


# A ring


def test_where_a_key_lies_is_for_ever() -> None:
    """Another answer here would sign everybody out at an upgrade."""
    store = MemcachedStore(["cache-1", "cache-2", "cache-3"])

    assert [lies_on(store, a_key(number))[6] for number in range(16)] == list("3133231313133111")


def test_keys_lie_evenly_and_in_any_order_of_the_servers() -> None:
    one, other = MemcachedStore(["a", "b", "c"]), MemcachedStore(["c", "a", "b"])
    keys = [a_key(number) for number in range(3000)]

    found = [lies_on(one, key) for key in keys]

    assert found == [lies_on(other, key) for key in keys]
    assert all(900 < count < 1100 for count in Counter(found).values())
    assert len(set(found)) == 3


def test_a_server_that_is_killed_takes_its_own_sessions_and_no_others(own_ring: list[MemcachedServer]) -> None:
    lost = own_ring[0]
    store = MemcachedStore([address(server) for server in own_ring])
    records = [a_record(number, owner=None) for number in range(60)]
    for record in records:
        assert store.create(record) is True
    its_own = [record for record in records if lies_on(store, record.key) == address(lost)]
    assert 0 < len(its_own) < 60

    lost.kill()

    for record in records:
        if record in its_own:
            calls: list[Callable[[], object]] = [
                partial(store.load, record.key, now=NOW),
                partial(store.delete, record.key),
                partial(store.create, record),
                partial(store.replace, later(record), expected=record.version, now=NOW),
            ]
            for call in calls:
                with pytest.raises(StoreError, match=address(lost)), at_last():
                    call()
        else:
            assert store.load(record.key, now=NOW) == record
            assert store.replace(later(record), expected=record.version, now=NOW) == Write(Outcome.OK)

    lost.start()

    assert [store.load(record.key, now=NOW) for record in its_own] == [None] * len(its_own)
    assert store.create(its_own[0]) is True


def test_a_server_that_was_frozen_revives_nothing_that_ended(own_ring: list[MemcachedServer]) -> None:
    slow = own_ring[1]
    store = MemcachedStore([address(server) for server in own_ring])
    records = records_on(store, address(slow), 4)
    assert [store.create(record) for record in records] == [True] * 4
    before, unsure, unsure_too, after = (loaded(store, record) for record in records)
    assert store.delete(before.key) is True

    freeze(slow)
    with pytest.raises(StoreError), at_last():
        store.replace(later(unsure), expected=unsure.version, now=NOW)
    with pytest.raises(StoreError), at_last():
        store.delete(unsure_too.key)
    slow.thaw()

    # What was frozen out may have come in by now. It is done again, and stays done.
    tombstones = [later(record) for record in (unsure, after)]
    for tombstone in tombstones:
        assert store.replace(tombstone, expected=None, now=NOW) == Write(Outcome.OK)
    store.delete(unsure_too.key)
    for read in (before, unsure, unsure_too, after):
        assert store.replace(later(read), expected=read.version, now=NOW).outcome is not Outcome.OK
        assert store.touch(read, now=NOW + 100) is False
    assert [store.load(record.key, now=NOW) for record in records] == [None, tombstones[0], None, tombstones[1]]


def test_a_user_whose_index_is_lost_can_log_in_on_another_server(own_ring: list[MemcachedServer]) -> None:
    store = MemcachedStore([address(server) for server in own_ring])
    lost = next(server for server in own_ring if address(server) == lies_on(store, OWNER))
    other = next(server for server in own_ring if server is not lost)
    (here,), (there,) = (records_on(store, address(server), 1) for server in (lost, other))
    here, there = (structs.replace(record, owner=OWNER) for record in (here, there))

    freeze(lost)

    with at_last():
        assert store.create(there) is True
    with pytest.raises(StoreError), at_last():
        store.create(here)
    with pytest.raises(StoreError), at_last():
        store.list_owner(OWNER, now=NOW)
    assert store.load(there.key, now=NOW) == there


# A wire that breaks


def test_a_restart_of_the_server_is_no_error() -> None:
    """The connections that were kept are broken then; the next call makes another."""
    with a_server() as (server, store):
        store.create(a_record(1))
        server.kill()
        server.start()

        assert store.load(a_key(1), now=NOW) is None
        assert store.create(a_record(1)) is True


def test_writes_whose_answer_was_lost_have_one_effect(proxy: Proxy, proxied: MemcachedStore) -> None:
    record = a_record(owner=None)
    changed = later(record)
    proxied.load(record.key, now=NOW)  # so that a connection is open

    proxy.cut_after = 0
    assert proxied.create(record) is True
    read = loaded(proxied, record)
    proxy.cut_after = 0
    assert proxied.replace(changed, expected=read.version, now=NOW) == Write(Outcome.OK)
    assert loaded(proxied, record) == changed


def test_an_answer_that_is_cut_is_asked_for_again(proxy: Proxy, proxied: MemcachedStore) -> None:
    record = a_record(payload=os.urandom(5000))
    proxied.create(record)

    for length in (0, 1, 20, 1000):
        proxy.cut_after = length
        assert loaded(proxied, record) == record


def test_a_server_that_is_silent_is_asked_once(proxy: Proxy, impatient: MemcachedStore) -> None:
    record = a_record()
    impatient.create(record)
    proxy.mode = "silent"
    proxy.reset()

    with at_last(), pytest.raises(StoreError) as caught:
        impatient.load(record.key, now=NOW)

    assert isinstance(caught.value.__cause__, TimeoutError)
    assert proxy.connections == 0
    proxy.mode = "pass"
    assert loaded(impatient, record) == record


def test_a_login_at_a_server_that_is_silent_waits_once(proxy: Proxy, impatient: MemcachedStore) -> None:
    """Its index and its record lie there both."""
    proxy.mode = "silent"

    with at_last(), pytest.raises(StoreError):
        impatient.create(a_record())

    assert proxy.connections == 1


def test_a_server_that_lets_nobody_in_is_an_error_at_once(proxy: Proxy, impatient: MemcachedStore) -> None:
    record = a_record()
    impatient.create(record)
    proxy.mode = "refuse"

    with at_last(), pytest.raises(StoreError):
        impatient.load(record.key, now=NOW)

    proxy.mode = "pass"
    assert loaded(impatient, record) == record


def test_a_late_answer_reaches_nobody(proxy: Proxy, impatient: MemcachedStore) -> None:
    one, other = a_record(1), a_record(2)
    impatient.create(one)
    impatient.create(other)

    proxy.delay = 0.8
    with pytest.raises(StoreError):
        impatient.load(one.key, now=NOW)
    proxy.delay = 0.0

    assert loaded(impatient, other) == other
    assert loaded(impatient, one) == one


class _Interrupted(BaseException):
    """As gevent's timeout and the end of a worker are: no ``Exception``."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no setitimer")
def test_a_call_that_is_interrupted_leaves_no_answer_behind(proxy: Proxy, proxied: MemcachedStore) -> None:
    one, other = a_record(1), a_record(2)
    proxied.create(one)
    proxied.create(other)

    def interrupt(*_: object) -> None:
        raise _Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        proxy.delay = 0.3
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(_Interrupted):
            proxied.load(one.key, now=NOW)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    proxy.delay = 0.0

    assert loaded(proxied, other) == other


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR unknown command\r\n",
        b"VALUE another-key 0 1 1\r\nx\r\nEND\r\n",
        b"VALUE one two\r\n",
        b"VALUE %s 0 x 1\r\n",
        b"ERROR Too many open connections\r\n",
        b"SERVER_ERROR busy\r\n",
        b"\xff\xfe\r\n",
    ],
)
def test_what_is_not_memcached_is_a_store_error(said: bytes) -> None:
    record = a_record()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            wire, _ = listener.accept()
            with wire:
                wire.recv(1000)
                wire.sendall(said.replace(b"%s", b"session:" + record.key.encode()))

        answering = in_thread(answer)
        with pytest.raises(StoreError) as caught, at_last():
            MemcachedStore([listener.getsockname()]).load(record.key, now=NOW)
        answering.result()

    assert caught.value.__cause__ is not None
    assert record.key not in f"{caught.value} {caught.value.__cause__}"


def test_every_address_of_a_host_is_tried(server: MemcachedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` is ``::1`` first on many machines, where nobody may listen."""

    def two_addresses(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port)) for host in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    store = MemcachedStore([("cache.example", server.port)])

    assert store.create(a_record()) is True


class _OnAPath(MemcachedServer):
    refuses_root = True  # it makes its socket as nobody

    @property
    def path(self) -> str:
        return f"{self.folder}/m.sock"

    def command(self) -> list[str]:
        return [self.program, "-s", self.path, "-a", "0777", "-m", "64"]

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as wire:
            return wire.connect_ex(self.path) == 0


def test_a_unix_socket() -> None:
    need(_OnAPath)
    with _OnAPath() as server:
        store, record = MemcachedStore.from_url(f"memcached://{server.path}"), a_record()

        assert store.create(record) is True
        assert loaded(store, record) == record


# Threads and forks


def test_threads_share_a_store_and_wait_for_each_other(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of them on two connections: each gets its own answers, and no error."""
    monkeypatch.setattr(memcached_servers, "_CONNECTIONS", 2)
    store = MemcachedStore([address(proxy)], timeout=PATIENCE)
    records = [a_record(number, payload=os.urandom(100 * number)) for number in range(8)]
    for record in records:
        store.create(record)

    def use(lane: int) -> bool:
        record = records[lane]
        for _ in range(50):
            if loaded(store, record) != record:
                return False
            new = later(record, payload=os.urandom(100 * lane))
            if store.replace(new, expected=record.version, now=NOW) != Write(Outcome.OK):
                return False
            record = new
        return True

    assert [running.result() for running in [in_thread(use, lane) for lane in range(8)]] == [True] * 8
    assert proxy.connections <= 2


def test_a_wait_for_a_connection_ends(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memcached_servers, "_CONNECTIONS", 1)
    store = MemcachedStore([address(proxy)], timeout=0.5)
    store.create(a_record())
    proxy.mode = "silent"
    errors: list[StoreError] = []

    def load() -> None:
        with at_last(), pytest.raises(StoreError) as caught:
            store.load(a_key(0), now=NOW)
        errors.append(caught.value)

    for running in [in_thread(load) for _ in range(4)]:
        running.result()

    assert len(errors) == 4
    assert any("in use" in str(error) for error in errors)


def test_connections_are_not_more_than_are_used_at_once(proxy: Proxy, proxied: MemcachedStore) -> None:
    for number in range(50):
        proxied.create(a_record(number))

    assert proxy.connections == 1


def test_a_connection_that_nobody_used_for_a_while_is_made_anew(
    proxy: Proxy, proxied: MemcachedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall may have forgotten it, and whoever uses it waits in vain."""
    record = a_record(owner=None)
    proxied.create(record)
    monkeypatch.setattr(memcached_servers, "_MOST_IDLE", 0.0)

    assert loaded(proxied, record) == record
    assert proxy.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_makes_connections_of_its_own_and_leaves_its_parents_open(proxy: Proxy) -> None:
    store, mine, childs = MemcachedStore([address(proxy)], timeout=PATIENCE), a_record(1), a_record(2)
    store.create(mine)
    store.create(childs)
    proxy.reset()

    def use(record: Record) -> None:
        for _ in range(100):
            assert loaded(store, record) == record

    forked(lambda: use(childs))()
    assert proxy.connections == 1
    use(mine)
    assert proxy.connections == 1


def test_a_store_that_is_let_go_closes_its_connections(server: MemcachedServer) -> None:
    """Else Python warns of each, and a warning is an error here."""
    store = MemcachedStore([address(server)])
    store.create(a_record())
    client = store._servers.node(a_key(0))._free.queue[-1]
    assert client.sock is not None

    del store

    assert client.sock is None
