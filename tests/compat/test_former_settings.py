"""What the settings of Flask-Session mean here, and what is told of them."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import cachelib
import memcache
import pymemcache
import pytest
import redis
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from former_shops import SECRET, moved
from memcached_clients import pylibmc
from pymemcache.client.retrying import RetryingClient

from flask_sessionkit.compat.flask_session import Session
from flask_sessionkit.compat.flask_session.clients import addresses_of, cache_of
from flask_sessionkit.errors import ConfigError
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memcached import MemcachedStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kit_of(**settings: Any) -> Session:
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET, TESTING=True, **settings)
    kit = Session(app)
    kit.app = app  # type: ignore[attr-defined]  # for the tests
    return kit


def store_of(kit: Session) -> Any:
    return kit.app.session_interface.store  # type: ignore[attr-defined]  # see above


# Where new sessions go.


def test_a_client_of_redis_is_the_store() -> None:
    client = redis.Redis(port=1)

    assert isinstance(store_of(kit_of(SESSION_TYPE="redis", SESSION_REDIS=client)), RedisStore)


def test_without_a_client_of_redis_it_is_the_local_one() -> None:
    store = store_of(kit_of(SESSION_TYPE="redis"))

    assert store._server.name == "redis://localhost:6379/0"


def test_the_type_may_be_in_capitals() -> None:
    assert isinstance(store_of(kit_of(SESSION_TYPE="Redis")), RedisStore)


@pytest.mark.parametrize(
    "client",
    [
        None,
        pymemcache.Client("127.0.0.1:11211"),
        pymemcache.PooledClient(("127.0.0.1", 11211)),
        pymemcache.HashClient(["127.0.0.1:11211"]),
        RetryingClient(pymemcache.Client("127.0.0.1:11211")),
        memcache.Client(["127.0.0.1:11211"]),
        *(
            [pylibmc.Client(["127.0.0.1:11211"]), pylibmc.ClientPool(pylibmc.Client(["127.0.0.1"]), 2)]
            if pylibmc
            else []
        ),
    ],
    ids=lambda client: type(client).__name__,
)
def test_the_servers_of_any_client_of_memcached_are_the_store(client: Any) -> None:
    store = store_of(kit_of(SESSION_TYPE="memcached", SESSION_MEMCACHED=client))

    assert isinstance(store, MemcachedStore)
    assert store._addresses == [("127.0.0.1", 11211)]


def test_pylibmc_is_tried_where_it_can_be_installed() -> None:
    """Or what is parametrized by it would be left out without a word."""
    assert pylibmc or sys.version_info >= (3, 12) or sys.platform != "linux"


def test_all_servers_of_a_client_of_memcached_are_known() -> None:
    two = [("127.0.0.1", 1), ("127.0.0.1", 2)]
    spelled = ["127.0.0.1:1", "127.0.0.1:2"]

    assert addresses_of(pymemcache.HashClient(spelled)) == two
    assert addresses_of(memcache.Client([(spelled[0], 3), spelled[1]])) == two
    assert not pylibmc or addresses_of(pylibmc.Client([f"{spelled[0]}:3", spelled[1]])) == two


@pytest.mark.parametrize(
    "client",
    [
        pymemcache.Client("/run/m.sock"),
        memcache.Client(["unix:/run/m.sock"]),
        *([pylibmc.Client(["/run/m.sock"])] if pylibmc else []),
    ],
    ids=lambda client: type(client).__module__,
)
def test_a_unix_socket_of_memcached_is_the_store(client: Any) -> None:
    assert store_of(kit_of(SESSION_TYPE="memcached", SESSION_MEMCACHED=client))._addresses == ["/run/m.sock"]


def test_a_client_that_does_not_tell_its_servers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"does not tell its servers. Set SESSIONKIT_STORE"):
        kit_of(SESSION_TYPE="memcached", SESSION_MEMCACHED=object())


def test_files_lie_in_a_folder_inside_of_flask_sessions(folder: Path) -> None:
    store = store_of(kit_of(SESSION_TYPE="filesystem", SESSION_FILE_DIR=str(folder / "files")))

    assert isinstance(store, FileStore)
    assert store.folder == folder / "files" / "sessionkit"


@pytest.mark.parametrize("kind", ["filesystem", "cachelib"])
def test_without_a_folder_it_is_flask_sessions(kind: str, folder: Path) -> None:
    assert store_of(kit_of(SESSION_TYPE=kind)).folder == folder / "flask_session" / "sessionkit"


def test_a_cache_of_files_is_known(folder: Path) -> None:
    cache = cachelib.FileSystemCache(str(folder / "c"), hash_method=hashlib.sha1)
    known = cache_of(cache)

    assert (known.folder, known.hash_method) == (folder / "c", hashlib.sha1)
    assert store_of(kit_of(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)).folder == folder / "c" / "sessionkit"


def test_a_cache_in_redis_is_known() -> None:
    cache = cachelib.RedisCache(redis.Redis(port=1), key_prefix="shop-")

    assert cache_of(cache).prefix == "shop-"
    assert isinstance(store_of(kit_of(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)), RedisStore)


def test_a_cache_in_memcached_is_known() -> None:
    cache = cachelib.MemcachedCache(memcache.Client(["127.0.0.1:7"]), key_prefix="shop-")

    assert store_of(kit_of(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache))._addresses == [("127.0.0.1", 7)]


def test_a_cache_in_memory_is_known() -> None:
    kit = kit_of(SESSION_TYPE="cachelib", SESSION_CACHELIB=cachelib.SimpleCache())

    assert isinstance(store_of(kit), MemoryStore)


def test_any_other_cache_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"SESSION_CACHELIB is a NullCache.*set SESSIONKIT_STORE"):
        kit_of(SESSION_TYPE="cachelib", SESSION_CACHELIB=cachelib.NullCache())


def test_the_database_is_that_of_flask_sqlalchemy() -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET, TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite:///main.db")
    app.config.update(SQLALCHEMY_BINDS={"other": "sqlite:///other.db"}, SESSION_SQLALCHEMY_BIND_KEY="other")
    app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=SQLAlchemy(app))
    Session(app)
    store: Any = app.session_interface.store  # type: ignore[attr-defined]  # ours has one

    assert isinstance(store, SQLAlchemyStore)
    with app.app_context():
        assert Path(store.url.database).name == "other.db"


def test_the_schema_is_that_of_the_settings() -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET, TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite:///main.db")
    app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=SQLAlchemy(app), SESSION_SQLALCHEMY_SCHEMA="kept")
    Session(app)

    assert app.session_interface.store._table.schema == "kept"  # type: ignore[attr-defined]  # ours has one


def test_without_flask_sqlalchemy_the_address_is_enough(folder: Path) -> None:
    kit = kit_of(SESSION_TYPE="sqlalchemy", SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/main.db")

    assert store_of(kit).url.database == f"{folder}/main.db"


def test_without_any_database_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither SESSION_SQLALCHEMY nor SQLALCHEMY_DATABASE_URI"):
        kit_of(SESSION_TYPE="sqlalchemy")


# What cannot be.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "SESSION_TYPE is not set"),
        ({"SESSION_TYPE": None}, "SESSION_TYPE is not set"),
        ({"SESSION_TYPE": "null"}, "SESSION_TYPE is not set"),
        ({"SESSION_TYPE": "mongodb"}, "'mongodb', where no sessions can be kept here.*Set SESSIONKIT_STORE"),
        ({"SESSION_TYPE": "dynamodb"}, "'dynamodb', where no sessions can be kept here.*Set SESSIONKIT_STORE"),
        ({"SESSION_TYPE": "redsi"}, "must be one of 'redis', .*, not 'redsi'"),
        ({"SESSION_TYPE": 7}, "must be one of .*, not 7"),
        ({"SESSION_TYPE": "redis", "SESSION_KEY_PREFIX": None}, "SESSION_KEY_PREFIX must be a text"),
        ({"SESSION_TYPE": "redis", "SESSION_ID_LENGTH": "32"}, "SESSION_ID_LENGTH must be a number"),
        ({"SESSION_TYPE": "redis", "SESSION_ID_LENGTH": 0}, "SESSION_ID_LENGTH must be a number"),
        (
            {"SESSION_TYPE": "redis", "SESSION_SERIALIZATION_FORMAT": "pickle"},
            "must be 'msgpack' or 'json', not 'pickle'",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kit_of(**given)


@pytest.mark.parametrize("kind", ["mongodb", "dynamodb", "null", None])
def test_with_a_store_of_ours_any_type_will_do(kind: str | None) -> None:
    assert isinstance(store_of(kit_of(SESSION_TYPE=kind, SESSIONKIT_STORE="memory:")), MemoryStore)


# What goes before, and what is told.


def test_a_setting_of_ours_goes_before() -> None:
    kit = kit_of(SESSION_TYPE="redis", SESSIONKIT_STORE="memory:", SESSIONKIT_KEY_PREFIX="mine:")

    assert isinstance(store_of(kit), MemoryStore)
    assert kit.app.config["SESSIONKIT_KEY_PREFIX"] == "mine:"  # type: ignore[attr-defined]  # see above


def test_no_cookie_of_flask_session_leads_to_a_name_of_ours() -> None:
    """An id has no colon."""
    store = store_of(kit_of(SESSION_TYPE="redis", SESSION_KEY_PREFIX="shop:"))

    assert store._prefix == "shop:sessionkit:"


def test_a_prefix_that_ours_cannot_have_is_for_theirs_alone() -> None:
    assert store_of(kit_of(SESSION_TYPE="redis", SESSION_KEY_PREFIX="my {shop} "))._prefix == "session:sessionkit:"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_SERIALIZATION_FORMAT", "json"),
        ("SESSION_SQLALCHEMY_SEQUENCE", "numbers"),
        ("SESSION_FILE_THRESHOLD", 500),
        ("SESSION_FILE_MODE", 0o600),
        ("SESSION_CLEANUP_N_REQUESTS", 100),
        ("SESSION_MONGODB", object()),
        ("SESSION_MONGODB_DB", "db"),
        ("SESSION_MONGODB_COLLECT", "c"),
        ("SESSION_DYNAMODB", object()),
        ("SESSION_DYNAMODB_TABLE", "t"),
    ],
)
def test_a_setting_without_meaning_is_told_in_one_line(
    name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    kit_of(SESSION_TYPE="redis", **{name: value})

    assert [name in said.getMessage() for said in caplog.records if said.name == "flask_sessionkit"] == [True]


def test_settings_that_all_mean_something_are_told_in_none(caplog: pytest.LogCaptureFixture) -> None:
    kit_of(SESSION_TYPE="redis", SESSION_KEY_PREFIX="a:", SESSION_PERMANENT=False, SESSION_ID_LENGTH=48)

    assert [said for said in caplog.records if said.name == "flask_sessionkit"] == []


def test_a_missing_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("shop")
    app.config.update(SESSION_TYPE="redis", TESTING=True)
    Session(app)

    assert "SECRET_KEY is not set" in caplog.text


# What is unsafe.


def marks_of(shop: Any, about: str) -> list[str]:
    with shop.app.app_context():
        return [one.mark for one in shop.kit.check() if one.about == about]


def test_check_tells_of_ids_that_can_be_guessed() -> None:
    short = moved(lambda app: {"SESSION_TYPE": "cachelib", "SESSION_ID_LENGTH": 8})
    long = moved(lambda app: {"SESSION_TYPE": "cachelib", "SESSION_ID_LENGTH": 16})

    assert marks_of(short, "SESSION_ID_LENGTH") == ["fault"]
    assert marks_of(long, "SESSION_ID_LENGTH") == []


@pytest.mark.skipif(os.name == "nt", reason="rights are access lists there")
def test_check_tells_of_files_that_others_read_or_write(folder: Path) -> None:
    files = folder / "files"
    files.mkdir()
    files.chmod(0o777)
    settings = {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(files), "SESSION_FILE_MODE": 0o644}
    shop = moved(lambda app: settings)

    assert marks_of(shop, "SESSION_FILE_MODE") == marks_of(shop, "SESSION_FILE_DIR") == ["fault"]
    files.chmod(0o700)
    safe = moved(lambda app: {**settings, "SESSION_FILE_MODE": 0o600})
    assert marks_of(safe, "SESSION_FILE_MODE") == marks_of(safe, "SESSION_FILE_DIR") == []


def test_check_tells_that_sessions_are_taken_over() -> None:
    on = moved(lambda app: {"SESSION_TYPE": "filesystem"})
    off = moved(lambda app: {"SESSION_TYPE": "filesystem", "SESSIONKIT_TAKE_OVER": []})

    assert marks_of(on, "SESSIONKIT_TAKE_OVER") == ["note"]
    assert marks_of(off, "SESSIONKIT_TAKE_OVER") == []


def test_check_tells_of_pickles() -> None:
    assert marks_of(moved(lambda app: {"SESSION_TYPE": "filesystem"}), "SESSION_TYPE") == ["note"]


def test_the_drop_in_needs_no_flask_session() -> None:
    code = (
        "import sys; sys.modules['flask_session'] = None; sys.modules['cachelib'] = None\n"
        "from flask import Flask; from flask_sessionkit.compat.flask_session import Session\n"
        f"app = Flask('shop'); app.config.update(SESSION_TYPE='filesystem', SECRET_KEY='{secrets.token_hex()}')\n"
        "Session(app)\n"
        f"print(sorted({ {'redis', 'sqlalchemy', 'pymemcache', 'flask_sqlalchemy'}!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"
