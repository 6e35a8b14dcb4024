"""What the tests of the way over from Flask-Session share: each place that it keeps sessions in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import memcache
import pymemcache
import pytest
import redis
from cachelib import FileSystemCache, SimpleCache
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from former_shops import Settings
from memcached_clients import LIBRARIES, pylibmc
from sqlalchemy import make_url


@pytest.fixture
def memory_cache() -> SimpleCache:
    return SimpleCache()


class JSONFiles(FileSystemCache):
    """A cache whose files need no pickle."""

    serializer = JSONSerializer()


#: Where Flask-Session keeps sessions that are no pickles.
KINDS = [
    pytest.param("redis", marks=pytest.mark.redis),
    *LIBRARIES,
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    "json-files",
]


@pytest.fixture
def settings_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Settings]]:
    """Return the settings of a kind, on a place of this test's own."""
    endings: list[Callable[[], Any]] = []

    def find(kind: str) -> Settings:
        prefix = f"shop{secrets.token_hex(4)}:"
        match kind:
            case "redis":
                server = request.getfixturevalue("redis_server")
                client = redis.Redis(server.host, server.port)
                endings.append(client.close)
                return given(SESSION_TYPE="redis", SESSION_REDIS=client, SESSION_KEY_PREFIX=prefix)
            case "pymemcache" | "python-memcached" | "pylibmc":
                server = request.getfixturevalue("memcached_server")
                of, close = _of_memcached(kind, f"{server.host}:{server.port}")
                endings.append(close)
                return given(SESSION_TYPE="memcached", SESSION_MEMCACHED=of, SESSION_KEY_PREFIX=prefix)
            case "sqlite":
                return in_database(f"sqlite:///{tmp_path}/shop.db", endings)
            case "postgresql" | "mariadb":
                server = request.getfixturevalue(f"{kind}_server")
                name = f"shop_{secrets.token_hex(4)}"
                server.sql(f"CREATE DATABASE {name}")
                force = " WITH (FORCE)" if kind == "postgresql" else ""
                endings.append(lambda: server.sql(f"DROP DATABASE {name}{force}"))
                return in_database(
                    make_url(server.url).set(database=name).render_as_string(hide_password=False), endings
                )
            case "json-files":
                cache = JSONFiles(str(tmp_path / "files"), threshold=0)
                return given(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
            case "files":
                return given(SESSION_TYPE="filesystem", SESSION_FILE_DIR=str(tmp_path / "files"))
        raise LookupError(kind)

    yield find
    for end in reversed(endings):
        end()


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest, settings_of: Callable[[str], Settings]) -> Settings:
    return settings_of(request.param)


def given(**settings: Any) -> Settings:
    return lambda app: settings


def in_database(url: str, endings: list[Callable[[], Any]], **more: Any) -> Settings:
    """Return the settings of a shop whose database has this URL; each shop has an engine of its own.

    :param endings: takes what closes it.
    """

    def settings(app: Flask) -> Mapping[str, Any]:
        def end() -> None:
            with app.app_context():
                db.engine.dispose()

        app.config["SQLALCHEMY_DATABASE_URI"] = url
        db = SQLAlchemy(app)
        endings.append(end)
        return {"SESSION_TYPE": "sqlalchemy", "SESSION_SQLALCHEMY": db, **more}

    return settings


def _of_memcached(kind: str, address: str) -> tuple[Any, Callable[[], Any]]:
    """Return a client of one of the libraries that Flask-Session takes, and what closes it."""
    if kind == "pymemcache":
        client = pymemcache.Client(address, default_noreply=False)  # else another connection may be before it
        return client, client.close
    other = memcache.Client([address]) if kind == "python-memcached" else pylibmc.Client([address])
    return other, other.disconnect_all
