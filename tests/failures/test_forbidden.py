"""A store that lets us in no more, or read and not write: every request says so, and nothing that was there is lost."""

from __future__ import annotations

import ctypes
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flow_site import NOBODY, Answer, Seen, Site, View, both, login, logout, look, put
from flow_stores import PATIENCE, SERVED
from servers import MariaDBServer, PostgreSQLServer, RedisServer, need

from flask_sessionkit import StoreError
from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import FrozenClock, PausingStore

PASSWORD = "correct-horse-battery"
SECRET_VALUE = "what-the-user-keeps-here"


@dataclass
class Ban:
    """A store, and how it is forbidden to us.

    :param says: what an error's message has to name, for whoever has to mend it; a regular expression.
    :param can_read: what was stored can be read all the same.
    """

    store: Store
    forbid: Callable[[], object]
    permit: Callable[[], object]
    says: str
    can_read: bool


# Redis.

#: What the store's own documentation gives its user.
RIGHTS = "resetchannels -@all +evalsha +eval +get +getrange +set +setrange +pexpire +pttl +zadd +zrem +zrangebylex +del"


@contextmanager
def redis_user(forbid: str, permit: str, *, can_read: bool = False) -> Iterator[Ban]:
    """A user of Redis, whose rights are changed by ``ACL SETUSER``."""
    need(RedisServer)
    from redis import Redis

    from flask_sessionkit.stores.redis import RedisStore

    with RedisServer() as server, closing(Redis(host=server.host, port=server.port)) as admin:

        def set_user(rights: str) -> None:
            admin.execute_command("ACL", "SETUSER", "sessions", *rights.split())
            admin.execute_command("CLIENT", "KILL", "USER", "sessions")  # connections keep what they were let in with

        set_user(f"on >{PASSWORD} ~session:* {RIGHTS}")
        url = server.url.replace("//", f"//sessions:{PASSWORD}@")
        store = RedisStore.from_url(url, timeout=PATIENCE)
        yield Ban(store, lambda: set_user(forbid), lambda: set_user(permit), "lets? us", can_read)


def redis_without_writing() -> Any:
    return redis_user("-set -setrange -zadd -pexpire -del", "+set +setrange +zadd +pexpire +del", can_read=True)


def redis_outside_the_prefix() -> Any:
    return redis_user("resetkeys ~other:*", "~session:*")


def redis_with_another_password() -> Any:
    return redis_user("resetpass >another-password", f">{PASSWORD}")


def redis_without_eval() -> Any:
    return redis_user("-eval -evalsha", "+eval +evalsha")


@contextmanager
def redis_that_wants_a_password() -> Iterator[Ban]:
    need(RedisServer)
    from redis import Redis

    from flask_sessionkit.stores.redis import RedisStore

    with RedisServer() as server, closing(Redis(host=server.host, port=server.port)) as admin:

        def forbid() -> None:
            admin.config_set("requirepass", PASSWORD)
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        store = RedisStore.from_url(server.url, timeout=PATIENCE)
        yield Ban(store, forbid, lambda: admin.config_set("requirepass", ""), "its password", False)


# Databases.

#: By whether what was stored can be read.
SAYS = {True: "forbids this", False: "lets us in"}


@contextmanager
def postgresql_user(server: PostgreSQLServer, forbid: str, permit: str, *, can_read: bool = True) -> Iterator[Ban]:
    server.sql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    server.sql("DROP TABLE IF EXISTS forbidden", database="sessions")
    SQLAlchemyStore(server.url, table="forbidden", timeout=PATIENCE).create_table()
    server.sql("GRANT ALL ON forbidden TO reader", database="sessions")

    def change(how: str) -> None:
        server.sql(how, database="sessions")
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")

    url = server.url.replace("test@", f"reader:{PASSWORD}@")
    store = SQLAlchemyStore(url, table="forbidden", timeout=PATIENCE)
    try:
        yield Ban(
            store,
            lambda: change(forbid),
            lambda: change(permit),
            "forbids this" if can_read else "lets us in",
            can_read,
        )
    finally:
        store._engine.dispose()
        server.sql("DROP TABLE forbidden; DROP ROLE reader", database="sessions")


def postgresql_select_only(server: PostgreSQLServer) -> Any:
    writing = "INSERT, UPDATE, DELETE ON forbidden"
    return postgresql_user(server, f"REVOKE {writing} FROM reader", f"GRANT {writing} TO reader")


def postgresql_read_only(server: PostgreSQLServer) -> Any:
    setting = "ALTER ROLE reader SET default_transaction_read_only"
    return postgresql_user(server, f"{setting} = on", f"{setting} = off")


