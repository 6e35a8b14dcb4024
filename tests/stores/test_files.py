"""The file store: the contract, and what only files can do wrong."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import stat
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec import structs

from flask_sessionkit.errors import StoreError
from flask_sessionkit.record import Outcome, Purged, Record, Write
from flask_sessionkit.stores.base import GRACE
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.files_packed import pack
from flask_sessionkit.testing.contract import (
    ABSOLUTE,
    END,
    NOW,
    OTHER_OWNER,
    OWNER,
    StoreContract,
    StoreFactory,
    a_key,
    a_record,
    a_version,
)
from flask_sessionkit.testing.interleaving import in_thread, race


class TestFileStore(StoreContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "sessions"

    def make_store(self) -> FileStore:
        return FileStore(self.path)

    def make_peer(self) -> FileStore:
        return FileStore(self.path)

    def spawn_store(self) -> StoreFactory:
        return partial(FileStore, self.path)

    def make_broken_store(self) -> FileStore:
        self.path.parent.joinpath("file").touch()
        return FileStore(self.path.parent / "file")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "sessions"


@pytest.fixture
def store(path: Path) -> FileStore:
    return FileStore(path)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def place(path: Path, record: Record) -> Path:
    return path / record.key[:2] / record.key


# What is made, and when


def test_nothing_is_made_before_the_first_write(store: FileStore, path: Path) -> None:
    record = a_record()

    assert store.check() == []
    assert store.load(record.key, now=NOW, touch_every=0.0) is None
    assert store.replace(record, expected=None, now=NOW) == Write(Outcome.GONE)
    assert store.delete(record.key) is False
    assert store.list_owner(OWNER, now=NOW) == []
    assert store.purge(now=NOW) == Purged(0, more=False)
    assert store.count_ended(now=NOW) == 0
    assert not path.parent.exists()


@pytest.mark.requirement("ST-04")
def test_the_names_are_hex_of_keys_and_owners(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)

    stripe = record.key[:2]
    names = [str(file.relative_to(path)) for file in files_in(path)]
    assert sorted(names) == sorted([f"{stripe}/{record.key}", f"lock/{stripe}", f"owner/{OWNER}/{record.key}"])


@pytest.mark.requirement("ST-03")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folders_and_files_are_the_owners_whatever_the_umask(umask: int, store: FileStore, path: Path) -> None:
    before = os.umask(umask)
    try:
        assert store.create(a_record())
        assert store.load(a_key(0), now=NOW + 60, touch_every=60.0)
    finally:
        os.umask(before)

    folders = {stat.S_IMODE(file.stat().st_mode) for file in [path, *path.rglob("*")] if file.is_dir()}
    assert folders == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files_in(path)} == {0o600}


def test_mtime_is_the_end_of_a_record_and_of_its_mark(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)

    assert place(path, record).stat().st_mtime == END
    assert (path / "owner" / OWNER / record.key).stat().st_mtime == ABSOLUTE
    store.load(record.key, now=NOW + 100, touch_every=60.0)
    assert place(path, record).stat().st_mtime == END + 100


def test_an_end_that_no_disk_can_write_is_kept_in_the_record(store: FileStore) -> None:
    record = a_record(idle=math.inf, absolute_at=1e300)

    assert store.create(record)
    assert store.load(record.key, now=NOW) == record
    assert store.purge(now=NOW) == Purged(0, more=False)


def test_a_folder_that_is_removed_under_a_running_server_is_made_again(store: FileStore, path: Path) -> None:
    store.create(a_record(1))
    shutil.rmtree(path)

    assert store.load(a_key(1), now=NOW) is None
    assert store.create(a_record(1)) is True
    assert store.list_owner(OWNER, now=NOW) != []


def test_a_mark_goes_with_its_record(store: FileStore, path: Path) -> None:
    for number in range(2):
        store.create(a_record(number))
    store.delete(a_key(0))
    bound = store.load(a_key(1), now=NOW)
    assert bound is not None
    store.replace(structs.replace(bound, owner=None, version=a_version()), expected=bound.version, now=NOW)

    assert files_in(path / "owner") == []


# What a crash leaves


@pytest.mark.parametrize("junk", [b"", b"\x01", b"\x02" * 200, b"\x80\x04N.", bytes(8000)])
def test_what_is_no_record_is_absent_but_its_key_is_taken(junk: bytes, store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)
    place(path, record).write_bytes(junk)

    assert store.load(record.key, now=NOW, touch_every=0.0) is None
    assert store.replace(record, expected=None, now=NOW) == Write(Outcome.GONE)
    assert store.create(record) is False
    assert store.list_owner(OWNER, now=NOW) == []
    assert place(path, record).read_bytes() == junk
    assert store.delete(record.key) is True
    assert store.delete(record.key) is False


def test_a_record_cut_off_anywhere_is_absent(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)
    whole = place(path, record).read_bytes()

    for size in range(len(whole)):
        place(path, record).write_bytes(whole[:size])
        assert store.load(record.key, now=NOW) is None


def test_what_is_no_record_is_purged_by_its_mtime(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)
    place(path, record).write_bytes(b"junk")
    os.utime(place(path, record), (NOW, NOW))

    assert store.purge(now=NOW + GRACE) == Purged(0, more=False)
    assert store.purge(now=NOW + GRACE + 1) == Purged(1, more=False)


def test_a_left_over_of_a_crash_goes_after_an_hour(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)
    left = place(path, record).with_name(record.key + ".0123abcd.tmp")
    left.touch()
    os.utime(left, (NOW, NOW))

    store.purge(now=NOW + 3600)
    assert left.exists()
    assert store.purge(now=NOW + 3601).count == 0  # the record is counted, not what was left
    assert not left.exists()


def _write_for_ever(path: Path, record: Record) -> None:
    store, version = FileStore(path), record.version
    while True:
        # What is written shows in each part of the record: mixed parts would tell of a torn write.
        new = os.urandom(8)
        changed = structs.replace(record, payload=new * 8000, info=new, version=new)
        assert store.replace(changed, expected=version, now=NOW) == Write(Outcome.OK)
        version = new


@pytest.mark.requirement("ST-03")
def test_a_killed_writer_leaves_the_old_or_the_new_contents(store: FileStore, path: Path) -> None:
    first = os.urandom(8)
    record = a_record(payload=first * 8000, info=first, version=first)
    store.create(record)

    for turn in range(40):
        current = store.load(record.key, now=NOW)
        assert current is not None
        writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(path, current))
        writer.start()
        patience = time.monotonic() + 10
        while store.load(record.key, now=NOW) == current and time.monotonic() < patience:
            time.sleep(0.0005)
        time.sleep(turn % 10 / 3000)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        found = store.load(record.key, now=NOW)
        assert found is not None
        assert found != current
        new = found.version
        assert found == structs.replace(current, payload=new * 8000, info=new, version=new)
    assert store.load(record.key, now=NOW + 60, touch_every=60.0) is not None  # no lock was left behind


@pytest.mark.parametrize("call", ["write", "utime", "fdatasync", "rename"])
def test_a_write_that_fails_leaves_the_old_contents_and_no_litter(
    call: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, record = FileStore(path, sync=True), a_record()
    store.create(record)
    before, descriptors = files_in(path), len(os.listdir("/proc/self/fd"))

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device", str(place(path, record)))

    monkeypatch.setattr(os, call, full)
    if call in {"fdatasync", "rename"}:
        monkeypatch.setattr(
            "flask_sessionkit.stores.files_folder." + {"fdatasync": "to_disk", "rename": "move"}[call], full
        )
    changed = structs.replace(record, payload=b"new", version=a_version())
    with pytest.raises(StoreError, match="No space left on device") as caught:
        store.replace(changed, expected=record.version, now=NOW)
    monkeypatch.undo()

    assert record.key not in str(caught.value) + str(caught.value.__cause__)
    assert isinstance(caught.value.__cause__, OSError)
    assert store.load(record.key, now=NOW) == record
    assert files_in(path) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.requirement("ST-03")
@pytest.mark.parametrize("syncs", [False, True])
def test_a_write_waits_for_the_disk_where_that_is_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, syncs: bool
) -> None:
    store, record = FileStore(path, sync=syncs), a_record()
    store.create(record)
    waited: list[bool] = []
    monkeypatch.setattr("flask_sessionkit.stores.files_folder.to_disk", lambda fd: waited.append(False))
    monkeypatch.setattr(os, "fsync", lambda fd: waited.append(stat.S_ISDIR(os.fstat(fd).st_mode)))

    store.replace(structs.replace(record, version=a_version()), expected=record.version, now=NOW)

    assert waited == ([False, True] if syncs else [])


def test_a_short_write_is_gone_on_with(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    record = a_record(payload=os.urandom(5000))

    assert store.create(record)
    assert store.load(record.key, now=NOW) == record


def test_no_descriptor_left_is_a_store_error(store: FileStore) -> None:
    record = a_record()
    store.create(record)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_free = os.open(os.devnull, os.O_RDONLY)
    os.close(next_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_free, limits[1]))
    try:
        with pytest.raises(StoreError, match="Too many open files"):
            store.load(record.key, now=NOW)
        with pytest.raises(StoreError, match="Too many open files"):
            store.delete(record.key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert store.load(record.key, now=NOW) == record


def test_no_call_leaves_a_descriptor_open(store: FileStore) -> None:
    before = os.listdir("/proc/self/fd")
    for number in range(20):
        store.create(a_record(number))
        store.load(a_key(number), now=NOW + 60, touch_every=60.0)
    store.list_owner(OWNER, now=NOW, limit=3)
    store.purge(now=END + 4000, limit=3)
    store.delete(a_key(0))

    assert os.listdir("/proc/self/fd") == before


def test_a_lock_that_is_held_during_a_fork_is_given_back(store: FileStore) -> None:
    store.create(a_record())
    with store._locked(a_key(0)[:2]):
        child = os.fork()
        if not child:  # pragma: no cover  # in the child, which has the lock's descriptor until it ends
            time.sleep(30)
            os._exit(0)
    try:
        assert in_thread(store.delete, a_key(0)).result(within=5) is True
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# Links and strangers


@pytest.mark.requirement("IN-03")
def test_no_key_can_name_a_path(store: FileStore, path: Path) -> None:
    store.create(a_record())
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in {"open", "os.rename"} else None)
    odd = ["", ".", "..", "/etc/passwd", "../" * 9 + "etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n"]
    odd += ["\x00" * 64, "a" * 63 + "/", "\u0661" * 64, "\udcff" * 64]

    for key in odd:
        assert store.load(key, now=NOW, touch_every=0.0) is None
        assert store.delete(key) is False
        assert store.replace(a_record(key=key), expected=None, now=NOW) == Write(Outcome.GONE)
        with pytest.raises(StoreError):
            store.create(a_record(key=key))
        with pytest.raises(StoreError):
            store.create(a_record(1, owner=key))
        assert store.list_owner(key, now=NOW) == []
    assert opened == []


@pytest.mark.requirement("ST-03")
def test_a_link_in_place_of_a_record_is_not_followed(store: FileStore, path: Path, tmp_path: Path) -> None:
    record = a_record()
    store.create(record)
    elsewhere = tmp_path / "elsewhere"
    place(path, record).rename(elsewhere)
    place(path, record).symlink_to(elsewhere)
    there = elsewhere.read_bytes()

    assert store.load(record.key, now=NOW + 60, touch_every=0.0) is None
    assert store.create(record) is False
    assert store.replace(record, expected=None, now=NOW) == Write(Outcome.GONE)
    assert store.list_owner(OWNER, now=NOW) == []
    assert store.delete(record.key) is True
    assert elsewhere.read_bytes() == there


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_what_is_no_file_is_absent(kind: str, store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = a_record()
    store.create(record)
    place(path, record).unlink()
    if kind == "fifo":
        os.mkfifo(place(path, record))
    elif kind == "folder":
        place(path, record).mkdir()
    else:
        monkeypatch.chdir(place(path, record).parent)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(record.key)

    assert in_thread(store.load, record.key, now=NOW).result(within=5) is None
    assert store.create(record) is False
    assert store.purge(now=NOW + 1e9) == Purged(0, more=False)


@pytest.mark.parametrize("name", ["stripe", "lock", "owner", "owner/x"])
def test_a_link_in_place_of_a_folder_is_an_error(name: str, path: Path, tmp_path: Path) -> None:
    record = a_record()
    FileStore(path).create(record)
    name = {"stripe": record.key[:2], "owner/x": f"owner/{OWNER}"}.get(name, name)
    elsewhere = tmp_path / "elsewhere"
    (path / name).rename(elsewhere)
    (path / name).symlink_to(elsewhere)
    before = {file: file.stat().st_mtime for file in files_in(elsewhere)}
    store = FileStore(path)

    with pytest.raises(StoreError, match="is not a folder of ours"):
        store.create(structs.replace(a_record(), key=record.key[:-1] + "0"))
    if name != "lock":
        with pytest.raises(StoreError, match="is not a folder of ours"):
            store.list_owner(OWNER, now=NOW)
    assert {file: file.stat().st_mtime for file in files_in(elsewhere)} == before


@pytest.mark.parametrize("name", ["lock", "mark"])
def test_a_link_in_place_of_a_lock_or_mark_is_not_followed(name: str, path: Path, tmp_path: Path) -> None:
    record, elsewhere = a_record(), tmp_path / "elsewhere"
    link = path / "lock" / record.key[:2] if name == "lock" else path / "owner" / OWNER / record.key
    link.parent.mkdir(parents=True, mode=0o700)
    path.chmod(0o700)
    link.symlink_to(elsewhere)

    with pytest.raises(StoreError):
        FileStore(path).create(record)
    assert not elsewhere.exists()


@pytest.mark.requirement("CL-03")
def test_purge_leaves_what_it_did_not_write(store: FileStore, path: Path, tmp_path: Path) -> None:
    ended = a_record(seen_at=NOW - 4000)
    store.create(ended)
    outside = tmp_path / "outside"
    outside.mkdir()
    strangers = [
        path / "README",
        path / a_key(1),
        path / "zz" / a_key(2),
        path / "lock" / a_key(3),
        path / "owner" / a_key(4),
        path / "owner" / "someone" / a_key(5),
        place(path, ended).with_name("README"),
        place(path, ended).with_name("backup.tmp"),
        place(path, ended).with_name(a_key(6) + ".tmp~"),
        place(path, ended).with_name(a_key(7).upper()),
        place(path, ended).with_name("folder") / a_key(8),
        outside / a_key(9),
        outside / "precious",
    ]
    links = {
        place(path, ended).with_name(a_key(10)): outside / "precious",
        place(path, ended).with_name(a_key(11)): Path("/nowhere"),
        path / "owner" / OWNER / a_key(12): outside / "precious",
        path / "owner" / OTHER_OWNER: outside,
        path / ("00" if ended.key[:2] != "00" else "01"): outside,
        path / "hosts": Path("/etc/hosts"),
    }
    for stranger in strangers:
        stranger.parent.mkdir(exist_ok=True)
        stranger.write_bytes(b"precious")
        os.utime(stranger, (0, 0))
    for link, target in links.items():
        link.symlink_to(target)
        os.utime(link, (0, 0), follow_symlinks=False)

    assert store.count_ended(now=NOW + 1e8) == 1
    assert store.purge(now=NOW + 1e8) == Purged(1, more=False)
    assert [stranger.read_bytes() for stranger in strangers] == [b"precious"] * len(strangers)
    assert [link.readlink() for link in links] == list(links.values())


# Purge and index


def test_purge_opens_no_record(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        store.create(a_record(number, seen_at=NOW - 4000 * (number % 2)))
    monkeypatch.setattr(os, "read", None)

    assert store.purge(now=NOW) == Purged(25, more=False)


def test_purge_does_not_look_again_at_live_files_for_each_batch(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(600):
        store.create(a_record(number, owner=None, seen_at=NOW - 4000 * (number % 2)))
    looks, lstat = Counter[str](), os.lstat

    def counted(path: str) -> os.stat_result:
        looks[str(path)] += 1
        return lstat(path)

    monkeypatch.setattr(os, "lstat", counted)
    batches = [store.purge(now=NOW, limit=10)]
    while batches[-1].more:
        batches.append(store.purge(now=NOW, limit=10))

    assert sum(batch.count for batch in batches) == 300
    assert max(batch.count for batch in batches) == 10
    assert sum(looks.values()) < 600 * 5


def test_marks_are_swept_by_their_own_end_and_never_because_the_record_is_absent(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)
    mark = path / "owner" / OWNER / record.key
    place(path, record).unlink()

    assert store.list_owner(OWNER, now=NOW) == []
    store.purge(now=ABSOLUTE + GRACE)
    assert mark.exists()
    store.purge(now=ABSOLUTE + GRACE + 1)
    assert not mark.parent.exists()


def test_a_mark_outlives_a_record_whose_absolute_end_moves(store: FileStore, path: Path) -> None:
    record = a_record()
    store.create(record)
    longer = structs.replace(record, idle=1e6, absolute_at=ABSOLUTE + 1e6, version=a_version())
    store.replace(longer, expected=record.version, now=NOW)

    store.purge(now=ABSOLUTE + 1e5)

    assert [row.key for row in store.list_owner(OWNER, now=ABSOLUTE + 1e5)] == [record.key]


def test_a_crash_between_mark_and_record_shows_nothing(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = a_record()

    def crash(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_write", crash)
    with pytest.raises(KeyboardInterrupt):
        store.create(record)
    monkeypatch.undo()

    assert (path / "owner" / OWNER / record.key).exists()
    assert store.list_owner(OWNER, now=NOW) == []
    assert store.create(record) is True
    assert [row.key for row in store.list_owner(OWNER, now=NOW)] == [record.key]


def test_an_owners_empty_folder_may_go_while_another_session_is_made(store: FileStore) -> None:
    race(
        lambda number: store.create(a_record(number)) and store.delete(a_key(number)),
        lambda number: store.purge(now=NOW).more,
        lambda number: store.create(a_record(-1 - number)),
        rounds=100,
    )

    assert len(store.list_owner(OWNER, now=NOW, limit=1000)) == 100


# The folder is judged


@pytest.mark.requirement("ST-03")
@pytest.mark.parametrize(
    ("mode", "said"), [(0o770, "others"), (0o702, "others"), (0o750, None), (0o755, None), (0o700, None)]
)
def test_a_folder_that_others_can_write_to_is_refused(
    mode: int, said: str | None, store: FileStore, path: Path
) -> None:
    store.create(a_record())
    path.chmod(mode)

    fresh = FileStore(path)
    if said is None:
        assert fresh.check() == []
        assert fresh.load(a_key(0), now=NOW) is not None
    else:
        assert said in fresh.check()[0]
        with pytest.raises(StoreError, match=said):
            fresh.load(a_key(0), now=NOW)
        with pytest.raises(StoreError, match=said):
            fresh.purge(now=NOW)


@pytest.mark.requirement("ST-03")
def test_a_folder_of_another_user_is_refused(store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(a_record())
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)

    fresh = FileStore(path)
    assert f"belongs to user {uid}, not to {uid + 1}" in fresh.check()[0]
    with pytest.raises(StoreError, match="belongs to user"):
        fresh.create(a_record(1))


def test_what_is_no_folder_or_a_link_to_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)

    assert "is not a folder" in FileStore(tmp_path / "file").check()[0]
    assert "is a link" in FileStore(tmp_path / "link").check()[0]
    assert "cannot be made" in FileStore(tmp_path / "file" / "a" / "b").check()[0]
    with pytest.raises(StoreError, match="is a link"):
        FileStore(tmp_path / "link").create(a_record())
    with pytest.raises(StoreError):
        FileStore(tmp_path / "file" / "a").create(a_record())


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)

    assert FileStore(tmp_path / "a" / "b").check() == [
        f"{tmp_path}/a/b cannot be made, since {tmp_path} cannot be written to. Make it, owned by the server."
    ]


def test_a_later_change_of_the_working_folder_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileStore(Path("sessions"))
    store.create(a_record())
    monkeypatch.chdir("/")

    assert store.load(a_key(0), now=NOW) is not None


def test_a_lock_that_is_not_given_back_is_waited_for_no_longer_than_said(path: Path) -> None:
    """A reader waits for nobody: a due touch is left to the next request."""
    store, record = FileStore(path, timeout=0.01), a_record()
    store.create(record)
    with FileStore(path)._locked(record.key[:2]):
        assert store.load(record.key, now=NOW + 60, touch_every=60.0) == record
        with pytest.raises(StoreError, match="another process holds its lock"):
            store.replace(structs.replace(record, version=a_version()), expected=record.version, now=NOW)

    assert store.load(record.key, now=NOW) == record


def test_a_last_seen_that_is_no_number_is_written_anew(store: FileStore, path: Path) -> None:
    """It stands beside the seal: with NaN in it the idle limit would never come."""
    record = a_record()
    store.create(record)
    place(path, record).write_bytes(pack(record, float("nan")))

    found = store.load(record.key, now=NOW, touch_every=60.0)

    assert found is not None
    assert found.seen_at == NOW
    assert store.load(record.key, now=NOW) == found
