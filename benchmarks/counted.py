"""The requests whose instructions are counted, one row after the other; run under callgrind by ``instructions``.

A row's requests lie between two calls of ``os.getppid``, at which callgrind is told to write down its count: of what a
request calls nothing else does. Before them come as many that are not counted, until Python has specialized its
bytecode and filled its caches. The clock stands still, nothing is collected, and each login is another user's.
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
_WARM = 60

#: Of one store: by the name of what is asked, its requests without an end.
Rows = Mapping[str, Iterator[Callable[[], object]]]


def memory(folder: Path) -> Rows:
    """Return bare Flask's and ours on memory, where nothing but the library is counted."""
    bare = {"bare Flask": repeat(peers.bare_flask().call("ignore"))}
    ours = _ours("memory:")
    ours.check_login()
    return bare | {
        f"memory, {name}": requests
        for name, requests in {
            "no look": _same(ours, "begin", "ignore"),
            "read": _same(ours, "begin", "read"),
            "read one of 100 keys": _same(ours, "write_100", "read"),
            "change": _same(ours, "begin", "change"),
            "first write": repeat(ours.call("write")),
            "login": _others(ours, "login", "write"),
            "logout": _others(ours, "logout", "write", "login"),
        }.items()
    }


def cookie(folder: Path) -> Rows:
    """Return ours in the browser, without a store."""
    ours = _ours("cookie:", SESSIONKIT_REVOCATION_STORE=None)
    return {
        "cookie, read": _same(ours, "begin", "read"),
        "cookie, change": _same(ours, "begin", "change"),
    }


def sqlite(folder: Path) -> Rows:
    """Return ours on a SQLite file, where SQLite and its driver are counted too."""
    ours = _ours(f"sqlite:///{folder}/sessions.db")
    return {
        "SQLite, read": _same(ours, "begin", "read"),
        "SQLite, change": _same(ours, "begin", "change"),
        "SQLite, first write": repeat(ours.call("write")),
    }


#: Each is counted in a process of its own, so that one is not moved by another.
STORES: Mapping[str, Callable[[Path], Rows]] = {"memory": memory, "cookie": cookie, "SQLite": sqlite}


def main() -> None:
    """Make the requests of the store that is named, and print the names of the rows."""
    with TemporaryDirectory() as folder:
        rows = STORES[sys.argv[1]](Path(folder))
        turns = {name: list(islice(requests, _WARM + TURNS)) for name, requests in rows.items()}
        gc.collect()
        gc.freeze()
        gc.disable()
        for calls in turns.values():
            _run(calls[:_WARM])
            warm = calls[_WARM:]
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
