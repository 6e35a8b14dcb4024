"""What the settings of Flask-Session mean here: which store, where its sessions lie, what means nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import field

from ...discreet import DiscreetStruct
from ...errors import ConfigError
from ...findings import Finding, Mark
from ...stores.memcached_addresses import Address, name_of
from .clients import (
    LOCAL_MEMCACHED,
    CacheInMemcached,
    CacheInRedis,
    CacheOfFiles,
    addresses_of,
    cache_of,
    default_cache,
    usual_folder,
)
from .former_ids import USUAL_LENGTH
from .place_files import USUAL_HASHES, FilesPlace
from .places import Place

#: What ours add to a folder and to names of Flask-Session's.
OURS = "sessionkit"
_OUR_PREFIX = re.compile(r"[!-z|~]{1,100}")
#: Bytes of randomness below which an id can be guessed (OWASP ASVS 5.0, 7.2.3: 128 bits).
_FEWEST = 16


class Translation(DiscreetStruct, frozen=True):
    """What Flask-Session's settings mean here.

    :param kind: ``SESSION_TYPE``, in small letters.
    :param prefix: what Flask-Session's names begin with.
    :param ours: settings of ours that follow from Flask-Session's; one that is set goes before.
    :param place: makes what leads to Flask-Session's sessions; ``None`` where there are none that could be read.
    :param id_length: bytes.
    :param lines: what the application's developers should know of settings that mean nothing here, a line each.
    :param findings: what is unsafe about the settings.
    """

    kind: str
    prefix: str
    ours: dict[str, Any] = field(default_factory=dict)
    place: Callable[[float], Place] | None = None
    id_length: int = USUAL_LENGTH
    is_signed: bool = False
    is_permanent: bool = True
    lines: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Translation of {self.kind}>"  # a URL may hold a password


def translated(
    config: Mapping[str, Any], *, instance_path: Path, database: Callable[[str | None], Any], has_database: bool
) -> Translation:
    """Return what Flask-Session's settings mean here. Connects to nothing and makes nothing.

    :param database: returns the URL of one of Flask-SQLAlchemy's databases, by its bind; called at the first use.
    :param has_database: whether the application has a Flask-SQLAlchemy; without one, and none among the settings,
        Flask-Session makes one.
    :raises ConfigError: settings that cannot work, all of them told at once.
    """
    reader = _Reader(config)
    prefix = reader.text("SESSION_KEY_PREFIX", "session:")
    length = reader.length()
    reader.serialization_format()
    kind = reader.kind()
    ours: dict[str, Any] = {}
    place: Callable[[float], Place] | None = None
    if reader.problems:
        raise ConfigError("\n".join(reader.problems))
    if kind is not None:
        ours, place = _of_kind(kind, config, prefix, instance_path, database, has_database)
        ours |= _our_prefix(prefix)
    return Translation(
        kind=kind or "null",
        prefix=prefix,
        ours=ours,
        place=place,
        id_length=length,
        is_signed=bool(config.get("SESSION_USE_SIGNER", False)),
        is_permanent=bool(config.get("SESSION_PERMANENT", True)),
        lines=list(_lines(config, kind)),
        findings=list(_findings(config, kind, length)),
    )


class _Reader:
    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        given = self._config.get(name, default)
        if isinstance(given, str):
            return given
        self.problems.append(f"{name} must be a text, not {type(given).__name__}. Write it as in {default!r}.")
        return default

    def length(self) -> int:
        given = self._config.get("SESSION_ID_LENGTH", USUAL_LENGTH)
        if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= 180:
            return given
        self.problems.append(f"SESSION_ID_LENGTH must be a number of bytes from 1 to 180, not {given!r:.40}. Use 32.")
        return USUAL_LENGTH

    def serialization_format(self) -> None:
        given = self._config.get("SESSION_SERIALIZATION_FORMAT", "msgpack")
        if given not in ("msgpack", "json"):
            self.problems.append(
                f"SESSION_SERIALIZATION_FORMAT must be 'msgpack' or 'json', not {given!r:.40}. Leave it out: "
                "records of either are read."
            )

    def kind(self) -> str | None:
        """Return ``SESSION_TYPE``; ``None`` where ours alone says where sessions lie."""
        given = self._config.get("SESSION_TYPE", "null")
        kind = given.lower() if isinstance(given, str) else given
        if kind in _KINDS:
            return str(kind)
        if self._config.get("SESSIONKIT_STORE") is not None:
            return None
        if kind in ("mongodb", "dynamodb"):
            self.problems.append(
                f"SESSION_TYPE is {kind!r}, where no sessions can be kept here, nor read. Set SESSIONKIT_STORE to "
                "another store; who is signed in there has to sign in again."
            )
        elif kind in ("null", None):
            self.problems.append(
                "SESSION_TYPE is not set, so Flask-Session had no sessions. Set it to one of "
                f"{', '.join(map(repr, _KINDS))}, or set SESSIONKIT_STORE."
            )
        else:
            self.problems.append(
                f"SESSION_TYPE must be one of {', '.join(map(repr, _KINDS))}, not {given!r:.40}. Correct it, or set "
                "SESSIONKIT_STORE."
            )
        return None


def _of_kind(
    kind: str,
    config: Mapping[str, Any],
    prefix: str,
    instance_path: Path,
    database: Callable[[str | None], Any],
    has_database: bool,
) -> tuple[dict[str, Any], Callable[[float], Place] | None]:
    """Return our settings, and what makes the place of Flask-Session's sessions when it is told its timeout."""
    match kind:
        case "redis":
            client = config.get("SESSION_REDIS")
            client = "redis://localhost:6379/0" if client is None else client
            return {"SESSIONKIT_STORE": client}, partial(_redis_place, client, prefix, "", b"")
        case "memcached":
            client = config.get("SESSION_MEMCACHED")
            addresses = addresses_of(client) if client is not None else [LOCAL_MEMCACHED]
            return _in_memcached(addresses, prefix, "")
        case "filesystem":
            folder = Path(config.get("SESSION_FILE_DIR") or usual_folder()).absolute()
            return _in_files(CacheOfFiles(folder, USUAL_HASHES[0]))
        case "cachelib":
            return _of_cache(config, prefix)
        case _:
            return _in_sql(config, prefix, instance_path, database, has_database)


