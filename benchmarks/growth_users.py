"""What a user's list costs, and the end of all that is on it, for users with 1, 100 and 10,000 sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from flask import Flask

from flask_sessionkit import SessionKit
from tests.servers import MariaDBServer, PostgreSQLServer, RedisServer

from . import crowds, peers
from .tables import Cell, Table

#: Users of each kind: how many sessions they have, and how many such users are measured.
_USERS = {1: 100, 100: 10, 10_000: 1}
_LISTS = 3


def table(folder: str | None, *, is_quick: bool) -> Table:
    """Measure and return the table."""
    users = {1: 10, 100: 2} if is_quick else _USERS
    rows: list[Sequence[Cell]] = []
    with TemporaryDirectory(dir=folder) as name:
        for kind, place in _PLACES.items():
            with place(Path(name)) as url:
                app = peers.sessionkit_app(url)
                for sessions, number in users.items():
                    rows.append((f"{kind}, {sessions:,}", *_costs(app, sessions, number)))
    return Table(
        "growth-users",
        "A user's list (sessions_of) and the end of all of it (revoke_user)",
        ("list, ms", "us a session", "revoke, ms", "us a session"),
        rows,
        f"Medians, by the wall clock, of {_LISTS} lists and one end of each of these users: "
        f"{', '.join(f'{number} with {sessions:,}' for sessions, number in users.items())} sessions. "
        "No database waits for the disk.",
    )


def _costs(app: Flask, sessions: int, number: int) -> list[float]:
    kit: SessionKit = app.extensions["sessionkit"]
    lists, ends = [], []
    with app.app_context():
        for user in (f"{sessions}-{turn}" for turn in range(number)):
            for _ in range(sessions):
                crowds.sign_in(app, user)
            for _ in range(_LISTS):
                took, rows = _timed(lambda user=user: len(kit.sessions_of(user)))
                lists.append(took)
            took, ended = _timed(lambda user=user: kit.revoke_user(user))
            ends.append(took)
            if (rows, ended, kit.sessions_of(user)) != (sessions, sessions, []):
                raise AssertionError(f"{rows} were listed and {ended} ended of {sessions}.")
    return [figure for took in (median(lists), median(ends)) for figure in (took * 1e3, took * 1e6 / sessions)]


def _timed(call: Callable[[], int]) -> tuple[float, int]:
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    with PostgreSQLServer() as server:
        yield server.url


@contextmanager
def _mariadb(folder: Path) -> Iterator[str]:
    with MariaDBServer("--innodb-flush-log-at-trx-commit=2") as server:
        yield server.url


_PLACES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "Redis": _redis,
    "PostgreSQL": _postgresql,
    "MariaDB": _mariadb,
    "SQLite": lambda folder: nullcontext(f"sqlite:///{folder}/sessions.db"),
    "files": lambda folder: nullcontext(f"file://{folder}/sessions"),
}
