"""``flask sessions check`` on real servers, set up well and badly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flow_stores import SERVED_KINDS, open_store, prepare
from servers import MemcachedServer, RedisServer, need

from flask_sessionkit import SessionKit
from flask_sessionkit.findings import Mark
from flask_sessionkit.stores.base import Store
from flask_sessionkit.testing import FrozenClock

pytestmark = pytest.mark.thorough

AGREES = (Mark.OK, "Its clock agrees with ours.")


def checked(store: Store, *, ahead: float = 0.0, **config: Any) -> list[tuple[Mark, str]]:
    """Return what a check says of a store, by a clock that is so many seconds ahead."""
    app = Flask("shop")
    app.config.update(SECRET_KEY="5f0c2a9e7b314d68a1f2c3e4d5b6a798", **config)
    kit = SessionKit(app, store=store, clock=FrozenClock(time.time() + ahead))
    kit.user_stamp(lambda user: "as ever")
    with app.app_context():
        return [(one.mark, one.text) for one in kit.check() if one.about == "SESSIONKIT_STORE"]


def faults(said: list[tuple[Mark, str]]) -> list[str]:
    return [text for mark, text in said if mark is Mark.FAULT]


@pytest.fixture(params=SERVED_KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(request.param, prepare(request.param, tmp_path, request))


@pytest.mark.parametrize(("ahead", "where"), [(7200, "behind"), (-7200, "ahead of")])
def test_a_clock_that_differs_is_a_fault(store: Store, ahead: float, where: str) -> None:
    said = [text for text in faults(checked(store, ahead=ahead)) if "clock" in text]

    assert [re.sub(r"7[12]\d\d", "7200", text) for text in said] == [
        f"Its clock is 7200 s {where} ours. Where clocks differ by more than 60 s, sessions end early or late. "
        "Run NTP on all machines."
    ]
    assert AGREES in checked(store)


@pytest.mark.redis
def test_each_primary_of_a_cluster_is_asked_and_what_all_say_is_told_once(redis_cluster: Any) -> None:
    from flask_sessionkit.stores.redis import RedisStore

    said = checked(RedisStore(redis_cluster.url, timeout=10))

    assert faults(said) == []
    assert said.count(AGREES) == 1


@pytest.mark.redis
def test_a_client_that_waits_for_long_is_told(redis_server: Any) -> None:
    import redis

    from flask_sessionkit.stores.redis import RedisStore

    with redis.Redis(port=redis_server.port, socket_timeout=None) as client:
        [said] = [text for _, text in checked(RedisStore(client)) if "for ever" in text]

    assert "Make it with socket_timeout=0.5" in said


@pytest.mark.redis
def test_a_redis_that_throws_out_any_key_is_a_fault() -> None:
    from flask_sessionkit.stores.redis import RedisStore

    need(RedisServer)
    with RedisServer("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        [fault] = faults(checked(RedisStore(server.url)))

    assert fault.startswith("maxmemory-policy allkeys-lru: where it is full, sessions end")


@pytest.fixture
def documented() -> Iterator[Callable[..., Store]]:
    """Make a store as the user that the page about Redis recommends, with more rights."""
    from redis import Redis

    from flask_sessionkit.stores.redis import RedisStore

    need(RedisServer)
    with RedisServer() as server:

        def made(*rights: str) -> Store:
            rule = str(RedisStore.__doc__).partition("ACL SETUSER ")[2].partition("\n\n")[0].split()
            with Redis.from_url(server.url) as client:
                client.execute_command("ACL", "SETUSER", *rule, *rights)
            return RedisStore(f"redis://sessions:password@{server.host}:{server.port}/0")

        yield made


@pytest.mark.redis
def test_a_redis_that_may_not_be_asked_says_so(documented: Callable[..., Store]) -> None:
    note = (Mark.NOTE, "It does not let us ask for its clock and its settings. Grant +time and +info.")
    without, with_them = checked(documented()), checked(documented("+time", "+info"))

    assert note in without
    assert faults(without) == []
    assert note not in with_them
    assert AGREES in with_them


@pytest.mark.memcached
def test_a_memcached_for_small_items_is_a_fault() -> None:
    from flask_sessionkit.stores.memcached import MemcachedStore

    need(MemcachedServer)
    with MemcachedServer("-I", "64k", "-o", "slab_chunk_max=16384") as server:
        store = MemcachedStore.from_url(server.url)
        [fault] = faults(checked(store))
        enough = checked(store, SESSIONKIT_MAX_SIZE=32_000)

    assert fault.startswith("It takes items of 65536 bytes (-I), and the largest session needs 6")
    assert faults(enough) == []


@pytest.mark.memcached
def test_a_memcached_of_1_mib_items_will_do_for_the_largest_that_is_ever_stored(memcached_server: Any) -> None:
    from flask_sessionkit.stores.memcached import MemcachedStore

    assert faults(checked(MemcachedStore.from_url(memcached_server.url), SESSIONKIT_MAX_SIZE=2**24)) == []


@pytest.mark.mariadb
def test_a_mariadb_for_small_packets_is_a_fault(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = open_store("mariadb", prepare("mariadb", tmp_path, request))

    [fault] = faults(checked(store, SESSIONKIT_MAX_SIZE=2**30))
    assert re.match(r"max_allowed_packet is \d+ bytes, and the largest session needs 107", fault)
    assert faults(checked(store)) == []


@pytest.mark.postgresql
def test_a_table_that_is_not_there_yet_is_told(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store: Any = open_store("postgresql", prepare("postgresql", tmp_path, request))
    said = [text for _, text in checked(store)]
    store.create_table()

    assert any(text.startswith("There is no table ") for text in said)
    assert not any(text.startswith("There is no table ") for _, text in checked(store))


@pytest.mark.postgresql
def test_what_a_database_may_forget_is_told(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The server of the tests does not wait for its disk."""
    said = checked(open_store("postgresql", prepare("postgresql", tmp_path, request)))

    assert any(mark is Mark.NOTE and text.startswith("synchronous_commit is off: ") for mark, text in said)
    assert faults(said) == ["fsync is off: a power cut may destroy the database. Set fsync = on."]
