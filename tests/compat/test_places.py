"""Records of the real Flask-Session, read and removed where they lie."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from former_shops import Settings, Shop, former, kept, moved, signed_in
from servers import MemcachedServer, Proxy, RedisServer

from flask_sessionkit.compat.flask_session.former_records import items_of, packed
from flask_sessionkit.compat.flask_session.place_files import FilesPlace
from flask_sessionkit.compat.flask_session.place_memcached import MemcachedPlace
from flask_sessionkit.compat.flask_session.place_redis import RedisPlace
from flask_sessionkit.compat.flask_session.places import Place
from flask_sessionkit.errors import StoreError
from flask_sessionkit.testing.processes import forked

DAY = 86_400


def place_of(shop: Shop) -> Place:
    return shop.app.session_interface.place  # type: ignore[attr-defined,no-any-return]  # ours has one


def name_of(shop: Shop, cookie: str) -> str:
    return shop.app.session_interface.means.prefix + cookie  # type: ignore[attr-defined,no-any-return]  # the same


@pytest.mark.parametrize("written_as", ["msgpack", "json"])
def test_a_record_is_read(settings: Settings, written_as: str) -> None:
    cookie = signed_in(former(settings, SESSION_SERIALIZATION_FORMAT=written_as))
    shop = moved(settings)

    with shop.app.app_context():
        lying = place_of(shop).read(name_of(shop, cookie), now=time.time())

    assert lying is not None
    assert items_of(lying.data) == {"_permanent": True, **kept("ann")}


def test_its_end_is_known(settings: Settings) -> None:
    cookie = signed_in(former(settings, PERMANENT_SESSION_LIFETIME=timedelta(days=3)))
    shop = moved(settings)

    with shop.app.app_context():
        lying = place_of(shop).read(name_of(shop, cookie), now=time.time())

    assert lying is not None
    # Memcached does not tell it.
    assert lying.until is None or lying.until == pytest.approx(time.time() + 3 * DAY, abs=60)


def test_it_is_removed_by_one_call_only(settings: Settings) -> None:
    cookie = signed_in(former(settings))
    shop = moved(settings)
    place, name = place_of(shop), name_of(shop, cookie)

    with shop.app.app_context():
        removed = [place.remove(name) for _ in range(3)]

        assert removed == [True, False, False]
        assert place.read(name, now=time.time()) is None


def test_of_two_only_the_one_that_is_named_is_removed(settings: Settings) -> None:
    old = former(settings)
    ann, bob = signed_in(old, "ann"), signed_in(old, "bob")
    shop = moved(settings)

    with shop.app.app_context():
        place_of(shop).remove(name_of(shop, ann))
        lying = place_of(shop).read(name_of(shop, bob), now=time.time())

    assert lying is not None
    assert (items_of(lying.data) or {})["_user_id"] == "bob"


def test_one_that_is_not_there_is_none(settings: Settings) -> None:
    former(settings)
    shop = moved(settings)

    with shop.app.app_context():
        assert place_of(shop).read(name_of(shop, "A" * 43), now=time.time()) is None
        assert place_of(shop).remove(name_of(shop, "A" * 43)) is False


WALKED = ["redis", "sqlite", "postgresql", "mariadb", "json-files"]


@pytest.mark.parametrize("kind", WALKED)
def test_all_are_walked_and_nobody_elses(kind: str, settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of(kind)
    old = former(settings)
    cookies = [signed_in(old, f"user{n}") for n in range(5)]
    shop = moved(settings)
    signed_in(shop, "of ours")

    with shop.app.app_context():
        users = [(items_of(lying.data) or {})["_user_id"] for lying in place_of(shop).walk(now=time.time())]

    assert sorted(users) == [f"user{n}" for n in range(len(cookies))]


@pytest.mark.parametrize("kind", WALKED)
def test_one_is_rewritten_in_its_place_and_ends_as_before(kind: str, settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of(kind)
    cookie = signed_in(former(settings))
    shop = moved(settings)
    place, name = place_of(shop), name_of(shop, cookie)

    with shop.app.app_context():
        before = place.read(name, now=time.time())
        assert before is not None
        assert place.rewrite(before, packed({"n": 1}), now=time.time())
        after = place.read(name, now=time.time())

    assert after is not None
    assert items_of(after.data) == {"n": 1}
    assert after.until == pytest.approx(before.until, abs=1)


@pytest.mark.parametrize("kind", WALKED)
def test_one_that_was_written_meanwhile_is_left_alone(kind: str, settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of(kind)
    old = former(settings)
    cookie = signed_in(old)
    shop = moved(settings)
    place, name = place_of(shop), name_of(shop, cookie)

    with shop.app.app_context():
        before = place.read(name, now=time.time())
        assert before is not None
        old.asked_by(cookie, "/add", "POST")
        is_written = place.rewrite(before, packed({"n": 1}), now=time.time())
        after = place.read(name, now=time.time())

    assert not is_written
    assert after is not None
    assert len((items_of(after.data) or {})["cart"]) == 3


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_table_that_is_not_there_is_empty(kind: str, settings_of: Callable[[str], Settings]) -> None:
    shop = moved(settings_of(kind))

    with shop.app.app_context():
        assert place_of(shop).read("session:x", now=time.time()) is None
        assert place_of(shop).remove("session:x") is False
        assert list(place_of(shop).walk(now=time.time())) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_row_that_has_ended_is_none(kind: str, settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of(kind)
    cookie = signed_in(former(settings, PERMANENT_SESSION_LIFETIME=timedelta(days=3)))
    shop = moved(settings)

    with shop.app.app_context():
        place, name = place_of(shop), name_of(shop, cookie)
        assert place.read(name, now=time.time() + 3 * DAY - 60) is not None
        assert place.read(name, now=time.time() + 3 * DAY + 60) is None
        assert list(place.walk(now=time.time() + 3 * DAY + 60)) == []


@pytest.mark.mariadb
def test_a_row_whose_name_differs_in_case_is_another(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("mariadb")
    cookie = signed_in(former(settings))
    shop = moved(settings)

    with shop.app.app_context():
        assert place_of(shop).read(name_of(shop, cookie.swapcase()), now=time.time()) is None


# Files.


def a_file(folder: Path, name: str, content: bytes, until: float, make: Any = hashlib.sha256) -> Path:
    path = folder / make(name.encode()).hexdigest()
    path.write_bytes(struct.pack("I", int(until)) + content)
    return path


def test_a_file_that_an_older_cachelib_named_is_read(tmp_path: Path) -> None:
    a_file(tmp_path, "session:x", b'{"n": 1}', 200, hashlib.md5)

    lying = FilesPlace(tmp_path).read("session:x", now=100)

    assert lying is not None
    assert items_of(lying.data) == {"n": 1}


def test_a_file_that_has_ended_is_none_and_one_without_an_end_lives(tmp_path: Path) -> None:
    a_file(tmp_path, "ended", b"{}", 99)
    a_file(tmp_path, "endless", b"{}", 0)

    assert FilesPlace(tmp_path).read("ended", now=100) is None
    assert FilesPlace(tmp_path).read("endless", now=100) is not None


@pytest.mark.parametrize("content", [b"", b"\x00\x00"])
def test_a_file_that_was_cut_off_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / hashlib.sha256(b"x").hexdigest()).write_bytes(content)

    assert FilesPlace(tmp_path).read("x", now=100) is None


def test_no_link_and_no_folder_is_read(tmp_path: Path) -> None:
    behind = a_file(tmp_path, "behind", b"{}", 0)
    (tmp_path / hashlib.sha256(b"link").hexdigest()).symlink_to(behind)
    (tmp_path / hashlib.sha256(b"folder").hexdigest()).mkdir()
    os.mkfifo(tmp_path / hashlib.sha256(b"pipe").hexdigest())

    for name in ("link", "folder", "pipe"):
        assert FilesPlace(tmp_path).read(name, now=100) is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux shows a process's open files")
def test_a_walk_passes_folders_and_pipes_and_leaves_nothing_open(tmp_path: Path) -> None:
    """Our own folder lies there. Of a pipe that somebody holds open for writing nothing can be read yet."""
    (tmp_path / "sessionkit").mkdir()
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    before = os.listdir("/proc/self/fd")

    try:
        assert list(FilesPlace(tmp_path).walk(now=time.time())) == []
        assert os.listdir("/proc/self/fd") == before
    finally:
        os.close(pipe)


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    place = FilesPlace(tmp_path / "none")

    assert place.read("x", now=100) is None
    assert place.remove("x") is False
    assert list(place.walk(now=100)) == []


def test_a_rewritten_file_keeps_its_mode_and_leaves_none_behind(tmp_path: Path) -> None:
    path = a_file(tmp_path, "x", b"{}", 200)
    path.chmod(0o640)
    place = FilesPlace(tmp_path)
    lying = place.read("x", now=100)
    assert lying is not None

    assert place.rewrite(lying, b'{"n":1}', now=100)
    assert [(one, one.stat().st_mode & 0o777) for one in tmp_path.iterdir()] == [(path, 0o640)]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="root alone can give files away")
def test_a_file_that_root_rewrites_stays_its_owner_s(tmp_path: Path) -> None:
    path = a_file(tmp_path, "x", pickle.dumps({"n": 1}), 0)
    os.chown(path, 12345, 12346)
    place = FilesPlace(tmp_path)
    lying = place.read("x", now=100)
    assert lying is not None

    assert place.rewrite(lying, b'{"n":1}', now=100)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_cachelibs_count_is_no_session(tmp_path: Path) -> None:
    a_file(tmp_path, "__wz_cache_count", pickle.dumps(1), 0)
    (tmp_path / "tmp123.__wz_cache").write_bytes(b"half")

    assert list(FilesPlace(tmp_path).walk(now=100)) == []


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file stands for what nobody may read, as rights mean nothing to root."""
    folder = tmp_path / "sessions"
    folder.write_text("no folder")

    with pytest.raises(StoreError, match="cannot be read"):
        FilesPlace(folder).read("x", now=100)


