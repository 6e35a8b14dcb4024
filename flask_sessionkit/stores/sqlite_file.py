"""The file of a SQLite database: made for its owner alone, and how it is written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection


def is_sqlite(url: URL) -> bool:
    """Return whether the database is a file of this machine."""
    return url.get_backend_name() == "sqlite"


def has_file(url: URL) -> bool:
    """Return whether the file is there; one that is named as a URI, SQLite makes itself."""
    name = url.database or ""
    return name.startswith("file:") or os.path.exists(name)


def make_file(url: URL) -> None:
    """Make the file, for its owner alone, unless it is there. What SQLite puts beside it gets the file's mode."""
    if not has_file(url):
        path = Path(url.database or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def switch_to_wal(connection: Connection) -> None:
    """Let readers and one writer work at the same time, from now on and for every program that opens the file."""
    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    sync_less_often_in_wal(connection.connection.dbapi_connection, None)


def sync_less_often_in_wal(connection: Any, _: object) -> None:
    """Sync a new connection's write-ahead log at its checkpoints only: a crash of the process loses nothing."""
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def not_waiting(connection: Connection, timeout: float) -> Iterator[None]:
    """Let a statement that finds the file locked fail at once.

    :param timeout: seconds that the statements after it wait.
    """
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(timeout * 1000)}")
