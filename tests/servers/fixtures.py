"""One server of each kind for a whole test run (for each of its processes), started at its first use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import (
    MariaDBServer,
    MemcachedServer,
    PostgreSQLServer,
    Proxy,
    Redis62,
    RedisCluster,
    RedisSentinel,
    RedisSentinels,
    RedisServer,
    ValkeyServer,
    need,
)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    need(RedisServer)
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_62() -> Iterator[RedisServer]:
    with Redis62() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    need(ValkeyServer)
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    need(RedisServer)
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_sentinels() -> Iterator[RedisSentinels]:
    need(RedisServer)
    need(RedisSentinel)
    with RedisSentinels() as sentinels:
        yield sentinels


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[MemcachedServer]:
    need(MemcachedServer)
    with MemcachedServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    need(PostgreSQLServer)
    with PostgreSQLServer("-c", "max_connections=200") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    need(MariaDBServer)
    with MariaDBServer("--max-connections=200") as server:
        yield server


@pytest.fixture
def wire(kind: str, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """What leads to the server of a test's ``kind`` and can be broken."""
    server = request.getfixturevalue(f"{kind}_server")
    with Proxy(server.host, server.port) as proxy:
        yield proxy
