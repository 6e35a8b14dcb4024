"""What is asked of a database that is judged, and what is to be said of the answers."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from .base import Judgement, Mark, judged_clock

_POSTGRESQL: Final = (
    "SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('transaction_read_only'),"
    " current_setting('fsync'), current_setting('synchronous_commit')"
)
_MARIADB: Final = "SELECT unix_timestamp(now(6)), @@global.read_only, @@max_allowed_packet"
#: Needs no right, but MariaDB may be built without the engine.
_INNODB: Final = "SHOW GLOBAL VARIABLES LIKE 'innodb_flush_log_at_trx_commit'"


def judged(connection: Connection, *, now: float, largest: int) -> Iterator[Judgement]:
    """Ask a server, and yield what is to be said of it; nothing of one that is not known.

    :param now: Unix seconds, by our clock.
    :param largest: bytes of the largest record that will be stored.
    """
    match connection.dialect.name:
        case "postgresql":
            at, read_only, fsync, commit = connection.exec_driver_sql(_POSTGRESQL).one()
            yield judged_clock(at, now)
            if read_only == "on":
                yield _read_only()
            if fsync == "off":
                yield Mark.FAULT, "fsync is off: a power cut may destroy the database. Set fsync = on."
            if commit == "off":
                yield _forgetful("synchronous_commit is off")
        case "mysql" | "mariadb":
            at, read_only, packet = connection.exec_driver_sql(_MARIADB).one()
            yield judged_clock(float(at), now)
            if read_only not in (0, "OFF"):
                yield _read_only()
            if packet < largest:
                yield (
                    Mark.FAULT,
                    f"max_allowed_packet is {packet} bytes, and the largest session needs {largest}. Raise it, or "
                    "lower SESSIONKIT_MAX_SIZE.",
                )
            flush = connection.exec_driver_sql(_INNODB).first()
            if flush is not None and flush[1] != "1":
                yield _forgetful(f"innodb_flush_log_at_trx_commit is {flush[1]}")


def judged_file(path: str) -> Iterator[Judgement]:
    """Yield what is to be said of the file of a SQLite database, if it is there."""
    if sys.platform == "win32" or not os.path.exists(path):
        return  # rights are access lists on Windows, inherited from the folder
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o007:
        yield Mark.FAULT, f"Everybody on this machine can open {path} (mode {mode:o}). Run chmod 600 on it."
    else:
        yield Mark.OK, f"{path} is closed to others on this machine (mode {mode:o})."


def _read_only() -> Judgement:
    return Mark.FAULT, "It is read-only, as a replica is, so nobody can sign in or out. Name the primary."


def _forgetful(why: str) -> Judgement:
    return (
        Mark.NOTE,
        f"{why}: a crash of the server may take back its last moments, and bring back what was ended in them.",
    )
