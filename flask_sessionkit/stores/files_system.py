"""What operating systems do in ways of their own: locks, moves, rights, times of files."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

# A FIFO in a record's place must not stop a reader, so O_NONBLOCK; it means nothing to files. Windows has few of these.
SAFELY: Final[int] = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))
# What open(2) says of a link (Linux; FreeBSD) and of a socket.
NOT_A_FILE: Final = {errno.ELOOP, errno.EMLINK, errno.ENXIO}


def faults(folder: str) -> list[str]:
    """Return why a folder that exists must not be trusted with sessions, each with its mend."""
    there = os.lstat(folder)
    if stat.S_ISLNK(there.st_mode):
        return [f"{folder} is a link. Name the folder that it leads to."]
    if not stat.S_ISDIR(there.st_mode):
        return [f"{folder} is not a folder. Remove it or choose another path."]
    if sys.platform == "win32":
        return []  # rights are access lists there, inherited from the parent
    found = []
    if there.st_uid != os.geteuid():
        found.append(f"{folder} belongs to user {there.st_uid}, not to {os.geteuid()}. Run as its owner, or chown it.")
    if there.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        found.append(f"{folder} can be written to by others (mode {there.st_mode & 0o777:o}). Run chmod 700 on it.")
    return found


def make_folder(path: str, mode: int) -> None:
    """Make a folder, unless it is there."""
    with suppress(FileExistsError):
        os.mkdir(path, mode)


def date(descriptor: int, path: str, at: float) -> None:
    """Set the times of a file that is open; years beyond 2242 are more than some disks can write."""
    at = max(0.0, min(2.0**33, at))
    os.utime(descriptor if os.utime in os.supports_fd else path, (at, at))


if sys.platform == "win32":
    import msvcrt

    def lock(descriptor: int) -> bool:
        """Lock an open file against other descriptors; return whether nobody else has."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Give a lock back."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def to_disk(descriptor: int) -> None:
        """Bring what was written to the disk."""
        os.fsync(descriptor)

    def move(path: str, to: str) -> None:
        """Move a file to a place where another may be."""
        # Refused while a reader has the file open, which is a matter of microseconds.
        for pause in (0.001, 0.005, 0.02, 0.1):
            with suppress(PermissionError):
                return os.replace(path, to)
            time.sleep(pause)
        return os.replace(path, to)

else:
    import fcntl

    def lock(descriptor: int) -> bool:
        """Lock an open file against other descriptors; return whether nobody else has."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Give a lock back."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    to_disk: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)  # macOS has the second only
    move: Final[Callable[[str, str], None]] = os.rename