@pytest.mark.memcached
def test_memcached_tells_all_that_it_has_however_many(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("pymemcache")
    shop = moved(settings)
    client, prefix = shop.app.config["SESSION_MEMCACHED"], shop.app.config["SESSION_KEY_PREFIX"]
    ends = int(time.time()) + DAY
    for n in range(500):
        client.set(f"{prefix}{n:043}", b'{"n": %d}' % n, expire=ends)
    client.set(f"{prefix}other:{1:043}", b"{}")

    lying = list(place_of(shop).walk(now=time.time()))

    assert sorted((items_of(one.data) or {})["n"] for one in lying) == list(range(500))
    assert {one.until for one in lying} == {float(ends)}


@pytest.mark.memcached
def test_an_item_of_memcached_is_rewritten_in_its_place(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("pymemcache")
    cookie = signed_in(former(settings, PERMANENT_SESSION_LIFETIME=timedelta(days=60)))
    shop = moved(settings)
    place = place_of(shop)
    (before,) = place.walk(now=time.time())

    assert place.rewrite(before, packed({"n": 1}), now=time.time())
    assert not place.rewrite(before, packed({"n": 2}), now=time.time())
    (after,) = place.walk(now=time.time())
    assert after.until == before.until == pytest.approx(time.time() + 60 * DAY, abs=60)
    assert shop.asked_by(cookie).json == {"n": 1}


@pytest.mark.memcached
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_asks_memcached_on_connections_of_its_own(memcached_server: MemcachedServer) -> None:
    with Proxy(memcached_server.host, memcached_server.port) as proxy:
        place = MemcachedPlace([(proxy.host, proxy.port)], prefix="session:", timeout=10)
        place.read("session:x", now=0)

        def look() -> None:
            for _ in range(100):
                assert place.read("session:x", now=0) is None

        forked(look)()
        look()

        assert proxy.connections == 2


@pytest.mark.redis
def test_a_user_of_redis_who_may_not_look_for_keys_is_told_so(redis_server: RedisServer) -> None:
    """An import needs it, and requests do not: so nobody has noticed yet."""
    rules = (">password", "~shop:*", "resetchannels", "-@all", "+get", "+pttl", "+eval")
    with redis.Redis(redis_server.host, redis_server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "shop", "reset", "on", *rules)
        try:
            place = RedisPlace(
                f"redis://shop:password@{redis_server.host}:{redis_server.port}", prefix="shop:", timeout=9.0
            )
            with pytest.raises(StoreError, match="does not let us do this"):
                list(place.walk(now=100))
        finally:
            admin.acl_deluser("shop")
