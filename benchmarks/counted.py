"""The requests whose instructions are counted, one row after the other; run under callgrind by ``instructions``.

A row's requests lie between two calls of ``os.getppid``, at which callgrind is told to write down its count: of what a
request calls nothing else does. Before the first come as many of each row that are not counted, until Python has
specialized its bytecode and filled its caches. The clock stands still, nothing is collected, each login is another
user's. Bare Flask is counted in each process: where its objects lie moves a count by 1%, and all rows alike.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

from flask_sessionkit.clock import SystemClock

from . import peers
from .visitor import Subject

#: Requests of a row.
TURNS = 60
BARE = "bare Flask"

#: Of one store: by the name of what is asked, its requests without an end.
Rows = Mapping[str, Iterator[Callable[[], object]]]


def memory(folder: Path) -> Rows:
    """Return ours on memory, where nothing but the library is counted."""
    ours = _ours("memory:")
    ours.check_login()
    return {
        "memory, no look": _same(ours, "begin", "ignore"),
        "memory, read": _same(ours, "begin", "read"),
        "memory, read one of 100 keys": _same(ours, "write_100", "read"),
        "memory, change": _same(ours, "begin", "change"),
        "memory, first write": repeat(ours.call("write")),
        "memory, login": _others(ours, "login", "write"),
        "memory, logout": _others(ours, "logout", "write", "login"),
    }


def cookie(folder: Path) -> Rows:
    """Return ours in the browser, without a store."""
    ours = _ours("cookie:", SESSIONKIT_REVOCATION_STORE=None)
    return {
        "cookie, read": _same(ours, "begin", "read"),
        "cookie, change": _same(ours, "begin", "change"),
    }


def sqlite(folder: Path) -> Rows:
    """Return ours on a SQLite file, where SQLite and its driver are counted too; random keys move it by 1%."""
    ours = _ours(f"sqlite:///{folder}/sessions.db")
    return {
        "SQLite, read": _same(ours, "begin", "read"),
        "SQLite, change": _same(ours, "begin", "change"),
        "SQLite, first write": repeat(ours.call("write")),
    }


#: Each in a process of its own, side by side.
STORES: Mapping[str, Callable[[Path], Rows]] = {"memory": memory, "cookie": cookie, "SQLite": sqlite}


def main() -> None:
    """Make the requests of the store that is named, and print the names of the rows."""
    with TemporaryDirectory() as folder:
        bare = repeat(peers.bare_flask().call("ignore"))
        rows = {BARE: bare, **STORES[sys.argv[1]](Path(folder))}
        turns = {name: list(islice(requests, 2 * TURNS)) for name, requests in rows.items()}
        gc.collect()
        gc.freeze()
        gc.disable()
        for calls in turns.values():
            _run(calls[:TURNS])
        for calls in turns.values():
            warm = calls[TURNS:]
            os.getppid()
            _run(warm)
            os.getppid()
    print(json.dumps(list(turns)))


def _run(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _ours(url: str, **config: object) -> Subject:
    app = peers.sessionkit_app(url, **config)
    app.session_interface = app.session_interface.with_parts(clock=_Still())  # type: ignore[attr-defined]  # ours
    return Subject(app)


class _Still(SystemClock):
    now = staticmethod(partial(float, 1_800_000_000.0))
    elapsed = staticmethod(partial(float, 0.0))


def _same(ours: Subject, begun_by: str, view: str) -> Iterator[Callable[[], object]]:
    """Yield the same visitor's requests, who began a session with another view."""
    visitor = ours.another()
    visitor.visit(begun_by)
    return repeat(visitor.call(view))


def _others(ours: Subject, view: str, *before: str) -> Iterator[Callable[[], object]]:
    """Yield one request of each of many visitors."""
    while True:
        visitor = ours.another()
        for step in before:
            visitor.visit(step)
        yield visitor.call(view)


if __name__ == "__main__":
    main()
