"""Which servers and folders the client objects of an application lead to. Imports none of their libraries."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from ...errors import ConfigError
from ...stores.memcached_addresses import Address, address_of

#: Where Memcached is without a word (flask_session.memcached; memcached's ``-p``).
LOCAL_MEMCACHED: Address = ("127.0.0.1", 11211)


class CacheOfFiles(Struct, frozen=True):
    """A ``cachelib.FileSystemCache``.

    :param hash_method: what file names are made by.
    """

    folder: Path
    hash_method: Callable[[bytes], Any]


class CacheInRedis(Struct, frozen=True):
    """A ``cachelib.RedisCache`` or ``ValkeyCache``.

    :param prefix: what it puts before all names.
    """

    client: Any
    prefix: str


class CacheInMemcached(Struct, frozen=True):
    """A ``cachelib.MemcachedCache``.

    :param prefix: what it puts before all names.
    """

    addresses: list[Address]
    prefix: str


class CacheInMemory(Struct, frozen=True):
    """A ``cachelib.SimpleCache``: what lies in it ends with its process."""


Cache = CacheOfFiles | CacheInRedis | CacheInMemcached | CacheInMemory


def cache_of(thing: Any) -> Cache:
    """Return where a cache of cachelib's keeps what it is given.

    :raises ConfigError: it is none, or one that keeps it where we do not look.
    """
    kinds = {kind.__name__ for kind in type(thing).__mro__ if kind.__module__.split(".")[0] == "cachelib"}
    prefix = getattr(thing, "key_prefix", None) or ""
    if callable(prefix):
        raise ConfigError(
            "SESSION_CACHELIB has a key_prefix that is a function, and where sessions lie is then known to it alone. "
            "Give it a text, or set SESSIONKIT_STORE."
        )
    if "FileSystemCache" in kinds:
        return CacheOfFiles(Path(thing._path).absolute(), thing._hash_method)
    if kinds & {"RedisCache", "ValkeyCache", "BaseRedisCache"}:
        return CacheInRedis(thing._write_client, str(prefix))
    if "MemcachedCache" in kinds:
        return CacheInMemcached(addresses_of(thing._client), str(prefix))
    if "SimpleCache" in kinds:
        return CacheInMemory()
    raise ConfigError(
        f"SESSION_CACHELIB is a {type(thing).__name__}, and sessions can be kept where a FileSystemCache, RedisCache, "
        "ValkeyCache or MemcachedCache would. For any other place set SESSIONKIT_STORE; its sessions end."
    )


def addresses_of(client: Any) -> list[Address]:
    """Return the servers that a client of Memcached knows: pymemcache's, pylibmc's, python-memcached's or libmc's.

    :raises ConfigError: it does not tell.
    """
    servers = list(_servers_of(client))
    if not servers:
        raise ConfigError(
            f"SESSION_MEMCACHED is a {type(client).__name__} that does not tell its servers. "
            "Set SESSIONKIT_STORE = 'memcached://host:port,host:port'."
        )
    return [address_of(server, "SESSION_MEMCACHED") for server in servers]


def _servers_of(client: Any) -> Iterable[str | tuple[str, int]]:
    client = getattr(client, "__dict__", {}).get("_client", client)  # a pymemcache RetryingClient, which has any name
    if queue := getattr(client, "queue", None):  # a pylibmc.ClientPool
        client = queue[0]
    clients = getattr(client, "clients", None)  # a pymemcache HashClient
    if isinstance(clients, dict):
        return [one.server for one in clients.values()]
    if isinstance(addresses := getattr(client, "addresses", None), list | tuple):  # pylibmc
        return [_without_weight(str(address)) for address in addresses]
    if isinstance(servers := getattr(client, "servers", None), list | tuple):  # python-memcached, libmc
        return [_without_weight(one) if isinstance(one, str) else one.address for one in servers]
    if isinstance(server := getattr(client, "server", None), str | tuple):  # pymemcache
        return [server]
    return []


def _without_weight(server: str) -> str:
    """Return a server without what follows its port: ``host:port:weight``, and libmc's ``host:port alias``."""
    server = server.partition(" ")[0].removeprefix("unix:").removeprefix("udp:")
    return ":".join(server.split(":")[:2]) if server.count(":") == 2 else server


def usual_folder() -> Path:
    """Return where Flask-Session keeps its files unless told otherwise (flask_session.defaults)."""
    return Path(os.getcwd(), "flask_session")


def default_cache() -> CacheOfFiles:
    """Return what Flask-Session makes where ``SESSION_CACHELIB`` is not set."""
    return CacheOfFiles(usual_folder(), hashlib.sha256)
