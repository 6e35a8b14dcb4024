"""Sessions as files: one machine, no server, nothing to install."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from msgspec.structs import replace

from ..errors import StoreError
from ..filing import is_key, is_owner
from ..record import Outcome, Purged, Record, Version, Write
from .base import GRACE, Capability, Judgement, Mark, settled, touch_is_due
from .files_folder import Folder
from .files_packed import pack, unpack

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
        self._inside = Folder(folder, syncs=sync)
        self.folder: Final = self._inside.path
        self._root = str(self.folder)
        self._timeout = timeout
        self._purge_from = ""

    def check(self) -> list[str]:
        """Return what keeps the folder from being used, each with its mend. Makes nothing."""
        return self._inside.check()

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
            with self._inside.locked(key[:2], timeout=0.0):
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
        if not is_key(record.key) or not (record.owner is None or is_owner(record.owner)):
            raise StoreError("A record's key or owner is not lowercase hex, so it cannot name a file. Use tokens.py's.")
        with self._locked(record.key[:2]):
            there = self._bytes(record.key)
            if there is not None:
                taken_by = unpack(record.key, there)
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
                os.unlink(f"{self._root}/{key[:2]}/{key}")
            except (FileNotFoundError, IsADirectoryError):
                return False
            if record is not None:
                self._unmark_owner(record)
        return True

    @_as_store_error
    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        if not is_owner(owner) or not self._inside.is_there(f"owner/{owner}"):
            return []
        try:
            names = sorted(name for name in os.listdir(f"{self._root}/owner/{owner}") if is_key(name))
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
        stripes = self._inside.folders("", _is_stripe)
        first = bisect_left(stripes, self._purge_from)
        seen = count = 0
        for stripe in stripes[first:] + stripes[:first]:
            names = list(islice(self._aged(stripe, now), limit - seen))
            seen += len(names)
            count += sum(map(is_key, self._removed(stripe, names, now)))
            if seen >= limit:
                self._purge_from = stripe
                return Purged(count, more=True)
        self._sweep_index(now)
        return Purged(count, more=False)

    @_as_store_error
    def count_ended(self, *, now: float) -> int:
        """Return how many records ended more than ``GRACE`` seconds ago. Looks at every file, opens none."""
        return sum(is_key(name) for stripe in self._inside.folders("", _is_stripe) for name in self._aged(stripe, now))

    def scan(self) -> Iterator[Record]:
        """Yield every record, a file at a time; see ``Scans.scan``."""
        for stripe in self._stripes():
            for key in self._keys_in(stripe):
                record = self.load(key, now=0.0)
                if record is not None:
                    yield record

    @_as_store_error
    def _stripes(self) -> list[str]:
        return self._inside.folders("", _is_stripe)

    @_as_store_error
    def _keys_in(self, stripe: str) -> list[str]:
        try:
            return [name for name in os.listdir(f"{self._root}/{stripe}") if is_key(name)]
        except FileNotFoundError:  # somebody has just removed it
            return []

    # Records

    def _may_hold(self, key: str) -> bool:
        return is_key(key) and self._inside.is_there(key[:2])

    def _read(self, key: str) -> Record | None:
        data = self._bytes(key)
        return None if data is None else unpack(key, data)

    def _bytes(self, key: str) -> bytes | None:
        return self._inside.read(f"{key[:2]}/{key}") if self._may_hold(key) else None

    def _write(self, record: Record, *, seen_at: float) -> None:
        ends_at = min(record.absolute_at, seen_at + record.idle)
        self._inside.write(record.key[:2], record.key, pack(record, seen_at), dated=ends_at)

    def _locked(self, stripe: str) -> AbstractContextManager[None]:
        return self._inside.locked(stripe, timeout=self._timeout)

    # The index

    def _mark_owner(self, record: Record) -> None:
        """Note whose a record is, before it is written; the note must outlive it."""
        if record.owner is not None:
            self._inside.mark(f"owner/{record.owner}", record.key, dated=record.absolute_at)

    def _unmark_owner(self, record: Record) -> None:
        """Forget whose a record was, after it is gone; its stripe must be locked."""
        if record.owner is not None and self._inside.is_there(f"owner/{record.owner}"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self._root}/owner/{record.owner}/{record.key}")

    # What is over

    def _aged(self, folder: str, now: float) -> Iterator[str]:
        try:
            entries = os.scandir(f"{self._root}/{folder}")
        except FileNotFoundError:  # another purge has just swept it away
            return
        with entries:
            for entry in entries:
                if _is_aged(entry.path, now):
                    yield entry.name

    def _removed(self, folder: str, names: list[str], now: float) -> list[str]:
        """Remove files of one stripe, and return those that were not written anew since they were looked at."""
        if not names:
            return []
        with self._locked(names[0][:2]):
            aged = [name for name in names if _is_aged(f"{self._root}/{folder}/{name}", now)]
            for name in aged:
                os.unlink(f"{self._root}/{folder}/{name}")
        return aged

    def _sweep_index(self, now: float) -> None:
        for owner in self._inside.folders("owner", is_owner):
            for name in list(self._aged(f"owner/{owner}", now)):
                self._removed(f"owner/{owner}", [name], now)
            # Refused while something is left in it. Who is about to put something there makes it again.
            with suppress(OSError):
                os.rmdir(f"{self._root}/owner/{owner}")


_STRIPE: Final = re.compile("[0-9a-f]{2}")
_LEFT_OVER: Final = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{8}\.tmp")


def _is_stripe(name: str) -> bool:
    return _STRIPE.fullmatch(name) is not None


def _is_left_over(name: str) -> bool:
    return _LEFT_OVER.fullmatch(name) is not None


#: Seconds; a write takes milliseconds.
_LEFT_OVER_AFTER = 3600.0

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


def _is_to_touch(record: Record, now: float, touch_every: float) -> bool:
    return record.expires_at > now and touch_is_due(record.seen_at, now, touch_every)


def _is_aged(path: str, now: float) -> bool:
    """Return whether a file is one of ours whose time is over; follows no link."""
    name = path[path.rindex("/") + 1 :]
    kept_for = GRACE if is_key(name) else _LEFT_OVER_AFTER if _is_left_over(name) else None
    if kept_for is None:
        return False
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_mtime + kept_for < now
