"""A folder that is ours alone: files inside of it are opened, written whole, and locked against others."""

from __future__ import annotations

import errno
import os
import random
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from secrets import token_hex
from typing import Final

from ..errors import StoreError
from .files_system import NOT_A_FILE, SAFELY, date, faults, lock, make_folder, move, to_disk, unlock

#: How often a purge may sweep a folder away between its making and its use.
_SWEPT_AWAY = 4
#: Seconds; the longest pause of who waits for a lock.
_LOCK_PAUSE = 0.002

# Most files are read in one go.
_MOST: Final = 16 * 1024
_REST: Final = 1024 * 1024


class Folder:
    """What lies in a folder of ours, by names that are relative to it. No link inside of it is followed.

    All of it raises ``OSError`` as the disk does.

    :param path: needs not exist; its parent is made too, at the first write. Nobody else may own it or write to it.
    :param syncs: whether a write waits for the disk.
    """

    def __init__(self, path: Path, *, syncs: bool) -> None:
        self.path: Final = Path(path).absolute()
        self._root = str(self.path)
        self._syncs = syncs
        self._trusted: set[str] = set()

    def check(self) -> list[str]:
        """Return what keeps the folder from being used, each with its mend. Makes nothing."""
        if os.path.lexists(self._root):
            found = faults(self._root)
            if not found and not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
                found = [f"{self._root} cannot be written to. Give its owner all rights: chmod 700."]
            return found
        nearest = next(path for path in self.path.parents if os.path.lexists(path))
        if not nearest.is_dir():
            return [f"{self._root} cannot be made, since {nearest} is not a folder. Choose another path."]
        if not os.access(nearest, os.W_OK | os.X_OK):
            return [f"{self._root} cannot be made, since {nearest} cannot be written to. Make it, owned by the server."]
        return []

    def is_there(self, name: str = "") -> bool:
        """Return whether a folder inside ours exists; looks once, except at owners, of whom there are many.

        :param name: the folder itself without one.
        :raises StoreError: something else is in its place, or our folder is not ours alone.
        """
        if name in self._trusted:
            return True
        if name and not self.is_there(name.rpartition("/")[0]):
            return False
        path = f"{self._root}/{name}" if name else self._root
        try:
            there = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):  # no other: what we may not look into is not absent
            return False
        if not name:
            _refuse(faults(self._root))
        elif not stat.S_ISDIR(there.st_mode):
            _refuse([f"{name} in {self._root} is not a folder of ours. Remove it."])
        if not name.startswith("owner/"):
            self._trusted.add(name)
        return True

    def folders(self, inside: str, is_ours: Callable[[str], bool]) -> list[str]:
        """Return the folders inside of one, by their names, in order."""
        if not self.is_there(inside):
            return []
        with os.scandir(f"{self._root}/{inside}") as entries:
            ours = (entry for entry in entries if is_ours(entry.name))
            return sorted(entry.name for entry in ours if entry.is_dir(follow_symlinks=False))

    def read(self, name: str) -> bytes | None:
        """Return what lies in a file: ``None`` for nothing, no bytes for what is not a file."""
        try:
            descriptor = os.open(f"{self._root}/{name}", os.O_RDONLY | SAFELY)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in NOT_A_FILE:
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

    def write(self, folder: str, name: str, data: bytes, *, dated: float) -> None:
        """Put a file in its place, whole or not at all: it is written beside it and then moved there.

        :param dated: Unix seconds; what its times are set to.
        """
        beside = f"{name}.{token_hex(4)}.tmp"
        path = f"{self._root}/{folder}/{beside}"
        descriptor = self._open(folder, beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
                date(descriptor, path, dated)
                if self._syncs:
                    to_disk(descriptor)
            finally:
                os.close(descriptor)
            move(path, f"{self._root}/{folder}/{name}")
            if self._syncs:
                self._note_move(folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise

    def mark(self, folder: str, name: str, *, dated: float) -> None:
        """Make an empty file, or date one anew.

        :param dated: Unix seconds.
        """
        descriptor = self._open(folder, name, os.O_WRONLY | os.O_CREAT)
        try:
            date(descriptor, f"{self._root}/{folder}/{name}", dated)
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self, stripe: str, *, timeout: float) -> Iterator[None]:
        """Keep other threads and processes from changing what lies in a stripe.

        A descriptor for each time, since ``flock`` does not part the threads that share one.

        :param timeout: seconds to wait for it.
        :raises TimeoutError: somebody holds it, and did not give it back in time.
        """
        descriptor = self._open("lock", stripe, os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + timeout
            while not lock(descriptor):
                if time.monotonic() >= deadline:
                    raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock")
                time.sleep(random.uniform(0, _LOCK_PAUSE))  # noqa: S311  # jitter, no secret
            try:
                yield
            finally:
                # Closing is not enough: a process that was forked meanwhile has the descriptor too.
                unlock(descriptor)
        finally:
            os.close(descriptor)

    def _open(self, folder: str, name: str, flags: int) -> int:
        """Open a file of ours for writing; its folder is made if it is missing or has been removed meanwhile."""
        path = f"{self._root}/{folder}/{name}"
        if not self.is_there(folder):
            self._make(folder)
        for _ in range(_SWEPT_AWAY):
            with suppress(FileNotFoundError):
                return os.open(path, flags | SAFELY, 0o600)
            self._make(folder)
        return os.open(path, flags | SAFELY, 0o600)

    def _make(self, name: str) -> None:
        """Make a folder inside ours, with all that it lies in; no umask can give others a right to it."""
        self._trusted.clear()
        for parent in reversed(self.path.parents):
            if not parent.exists():
                make_folder(str(parent), 0o755)
        make_folder(self._root, 0o700)
        for step in accumulate(name.split("/"), "{}/{}".format):
            if not self.is_there(step):
                make_folder(f"{self._root}/{step}", 0o700)

    def _note_move(self, folder: str) -> None:
        """Bring a folder to the disk: a file's move is a change of what it lies in."""
        if sys.platform != "win32":
            descriptor = os.open(f"{self._root}/{folder}", os.O_RDONLY | SAFELY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _refuse(found: list[str]) -> None:
    if found:
        cause = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        raise StoreError("The session folder cannot be used: " + " ".join(found)) from cause
