"""All that a store holds, as somebody would have it who stole it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import unquote_to_bytes

from flask_sessionkit.testing import PausingStore


def dump(kind: str, store: PausingStore, folder: Path) -> bytes:
    """Everything that somebody who stole the store would have."""
    inner: Any = store.inner
    match kind:
        case "memory":
            return repr(vars(inner)).encode() + b"".join(
                record.key.encode() + record.payload + record.info + record.version
                for record in inner._records.values()
            )
        case "redis":
            return dump_of_redis((folder / "url").read_text(), inner._prefix)
        case "memcached":
            return dump_of_memcached((folder / "url").read_text(), inner._prefix)
        case "postgresql" | "mariadb":
            with inner._engine.connect() as connection:
                fields = [field for row in connection.execute(inner._table.select()) for field in row]
            return b"".join(field if isinstance(field, bytes) else str(field).encode() for field in fields)
    return b"".join(
        os.fsencode(path) + (path.read_bytes() if path.is_file() else b"") for path in sorted(folder.rglob("*"))
    )


def dump_of_redis(url: str, prefix: str) -> bytes:
    """By ``SCAN`` and ``DUMP``, and what is inside, which a dump may have made smaller."""
    from redis import Redis

    with closing(Redis.from_url(url)) as client:
        names = list(client.scan_iter(match=f"{prefix}*"))
        dumps = [client.dump(name) for name in names]
        inside = [b"".join(client.zrange(name, 0, -1)) if b":owner:" in name else client.get(name) for name in names]
    return b"".join([*names, *dumps, *inside])


def dump_of_memcached(url: str, prefix: str) -> bytes:
    """By ``lru_crawler metadump`` and ``get``."""
    from pymemcache.client.base import Client

    host, _, port = url.partition("//")[2].partition(":")
    told: list[bytes] = []
    for _ in range(3):  # it walks along its lists while a thread of its own moves things from one to the next
        with closing(create_connection((host, int(port)))) as connection, connection.makefile("rb") as lines:
            connection.sendall(b"lru_crawler metadump hash\r\n")
            told += iter(lines.readline, b"END\r\n")
    names = {unquote_to_bytes(line.split()[0].removeprefix(b"key=")) for line in told}
    names = {name for name in names if name.startswith(prefix.encode())}
    with closing(Client((host, int(port)))) as client:
        return b"".join([*names, *client.get_many(names).values()])
