"""A pickle runs what its writer likes when it is read, so no request reads one, wherever it lies."""

from __future__ import annotations

import hashlib
import pickle
import secrets
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cachelib
import pytest
import redis
from flask_sqlalchemy import SQLAlchemy
from former_shops import Settings, Shop, cookie_of, former, moved, signed_in
from memcached_clients import LIBRARIES
from servers import RedisServer
from sqlalchemy import text

from flask_sessionkit.compat.flask_session.predecessor import _tell_of_unreadable

_looked_up: list[str] = []
_is_listening = False


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if _is_listening and event == "pickle.find_class":
        _looked_up.append(".".join(map(str, args)))


sys.addaudithook(_hear)  # It stays until the process ends.


@contextmanager
def no_pickle_read() -> Iterator[None]:
    global _is_listening
    _looked_up.clear()
    _is_listening = True
    try:
        yield
    finally:
        _is_listening = False
    assert _looked_up == []


class Bomb:
    """Makes a file when its pickle is read."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.fuse,)


@pytest.fixture
def fuse(tmp_path: Path) -> Path:
    return tmp_path / "it went off"


@pytest.fixture
def items(fuse: Path) -> dict[str, Any]:
    return {"_user_id": "ann", "bomb": Bomb(fuse)}


KINDS = [
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("redis-cache", marks=pytest.mark.redis),
    *LIBRARIES,
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    "files",
]


def plant(shop: Shop, kind: str, value: object) -> str:
    """Put a pickle where Flask-Session looks for a session, as whoever can write there would, and return its id."""
    cookie = secrets.token_urlsafe(32)
    config = shop.app.config
    name = f"{config.get('SESSION_KEY_PREFIX', 'session:')}{cookie}"
    pickled = pickle.dumps(value)
    match kind:
        case "redis":
            config["SESSION_REDIS"].set(name, pickled)
        case "redis-cache":
            config["SESSION_CACHELIB"].set(name, value, 1000)
        case "pymemcache":
            config["SESSION_MEMCACHED"].set(name, pickled, flags=1)  # its own flag of a pickle
        case "python-memcached" | "pylibmc":
            config["SESSION_MEMCACHED"].set(name, value)
        case "files":
            path = Path(config["SESSION_FILE_DIR"], hashlib.sha256(name.encode()).hexdigest())
            path.write_bytes(struct.pack("I", 0) + pickled)
        case _:
            _insert(shop, name, pickled)
    return cookie


def _insert(shop: Shop, name: str, pickled: bytes) -> None:
    db: SQLAlchemy = shop.app.config["SESSION_SQLALCHEMY"]
    row = {"name": name, "data": pickled, "expiry": "2999-01-01 00:00:00"}
    with shop.app.app_context():
        db.session.execute(text("INSERT INTO sessions (session_id, data, expiry) VALUES (:name, :data, :expiry)"), row)
        db.session.commit()


@pytest.fixture
def find(settings_of: Callable[[str], Settings], request: pytest.FixtureRequest) -> Callable[[str], Settings]:
    def settings(kind: str) -> Settings:
        if kind != "redis-cache":
            return settings_of(kind)
        server: RedisServer = request.getfixturevalue("redis_server")
        client = redis.Redis(server.host, server.port)
        request.addfinalizer(client.close)
        cache = cachelib.RedisCache(client, key_prefix=secrets.token_hex(4))
        return lambda app: {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": cache}

    return settings


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_does_not_go_off(kind: str, find: Callable[[str], Settings], items: dict[str, Any], fuse: Path) -> None:
    settings = find(kind)
    signed_in(former(settings))
    shop = moved(settings)
    cookie = plant(shop, kind, items)

    with no_pickle_read():
        for path, method in (("/me", "GET"), ("/add", "POST"), ("/logout", "POST")):
            assert shop.asked_by(cookie, path, method).status_code == 200

    assert not fuse.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_without_a_bomb_is_no_session(kind: str, find: Callable[[str], Settings]) -> None:
    settings = find(kind)
    signed_in(former(settings))
    shop = moved(settings)

    assert shop.asked_by(plant(shop, kind, {"_user_id": "ann"})).json == {}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bomb_is_one(kind: str, find: Callable[[str], Settings], items: dict[str, Any], fuse: Path) -> None:
    """Of Flask-Session, so that the tests above mean something."""
    settings = find(kind)
    shop = former(settings)
    signed_in(shop)
    cookie = plant(shop, kind, items)

    # A library that reads it before Flask-Session does returns a dict, on which that stumbles: too late.
    with pytest.raises((AssertionError, TypeError)), no_pickle_read():
        shop.asked_by(cookie)

    assert fuse.exists()


@pytest.mark.parametrize("kind", ["redis", "sqlite", "files"])
def test_where_a_pickle_lies_its_holder_can_sign_in_anew(kind: str, find: Callable[[str], Settings]) -> None:
    settings = find(kind)
    signed_in(former(settings))
    shop = moved(settings)
    cookie = plant(shop, kind, {"_user_id": "ann"})

    response = shop.app.test_client(use_cookies=False).post(
        "/login", data={"name": "bob"}, headers={"Cookie": f"session={cookie}"}
    )

    assert cookie_of(response) not in (None, "", cookie)


def test_a_pickle_is_told_of_once(find: Callable[[str], Settings], caplog: pytest.LogCaptureFixture) -> None:
    _tell_of_unreadable.cache_clear()
    settings = find("files")
    signed_in(former(settings))
    shop = moved(settings)

    for _ in range(2):
        shop.asked_by(plant(shop, "files", {"_user_id": "ann"}))

    assert ["import-flask-session" in said.getMessage() for said in caplog.records].count(True) == 1