def postgresql_without_login(server: PostgreSQLServer) -> Any:
    return postgresql_user(server, "ALTER ROLE reader NOLOGIN", "ALTER ROLE reader LOGIN", can_read=False)


@contextmanager
def mariadb_user(server: MariaDBServer, forbid: str, permit: str, *, can_read: bool = True) -> Iterator[Ban]:
    server.sql("DROP TABLE IF EXISTS forbidden", database="sessions")
    SQLAlchemyStore(server.url, table="forbidden", timeout=PATIENCE).create_table()
    server.sql(f"CREATE USER reader IDENTIFIED BY '{PASSWORD}'")
    server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON sessions.forbidden TO reader")

    def change(how: str) -> None:
        server.sql(f"{how}; KILL CONNECTION USER reader")

    store = SQLAlchemyStore(server.url.replace("root@", f"reader:{PASSWORD}@"), table="forbidden", timeout=PATIENCE)
    try:
        yield Ban(
            store,
            lambda: change(forbid),
            lambda: change(permit),
            "forbids this" if can_read else "lets us in",
            can_read,
        )
    finally:
        store._engine.dispose()
        server.sql("SET GLOBAL read_only = 0; DROP USER reader; DROP TABLE sessions.forbidden")


def mariadb_select_only(server: MariaDBServer) -> Any:
    writing = "INSERT, UPDATE, DELETE ON sessions.forbidden"
    return mariadb_user(server, f"REVOKE {writing} FROM reader", f"GRANT {writing} TO reader")


def mariadb_read_only(server: MariaDBServer) -> Any:
    return mariadb_user(server, "SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0")


def mariadb_with_another_password(server: MariaDBServer) -> Any:
    password = "SET PASSWORD FOR reader = PASSWORD"
    return mariadb_user(server, f"{password}('another')", f"{password}('{PASSWORD}')", can_read=False)


# Files.


#: Linux's CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)): what modes do not hold back.
PAST_MODES = 1 << 1 | 1 << 2


@contextmanager
def held_back_by_modes() -> Iterator[None]:
    """Take from root, in this thread, what an ordinary user has not either."""
    system = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3; the effective set first
    assert system.capget(header, sets) == 0, os.strerror(ctypes.get_errno())
    before = sets[0]
    sets[0] = before & ~PAST_MODES
    assert system.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        sets[0] = before
        assert system.capset(header, sets) == 0, os.strerror(ctypes.get_errno())


def set_modes(folder: Path, *, of_folders: int, of_files: int) -> None:
    folder.chmod(0o700)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(of_folders if path.is_dir() else of_files)
    folder.chmod(of_folders)


@contextmanager
def files_read_only(folder: Path) -> Iterator[Ban]:
    with held_back_by_modes():
        yield Ban(
            FileStore(folder),
            lambda: set_modes(folder, of_folders=0o500, of_files=0o400),
            lambda: set_modes_again(folder),
            "its rights",
            can_read=True,
        )


@contextmanager
def files_unreadable(folder: Path) -> Iterator[Ban]:
    with held_back_by_modes():
        yield Ban(
            FileStore(folder), lambda: folder.chmod(0o000), lambda: folder.chmod(0o700), "its rights", can_read=False
        )


def set_modes_again(folder: Path) -> None:
    folder.chmod(0o700)
    for path in folder.rglob("*"):  # a folder is met before what lies in it
        path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def sqlite_file(folder: Path, *, of_folder: int, of_files: int, can_read: bool) -> Iterator[Ban]:
    with held_back_by_modes():
        store = SQLAlchemyStore(f"sqlite:///{folder}/sessions.db", timeout=PATIENCE)

        def forbid() -> None:
            store._engine.dispose()  # a connection keeps what it was opened with
            set_modes(folder, of_folders=of_folder, of_files=of_files)

        def permit() -> None:
            store._engine.dispose()
            set_modes_again(folder)

        yield Ban(store, forbid, permit, "Let the user that the server runs as", can_read)


def sqlite_read_only(folder: Path) -> Any:
    return sqlite_file(folder, of_folder=0o700, of_files=0o400, can_read=True)


def sqlite_in_a_read_only_folder(folder: Path) -> Any:
    """With its write-ahead log SQLite cannot even read there, since readers share a file that the first one makes."""
    return sqlite_file(folder, of_folder=0o500, of_files=0o400, can_read=False)


BANS: dict[str, list[Callable[..., Any]]] = {
    "files": [files_read_only, files_unreadable, sqlite_read_only, sqlite_in_a_read_only_folder],
    "redis": [
        redis_without_writing,
        redis_outside_the_prefix,
        redis_with_another_password,
        redis_without_eval,
        redis_that_wants_a_password,
    ],
    "postgresql": [postgresql_select_only, postgresql_read_only, postgresql_without_login],
    "mariadb": [mariadb_select_only, mariadb_read_only, mariadb_with_another_password],
}
MARKED = [
    pytest.param(ban, marks=getattr(pytest.mark, kind) if kind in SERVED else (), id=ban.__name__)
    for kind, bans in BANS.items()
    for ban in bans
]


