"""The driver's own calls: one that fetches a session's bytes by its key, one that puts them there, and no more.

What a store costs above these is its own. The client is the one that our store uses, with the settings that it makes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from .apart import Calls
from .peers import Subject, bare_flask, sessionkit_app
from .views import Data, View

_Pair: TypeAlias = tuple[Callable[[], bytes], Callable[[], object]]

#: The driver's calls that a request cannot do without.
CALLS = {"read": "get", "change": "get and set", "write": "set"}

_TIMEOUT = 0.5  # as SESSIONKIT_STORE_TIMEOUT by default


def floor_on(kind: str, url: str, folder: Path, sizes: Sequence[int] = ()) -> Calls:
    """Return ``get``, ``set`` and both, of a typical session's bytes: redis, memcached, sql or files.

    Each comes twice: called over and over, when the driver has the processor's caches to itself, and as ``view get``
    and so on in a view of bare Flask, where it shares them with a request, as a store does.

    :param sizes: how many keys further sessions have: ``read 10`` and ``change 10`` are such views on one of ten.
    """
    get, put = _checked(kind, url, folder, _kept("begin", "change"))
    calls: dict[str, Callable[[], object]] = {"get": get, "set": put, "get and set": _both(get, put)}
    views = {f"view {name}": call for name, call in calls.items()}
    for keys in sizes:
        get, put = _checked(kind, url, folder, _kept(f"write_{keys}", "change_text"))
        views |= {f"read {keys}": get, f"change {keys}": _both(get, put)}
    visitor = bare_flask({name.replace(" ", "-"): _view(call) for name, call in views.items()})
    return calls | {name: visitor.call(name.replace(" ", "-")) for name in views}


def _checked(kind: str, url: str, folder: Path, kept: bytes) -> _Pair:
    get, put = _PAIRS[kind](url, folder, secrets.token_hex(32), kept)
    put()
    if get() != kept:
        raise AssertionError(f"{url} does not keep what it is given.")
    return get, put


def _both(get: Callable[[], object], put: Callable[[], object]) -> Callable[[], None]:
    def both() -> None:
        get()
        put()

    return both


def _view(call: Callable[[], object]) -> View:
    def view(session: Data) -> str:
        call()
        return "ok"

    return view


def _kept(first: str, change: str) -> bytes:
    app = sessionkit_app("memory:")
    Subject(app).sign_in(first, change)
    with app.app_context():
        [record] = app.extensions["sessionkit"].store.scan()
    return bytes(record.info + record.payload)


def _redis(url: str, folder: Path, key: str, kept: bytes) -> _Pair:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT)
    return lambda: client.get(key), lambda: client.set(key, kept)


def _memcached(url: str, folder: Path, key: str, kept: bytes) -> _Pair:
    from pymemcache import PooledClient

    place = url.partition("://")[2]
    client = PooledClient(place, timeout=_TIMEOUT, connect_timeout=_TIMEOUT, default_noreply=False)
    return lambda: client.get(key), lambda: client.set(key, kept)


def _sql(url: str, folder: Path, key: str, kept: bytes) -> _Pair:
    from sqlalchemy import Column, LargeBinary, MetaData, String, Table, bindparam, make_url, select, update

    from flask_sessionkit.stores.sql_connections import Connections

    engine = Connections(make_url(url), timeout=_TIMEOUT, connect_args={}).engine
    table = Table("floor", MetaData(), Column("key", String(64), primary_key=True), Column("data", LargeBinary(4000)))
    fetch = select(table.c.data).where(table.c.key == bindparam("this"))
    store = update(table).where(table.c.key == bindparam("this")).values(data=bindparam("new"))
    table.create(engine, checkfirst=True)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.execute(table.insert(), {"key": key, "data": b""})

    def get() -> bytes:
        with engine.connect() as connection:
            return bytes(connection.execute(fetch, {"this": key}).scalar_one())

    def put() -> None:
        with engine.connect() as connection:
            connection.execute(store, {"this": key, "new": kept})

    return get, put


def _files(url: str, folder: Path, key: str, kept: bytes) -> _Pair:
    path = str(folder / key)
    new = f"{path}.new"

    def get() -> bytes:
        with open(path, "rb", buffering=0) as file:
            return file.read()

    def put() -> None:
        with open(new, "wb", buffering=0) as file:
            file.write(kept)
        os.replace(new, path)

    return get, put


_PAIRS: dict[str, Callable[[str, Path, str, bytes], _Pair]] = {
    "redis": _redis,
    "memcached": _memcached,
    "sql": _sql,
    "files": _files,
}
