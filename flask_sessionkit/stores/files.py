"""Sessions as files: one machine, no server, nothing to install."""

from __future__ import annotations

import errno
import os
import random
import re
import stat
import struct
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from itertools import accumulate, islice
from pathlib import Path
from secrets import token_hex
from typing import Concatenate, Final, ParamSpec, TypeVar

from msgspec.structs import replace

from ..errors import StoreError
from ..record import Outcome, Purged, Record, Version, Write
from .base import GRACE, Capability, Judgement, Mark, settled, touch_is_due

P = ParamSpec("P")
T = TypeVar("T")


def _as_store_error(method: Callable[Concatenate[FileStore, P], T]) -> Callable[Concatenate[FileStore, P], T]:
    """Raise what the disk refuses as ``StoreError``; the path goes, since it holds a key."""

    @wraps(method)
    def answered(self: FileStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except OSError as error:
            cause = OSError(error.errno, error.strerror)
            raise StoreError(
                f"The session folder {self.folder} cannot be used: {error.strerror}. See to its disk and its rights."
            ) from cause

    return answered


class FileStore:
    """A folder of records, for one machine.

    ``ab/ab...`` are records, whose ``mtime`` is when they end, so that a purge opens nothing; copy the folder with its
    times (``cp -p``). ``owner/<owner>/ab...`` are empty and say whose they are. ``lock/ab`` is locked to change what
    lies in ``ab``; a read needs no lock, since a record is written beside its place and then moved there. The kernel
    gives a lock back when its holder dies. Local disks only: NFS may lock on one machine what another one changes.

    Nothing is made before the first write. No link inside the folder is followed.

    :param folder: needs not exist; its parent is made too. Nobody else may own it or write to it.
    :param sync: wait for the disk at each write, so that a power cut undoes nothing that was answered; a write then
        costs what the disk takes. Without it a crash of the process or a ``kill -9`` loses nothing, and a power cut
        may bring back what lay there some seconds before, as with the file sessions of Django and Flask-Session.
    :param timeout: seconds; how long a change waits for the lock of a stripe, and a purge for each of them.
    """

    capabilities: Capability = Capability.INDEX | Capability.PURGE | Capability.DURABLE

    def __init__(self, folder: Path, *, sync: bool = False, timeout: float = 5.0) -> None:
        self.folder: Final = Path(folder).absolute()
        self._root = str(self.folder)
        self._syncs = sync
        self._timeout = timeout
        self._trusted: set[str] = set()
        self._purge_from = ""

    def check(self) -> list[str]:
        """Return what keeps the folder from being used, each with its mend. Makes nothing."""
        if os.path.lexists(self._root):
            faults = _faults(self._root)
            if not faults and not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
                faults = [f"{self._root} cannot be written to. Give its owner all rights: chmod 700."]
            return faults
        nearest = next(path for path in self.folder.parents if os.path.lexists(path))
        if not nearest.is_dir():
            return [f"{self._root} cannot be made, since {nearest} is not a folder. Choose another path."]
        if not os.access(nearest, os.W_OK | os.X_OK):
            return [f"{self._root} cannot be made, since {nearest} cannot be written to. Make it, owned by the server."]
        return []

    @_as_store_error
    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is to be said of the folder; see ``Judges.judge``."""
        faults = self.check()
        if faults:
            return [(Mark.FAULT, fault) for fault in faults]
        if not os.path.lexists(self._root):
            return [(Mark.NOTE, f"{self._root} is not there yet; the first write makes it.")]
        mode = stat.S_IMODE(os.lstat(self._root).st_mode)
        if sys.platform != "win32" and mode & 0o055:
            return [(Mark.NOTE, f"Others can look into {self._root} (mode {mode:o}), not its files. Run chmod 700.")]
        return [(Mark.OK, f"{self._root} is its owner's alone.")]

    @_as_store_error
    def load(self, key: str, *, now: float, touch_every: float | None = None) -> Record | None:
        """Return the record of a key, or ``None``; see ``Store.load``. Locks only for a touch that is due.

        A touch that the disk has no room for, or forbids, is skipped: what was stored can still be read.
        """
        record = self._read(key)
        if record is None or touch_every is None or not _is_to_touch(record, now, touch_every):
            return record
        try:
            with self._locked(key[:2], waits=False):
                record = self._read(key)
                if record is None or not _is_to_touch(record, now, touch_every):
                    return record
                self._write(record, seen_at=now)
        except OSError as error:
            if error.errno in _NO_TOUCH:
                return record  # A later request touches.
            raise
        return replace(record, seen_at=now)

    @_as_store_error
    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        if not _is_key(record.key) or not (record.owner is None or _is_owner(record.owner)):
            raise StoreError("A record's key or owner is not lowercase hex, so it cannot name a file. Use tokens.py's.")
        with self._locked(record.key[:2]):
            there = self._bytes(record.key)
            if there is not None:
                taken_by = _unpack(record.key, there)
                return taken_by is not None and taken_by.version == record.version
            self._mark_owner(record)
            self._write(record, seen_at=record.seen_at)
        return True

    @_as_store_error
    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``."""
        if not self._may_hold(record.key):
            return Write(Outcome.GONE)
        with self._locked(record.key[:2]):
            current = self._read(record.key)
            if current is None:
                return Write(Outcome.GONE)
            if current.version == record.version:
                return Write(Outcome.OK)
            if current.expires_at <= now:
                return Write(Outcome.GONE)
            if expected is not None and current.version != expected:
                return Write(Outcome.CONFLICT, current)
            if record.owner != current.owner or record.absolute_at > current.absolute_at:
                self._mark_owner(record)
            self._write(record, seen_at=max(settled(current.seen_at, now), settled(record.seen_at, now)))
            if record.owner != current.owner:
                self._unmark_owner(current)
        return Write(Outcome.OK)

    @_as_store_error
    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it; see ``Store.delete``."""
        if not self._may_hold(key):
            return False
        with self._locked(key[:2]):
            record = self._read(key)
            try:
                os.unlink(self._path(key))
            except (FileNotFoundError, IsADirectoryError):
                return False
            if record is not None:
                self._unmark_owner(record)
        return True

    @_as_store_error
    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        if not _is_owner(owner) or not self._is_there("owner") or not self._is_there(f"owner/{owner}"):
            return []
        try:
            names = sorted(name for name in os.listdir(f"{self._root}/owner/{owner}") if _is_key(name))
        except FileNotFoundError:  # a purge has just swept it away
            return []
        records = (self._read(name) for name in names if after is None or name > after)
        live = (record for record in records if record and record.owner == owner and record.expires_at > now)
        return [replace(record, payload=b"") for record in islice(live, limit)]

    @_as_store_error
    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Remove records that ended more than ``GRACE`` seconds ago; see ``Store.purge``.

        Starts where the call before stopped, so that live files are not looked at again for each batch, and has been
        all round when it says that there is no more. Left-overs of crashes and of the index go with them.
        """
        stripes = self._folders("", _is_stripe)
        first = bisect_left(stripes, self._purge_from)
        seen = count = 0
        for stripe in stripes[first:] + stripes[:first]:
            names = list(islice(self._aged(stripe, now), limit - seen))
            seen += len(names)
            count += sum(_is_key(name) for name in self._unlink_aged(stripe, names, now))
            if seen >= limit:
                self._purge_from = stripe
                return Purged(count, more=True)
        self._sweep_index(now)
        return Purged(count, more=False)

    @_as_store_error
    def count_ended(self, *, now: float) -> int:
        """Return how many records ended more than ``GRACE`` seconds ago. Looks at every file, opens none."""
        return sum(_is_key(name) for stripe in self._folders("", _is_stripe) for name in self._aged(stripe, now))

    def scan(self) -> Iterator[Record]:
        """Yield every record, a file at a time; see ``Scans.scan``."""
        for stripe in self._stripes():
            for key in self._keys_in(stripe):
                record = self.load(key, now=0.0)
                if record is not None:
                    yield record

    @_as_store_error
    def _stripes(self) -> list[str]:
        return self._folders("", _is_stripe)

    @_as_store_error
    def _keys_in(self, stripe: str) -> list[str]:
        try:
            return [name for name in os.listdir(f"{self._root}/{stripe}") if _is_key(name)]
        except FileNotFoundError:  # somebody has just removed it
            return []

    # The folder

    def _is_there(self, name: str) -> bool:
        """Return whether a folder inside ours exists; looks once, except at owners, of whom there are many.

        :raises StoreError: something else is in its place, or our folder is not ours alone.
        """
        if name in self._trusted:
            return True
        if name and not self._is_there(name.rpartition("/")[0]):
            return False
        path = f"{self._root}/{name}" if name else self._root
        try:
            there = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):  # no other: what we may not look into is not absent
            return False
        if not name:
            self._refuse(_faults(self._root))
        elif not stat.S_ISDIR(there.st_mode):
            self._refuse([f"{name} in {self._root} is not a folder of ours. Remove it."])
        if not name.startswith("owner/"):
            self._trusted.add(name)
        return True

    def _refuse(self, faults: list[str]) -> None:
        if faults:
            cause = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            raise StoreError("The session folder cannot be used: " + " ".join(faults)) from cause

    def _make(self, name: str) -> None:
        """Make a folder inside ours, with all that it lies in; no umask can give others a right to it."""
        self._trusted.clear()
        for parent in reversed(self.folder.parents):
            if not parent.exists():
                _make_folder(str(parent), 0o755)
        _make_folder(self._root, 0o700)
        for step in accumulate(name.split("/"), "{}/{}".format):
            if not self._is_there(step):
                _make_folder(f"{self._root}/{step}", 0o700)

    def _open(self, folder: str, name: str, flags: int) -> int:
        """Open a file of ours for writing; its folder is made if it is missing or has been removed meanwhile."""
        path = f"{self._root}/{folder}/{name}"
        if not self._is_there(folder):
            self._make(folder)
        for _ in range(_SWEPT_AWAY):
            with suppress(FileNotFoundError):
                return os.open(path, flags | _SAFELY, 0o600)
            self._make(folder)
        return os.open(path, flags | _SAFELY, 0o600)

    @contextmanager
    def _locked(self, stripe: str, *, waits: bool = True) -> Iterator[None]:
        """Keep other threads and processes from changing what lies in a stripe.

        A descriptor for each time, since ``flock`` does not part the threads that share one.

        :raises TimeoutError: somebody holds it, and did not give it back in time.
        """
        descriptor = self._open("lock", stripe, os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + (self._timeout if waits else 0.0)
            while not _lock(descriptor):
                if time.monotonic() >= deadline:
                    raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock")
                time.sleep(random.uniform(0, _LOCK_PAUSE))  # noqa: S311  # jitter, no secret
            try:
                yield
            finally:
                # Closing is not enough: a process that was forked meanwhile has the descriptor too.
                _unlock(descriptor)
        finally:
            os.close(descriptor)

    # Records

    def _path(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key}"

    def _may_hold(self, key: str) -> bool:
        return _is_key(key) and self._is_there(key[:2])

    def _read(self, key: str) -> Record | None:
        data = self._bytes(key)
        return None if data is None else _unpack(key, data)

    def _bytes(self, key: str) -> bytes | None:
        """Return what lies under a key: ``None`` for nothing, no bytes for what is not a file."""
        if not self._may_hold(key):
            return None
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | _SAFELY)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NOT_A_FILE:
                return b""
            raise
        try:
            data = os.read(descriptor, _MOST)
            while len(data) >= _MOST and (rest := os.read(descriptor, _REST)):
                data += rest
            return data
        except IsADirectoryError:
            return b""
        finally:
            os.close(descriptor)

    def _write(self, record: Record, *, seen_at: float) -> None:
        stripe = record.key[:2]
        beside = f"{record.key}.{token_hex(4)}.tmp"
        path = f"{self._root}/{stripe}/{beside}"
        descriptor = self._open(stripe, beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                data = _pack(record, seen_at)
                while data:
                    data = data[os.write(descriptor, data) :]
                _date(descriptor, path, min(record.absolute_at, seen_at + record.idle))
                if self._syncs:
                    _to_disk(descriptor)
            finally:
                os.close(descriptor)
            _move(path, self._path(record.key))
            if self._syncs:
                self._note_move(stripe)
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise

    def _note_move(self, stripe: str) -> None:
        """Bring a folder to the disk: a file's move is a change of what it lies in."""
        if sys.platform != "win32":
            descriptor = os.open(f"{self._root}/{stripe}", os.O_RDONLY | _SAFELY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    # The index

    def _mark_owner(self, record: Record) -> None:
        """Note whose a record is, before it is written; the note must outlive it."""
        if record.owner is None:
            return
        descriptor = self._open(f"owner/{record.owner}", record.key, os.O_WRONLY | os.O_CREAT)
        try:
            _date(descriptor, f"{self._root}/owner/{record.owner}/{record.key}", record.absolute_at)
        finally:
            os.close(descriptor)

    def _unmark_owner(self, record: Record) -> None:
        """Forget whose a record was, after it is gone; its stripe must be locked."""
        if record.owner is not None and self._is_there("owner") and self._is_there(f"owner/{record.owner}"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self._root}/owner/{record.owner}/{record.key}")

    # What is over

    def _folders(self, inside: str, is_ours: Callable[[str], bool]) -> list[str]:
        if not self._is_there(inside):
            return []
        with os.scandir(f"{self._root}/{inside}") as entries:
            ours = (entry for entry in entries if is_ours(entry.name))
            return sorted(entry.name for entry in ours if entry.is_dir(follow_symlinks=False))

    def _aged(self, folder: str, now: float) -> Iterator[str]:
        try:
            entries = os.scandir(f"{self._root}/{folder}")
        except FileNotFoundError:  # another purge has just swept it away
            return
        with entries:
            for entry in entries:
                if _is_aged(entry.path, now):
                    yield entry.name

    def _unlink_aged(self, folder: str, names: list[str], now: float) -> Iterator[str]:
        """Remove files of one stripe unless they were written anew since they were looked at."""
        if names:
            with self._locked(names[0][:2]):
                for name in names:
                    path = f"{self._root}/{folder}/{name}"
                    if _is_aged(path, now):
                        os.unlink(path)
                        yield name

    def _sweep_index(self, now: float) -> None:
        for owner in self._folders("owner", _is_owner):
            for name in list(self._aged(f"owner/{owner}", now)):
                list(self._unlink_aged(f"owner/{owner}", [name], now))
            # Refused while something is left in it. Who is about to put something there makes it again.
            with suppress(OSError):
                os.rmdir(f"{self._root}/owner/{owner}")


_KEY: Final = re.compile("[0-9a-f]{64}")
_OWNER: Final = re.compile("[0-9a-f]{32}")
_STRIPE: Final = re.compile("[0-9a-f]{2}")
_LEFT_OVER: Final = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{8}\.tmp")


def _is_key(name: str) -> bool:
    return _KEY.fullmatch(name) is not None


def _is_owner(name: str) -> bool:
    return _OWNER.fullmatch(name) is not None


def _is_stripe(name: str) -> bool:
    return _STRIPE.fullmatch(name) is not None


def _is_left_over(name: str) -> bool:
    return _LEFT_OVER.fullmatch(name) is not None


#: How often a purge may sweep a folder away between its making and its use.
_SWEPT_AWAY = 4
#: Seconds; the longest pause of who waits for a lock.
_LOCK_PAUSE = 0.002
#: Seconds; a write takes milliseconds.
_LEFT_OVER_AFTER = 3600.0

# A FIFO in a record's place must not stop a reader, so O_NONBLOCK; it means nothing to files. Windows has few of these.
_SAFELY: Final[int] = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))
# What open(2) says of a link (Linux; FreeBSD) and of a socket.
_NOT_A_FILE: Final = {errno.ELOOP, errno.EMLINK, errno.ENXIO}

