"""Which store a URL names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from .errors import ConfigError
from .stores.base import Store
from .stores.redis_clients import is_client


@dataclass(frozen=True, slots=True)
class Site:
    """What a store has to know of the application.

    :param instance_path: where ``file:`` and a relative SQLite path lie.
    :param timeout: seconds that the store may take to connect or to answer.
    :param prefix: what keys begin with where stores share a name space.
    :param database: finds the URL of the database of the application's own, of the bind with this name.
    """

    instance_path: Path
    timeout: float
    prefix: str
    database: Callable[[str | None], Any]


def make_store(url: str, site: Site) -> Store:
    """Return the store that a URL names. Imports its driver; connects to nothing and makes no file.

    :param url: the value of ``SESSIONKIT_STORE``.
    :raises ConfigError: no store can be made of it, with the mend. A password in the URL is not in the message.
    """
    if bare := re.match("([A-Za-z0-9+]+)//", url):
        _refuse_without_colon(url, bare[1])
    scheme, colon, _ = url.partition(":")
    kind = scheme.partition("+")[0].lower()
    make = _MAKERS.get(kind) or (_sqlalchemy if kind in _foreign_dialects() else None)
    if not url:
        raise ConfigError("SESSIONKIT_STORE is empty. Leave it out for files, or name a store, as in 'file:'.")
    if not colon and url.endswith((".db", ".sqlite", ".sqlite3")):
        raise ConfigError(f"SESSIONKIT_STORE must be a URL, not the name of a file. Write 'sqlite:///{url}'.")
    if not colon or make is None:
        raise ConfigError(f"SESSIONKIT_STORE names no store that is known: {redacted(url)!r}. {_advice(kind)}")
    try:
        return make(url, site)
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        if error.name == "sqlalchemy":
            package = f"flask-sessionkit[{_EXTRAS.get(scheme.lower(), 'sqlalchemy')}]"
        raise ConfigError(
            f"SESSIONKIT_STORE needs {error.name or error}, which is not installed: {redacted(url)!r}. "
            f"Run pip install '{package}'{_OR_ELSE.get(error.name or '', '')}."
        ) from error


def store_of_client(thing: object, site: Site) -> Store | None:
    """Return a store on a driver's client that the application made itself; ``None`` for anything else.

    :raises ConfigError: a client that cannot work.
    """
    if not is_client(thing):
        return None
    from .stores.redis import RedisStore

    return RedisStore(thing, prefix=site.prefix, timeout=site.timeout)


def redacted(url: str) -> str:
    """Return a URL for a message: without its user, password and query, and without all that may belong to them.

    >>> redacted("postgresql://ann:secret@db.example:5432/app?sslmode=require")
    'postgresql://***@db.example:5432/app'
    >>> redacted("postgresql://ann:sec/ret@db.example/app")
    'postgresql://***'
    """
    scheme, colon, _ = url.partition(":")
    if not colon:
        return "***"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{scheme}://***"
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{scheme}://***"
    if not parts.netloc:
        is_path = parts.path.startswith("/") or scheme.lower() in _MAKERS
        return url.partition("?")[0] if is_path else f"{scheme}:***"
    user = "***@" if "@" in parts.netloc else ""
    return f"{scheme}://{user}{parts.hostname or ''}{port}{parts.path}"


def _memory(url: str, site: Site) -> Store:
    from .stores.memory import MemoryStore

    if url.partition(":")[2]:
        raise ConfigError(f"SESSIONKIT_STORE must be just 'memory:', not {redacted(url)!r}.")
    return MemoryStore()


def _file(url: str, site: Site) -> Store:
    from .stores.files import FileStore

    folder = _path_of(url) if url.partition(":")[2] else site.instance_path / "sessions"
    store = FileStore(folder, timeout=site.timeout)
    faults = store.check()
    if faults:
        raise ConfigError("SESSIONKIT_STORE names a folder that cannot be used: " + " ".join(faults))
    return store


def _path_of(url: str, *, on_windows: bool = os.name == "nt") -> Path:
    """Return the path of a file URL (RFC 8089; its appendix E.2 for the drive letters of Windows)."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path.startswith("/") or "?" in url or "#" in url or "\0" in path:
        raise ConfigError(
            f"SESSIONKIT_STORE must be 'file:' or 'file:///an/absolute/path', not {redacted(url)!r}. "
            "Write '?', '#' and '%' in a path as %3F, %23 and %25."
        )
    return Path(path[1:] if on_windows and re.match("/[A-Za-z]:", path) else path)


