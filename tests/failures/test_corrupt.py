"""What lies in a store was changed by somebody who can write there, with its own protocol: nobody, and never an error.

Held here, below every door of ours: ST-01, ST-02, IN-06, TO-07.
"""

from __future__ import annotations

import marshal
import math
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import pytest
from flow_fixtures import each_of
from flow_site import NOBODY, Seen, Site, both, login, pausing, put
from flow_stores import KINDS, PATIENCE, prepare
from msgspec.structs import fields, replace
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DBAPIError, StatementError

from flask_sessionkit import StoreError
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.tokens import key_of

# What attackers do.

Parts = dict[str, Any]


class Attacker(Protocol):
    """Somebody with the rights of the store itself."""

    def read(self, key: str) -> Parts:
        """Return what is stored of a session, by the names that the store has for it."""
        ...

    def write(self, key: str, parts: Parts) -> None:
        """Put something in its place."""
        ...


class InMemory:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def read(self, key: str) -> Parts:
        record = self._store._records[key]
        return {field.name: getattr(record, field.name) for field in fields(record) if field.name != "key"}

    def write(self, key: str, parts: Parts) -> None:
        self._store._put(replace(self._store._records[key], **parts))


class InFiles:
    def __init__(self, store: FileStore) -> None:
        self._folder = store.folder

    def read(self, key: str) -> Parts:
        return {"file": (self._folder / key[:2] / key).read_bytes()}

    def write(self, key: str, parts: Parts) -> None:
        (self._folder / key[:2] / key).write_bytes(parts["file"])


class InTable:
    def __init__(self, store: SQLAlchemyStore) -> None:
        self._engine, self._table = store._engine, store._table

    def read(self, key: str) -> Parts:
        with self._engine.connect() as connection:
            row = connection.execute(select(self._table).where(self._table.c.key == key)).mappings().one()
        return {name: value for name, value in row.items() if name != "key"}

    def write(self, key: str, parts: Parts) -> None:
        with self._engine.connect() as connection:
            connection.execute(delete(self._table).where(self._table.c.key == key))
            connection.execute(insert(self._table).values(key=key, **parts))


class InRedis:
    def __init__(self, store: Any, url: str) -> None:
        from redis import Redis

        self.client = Redis.from_url(url)
        self.prefix: str = store._prefix

    def read(self, key: str) -> Parts:
        return {"value": self.client.get(self.prefix + key)}

    def write(self, key: str, parts: Parts) -> None:
        self.client.set(self.prefix + key, parts["value"])

    def close(self) -> None:
        self.client.close()


class InMemcached:
    def __init__(self, store: Any, url: str) -> None:
        from pymemcache.client.base import Client

        self.client = Client(url.partition("//")[2], timeout=PATIENCE, default_noreply=False)
        self.prefix: str = store._prefix

    def read(self, key: str) -> Parts:
        return {"value": self.client.get(self.prefix + key)}

    def write(self, key: str, parts: Parts) -> None:
        self.client.set(self.prefix + key, parts["value"])

    def close(self) -> None:
        self.client.close()


kind = each_of(KINDS)