def _of_cache(config: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], Callable[[float], Place] | None]:
    thing = config.get("SESSION_CACHELIB")
    cache = default_cache() if thing is None else cache_of(thing)
    if isinstance(cache, CacheOfFiles):
        return _in_files(cache)
    if isinstance(cache, CacheInRedis):
        return {"SESSIONKIT_STORE": cache.client}, partial(_redis_place, cache.client, prefix, cache.prefix, b"!")
    if isinstance(cache, CacheInMemcached):
        return _in_memcached(cache.addresses, prefix, cache.prefix)
    return {"SESSIONKIT_STORE": "memory:"}, None


def _in_files(cache: CacheOfFiles) -> tuple[dict[str, Any], Callable[[float], Place]]:
    hashes = (cache.hash_method, *(make for make in USUAL_HASHES if make is not cache.hash_method))
    # Inside, so that no other folder needs rights. cachelib leaves folders alone.
    url = (cache.folder / OURS).as_uri()
    return {"SESSIONKIT_STORE": url}, lambda _: FilesPlace(cache.folder, hashes=hashes)


def _in_memcached(
    addresses: list[Address], prefix: str, before: str
) -> tuple[dict[str, Any], Callable[[float], Place]]:
    sockets = [address for address in addresses if isinstance(address, str)]
    if not sockets:
        url = f"memcached://{','.join(map(name_of, addresses))}"
    elif len(addresses) == 1:
        url = f"memcached://{quote(sockets[0])}"
    else:
        raise ConfigError("SESSION_MEMCACHED has several Unix sockets. Set SESSIONKIT_STORE to a store of your own.")
    return {"SESSIONKIT_STORE": url}, partial(_memcached_place, addresses, prefix, before)


def _in_sql(
    config: Mapping[str, Any],
    prefix: str,
    instance_path: Path,
    database: Callable[[str | None], Any],
    has_database: bool,
) -> tuple[dict[str, Any], Callable[[float], Place]]:
    bind, schema = config.get("SESSION_SQLALCHEMY_BIND_KEY"), config.get("SESSION_SQLALCHEMY_SCHEMA")
    table = config.get("SESSION_SQLALCHEMY_TABLE", "sessions")
    if not has_database and config.get("SESSION_SQLALCHEMY") is None:
        url = _named_url(config, bind)
        if schema:
            raise ConfigError(
                "SESSION_SQLALCHEMY_SCHEMA needs the application's Flask-SQLAlchemy. Make one, and set "
                "SESSION_SQLALCHEMY to it."
            )
        return {"SESSIONKIT_STORE": url}, partial(_sql_place, lambda: url, table, schema, prefix, instance_path)
    query = urlencode({name: value for name, value in (("bind", bind), ("schema", schema)) if value})
    place = partial(_sql_place, partial(database, bind), table, schema, prefix, instance_path)
    return {"SESSIONKIT_STORE": f"sqlalchemy:{'?' if query else ''}{query}"}, place


def _named_url(config: Mapping[str, Any], bind: str | None) -> Any:
    """Return the URL of a database as Flask-SQLAlchemy is told of it."""
    given = config.get("SQLALCHEMY_DATABASE_URI") if bind is None else (config.get("SQLALCHEMY_BINDS") or {}).get(bind)
    url = given.get("url") if isinstance(given, Mapping) else given
    if url is None:
        raise ConfigError(
            "SESSION_TYPE is 'sqlalchemy', and neither SESSION_SQLALCHEMY nor SQLALCHEMY_DATABASE_URI says which "
            "database. Set SESSION_SQLALCHEMY to your SQLAlchemy(app)."
        )
    return str(url) if isinstance(url, str) else url.render_as_string(hide_password=False)