def _sqlalchemy(url: str, site: Site) -> Store:
    from .stores.sqlalchemy import SQLAlchemyStore

    return SQLAlchemyStore(url, timeout=site.timeout, relative_to=site.instance_path)


def _application_database(url: str, site: Site) -> Store:
    from .stores.sqlalchemy import TABLE, SQLAlchemyStore

    given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=False))
    bind, schema, table = given.pop("bind", None), given.pop("schema", None), given.pop("table", TABLE)
    if given or urlsplit(url).path or urlsplit(url).netloc:
        fault = f"its option {next(iter(given))!r} is unknown" if given else f"not {redacted(url)!r}"
        raise ConfigError(
            f"SESSIONKIT_STORE must be 'sqlalchemy:', with '?bind=...&schema=...&table=...' or parts of it; {fault}. "
            "The address of the database is Flask-SQLAlchemy's SQLALCHEMY_DATABASE_URI."
        )
    return SQLAlchemyStore(partial(site.database, bind), table=table, schema=schema, timeout=site.timeout)


def _redis(url: str, site: Site) -> Store:
    from .stores.redis import RedisStore

    return RedisStore.from_url(url, prefix=site.prefix, timeout=site.timeout)


def _memcached(url: str, site: Site) -> Store:
    from .stores.memcached import MemcachedStore

    return MemcachedStore.from_url(url, prefix=site.prefix, timeout=site.timeout)


_Maker: TypeAlias = Callable[[str, Site], Store]

#: By what stands before the colon, or before a plus. A driver is imported when its store is made, not before.
_MAKERS: dict[str, _Maker] = {
    "memory": _memory,
    "file": _file,
    "sqlite": _sqlalchemy,
    "postgresql": _sqlalchemy,
    "mysql": _sqlalchemy,
    "mariadb": _sqlalchemy,
    "oracle": _sqlalchemy,
    "mssql": _sqlalchemy,
    "sqlalchemy": _application_database,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "memcached": _memcached,
}

#: What to install for a module that is missing, where the names differ.
_PACKAGES = {
    "redis": "flask-sessionkit[redis]",
    "pymemcache": "flask-sessionkit[memcached]",
    "psycopg": "flask-sessionkit[postgresql]",
    "pymysql": "flask-sessionkit[mariadb]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}

#: What brings the driver of a database along with SQLAlchemy.
_EXTRAS = {
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
    "mysql+pymysql": "mariadb",
    "mariadb+pymysql": "mariadb",
}

#: For a driver that SQLAlchemy takes unless told otherwise, the one that is tested.
_OR_ELSE = {
    "MySQLdb": ", or write mysql+pymysql:// and install 'flask-sessionkit[mariadb]'",
    "psycopg2": ", or write postgresql+psycopg:// and install 'flask-sessionkit[postgresql]'",
}


def _foreign_dialects() -> set[str]:
    """Return the databases that other packages teach SQLAlchemy."""
    return {entry.name.partition(".")[0] for entry in entry_points(group="sqlalchemy.dialects")}


def _refuse_without_colon(url: str, scheme: str) -> None:
    """Raise for a URL as ``redis//host``, if what it begins with is known."""
    if scheme.partition("+")[0].lower() in _MAKERS:
        meant = redacted(url.replace("//", "://", 1))
        raise ConfigError(f"SESSIONKIT_STORE lacks the colon after {scheme!r}. Write it as in {meant!r}.")


def _advice(kind: str) -> str:
    if kind == "cookie":
        return "For sessions that lie in the browser write SESSIONKIT_STORE = 'cookie:', and nothing behind it."
    if kind.startswith("/"):
        return f"For files in that folder write 'file://{kind}'."
    if kind.startswith("valkey"):
        return "For Valkey write redis://, or rediss:// with TLS."
    nearest = get_close_matches(kind, _MAKERS, n=1)
    meant = f"Did you mean '{nearest[0]}:'? " if nearest else ""
    known = [*_MAKERS, "redis+sentinel", "redis+cluster", "cookie"]
    return f"{meant}Known are {', '.join(f'{name}:' for name in known)}."