@pytest.fixture(params=MARKED)
def ban(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ban]:
    kind = request.param.__name__.partition("_")[0]
    given: dict[str, list[Any]] = {"files": [tmp_path], "sqlite": [tmp_path], "redis": []}
    known = given[kind] if kind in given else [request.getfixturevalue(f"{kind}_server")]
    with request.param(*known) as ban:
        yield ban
        ban.permit()


@pytest.fixture
def site(ban: Ban) -> Site:
    return Site(PausingStore(ban.store), FrozenClock())


def refused(site: Site, ban: Ban, token: str | None, view: View) -> Answer:
    """Send a request that is not permitted what it needs."""
    with site.events() as events:
        answer = site.ask(token, view, status=503)
    assert answer.says_nothing
    assert answer.response.headers["Retry-After"]
    [(name, told)] = events
    assert name == "store_failed"
    assert re.search(ban.says, str(told["error"]))
    assert_nothing_is_given_away(site, told["error"])
    return answer


def assert_nothing_is_given_away(site: Site, error: BaseException) -> None:
    """A message ends up in logs, and with it those of its causes: no password, key, token or payload (ID-08, LG-01)."""
    said = "".join(traceback.format_exception(error))
    assert PASSWORD not in said
    assert SECRET_VALUE not in said
    assert not any(token in said for token in site.handed_out)
    assert re.search("[0-9a-f]{64}", said) is None


def seen(site: Site, ban: Ban, token: str, wanted: Seen) -> None:
    """Look at a session as far as that is permitted."""
    if ban.can_read:
        assert site.seen(token) == wanted
    else:
        refused(site, ban, token, look)


def test_a_change_that_is_forbidden_is_refused_and_what_was_there_stays(site: Site, ban: Ban) -> None:
    token = site.token(both(login("ann"), put(v=SECRET_VALUE)))
    ban.forbid()

    refused(site, ban, token, put(v="another", w=SECRET_VALUE))

    seen(site, ban, token, Seen("ann", {"v": SECRET_VALUE}))
    ban.permit()
    assert site.seen(token) == Seen("ann", {"v": SECRET_VALUE})
    site.ask(token, put(v=2))
    assert site.seen(token) == Seen("ann", {"v": 2})


@pytest.mark.requirement("FX-05", "ST-10")
def test_nobody_is_signed_in_and_no_session_begins(site: Site, ban: Ban) -> None:
    """ST-10, FX-05."""
    token = site.token(put(cart=SECRET_VALUE))
    ban.forbid()

    refused(site, ban, None, put(v=SECRET_VALUE))
    refused(site, ban, token, login("ann"))

    ban.permit()
    assert site.served() == [Seen(None, {"cart": SECRET_VALUE})]
    assert site.outside(site.kit.sessions_of, "ann") == []
    assert site.seen(site.token(login("ann"), token)) == Seen("ann", {"cart": SECRET_VALUE})


def test_a_logout_that_is_forbidden_is_said_to_have_failed(site: Site, ban: Ban) -> None:
    token = site.token(both(login("ann"), put(v=1)))
    ban.forbid()

    refused(site, ban, token, logout)

    seen(site, ban, token, Seen("ann", {"v": 1}))
    ban.permit()
    site.ask(token, logout)
    assert site.seen(token) == NOBODY


def test_a_revocation_that_is_forbidden_raises(site: Site, ban: Ban) -> None:
    token = site.token(login("ann"))
    ban.forbid()

    with pytest.raises(StoreError, match=ban.says) as raised:
        site.outside(site.kit.revoke_user, "ann")

    assert_nothing_is_given_away(site, raised.value)
    ban.permit()
    assert site.seen(token).user == "ann"
    assert site.outside(site.kit.revoke_user, "ann") == 1
    assert site.dead(token)


def test_what_can_be_read_is_read_also_when_it_was_last_seen_long_ago(site: Site, ban: Ban) -> None:
    """A touch that is forbidden is not made: the idle window is shorter than it might be, and the answer is right."""
    token = site.token(both(login("ann"), put(v=1)))
    ban.forbid()

    for _ in range(10):
        site.clock.tick(120)
        seen(site, ban, token, Seen("ann", {"v": 1}))

    ban.permit()
    site.clock.tick(120)
    assert site.seen(token) == Seen("ann", {"v": 1})
    site.clock.tick(1799)
    assert site.seen(token) == Seen("ann", {"v": 1})
