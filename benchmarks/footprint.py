"""How many bytes a session takes where it lies: typical ones, signed in, beside Flask-Session's in the same server.

Each is made by a request of its own. What is counted is what the server or the disk has more afterwards, with all
indexes; the figure before, of an empty store that was used once, is taken off.
"""

from __future__ import annotations

import argparse
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import MariaDBServer, MemcachedServer, PostgreSQLServer, RedisServer

from . import peers
from .timing import machine


@dataclass
class Place:
    """A store of its own for one subject.

    :param url: ``SESSIONKIT_STORE``.
    :param size: tells the bytes that lie there.
    """

    kind: str
    url: str
    size: Callable[[], int]
    folder: Path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    options = parser.parse_args()
    print(machine("flask", "flask-session", "redis", "sqlalchemy"))
    print(f"{options.sessions:,} sessions\n")
    print(f"  {'bytes a session':16}{'ours':>10}{'Flask-Session':>16}{'ratio':>8}")
    for kind, place in PLACES.items():
        sizes = []
        for subject in (_ours, _theirs):
            with place() as here:
                # InnoDB takes room by the megabyte.
                number = options.sessions * (20 if kind == "MariaDB" else 1)
                sizes.append(_bytes_each(subject(here), here, number))
        ours, theirs = sizes
        print(f"  {kind:16}{ours:>10.0f}{theirs:>16.0f}{ours / theirs:>8.2f}", flush=True)


def _bytes_each(visitor: peers.Subject, here: Place, number: int) -> float:
    begin = visitor.call("begin")
    begin()
    before = here.size()
    for turn in range(number):
        peers.TYPICAL["_user_id"] = str(4711 + turn // 3)  # three sessions a user
        begin()
    return (here.size() - before) / number


def _ours(here: Place) -> peers.Subject:
    return peers.Subject(peers.sessionkit_app(here.url))


def _theirs(here: Place) -> peers.Subject:
    return peers.flask_session_on(here.kind, here.url, here.folder)


@contextmanager
def _files() -> Iterator[Place]:
    with TemporaryDirectory() as name:
        folder = Path(name)

        def on_disk() -> int:
            return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))

        yield Place("files", f"file://{folder}/sessions", on_disk, folder)


@contextmanager
def _sqlite() -> Iterator[Place]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "sessions.db"

        def on_disk() -> int:
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return file.stat().st_size

        yield Place("sql", f"sqlite:///{file}", on_disk, folder)


@contextmanager
def _redis() -> Iterator[Place]:
    with RedisServer() as server:

        def used() -> int:
            import redis

            with redis.Redis(port=server.port) as client:
                return int(client.info("memory")["used_memory"])

        yield Place("redis", server.url, used, server.folder)


@contextmanager
def _memcached() -> Iterator[Place]:
    with MemcachedServer() as server:

        def used() -> int:
            with socket.create_connection((server.host, server.port)) as connection:
                connection.sendall(b"stats slabs\r\n")
                with connection.makefile() as lines:
                    told = [line.split() for line in iter(lines.readline, "END\n") if line.startswith("STAT")]
            rows = {name: int(value) for _, name, value in told}
            # Chunks in use: an item takes a whole one of its class.
            return sum(
                used * rows[name.replace("used_chunks", "chunk_size")]
                for name, used in rows.items()
                if name.endswith("used_chunks")
            )

        yield Place("memcached", server.url, used, server.folder)


@contextmanager
def _postgresql() -> Iterator[Place]:
    with PostgreSQLServer() as server:
        tables = "pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        total = f"SELECT sum(pg_total_relation_size(oid)) FROM {tables}"

        def used() -> int:
            server.sql("VACUUM", database="sessions")
            return int(server.sql(total, database="sessions"))

        yield Place("sql", server.url, used, server.folder)


@contextmanager
def _mariadb() -> Iterator[Place]:
    with MariaDBServer("--innodb-stats-persistent=1") as server:
        total = "SELECT sum(data_length + index_length) FROM information_schema.tables WHERE table_schema = 'sessions'"

        def used() -> int:
            for table in server.sql("SHOW TABLES", database="sessions").split():
                server.sql(f"ANALYZE TABLE {table}", database="sessions")
            return int(server.sql(total))

        yield Place("sql", server.url, used, server.folder)


PLACES = {
    "Redis": _redis,
    "Memcached": _memcached,
    "PostgreSQL": _postgresql,
    "MariaDB": _mariadb,
    "SQLite": _sqlite,
    "files": _files,
}


if __name__ == "__main__":
    main()
