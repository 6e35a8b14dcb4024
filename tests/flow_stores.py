"""The kinds of store that the flow tests run on, each opened over what a folder holds or points at."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import unquote

import pytest
from servers import Proxy

from flask_sessionkit.stores.base import Scans, Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore

#: Those that need nothing but Python.
EMBEDDED = ("memory", "files", "sqlite")
#: Those of a server, by the name of its mark.
SERVED = ("redis", "memcached", "postgresql", "mariadb")
#: For ``pytest.fixture(params=...)``.
SERVED_KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in SERVED]
#: All of them. What runs on one server runs the same under another version of Python, so that is tried once.
KINDS = [*EMBEDDED, *(pytest.param(kind, marks=[getattr(pytest.mark, kind), pytest.mark.thorough]) for kind in SERVED)]
#: The same, and Redis on three servers, for what moves a session from one key to another.
KINDS_AND_CLUSTER = [*KINDS, pytest.param("redis_cluster", marks=[pytest.mark.redis, pytest.mark.thorough])]

#: Seconds. Threads of a race queue for one file, one row or a busy machine; the library's own half second is for
#: requests of people.
PATIENCE = 10.0


def prepare(kind: str, folder: Path, request: pytest.FixtureRequest, *, wire: Proxy | None = None) -> Path:
    """Start the server of a kind, if it has one, and note in the folder where it is; return the folder.

    :param wire: what leads to the server, if it is not asked directly.
    """
    if kind == "redis_cluster":
        note_server(request.getfixturevalue(kind), folder)
    if kind in SERVED:
        server = request.getfixturevalue(f"{kind}_server")
        note_server(server, folder, wire=wire)
    return folder


def note_server(server: Any, folder: Path, *, wire: Proxy | None = None) -> None:
    """Write into a folder where ``open_store`` finds its server."""
    url = server.url if wire is None else server.url.replace(f":{server.port}", f":{wire.port}")
    (folder / "url").write_text(url)


def open_store(kind: str, folder: Path, *, timeout: float = PATIENCE) -> Store:
    """Return a store of its own over what lies in a folder; a process that is spawned can call it too.

    On a server it is the folder's name that keeps the tests apart.
    """
    match kind:
        case "memory":
            return MemoryStore()
        case "files":
            return FileStore(folder / "sessions")
        case "sqlite":
            return SQLAlchemyStore(f"sqlite:///{folder}/sessions.db", timeout=timeout)
    url, name = (folder / "url").read_text(), re.sub("[^a-z0-9]", "_", f"{folder.parent.name}_{folder.name}".lower())
    match kind:
        case "redis" | "redis_cluster":
            from flask_sessionkit.stores.redis import RedisStore

            return RedisStore.from_url(url, prefix=f"{name}:", timeout=timeout)
        case "memcached":
            from flask_sessionkit.stores.memcached import MemcachedStore

            return MemcachedStore.from_url(url, prefix=f"{name}:", timeout=timeout)
    return SQLAlchemyStore(url, table=name[-40:], timeout=timeout)


def keys_in(store: Store) -> list[str]:
    """Return the keys of all records, whatever they are, past every door."""
    while isinstance(inner := getattr(store, "inner", None), object) and inner is not None:
        store = inner
    match store:
        case MemoryStore():
            return list(store._records)
        case FileStore():
            return [path.name for path in store.folder.glob("??/*") if re.fullmatch("[0-9a-f]{64}", path.name)]
        case SQLAlchemyStore():
            return _keys_in_table(store)
    if isinstance(store, Scans):
        return [record.key for record in store.scan()]
    return _keys_on_server(store)


def _keys_in_table(store: SQLAlchemyStore) -> list[str]:
    from sqlalchemy import inspect, select

    with store._engine.connect() as connection:
        if not inspect(connection).has_table(store._table.name):
            return []
        return list(connection.execute(select(store._table.c.key)).scalars())


def _keys_on_server(store: Any) -> list[str]:
    names = _names_in_redis(store) if type(store).__name__ == "RedisStore" else _names_in_memcached(store)
    ours = [name.removeprefix(store._prefix) for name in names if name.startswith(store._prefix)]
    return [key for key in ours if re.fullmatch("[0-9a-f]{64}", key)]


def _names_in_redis(store: Any) -> list[str]:
    names: list[str] = []
    cursor: bytes = b"0"
    while True:
        cursor, found = store._server.call("SCAN", cursor, "MATCH", f"{store._prefix}*", "COUNT", 1000)
        names += [name.decode() for name in found]
        if cursor in (b"0", 0):
            return names


def _names_in_memcached(store: Any) -> list[str]:
    return [name for host, port in store._addresses for name in _names_on_node(host, port)]


def _names_on_node(host: str, port: int) -> list[str]:
    """Ask one server for all keys; it walks for one asker at a time, and tells others that it is busy."""
    with closing(create_connection((host, port), timeout=PATIENCE)) as connection, connection.makefile() as lines:
        names: list[str] = []
        connection.sendall(b"lru_crawler metadump hash\r\n")
        for line in lines:
            if line.startswith("BUSY"):
                connection.sendall(b"lru_crawler metadump hash\r\n")
            elif line.startswith("END"):
                break
            else:
                names.append(unquote(line.split()[0].removeprefix("key=")))
    return names
