"""How many bytes a session takes where it lies: typical ones, signed in, beside Flask-Session's and Django's.

Each is made by a request of its own, with ids as random as they are in life. What is counted is what the server or the
disk has more afterwards, with all indexes; what an empty store has that was used once is taken off. Servers and
databases take room in steps, so it is counted at four sizes within one doubling, and the middle of them is told.
"""

from __future__ import annotations

import itertools
import secrets
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from tests.servers import MariaDBServer, MemcachedServer, PostgreSQLServer, RedisServer

from . import peers
from .apart import Apart, Calls
from .peers_django import django_on
from .tables import Cell, Report, Table, arguments
from .views import TYPICAL
from .visitor import Subject

#: Times of what Flask-Session takes in Redis, at most.
GOAL = 0.8
#: By how much more sessions there are at each count than at the first: a server's tables double somewhere between.
_STEPS = (1, 1.2, 1.4, 1.7)

Maker = Callable[[str, str, Path], Subject]


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
    parser = arguments(__doc__)
    parser.add_argument("--sessions", type=int, default=2000, help="at the first count")
    options = parser.parse_args()
    sessions = 60 if options.quick else options.sessions
    # InnoDB takes room by the megabyte, so few sessions tell nothing.
    places = {kind: place for kind, place in PLACES.items() if not (options.quick and kind == "MariaDB")}
    report = Report("footprint", options.save, "flask", "flask-session", "django", "redis", "sqlalchemy")
    rows: list[Sequence[Cell]] = []
    for kind, place in places.items():
        sizes = []
        for maker in (_ours, peers.flask_session_on, django_on):
            with place() as here:
                sizes.append(_bytes_each(maker, here, sessions * (3 if kind == "MariaDB" else 1)))
        ours, flask_session, django = sizes
        goal = ("met" if ours / flask_session <= GOAL else "missed") if kind == "Redis" else None
        rows.append((kind, *sizes, ours / flask_session, ours / django, goal))
    report.add(
        Table(
            "footprint",
            "Bytes of a signed-in session, indexes included",
            ("SessionKit", "Flask-Session", "Django", "to Flask-Session", "to Django", f"goal: {GOAL}"),
            rows,
            "SessionKit's has a list of each user's sessions, with device and address, for three sessions a user; the "
            "others' have none. Flask-Session is on cachelib's files and on SQLAlchemy, Django on its cache, its db "
            "and its files.",
        )
    )
    report.add(_where_they_go(sessions))


def _bytes_each(maker: Maker, here: Place, sessions: int) -> float:
    with Apart(_visitor, maker, here.kind, here.url, here.folder) as subject:
        subject.cost("begin", 2)  # its tables are there then
        before, number, each = here.size(), 0, []
        for step in _STEPS:
            more = int(sessions * step) - number
            subject.cost("begin", more - 1)  # and one that warms it up
            number += more
            each.append((here.size() - before) / number)
    return mean(each)


def _visitor(maker: Maker, kind: str, url: str, folder: Path) -> Calls:
    """Return what begins a session, of a user with three of them."""
    subject = maker(kind, url, folder)
    subject.another().sign_in()
    begin = subject.call("begin")
    turns = itertools.count()

    def sign_in() -> None:
        TYPICAL.update(
            _user_id=str(4711 + next(turns) // 3), _id=secrets.token_hex(64), csrf_token=secrets.token_hex(20)
        )
        begin()

    return {"begin": sign_in}


def _ours(kind: str, url: str, folder: Path) -> Subject:
    return peers.sessionkit_on(url)


def _where_they_go(sessions: int) -> Table:
    """Return what our bytes in Redis are."""
    import msgspec
    import redis

    from flask_sessionkit import codec
    from flask_sessionkit.stores.redis import RedisStore

    with _redis() as here, redis.Redis.from_url(here.url) as client:
        total = _bytes_each(_ours, here, sessions)
        indexes = [name for name in client.scan_iter("session:owner:*") if client.zcard(name) == 3]
        index = mean(client.memory_usage(name) or 0 for name in indexes[:100]) / 3
        record = next(record for record in RedisStore(here.url).scan() if record.owner)
        [name] = client.scan_iter(f"*{record.key}")
        whole = client.memory_usage(name) or 0
        length = client.strlen(name)
    data = len(msgspec.msgpack.encode({name: codec.encode(value) for name, value in TYPICAL.items()}))
    rows: list[tuple[str, float]] = [
        ("what the application keeps", data),
        ("its seal, times, user and lineage", len(record.payload) - data),
        ("times, version and owner, for the store", length - len(record.payload) - len(record.info)),
        ("device and address", len(record.info)),
        ("the key's name", len(name)),
        ("Redis's own for a key and its value", whole - length - len(name)),
        ("a third of its user's list", index),
    ]
    rows.append(("Redis's tables of keys and of expiries", total - sum(size for _, size in rows)))
    return Table("footprint-redis", "Where our bytes go in Redis", ("bytes",), [*rows, ("together", total)])


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
    with MariaDBServer("--innodb-stats-persistent=1", "--innodb-flush-log-at-trx-commit=2") as server:
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