# A read waits for no writer (the first), and goes on where the disk is full (the next three) or read-only.
_NO_TOUCH: Final = {
    errno.ETIMEDOUT,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
}

# Most records are read in one go.
_MOST: Final = 16 * 1024
_REST: Final = 1024 * 1024

# Format 1, created_at, seen_at, idle, absolute_at, version, has an owner, owner, sizes of info and payload.
_HEADER: Final = struct.Struct(">B4d8s?16sHI")
_FORMAT: Final = 1
_NO_OWNER: Final = bytes(16)


def _pack(record: Record, seen_at: float) -> bytes:
    owner = _NO_OWNER if record.owner is None else bytes.fromhex(record.owner)
    header = _HEADER.pack(
        _FORMAT,
        record.created_at,
        seen_at,
        record.idle,
        record.absolute_at,
        record.version,
        record.owner is not None,
        owner,
        len(record.info),
        len(record.payload),
    )
    return b"".join((header, record.info, record.payload))


def _unpack(key: str, data: bytes) -> Record | None:
    """Return the record, or ``None`` if this is not one: cut off, of another format, of another program."""
    if len(data) < _HEADER.size:
        return None
    form, created_at, seen_at, idle, absolute_at, version, owned, owner, info, payload = _HEADER.unpack_from(data)
    start = _HEADER.size + info
    if form != _FORMAT or len(data) != start + payload:
        return None
    return Record(
        key=key,
        payload=data[start:],
        created_at=created_at,
        seen_at=seen_at,
        idle=idle,
        absolute_at=absolute_at,
        owner=owner.hex() if owned else None,
        info=data[_HEADER.size : start],
        version=version,
    )


