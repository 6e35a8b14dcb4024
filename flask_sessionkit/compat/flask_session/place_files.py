"""The files of cachelib's ``FileSystemCache``, in which Flask-Session keeps sessions."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...errors import StoreError
from ...stores.files_system import NOT_A_FILE, SAFELY
from .places import Lying

#: What a name becomes a file's name by: cachelib 0.17, and those before 0.11.
USUAL_HASHES: Final[tuple[Callable[[bytes], Any], ...]] = (
    hashlib.sha256,
    lambda data: hashlib.md5(data, usedforsecurity=False),
)
#: The end, in Unix seconds, in this machine's order of bytes; 0 for none (cachelib.file, ``get``).
_UNTIL: Final = struct.Struct("I")
#: What is larger is no session of ours; cachelib's count of its files is small.
_MOST: Final = 16 * 1024 * 1024
#: What cachelib calls its temporary files, so that it takes ours for one of them.
_TEMPORARY: Final = ".__wz_cache"
_COUNT: Final = "__wz_cache_count"


class FilesPlace:
    """Files in a folder, by the hash of a session's name.

    :param hashes: the functions that a file's name may be made by; the first that leads to a file is taken.
    """

    def __init__(self, folder: Path, *, hashes: Sequence[Callable[[bytes], Any]] = USUAL_HASHES) -> None:
        self._folder = folder
        self._hashes = hashes

    def read(self, name: str, *, now: float) -> Lying | None:
        """Return what lies under a name; see ``Place.read``."""
        found = (self._read(spot, now) for spot in self._spots(name))
        return next((lying for lying in found if lying is not None), None)

    def remove(self, name: str) -> bool:
        """Remove what lies under a name; see ``Place.remove``."""
        is_removed = False
        for spot in self._spots(name):
            try:
                os.unlink(self._folder / spot)
                is_removed = True
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failure() from error
        return is_removed

    def walk(self, *, now: float) -> Iterator[Lying]:
        """Yield everything that lies there; see ``Place.walk``."""
        counts = self._spots(_COUNT)
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failure() from error
        for name in names:
            if name in counts or name.endswith(_TEMPORARY):
                continue
            lying = self._read(name, now)
            if lying is not None:
                yield lying

    def rewrite(self, lying: Lying, data: bytes, *, now: float) -> bool:
        """Put other data in a record's place; see ``Place.rewrite``.

        A server of Flask-Session that writes at the same moment may be overwritten: none may run.
        """
        path = self._folder / lying.spot
        temporary = self._folder / f"{secrets.token_hex(8)}{_TEMPORARY}"
        try:
            if self._read(lying.spot, now) != lying:
                return False
            there = path.stat()
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFELY, 0o600)
            try:
                with open(descriptor, "wb") as file:
                    file.write(_UNTIL.pack(int(lying.until or 0)) + data)
                if sys.platform != "win32" and os.geteuid() == 0:
                    os.chown(temporary, there.st_uid, there.st_gid)  # else the application could not read it
                os.chmod(temporary, there.st_mode & 0o777)
                os.replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            raise self._failure() from error
        return True

    def _spots(self, name: str) -> list[str]:
        return [make(name.encode()).hexdigest() for make in self._hashes]

    def _read(self, spot: str, now: float) -> Lying | None:
        try:
            descriptor = os.open(self._folder / spot, os.O_RDONLY | SAFELY)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in NOT_A_FILE or error.errno == errno.EISDIR:
                return None
            raise self._failure() from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)  # open() leaves that of a folder open
            return None
        try:
            with open(descriptor, "rb") as file:
                content = file.read(_MOST + 1)
        except OSError as error:
            raise self._failure() from error
        if not _UNTIL.size < len(content) <= _MOST:
            return None
        (until,) = _UNTIL.unpack_from(content)
        return None if until and until < now else Lying(spot, content[_UNTIL.size :], float(until) or None)

    def _failure(self) -> StoreError:
        return StoreError(f"The files of Flask-Session in {self._folder} cannot be read. Look at their owner and mode.")
