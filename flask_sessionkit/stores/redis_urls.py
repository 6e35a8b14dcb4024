"""A Redis URL, read: who is asked for what."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import ConfigError

#: What stands before ``://`` in a URL that this file can read.
SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

_KINDS: Final = {"redis": "", "rediss": "", "unix": "unix"}
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS: Final = (*_TLS_FILES, "ssl_password", "ssl_check_hostname")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Address:
    """Who is asked for what.

    :ivar kind: ``""`` for one server, ``unix``, ``sentinel`` or ``cluster``.
    :ivar path: of a socket; of a Sentinel the name of its service.
    :ivar options: of the connections to the server.
    :ivar sentinel_options: of those to the Sentinels.
    """

    kind: str
    is_tls: bool
    hosts: list[tuple[str, int]]
    path: str
    options: dict[str, Any] = field(repr=False)
    sentinel_options: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        # For messages: without a password.
        if self.kind == "unix":
            return f"unix://{self.path}"
        scheme = ("rediss" if self.is_tls else "redis") + (f"+{self.kind}" if self.kind else "")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        service = f"/{self.path}" if self.kind == "sentinel" else ""
        return f"{scheme}://{hosts}{service}" + ("" if self.kind == "cluster" else f"/{self.options['db']}")


def read_url(url: str) -> Address:
    """Return what a URL says.

    :raises ConfigError: it cannot work; the password is not in the message.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if url.startswith("unix:/") and scheme not in SCHEMES:
        raise _wrong("it has too few slashes", "Write three, as in unix:///run/redis.sock?db=0.")
    if scheme not in SCHEMES:
        raise _wrong("its scheme is unknown", f"Use one of: {', '.join(f'{name}://' for name in SCHEMES)}.")
    kind = _KINDS.get(scheme, scheme.partition("+")[2])
    is_tls = scheme.startswith("rediss")
    # Not by ``urlsplit``: newer ones refuse brackets around one host of several (cpython#105704).
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    parts = urlsplit(f"//host{rest.removeprefix(netloc)}")
    if parts.fragment or "@" in parts.path + parts.query:
        raise _wrong("a part of a password seems to stand in its path", "Write '@' as %40, '/' as %2F, '#' as %23.")
    user, _, hosts = netloc.rpartition("@")
    if "[" in user or "]" in user:
        raise _wrong("its host cannot be read", "In a password write '[' as %5B and ']' as %5D.")
    query = _query(parts.query, kind, is_tls)
    options = _credentials(user) | {name: value for name, value in query.items() if name in _TLS_OPTIONS}
    path = unquote(parts.path)
    if kind == "unix":
        if hosts or path in {"", "/"}:
            raise _wrong("it names no socket", "Write three slashes: unix:///run/redis.sock?db=0.")
        options["db"] = _database(query.get("db", "0"))
        return Address(kind, is_tls, [], path, options, {})
    service, _, database = path.removeprefix("/").partition("/") if kind == "sentinel" else ("", "", path[1:])
    if kind == "sentinel" and not service:
        raise _wrong("it names no service", "Write redis+sentinel://host:26379,host:26379/service/0.")
    options["db"] = _database(query.get("db", database or "0"))
    if kind == "cluster" and options["db"] != 0:
        raise _wrong("it names a database, and a Cluster has only 0", "Leave it out.")
    sentinel = {name: value for name, value in options.items() if name.startswith("ssl_")}
    sentinel |= {name.removeprefix("sentinel_"): query[name] for name in _SENTINEL_OPTIONS if name in query}
    addresses = _hosts(hosts, 26379 if kind == "sentinel" else 6379)
    if not kind and len(addresses) > 1:
        raise _wrong("it names several hosts", "Write redis+sentinel:// or redis+cluster://.")
    return Address(kind, is_tls, addresses, service, options, sentinel)


def _credentials(user: str) -> dict[str, Any]:
    name, _, password = user.partition(":")
    given = {"username": unquote(name), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _hosts(text: str, default_port: int) -> list[tuple[str, int]]:
    hosts = []
    for part in text.split(","):
        try:
            place = urlsplit(f"//{part}")
            host, port = place.hostname, place.port
        except ValueError:
            host = None
        if not host or port == 0:
            raise _wrong(
                "a host or port in it cannot be read",
                "Write host:port, with a comma between two, [::1]:6379 for IPv6; in a password '/' is %2F and '?' %3F.",
            )
        hosts.append((host, port or default_port))
    return hosts


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _wrong("its database is not a number", "Write it last, as in redis://host:6379/0.")
    return int(text)


def _query(text: str, kind: str, is_tls: bool) -> dict[str, Any]:
    query: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True))
    known = ("db", *(_TLS_OPTIONS if is_tls else ()), *(_SENTINEL_OPTIONS if kind == "sentinel" else ()))
    for name, value in query.items():
        if name in _TLS_OPTIONS and not is_tls:
            raise _wrong(f"{name} is for TLS", "Write rediss:// in place of redis://.")
        if name not in known:
            raise _wrong(f"its option {name!r} is unknown", f"Use any of: {', '.join(known)}.")
        if name in _TLS_FILES and not os.access(value, os.R_OK):
            raise _wrong(f"its {name} {value!r} cannot be read", "Name a file that is there and that we may read.")
        if name == "ssl_check_hostname":
            if value.lower() not in {"true", "false"}:
                raise _wrong("its ssl_check_hostname is neither true nor false", "Leave it out: it is true.")
            query[name] = value.lower() == "true"
    return query


def _wrong(fault: str, mend: str) -> ConfigError:
    return ConfigError(f"SESSIONKIT_STORE is a Redis URL that cannot work: {fault}. {mend}")
