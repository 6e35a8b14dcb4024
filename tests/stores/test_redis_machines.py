"""The settings of servers that the page about Redis on several machines gives, on real ones."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers import RedisServer, need
from servers.redis_sentinel import RedisSentinel, RedisSentinels

from flask_sessionkit import StoreError
from flask_sessionkit.stores.base import Mark
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.testing.contract import NOW, a_key, a_record

pytestmark = [pytest.mark.redis, pytest.mark.thorough]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "redis-machines.rst").read_text("utf-8")


def lines_of(file: str) -> list[list[str]]:
    """Return the lines of a configuration on the page, in words."""
    [block] = re.findall(rf"^   # {re.escape(file)}.*\n((?:   .+\n)+)", PAGE, re.M)
    return [line.split() for line in block.splitlines()]


@pytest.fixture
def servers() -> Iterator[tuple[RedisServer, RedisServer]]:
    """A master and its replica, both with the page's settings."""
    need(RedisServer)
    args = [word for name, *words in lines_of("redis.conf") for word in (f"--{name}", *words)]
    with ExitStack() as running:
        master = running.enter_context(RedisServer(*args, "--repl-diskless-sync-delay", "0"))
        replica = running.enter_context(RedisServer(*args, "--replicaof", master.host, str(master.port)))
        wait_until(master, "state=online")
        yield master, replica


def wait_until(server: RedisServer, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in (told := server.run("redis-cli", "-p", str(server.port), "info", "replication")):
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_a_master_with_its_replica_takes_changes_and_is_found_in_order(
    servers: tuple[RedisServer, RedisServer],
) -> None:
    store = RedisStore(servers[0].url)

    assert store.create(a_record()) is True
    assert store.load(a_key(0), now=NOW) is not None
    assert [text for mark, text in store.judge(now=time.time(), largest=65536) if mark is not Mark.OK] == []


def test_a_master_without_its_replica_is_read_and_takes_no_changes(servers: tuple[RedisServer, RedisServer]) -> None:
    master, replica = servers
    store = RedisStore(master.url)
    store.create(a_record())

    replica.kill()
    wait_until(master, "connected_slaves:0")

    assert store.load(a_key(0), now=NOW) is not None
    with pytest.raises(StoreError):
        store.create(a_record(1))


def test_a_replica_is_told_to_be_none_to_name(servers: tuple[RedisServer, RedisServer]) -> None:
    found = list(RedisStore(servers[1].url).judge(now=time.time(), largest=65536))

    assert [mark for mark, text in found if "replica" in text] == [Mark.FAULT]


def test_sentinels_take_the_settings_of_the_page() -> None:
    need(RedisSentinel)
    with RedisSentinels() as redis:
        [sentinel, *_] = redis.sentinels
        for _, option, *words in lines_of("sentinel.conf"):
            if option != "monitor":  # which names the page's own machines
                name, value = words
                sentinel.run("redis-cli", "-p", str(sentinel.port), "sentinel", "set", name, option, value)

        told = sentinel.run("redis-cli", "-p", str(sentinel.port), "sentinel", "master", "sessions").split("\n")

    assert dict(zip(told[::2], told[1::2], strict=False))["down-after-milliseconds"] == "5000"