def _redis_place(client: Any, prefix: str, before: str, mark: bytes, timeout: float) -> Place:
    from .place_redis import RedisPlace

    return RedisPlace(client, prefix=prefix, before=before, mark=mark, timeout=timeout)


def _memcached_place(addresses: list[Address], prefix: str, before: str, timeout: float) -> Place:
    from .place_memcached import MemcachedPlace

    return MemcachedPlace(addresses, prefix=prefix, before=before, timeout=timeout)


def _sql_place(
    url: Callable[[], Any], table: str, schema: str | None, prefix: str, instance_path: Path, timeout: float
) -> Place:
    from .place_sql import SQLPlace

    return SQLPlace(url, table=table, schema=schema, prefix=prefix, timeout=timeout, relative_to=instance_path)


def _our_prefix(prefix: str) -> dict[str, Any]:
    """Return what ours begin with: no id of Flask-Session's has a colon, so that no cookie leads to one of ours."""
    ours = f"{prefix}{OURS}:"
    return {"SESSIONKIT_KEY_PREFIX": ours if _OUR_PREFIX.fullmatch(ours) else f"session:{OURS}:"}


def _lines(config: Mapping[str, Any], kind: str | None) -> Iterator[str]:
    """Yield a line for each setting that is there and means nothing here."""
    for name, why in _WITHOUT_MEANING.items():
        if config.get(name) is not None:
            yield f"{name} means nothing here: {why}"
    if kind is None and config.get("SESSION_TYPE") is not None:
        yield "SESSION_TYPE means nothing here: SESSIONKIT_STORE says where sessions lie."


def _findings(config: Mapping[str, Any], kind: str | None, length: int) -> Iterator[Finding]:
    if length < _FEWEST:
        yield Finding(
            Mark.FAULT,
            "SESSION_ID_LENGTH",
            f"{length}: who tries out ids of {length * 8} bits finds sessions of Flask-Session that live, and they are "
            "taken over for them. Ours have 256 bits whatever it says; take the old ones over no longer than you must.",
        )
    mode = config.get("SESSION_FILE_MODE")
    if kind == "filesystem" and isinstance(mode, int) and mode & 0o077:
        yield Finding(
            Mark.FAULT,
            "SESSION_FILE_MODE",
            f"{mode:o}: other users of this machine may read the files of Flask-Session, and those hold sessions that "
            "are taken over. Ours are their owner's alone whatever it says. Run chmod 600 on them.",
        )
    folder = Path(config.get("SESSION_FILE_DIR") or usual_folder())
    if kind == "filesystem" and _is_open_to_others(folder):
        yield Finding(
            Mark.FAULT,
            "SESSION_FILE_DIR",
            f"{folder} can be written to by other users, who can put sessions there of whatever user they like. "
            "Run chmod 700 on it.",
        )
    if kind is not None and config.get("SESSIONKIT_TAKE_OVER") is None:
        yield Finding(
            Mark.NOTE,
            "SESSIONKIT_TAKE_OVER",
            "Sessions of Flask-Session are taken over, which nobody has sealed: who can write to that store can be any "
            "user. Set it to [] once PERMANENT_SESSION_LIFETIME has passed.",
        )
    if kind in ("filesystem", "cachelib"):
        yield Finding(
            Mark.NOTE,
            "SESSION_TYPE",
            f"{kind!r} keeps pickles, which run what their writer likes when they are read. No request reads one; "
            "flask sessions import-flask-session makes them readable.",
        )


def _is_open_to_others(folder: Path) -> bool:
    try:
        return os.name != "nt" and bool(folder.stat().st_mode & 0o022)
    except OSError:
        return False


_KINDS = ("redis", "memcached", "sqlalchemy", "filesystem", "cachelib")

_WITHOUT_MEANING = {
    "SESSION_SERIALIZATION_FORMAT": "records are sealed msgpack; those of Flask-Session are read in either format.",
    "SESSION_SQLALCHEMY_SEQUENCE": "our table has no numbers. That of Flask-Session is only read and emptied.",
    "SESSION_FILE_THRESHOLD": "no live session is ever removed to make room. Run flask sessions purge daily.",
    "SESSION_FILE_MODE": "our files are their owner's alone (600).",
    "SESSION_CLEANUP_N_REQUESTS": "no request waits for a clean-up. Run flask sessions purge daily.",
    "SESSION_MONGODB": "no sessions are kept in MongoDB, nor read from there.",
    "SESSION_MONGODB_DB": "no sessions are kept in MongoDB, nor read from there.",
    "SESSION_MONGODB_COLLECT": "no sessions are kept in MongoDB, nor read from there.",
    "SESSION_DYNAMODB": "no sessions are kept in DynamoDB, nor read from there.",
    "SESSION_DYNAMODB_TABLE": "no sessions are kept in DynamoDB, nor read from there.",
}
