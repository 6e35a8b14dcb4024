"""One server of each kind for a whole test run (for each of its processes), started at its first use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import MariaDBServer, MemcachedServer, PostgreSQLServer, RedisServer, need


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    need(RedisServer)
    with RedisServer() as server:
        yield server


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
