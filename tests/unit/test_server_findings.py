"""What Redis and Memcached say of themselves, judged: what is unsafe is a fault, and has its mend."""

from __future__ import annotations

from typing import Any

import pytest

from flask_sessionkit.findings import Mark
from flask_sessionkit.stores import memcached_findings, redis_findings

#: A Redis and a Memcached as they should be.
INFO: dict[str, Any] = {
    "redis_version": "7.0.15",
    "role": "master",
    "maxmemory": 2**30,
    "maxmemory_policy": "noeviction",
    "evicted_keys": 0,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
}
STATS: dict[bytes, Any] = {b"evictions": 0, b"listen_disabled_num": 0}
SETTINGS: dict[bytes, Any] = {
    b"item_size_max": 2**20,
    b"evictions": b"on",
    b"slab_reassign": True,
    b"slab_automove": True,
}


def redis(**changes: Any) -> list[tuple[Mark, str]]:
    return list(redis_findings.judged(INFO | changes))


def memcached(
    stats: dict[bytes, Any] | None = None,
    settings: dict[bytes, Any] | None = None,
    items: dict[bytes, Any] | None = None,
    *,
    largest: int = 66_000,
) -> list[tuple[Mark, str]]:
    return list(
        memcached_findings.judged(STATS | (stats or {}), SETTINGS | (settings or {}), items or {}, largest=largest)
    )


def test_a_redis_as_it_should_be_has_one_good_word() -> None:
    assert [mark for mark, _ in redis()] == [Mark.OK]


@pytest.mark.parametrize(
    ("changes", "mark", "said"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, Mark.FAULT, "revoke_user() misses some. Choose noeviction"),
        ({"maxmemory_policy": "allkeys-random"}, Mark.FAULT, "allkeys-random"),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, Mark.NOTE, "as soon as it has a maxmemory"),
        ({"maxmemory_policy": "volatile-ttl"}, Mark.NOTE, "volatile-ttl: where it is full, sessions end early"),
        ({"maxmemory_policy": "volatile-lru"}, Mark.NOTE, "volatile-lru"),
        ({"evicted_keys": 7}, Mark.NOTE, "evicted 7 keys"),
        ({"role": "slave"}, Mark.FAULT, "It is a replica"),
        ({"redis_version": "6.0.16"}, Mark.FAULT, "It is Redis 6.0.16, and our scripts need 6.2"),
        ({"redis_version": "5.0"}, Mark.FAULT, "It is Redis 5.0"),
        ({"aof_enabled": 0}, Mark.NOTE, "No append-only file"),
        ({"aof_last_write_status": "err"}, Mark.FAULT, "could not write its append-only file"),
        ({"rdb_last_bgsave_status": "err"}, Mark.NOTE, "could not write its last snapshot"),
    ],
)
def test_what_is_wrong_with_a_redis_is_told(changes: dict[str, Any], mark: Mark, said: str) -> None:
    [text] = [text for found, text in redis(**changes) if found is mark]

    assert said in text


@pytest.mark.parametrize("version", ["6.2.0", "6.10.1", "7.0", "10.0.0", "", "unstable", "x.y"])
def test_a_version_that_will_do_or_is_not_known_is_no_fault(version: str) -> None:
    assert [mark for mark, _ in redis(redis_version=version)] == [Mark.OK]


def test_what_a_managed_server_leaves_out_is_not_judged() -> None:
    assert list(redis_findings.judged({})) == []
    assert list(memcached_findings.judged({}, {}, {}, largest=66_000)) == []


def test_a_memcached_as_it_should_be_has_one_good_word() -> None:
    assert [mark for mark, _ in memcached()] == [Mark.OK]


def test_a_memcached_needs_room_for_the_largest_session() -> None:
    assert memcached(largest=2**20)[0][0] is Mark.OK
    assert memcached(largest=2**20 + 1) == [
        (
            Mark.FAULT,
            "It takes items of 1048576 bytes (-I), and the largest session needs 1048577. Start it with a larger -I, "
            "or lower SESSIONKIT_MAX_SIZE.",
        )
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (memcached({b"evictions": 12}), "thrown out 12 items"),
        (memcached({b"listen_disabled_num": 3}), "ran out of connections 3 times"),
        (memcached(settings={b"evictions": b"off"}), "started with -M"),
        (memcached(settings={b"slab_automove": False}), "Memory that items of one size"),
        (memcached(settings={b"slab_reassign": False}), "Memory that items of one size"),
        (memcached(items={b"items:5:outofmemory": 2, b"items:9:outofmemory": 3, b"items:5:age": 8}), "for 5 writes"),
    ],
)
def test_what_is_wrong_with_a_memcached_is_told(found: list[tuple[Mark, str]], said: str) -> None:
    [text] = [text for mark, text in found if mark is Mark.NOTE]

    assert said in text