def _is_to_touch(record: Record, now: float, touch_every: float) -> bool:
    return record.expires_at > now and touch_is_due(record.seen_at, now, touch_every)


def _faults(folder: str) -> list[str]:
    """Return why a folder that exists must not be trusted with sessions, each with its mend."""
    there = os.lstat(folder)
    if stat.S_ISLNK(there.st_mode):
        return [f"{folder} is a link. Name the folder that it leads to."]
    if not stat.S_ISDIR(there.st_mode):
        return [f"{folder} is not a folder. Remove it or choose another path."]
    if sys.platform == "win32":
        return []  # rights are access lists there, inherited from the parent
    faults = []
    if there.st_uid != os.geteuid():
        faults.append(f"{folder} belongs to user {there.st_uid}, not to {os.geteuid()}. Run as its owner, or chown it.")
    if there.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        faults.append(f"{folder} can be written to by others (mode {there.st_mode & 0o777:o}). Run chmod 700 on it.")
    return faults


def _make_folder(path: str, mode: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(path, mode)


def _is_aged(path: str, now: float) -> bool:
    """Return whether a file is one of ours whose time is over; follows no link."""
    name = path[path.rindex("/") + 1 :]
    kept_for = GRACE if _is_key(name) else _LEFT_OVER_AFTER if _is_left_over(name) else None
    if kept_for is None:
        return False
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_mtime + kept_for < now


def _date(descriptor: int, path: str, at: float) -> None:
    """Set the times of a file that is open; years beyond 2242 are more than some disks can write."""
    at = max(0.0, min(2.0**33, at))
    os.utime(descriptor if os.utime in os.supports_fd else path, (at, at))


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _to_disk(descriptor: int) -> None:
        os.fsync(descriptor)

    def _move(path: str, to: str) -> None:
        # Refused while a reader has the file open, which is a matter of microseconds.
        for pause in (0.001, 0.005, 0.02, 0.1):
            with suppress(PermissionError):
                return os.replace(path, to)
            time.sleep(pause)
        return os.replace(path, to)

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    _to_disk = getattr(os, "fdatasync", os.fsync)  # macOS has the second only
    _move = os.rename
