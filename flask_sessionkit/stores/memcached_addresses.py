"""Where Memcached's servers are: the addresses that an application gives, one by one or in a URL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Final, TypeAlias
from urllib.parse import unquote

from ..errors import ConfigError

#: A host and a port, or the path of a Unix socket.
Address: TypeAlias = tuple[str, int] | str

_HOST: Final = re.compile(r"[^\s\x00-\x1f\x7f:/@?#\[\],]+")


def name_of(address: Address) -> str:
    """Return a server as it is spelled in messages and hashed for keys; always in the same way."""
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def usable(addresses: Iterable[Address]) -> list[Address]:
    names: dict[str, Address] = {}
    for address in addresses:
        if name_of(address) in names:
            raise ConfigError(f"MemcachedStore(servers=...) names {name_of(address)} twice. Name it once.")
        names[name_of(address)] = address
    if not names:
        raise ConfigError("MemcachedStore(servers=...) is empty. Name a server, as in ['localhost:11211'].")
    return list(names.values())


def address_of(server: str | tuple[str, int], setting: str) -> Address:
    """Return where a server is, or refuse what can never be one."""
    if not isinstance(server, str):
        host, port = server
        return _checked(host, str(port), setting)
    if server.startswith("/"):
        return _checked_path(server, setting)
    if server.startswith("["):
        host, bracket, rest = server[1:].partition("]")
        if not bracket or rest[:1] not in {"", ":"} or ":" not in host:
            raise ConfigError(f"{setting} has brackets around what is no IPv6 address. Write [::1]:11211.")
        return _checked(host, rest[1:] if rest else "11211", setting)
    host, colon, text = server.partition(":")
    if ":" in text:
        raise ConfigError(f"{setting} has a server with more than one colon. Write an IPv6 address as [::1]:11211.")
    return _checked(host, text if colon else "11211", setting)


def servers_of(url: str) -> list[str]:
    """Return the servers that a URL names. Its text is in no message, since it may hold a password."""
    scheme, colon, rest = url.partition("://")
    hosts, slash, path = rest.partition("/")
    if not colon or scheme.lower() != "memcached":
        raise ConfigError("SESSIONKIT_STORE is no Memcached URL. Write memcached://host:port,host:port.")
    if "@" in rest:
        raise ConfigError(
            "SESSIONKIT_STORE has a user or password, which the Memcached protocol does not know. "
            "Remove it, and let nobody but the web servers reach the port."
        )
    if "?" in rest or "#" in rest:
        raise ConfigError("SESSIONKIT_STORE has a query, which a Memcached URL does not know. Remove it.")
    if path and hosts:
        raise ConfigError("SESSIONKIT_STORE has a path after its Memcached servers. Remove it.")
    if path:
        return [unquote(slash + path)]
    if not all(hosts.split(",")):
        raise ConfigError("SESSIONKIT_STORE lacks a host. Write memcached://host:port,host:port.")
    return hosts.split(",")


def _checked(host: str, port: str, setting: str) -> tuple[str, int]:
    try:
        if ":" in host:
            host = str(IPv6Address(host))  # one spelling of many
        elif not _HOST.fullmatch(host):
            raise ValueError
    except ValueError:
        raise ConfigError(f"{setting} has a server whose host cannot be one. Write host:port.") from None
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ConfigError(f"{setting} has no port for {host} that can be one. Write a number from 1 to 65535.")
    return host.lower(), int(port)


def _checked_path(path: str, setting: str) -> str:
    # Linux has 108 bytes for it, one of them for the end (unix(7)); others have fewer.
    if "\0" in path or len(os.fsencode(path)) > 107:
        raise ConfigError(f"{setting} has a path that no Unix socket can have. Write one of at most 107 bytes.")
    return path