@pytest.fixture
def folder(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return prepare(kind, tmp_path, request)


@pytest.fixture
def patience() -> float:
    return PATIENCE


@pytest.fixture
def site(store: PausingStore) -> Site:
    site = Site(store, FrozenClock())
    site.kit.user_stamp(lambda user: "as ever")  # without it Memcached's users cannot be revoked
    survives(site, site.token(login("warm")))  # what is imported and compiled once, SQL too, is so by now
    return site


@pytest.fixture
def attacker(kind: str, folder: Path, site: Site) -> Iterator[Any]:
    match pausing(site).inner:
        case MemoryStore() as inner:
            yield InMemory(inner)
        case FileStore() as inner:
            yield InFiles(inner)
        case SQLAlchemyStore() as inner:
            yield InTable(inner)
        case inner:
            there = {"redis": InRedis, "memcached": InMemcached}[kind]
            with closing(there(inner, (folder / "url").read_text())) as attacker:
                yield attacker


# What must never happen.

_heard: list[str] | None = None
_FORBIDDEN = {
    "pickle.find_class",
    "marshal.loads",
    "exec",
    "compile",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
}


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if _heard is not None and event in _FORBIDDEN:
        _heard.append(event)


sys.addaudithook(_listen)  # stays for good, so it listens only when asked to


@contextmanager
def nothing_executed() -> Iterator[None]:
    global _heard
    _heard = heard = []
    try:
        yield
    finally:
        _heard = None
    assert heard == []


ALIVE = Seen("alice", {"v": 1})


def alice(site: Site) -> tuple[str, str]:
    token = site.token(both(login("alice"), put(v=1)))
    return token, key_of(token, "flows")


def survives(site: Site, *tokens: str) -> None:
    """Do what meets records that no token names, or all of them."""
    site.outside(site.kit.sessions_of, "alice")
    site.outside(site.kit.purge)
    for token in tokens:
        site.ask(token, put(v=2))
    site.outside(site.kit.revoke_user, "alice")


def with_byte(text: bytes, place: int, mask: int) -> bytes:
    return text[:place] + bytes([text[place] ^ mask]) + text[place + 1 :]


def is_sealed(name: str, place: int, parts: Parts, payload: bytes) -> bool:
    """Return whether a place of a part lies inside the seal."""
    if name in {"file", "value"}:
        return place >= len(parts[name]) - len(payload)
    return name == "payload"


@pytest.mark.requirement("IN-06")
def test_every_byte_that_is_changed_makes_nobody_or_changes_nothing(site: Site, attacker: Attacker) -> None:
    """Inside the seal it makes nobody. Beside it lie times and the list of devices."""
    token, key = alice(site)
    parts = attacker.read(key)
    payload = pausing(site).inner.load(key, now=site.clock.now()).payload  # type: ignore[union-attr]  # it is there

    with nothing_executed():
        for name, whole in parts.items():
            for place in range(len(whole) if isinstance(whole, bytes) else 0):
                for mask in (1 << place % 8, 0xFF):
                    attacker.write(key, parts | {name: with_byte(whole, place, mask)})
                    nobody = is_sealed(name, place, parts, payload)
                    assert site.seen(token) in ((NOBODY,) if nobody else (NOBODY, ALIVE)), (name, place)
                if place % 8 == 0:
                    site.outside(site.kit.sessions_of, "alice")

        attacker.write(key, parts)
        assert site.seen(token) == ALIVE
        survives(site, token)


@pytest.mark.requirement("IN-06")
def test_every_cut_makes_nobody_or_changes_nothing(site: Site, attacker: Attacker) -> None:
    token, key = alice(site)
    parts = attacker.read(key)

    with nothing_executed():
        for name, whole in parts.items():
            if not isinstance(whole, bytes):
                continue
            is_only_one = name in {"file", "value", "payload"}
            for length in range(len(whole)):
                attacker.write(key, parts | {name: whole[:length]})
                assert site.seen(token) in ((NOBODY,) if is_only_one else (NOBODY, ALIVE)), (name, length)
            for place in range(0, len(whole), 7):
                attacker.write(key, parts | {name: whole[:place] + whole[place + 1 :]})
                assert site.seen(token) in ((NOBODY,) if is_only_one else (NOBODY, ALIVE)), (name, place)
            if name != "version":  # a table has no room for a longer one
                attacker.write(key, parts | {name: whole + b"\0"})
                assert site.seen(token) in (NOBODY, ALIVE)
            site.outside(site.kit.sessions_of, "alice")
            survives(site, token)
            attacker.write(key, parts)


@pytest.mark.requirement("ST-01")
def test_what_is_swapped_between_two_users_serves_neither_the_others(site: Site, attacker: Attacker) -> None:
    """ST-01. All that is stored, and each part of it alone."""
    hers, key = alice(site)
    his = site.token(both(login("bob"), put(v=2)))
    his_key = key_of(his, "flows")
    alices, bobs = attacker.read(key), attacker.read(his_key)

    with nothing_executed():
        for names in [list(alices), *([name] for name in alices)]:
            attacker.write(key, alices | {name: bobs[name] for name in names})
            attacker.write(his_key, bobs | {name: alices[name] for name in names})
            with site.events() as events:
                seen = site.seen(hers), site.seen(his)

            if {"file", "value", "payload"} & set(names):
                assert seen == (NOBODY, NOBODY)
                assert events == [("session_refused", {"reason": "unreadable"})] * 2
            assert seen[0] in (NOBODY, ALIVE)
            assert seen[1] in (NOBODY, Seen("bob", {"v": 2}))
            site.outside(site.kit.sessions_of, "alice")
            site.outside(site.kit.sessions_of, "bob")

        attacker.write(key, alices)
        attacker.write(his_key, bobs)
        assert (site.seen(hers), site.seen(his)) == (ALIVE, Seen("bob", {"v": 2}))


@pytest.mark.requirement("IN-06")
def test_what_is_swapped_is_still_there_and_its_end_ends_no_others(site: Site, attacker: Attacker) -> None:
    """IN-06: it is no session, but it is left where it is. A logout with it ends what lies under its own key."""
    hers, key = alice(site)
    his = site.token(both(login("bob"), put(v=2)))
    bobs = attacker.read(key_of(his, "flows"))
    attacker.write(key, bobs)

    assert site.seen(hers) == NOBODY

    assert attacker.read(key) == bobs
    survives(site, hers)
    assert site.seen(his) == Seen("bob", {"v": 2})


class Exploit:
    """What a pickle does when it is opened."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, ("true",)


BAIT = [
    *(pickle.dumps(Exploit(), protocol) for protocol in (0, 2, 4)),
    marshal.dumps(compile("1", "bait", "eval")),
    b"!!python/object/apply:os.system ['true']",
    b"__import__('os').system('true')",
    b"",
    b"\0",
    b"[]",
    b"1",
    b"null",
    b"\xff" * 100,
    bytes(300_000),
]


def has_room(attacker: Attacker, name: str, bait: bytes) -> bool:
    """Return whether a column takes this, and one byte more."""
    sizes = {"version": 7, "info": 255} if isinstance(attacker, InTable) else {}
    return len(bait) <= sizes.get(name, len(bait))


@pytest.mark.requirement("ST-02")
def test_nothing_that_is_put_into_a_store_is_executed(site: Site, attacker: Attacker) -> None:
    """ST-02."""
    token, key = alice(site)
    parts = attacker.read(key)

    with nothing_executed():
        for bait, (name, whole) in product(BAIT, parts.items()):
            if isinstance(whole, bytes) and has_room(attacker, name, bait):
                for text in (bait, whole[:1] + bait):
                    attacker.write(key, parts | {name: text})
                    assert site.seen(token) in (NOBODY, ALIVE)
                    site.outside(site.kit.sessions_of, "alice")
        attacker.write(key, parts)
        assert site.seen(token) == ALIVE


def test_the_bait_is_live() -> None:
    with pytest.raises(AssertionError, match=r"os\.system"), nothing_executed():
        pickle.loads(BAIT[1])  # noqa: S301  # that is what this is about


TIMES = [math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 0.0, 1e12, -1.0]


@pytest.mark.requirement("TO-07")
@pytest.mark.parametrize("name", ["created_at", "seen_at", "idle", "absolute_at", "expires_at"])
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if str(kind) in {"sqlite"} or kind in KINDS[5:]], indirect=True
)
def test_no_time_in_a_table_makes_an_error_or_lengthens_a_life(site: Site, attacker: Attacker, name: str) -> None:
    """TO-07: as far as the database takes such a number, the seal has its own."""
    for at in TIMES:
        token, key = alice(site)
        # MariaDB takes no infinity, and SQLite makes a NULL of what is no number.
        with suppress(DBAPIError, StatementError):
            attacker.write(key, attacker.read(key) | {name: at})
        with nothing_executed():
            assert site.seen(token) in (NOBODY, ALIVE)
            site.outside(site.kit.sessions_of, "alice")
            site.outside(site.kit.purge)
            site.clock.tick(70)
            site.ask(token, put(v=2))
            site.clock.tick(12 * 3600)
            assert site.dead(token)
            survives(site, token)


@pytest.mark.parametrize("owner", [None, "", "x", "0" * 32, "A" * 32, "' OR 1=1 --"])
@pytest.mark.parametrize("kind", ["sqlite", *KINDS[5:]], indirect=True)
def test_no_owner_in_a_table_makes_an_error(site: Site, attacker: Attacker, owner: str | None) -> None:
    token, key = alice(site)
    attacker.write(key, attacker.read(key) | {"owner": owner})

    assert site.seen(token) == ALIVE
    assert site.outside(site.kit.sessions_of, "alice") == []
    survives(site, token)


@pytest.mark.parametrize("kind", ["sqlite", *KINDS[5:]], indirect=True)
def test_a_session_put_on_anothers_list_is_ended_with_the_others_and_shows_nothing(
    site: Site, attacker: Attacker
) -> None:
    """What a writer to the store can do: end sessions, which a DELETE does too."""
    hers, key = alice(site)
    his = site.token(both(login("bob"), put(v=2)))
    his_key = key_of(his, "flows")
    attacker.write(his_key, attacker.read(his_key) | {"owner": attacker.read(key)["owner"]})

    assert len(site.outside(site.kit.sessions_of, "alice")) == 2
    assert site.outside(site.kit.sessions_of, "bob") == []
    assert (site.seen(hers), site.seen(his)) == (ALIVE, Seen("bob", {"v": 2}))


# Redis: keys of other kinds, and bytes that are not ours.

OTHERS: dict[str, Callable[[Any, str], object]] = {
    "string": lambda client, name: client.set(name, "x"),
    "huge string": lambda client, name: client.set(name, bytes(5_000_000)),
    "list": lambda client, name: client.rpush(name, "a", "b"),
    "set": lambda client, name: client.sadd(name, "a", "b"),
    "sorted set": lambda client, name: client.zadd(name, {"a": 1, "b": math.inf}),
    "stream": lambda client, name: client.xadd(name, {"a": "x", "b": "y"}),
    "hash": lambda client, name: client.hset(name, mapping={"a": "x", "b": "y"}),
    "bitmap": lambda client, name: client.setbit(name, 99, 1),
}


@pytest.mark.requirement("ID-07")
@pytest.mark.parametrize("kind", KINDS[3:4], indirect=True)
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_key_of_another_kind_is_no_session(site: Site, attacker: InRedis, other: Any) -> None:
    token, key = alice(site)
    attacker.client.delete(attacker.prefix + key)
    other(attacker.client, attacker.prefix + key)

    with nothing_executed():
        assert site.seen(token) == NOBODY
        site.clock.tick(120)
        assert site.seen(token) == NOBODY
        begun = site.token(put(v=3), token)
        assert site.seen(begun) == Seen(None, {"v": 3})
        other_device, _ = alice(site)
        assert len(site.outside(site.kit.sessions_of, "alice")) == 1
        survives(site, token)
        assert site.dead(other_device)


@pytest.mark.parametrize("kind", KINDS[3:4], indirect=True)
def test_heads_that_are_not_ours_are_no_error(site: Site, attacker: InRedis) -> None:
    token, key = alice(site)
    whole = attacker.read(key)["value"]
    payload = pausing(site).inner.load(key, now=site.clock.now()).payload  # type: ignore[union-attr]  # it is there
    head, info = whole[:43], whole[43 : -len(payload)]
    odd: list[bytes] = [
        head,
        payload,
        info + payload,
        payload + head,
        head + payload,
        b"1",
        bytes(42),
        bytes(43),
        bytes(43) + info + payload,
        head[:8] + b"\x7f\xf8" + bytes(6) * 4 + head[40:] + info + payload,
        head[:40] + b"\xff\xff" + head[42:] + info + payload,
        head[:42] + b"\2" + info + payload,
        whole + bytes(5_000_000),
    ]
    with nothing_executed():
        for wrong in odd:
            attacker.write(key, {"value": wrong})
            assert site.seen(token) in (NOBODY, ALIVE)
            survives(site, token)

        attacker.write(key, {"value": whole})
        assert site.seen(token) == ALIVE


def index_of(attacker: InRedis, key: str) -> str:
    """Return the index of a session's owner, who stands behind its times."""
    return f"{attacker.prefix}owner:{attacker.read(key)['value'][43:59].hex()}"


@pytest.mark.parametrize("kind", KINDS[3:4], indirect=True)
def test_no_entry_of_an_index_makes_an_error(site: Site, attacker: InRedis) -> None:
    token, key = alice(site)
    index = index_of(attacker, key)
    nan = b"\x7f\xf8" + bytes(6)
    junk = [b"", b"x", b"\xff" * 32, b"\xff" * 40, bytes(40), bytes.fromhex(key), bytes.fromhex(key) + nan, b"y" * 500]
    attacker.client.zadd(index, dict.fromkeys(junk, 0) | {b"z": math.inf})

    with nothing_executed():
        assert len(site.outside(site.kit.sessions_of, "alice")) == 1
        site.token(login("alice"))
        assert len(site.outside(site.kit.sessions_of, "alice")) == 2
        assert site.outside(site.kit.revoke_user, "alice") == 2

    assert site.dead(token)


@pytest.mark.parametrize("kind", KINDS[3:4], indirect=True)
@pytest.mark.parametrize("other", [pytest.param(OTHERS[name], id=name) for name in OTHERS if name != "sorted set"])
def test_an_index_of_another_kind_is_said_and_lists_nothing(site: Site, attacker: InRedis, other: Any) -> None:
    """A list that cannot be trusted to be whole is an error: whoever revokes must not be told that all is done."""
    token, key = alice(site)
    index = index_of(attacker, key)
    attacker.client.delete(index)
    other(attacker.client, index)

    for call in (site.kit.sessions_of, site.kit.revoke_user):
        with pytest.raises(StoreError):
            site.outside(call, "alice")
    assert site.ask(None, login("alice"), status=503).says_nothing
    assert site.seen(token) == ALIVE


# Memcached: its index, and flags.


@pytest.mark.parametrize("kind", KINDS[4:5], indirect=True)
def test_no_index_in_memcached_makes_an_error(site: Site, attacker: InMemcached) -> None:
    token, key = alice(site)
    owner = pausing(site).inner.load(key, now=site.clock.now()).owner  # type: ignore[union-attr]  # it is there
    name = f"{attacker.prefix}owner:{owner}"
    whole = attacker.client.get(name)
    nan = b"\x7f\xf8" + bytes(6)
    wrong = [b"", b"x", bytes(40), b"\xff" * 40, bytes.fromhex(key) + nan, whole + b"x", whole * 1000, bytes(800_000)]

    with nothing_executed():
        for entries in [*wrong, *BAIT[:6]]:
            attacker.client.set(name, entries)
            site.outside(site.kit.sessions_of, "alice")
            site.outside(site.kit.revoke_user, "bob")
            site.token(login("alice"))
            assert len(site.outside(site.kit.sessions_of, "alice")) >= 1

    assert site.seen(token) == ALIVE


@pytest.mark.parametrize("kind", KINDS[4:5], indirect=True)
@pytest.mark.parametrize("flags", [1, 2, 4, 16, 2**16, 2**32 - 1])
def test_flags_of_memcached_mean_nothing(site: Site, attacker: InMemcached, flags: int) -> None:
    """Clients of others unpickle or unpack by them."""
    token, key = alice(site)
    parts = attacker.read(key)
    for value, wanted in ((parts["value"], ALIVE), (BAIT[1], NOBODY)):
        attacker.client.set(attacker.prefix + key, value, flags=flags)

        with nothing_executed():
            assert site.seen(token) == wanted
            site.outside(site.kit.sessions_of, "alice")
