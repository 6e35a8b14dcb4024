"""A store that has no room left: the request that needs some says so, and nothing that was there is lost."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from flow_site import NOBODY, Answer, Seen, Site, View, both, login, logout, pausing, put
from flow_stores import PATIENCE
from servers import MemcachedServer, PostgreSQLServer, RedisServer, lacking, need

from flask_sessionkit import StoreError
from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import FrozenClock, PausingStore

#: Bytes of a value that fits into a session, and into no store that is full.
LARGE = 40_000


@dataclass
class Room:
    """What a store has, and how it comes to an end.

    :param open: returns a store of its own for a test's name.
    :param says: what an error's message has to name, for whoever has to mend it.
    """

    open: Callable[[str], Store]
    fill: Callable[[], object]
    make_room: Callable[[], object]
    says: str


# Disks.


class Disk:
    """A disk of 3 MB, or, for whoever may mount none, files that must not grow.

    The second is a limit of this process (RLIMIT_FSIZE): a write fails as on a full disk, with EFBIG for ENOSPC.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mounting = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "tmpfs", str(folder)]
        self.is_mounted = os.getuid() == 0 and subprocess.run(mounting, check=False).returncode == 0

    def fill(self) -> None:
        if not self.is_mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            return
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)

    def close(self) -> None:
        self.make_room()
        if self.is_mounted:
            subprocess.run(["/usr/bin/umount", "--lazy", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, *, for_server: bool = False) -> Iterator[Disk]:
    folder.mkdir()
    with closing(Disk(folder)) as disk:
        if for_server and not disk.is_mounted:
            lacking("needs root and the right to mount: a server's disk cannot be made small otherwise")
        yield disk


@contextmanager
def room_for_files(folder: Path) -> Iterator[Room]:
    with small_disk(folder / "disk") as disk:
        yield Room(lambda name: FileStore(disk.folder / name), disk.fill, disk.make_room, "See to its disk")


@contextmanager
def room_for_sqlite(folder: Path) -> Iterator[Room]:
    with small_disk(folder / "disk") as disk:

        def open_store(name: str) -> Store:
            return SQLAlchemyStore(f"sqlite:///{disk.folder}/{name}.db", timeout=PATIENCE)

        yield Room(open_store, disk.fill, disk.make_room, "disk")


@contextmanager
def room_for_postgresql(folder: Path) -> Iterator[Room]:
    """A table space of its own: what the server writes elsewhere has room."""
    need(PostgreSQLServer)
    with PostgreSQLServer() as server, small_disk(server.folder / "disk", for_server=True) as disk:
        (disk.folder / "space").mkdir()
        shutil.chown(disk.folder / "space", "nobody", "nogroup")
        server.sql(f"CREATE TABLESPACE small LOCATION '{disk.folder}/space'")

        def open_store(name: str) -> Store:
            url = f"{server.url}?options=-c%20default_tablespace%3Dsmall"
            return SQLAlchemyStore(url, table=name[:40], timeout=PATIENCE)

        yield Room(open_store, disk.fill, disk.make_room, "disk")


# Memory.


@contextmanager
def room_in_redis(folder: Path) -> Iterator[Room]:
    need(RedisServer)
    from redis import Redis

    from flask_sessionkit.stores.redis import RedisStore

    with (
        RedisServer("--maxmemory", "8mb", "--maxmemory-policy", "noeviction") as server,
        closing(Redis(host=server.host, port=server.port)) as client,
    ):
        yield Room(
            lambda name: RedisStore.from_url(server.url, prefix=f"{name}:", timeout=PATIENCE),
            lambda: client.setrange("ballast", 9_000_000, b"x"),
            lambda: client.delete("ballast"),
            "maxmemory",
        )


@contextmanager
def room_in_memcached(folder: Path) -> Iterator[Room]:
    """Told to evict nothing (``-M``)."""
    need(MemcachedServer)
    from flask_sessionkit.stores.memcached import MemcachedStore

    with MemcachedServer("-m", "8", "-M") as server:
        ballast: list[str] = []

        def fill() -> None:
            # Room is given to sizes, a megabyte at a time, so it has to be taken in each of them.
            with closing(socket.create_connection((server.host, server.port))) as connection:
                for size in [int(100 * 1.2**step) for step in range(40, -1, -1)]:
                    while set_many(connection, size, ballast):
                        pass

        def make_room() -> None:
            with closing(socket.create_connection((server.host, server.port))) as connection:
                told = b"".join(f"delete {name} noreply\r\n".encode() for name in ballast) + b"version\r\n"
                connection.sendall(told)
                connection.recv(4096)
            ballast.clear()

        def open_store(name: str) -> Store:
            return MemcachedStore.from_url(server.url, prefix=f"{name[:60]}:", timeout=PATIENCE)

        yield Room(open_store, fill, make_room, "(-m)")


def set_many(connection: socket.socket, size: int, names: list[str]) -> bool:
    """Set some values of a size; return whether there was room for all."""
    new = [f"ballast{len(names) + number}" for number in range(max(1, 100_000 // size))]
    names += new
    connection.sendall(b"".join(b"set %b 0 0 %d\r\n%b\r\n" % (name.encode(), size, bytes(size)) for name in new))
    answers = b""
    while answers.count(b"\r\n") < len(new):
        answers += connection.recv(65_536)
    return answers.count(b"STORED") == len(new)


ROOMS = {
    "files": room_for_files,
    "sqlite": room_for_sqlite,
    "redis": room_in_redis,
    "memcached": room_in_memcached,
    "postgresql": room_for_postgresql,
}


# MariaDB is not among them: InnoDB ends its server by itself soon after the disk is full, and then it is down.
@pytest.fixture(
    scope="module",
    params=["files", "sqlite", *(pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in list(ROOMS)[2:])],
)
def room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with ROOMS[request.param](tmp_path_factory.mktemp("full")) as room:
        yield room


@pytest.fixture
def site(room: Room, request: pytest.FixtureRequest) -> Iterator[Site]:
    store = room.open(re.sub("[^a-z]", "", request.node.name.removeprefix("test_")))
    yield Site(PausingStore(store), FrozenClock())
    room.make_room()


def large(**values: object) -> View:
    return put(large=os.urandom(LARGE), **values)  # random, as some servers would make it smaller


def refused(site: Site, room: Room, token: str | None, view: View) -> Answer:
    """Send a request that needs more room than there is."""
    with site.events() as events:
        answer = site.ask(token, view, status=503)
    assert answer.says_nothing
    assert answer.response.headers["Retry-After"]
    [(name, told)] = events
    assert name == "store_failed"
    assert room.says in str(told["error"])
    return answer


def test_a_change_that_finds_no_room_is_refused_and_what_was_there_stays(site: Site, room: Room) -> None:
    token = site.token(both(login("ann"), put(v=1)))
    room.fill()

    refused(site, room, token, large(v=2))

    assert site.seen(token) == Seen("ann", {"v": 1})
    room.make_room()
    site.ask(token, large(v=2))
    assert site.seen(token).data["v"] == 2


def test_a_session_that_finds_no_room_does_not_begin(site: Site, room: Room) -> None:
    site.token(put(v=1))
    room.fill()

    refused(site, room, None, large())

    assert site.served() == [Seen(None, {"v": 1})]
    room.make_room()
    assert site.seen(site.token(large())) != NOBODY


@pytest.mark.requirement("FX-05", "ST-10")
def test_a_login_that_finds_no_room_is_none(site: Site, room: Room) -> None:
    """ST-10, FX-05."""
    token = site.token(put(cart=[1]))
    room.fill()

    refused(site, room, token, both(login("ann"), large()))

    assert site.seen(token) == Seen(None, {"cart": [1]})
    assert site.outside(site.kit.sessions_of, "ann") == []
    room.make_room()
    assert site.seen(site.token(login("ann"), token)) == Seen("ann", {"cart": [1]})


def test_a_logout_without_room_ends_the_session_or_says_that_it_did_not(site: Site, room: Room) -> None:
    token = site.token(both(login("ann"), put(v=1)))
    room.fill()

    answer = site.ask(token, logout, status=(200, 503))

    assert site.seen(token) == (NOBODY if answer.status == 200 else Seen("ann", {"v": 1}))
    assert answer.forgets == (answer.status == 200)
    room.make_room()
    site.ask(token, logout)
    assert site.dead(token)


def test_a_revocation_without_room_ends_the_sessions_or_says_that_it_did_not(site: Site, room: Room) -> None:
    site.kit.user_stamp(lambda user: "as ever")
    token = site.token(login("ann"))
    room.fill()

    try:
        ended = site.outside(site.kit.revoke_user, "ann")
    except StoreError as error:
        ended, said = 0, str(error)
    else:
        said = room.says

    assert room.says in said
    assert site.dead(token) == (ended == 1)
    room.make_room()
    site.outside(site.kit.revoke_user, "ann")
    assert site.dead(token)


def test_what_is_there_can_be_read_also_when_it_was_last_seen_long_ago(site: Site, room: Room) -> None:
    """A touch that finds no room is not made: the idle window is shorter than it might be, and the answer is right."""
    token = site.token(both(login("ann"), put(v=1)))
    room.fill()

    for _ in range(10):
        site.clock.tick(120)
        assert site.seen(token) == Seen("ann", {"v": 1})

    assert [row.user_agent for row in site.outside(site.kit.sessions_of, "ann")] != []
    room.make_room()
    site.clock.tick(120)
    assert site.seen(token) == Seen("ann", {"v": 1})
    site.clock.tick(1799)
    assert site.seen(token) == Seen("ann", {"v": 1})


@pytest.mark.parametrize("room", ["files"], indirect=True)
def test_a_disk_that_fills_up_in_the_middle_of_a_file_keeps_no_half_of_it(site: Site, room: Room) -> None:
    token = site.token(both(login("ann"), put(v=1)))
    room.fill()

    refused(site, room, token, large())

    store = pausing(site).inner
    assert isinstance(store, FileStore)
    assert list(store.folder.rglob("*.tmp")) == []


@pytest.mark.requirement("ST-06")
@pytest.mark.memcached
def test_a_session_above_the_item_size_of_memcached_is_refused_and_what_was_there_stays() -> None:
    """ST-06. The server's ``-I`` is below what the library takes for granted."""
    need(MemcachedServer)
    from flask_sessionkit.stores.memcached import MemcachedStore

    with MemcachedServer("-o", "slab_chunk_max=16384", "-I", "16384") as server:
        site = Site(PausingStore(MemcachedStore.from_url(server.url, timeout=PATIENCE)), FrozenClock())
        room = Room(lambda name: site.store, list, list, "(-I)")
        token = site.token(both(login("ann"), put(v=1)))

        refused(site, room, token, large(v=2))
        refused(site, room, None, both(login("bob"), large()))

        assert site.seen(token) == Seen("ann", {"v": 1})
        site.ask(token, put(v=3))
        assert site.seen(token) == Seen("ann", {"v": 3})
