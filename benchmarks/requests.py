"""What a session adds to a whole request, ours and our peers' beside each other, on every store.

A surplus is what a request costs above the same framework's bare one, taken inside one round. Bare Flask has a session
interface that hands out one empty object and saves nothing, bare Django and bare Starlette have no middleware. Each
subject lives in a process of its own, and all subjects of a store take turns. All requests but the first write send
their session's cookie; a login is that of a visitor who has a session, and keeps what is in it. "first write" is
somebody's who is not signed in; "read" and "change" are of a session of about 300 bytes whose user is.

A login and a logout are what each library's documentation says: ``login_user()`` and ``logout_user()``; the user's id
and ``regenerate()``, then ``clear()`` for Flask-Session and starsessions; what ``django.contrib.auth`` does to a
session, ``cycle_key()`` and three values, then ``flush()``; Flask's own cookie has no renewal.

Of peers whose sessions would be thrown away at 300 or 500 the limit is lifted, and their SQLite files are in WAL mode
as ours is; Django keeps its connections. PostgreSQL and MariaDB do not wait for the disk at a commit, for none of them.
Else all is as it comes: so pymemcache, which Flask-Session is handed, does not wait for the answer to a write, as we
and Django do. It is told not to wait for more to send either (``no_delay``): by default the next read then comes 40 ms
late.
Flask-Session* has ``SESSION_REFRESH_EACH_REQUEST = False``; by default it writes at every request. Django's MariaDB is
spoken to by PyMySQL, which stands in for mysqlclient. starsessions runs on an event loop of its own, as bare Starlette
does there; an await of the server costs it a turn of that loop, which is in its surplus, as it is in production.

The floor is the driver's own: one call that fetches a session's bytes ("read"), one that puts them there ("first
write"), and the one after the other ("change"). Called over and over it has no framework around it, and nothing is
taken off. "The floor in a view" is the same calls in a view of bare Flask, as surplus over it: code that shares the
processor's caches with a request is slower than a loop.

Subjects and servers share one core: what is told is the work of both and the change from one to the other, not where
the system happens to put them. How long a network takes is told by ``python -m benchmarks wire``.

"SessionKit, revocable" has its sessions in the browser, and asks a revocation store of the user each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from tests.servers import MariaDBServer, MemcachedServer, PostgreSQLServer, RedisServer

from . import floors, peers, peers_django, peers_starlette
from .apart import Apart, Calls
from .surplus import (
    BARE,
    DJANGO,
    FLASK,
    FLOOR,
    FLOOR_IN_VIEW,
    LAZY,
    OURS,
    OWN_COOKIE,
    REQUESTS,
    STARLETTE,
    Costs,
    Finding,
    Sized,
    goal_tables,
    request_tables,
    sizes_table,
)
from .tables import Report, arguments
from .timing import Cost, by_rounds, stay_on_one_core
from .views import SIZES

Subjects: TypeAlias = Mapping[str, Apart]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=STORES, metavar="STORE", help=", ".join(STORES))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=25, help="requests of each subject in a round")
    options = parser.parse_args()
    rounds, calls = (3, 3) if options.quick else (options.rounds, options.calls)
    packages = "flask flask-session cachelib django starlette starsessions redis pymemcache sqlalchemy psycopg pymysql"
    if not options.quick:
        stay_on_one_core()
    report = Report("requests", options.save, *packages.split())
    print(f"{rounds} rounds of {calls} requests each; medians")
    findings = []
    with _all({FLASK: Apart(bare, peers.bare_flask), DJANGO: Apart(bare, peers_django.bare_django)}) as frameworks:
        for name in [options.only] if options.only else STORES:
            with STORES[name]() as subjects:
                finding = _measured(name, {**frameworks, **subjects}, rounds, calls)
            findings.append(finding)
            for table in finding.tables():
                report.add(table)
    sizes = [sizes_table(findings)] if any(finding.sizes for finding in findings) else []
    for table in (*request_tables(findings), *sizes, *goal_tables(findings)):
        report.add(table)


# What is measured


def _measured(store: str, subjects: Subjects, rounds: int, calls: int) -> Finding:
    costs: dict[str, Costs] = {}
    for request in REQUESTS:
        asked: dict[str, Callable[[int], Cost]] = {}
        for name, subject in subjects.items():
            call = floors.CALLS.get(request) if name == FLOOR else "bare" if name in BARE else request
            if call is not None:
                asked[name] = partial(subject.cost, call)
            if name == FLOOR and call is not None:
                asked[FLOOR_IN_VIEW] = partial(subject.cost, f"view {call}")
        by_rounds(asked, rounds=1, calls=calls)  # the first ones meet code that Python has not yet adapted
        costs[request] = by_rounds(asked, rounds=rounds, calls=calls)
    sizes: dict[str, Sized] = {}
    if store in _SIZED:
        for request in ("read", "change"):
            sizes[request] = _by_size(request, subjects, rounds, calls)
    for subject in subjects.values():
        if "check" in subject.names:
            subject.cost("check", 1)
    return Finding(store, costs, sizes)


def _by_size(request: str, subjects: Subjects, rounds: int, calls: int) -> Sized:
    asked: dict[tuple[str, int], Callable[[int], Cost]] = {}
    for name, subject in subjects.items():
        if "bare" in subject.names:
            asked[name, 0] = partial(subject.cost, "bare")
        asked |= {
            (FLOOR_IN_VIEW if name == FLOOR else name, keys): partial(subject.cost, f"{request} {keys}")
            for keys in SIZES
            if f"{request} {keys}" in subject.names
        }
    return by_rounds(asked, rounds=rounds, calls=calls)


def bare(make: Callable[..., peers.Subject], *args: object) -> Calls:
    """Return the one request of a bare framework."""
    return {"bare": make(*args).call("ignore")}


def visits(make: Callable[..., peers.Subject], *args: object) -> Calls:
    """Return all requests of a visitor, and ``check``, which sees that none of them lost a change."""
    visitor = make(*args)
    visitor.check_login()
    visitor.sign_in()
    visitors = [visitor]
    calls: dict[str, Callable[[], object]] = {
        view: visitor.call(view) for view in ("ignore", "read", "change", "write")
    }
    calls |= {"login": visitor.call_after("login", "write"), "logout": visitor.call_after("logout", "write", "login")}
    for keys in SIZES if visitor.on_server else SIZES[:2]:  # 20 kB fit into no cookie
        another = visitor.another().sign_in(f"write_{keys}", "change_text")
        calls |= {f"read {keys}": another.call("read"), f"change {keys}": another.call("change_text")}
        visitors.append(another)

    def check() -> None:
        for one in visitors:
            one.check()

    return {**calls, "check": check}


# The stores


def _flask_session(kind: str, url: str, folder: Path, refresh: bool) -> peers.Subject:  # for a process, by position
    return peers.flask_session_on(kind, url, folder, refresh=refresh)


@contextmanager
def _on(kind: str, url: str, folder: Path, **more: Apart) -> Iterator[Subjects]:
    theirs, lazily, django, floor = url, url, url, url
    if url.startswith("sqlite"):
        theirs, lazily, django, floor = (
            f"sqlite:///{folder}/{name}.db" for name in ("theirs", "lazy", "django", "floor")
        )
    with _all(
        {
            OURS: Apart(visits, peers.sessionkit_on, url),
            "Flask-Session": Apart(visits, _flask_session, kind, theirs, folder, True),
            LAZY: Apart(visits, _flask_session, kind, lazily, folder, False),
            "Django": Apart(visits, peers_django.django_on, kind, django, folder),
            **(
                {}
                if kind == "memory"
                else {FLOOR: Apart(floors.floor_on, kind, floor, folder, SIZES if kind == "redis" else ())}
            ),
            **more,
        }
    ) as subjects:
        yield subjects


@contextmanager
def _all(subjects: Subjects) -> Iterator[Subjects]:
    with ExitStack() as stack:
        for subject in subjects.values():
            stack.enter_context(subject)
        yield subjects


@contextmanager
def _in_folder(kind: str, url: str) -> Iterator[Subjects]:
    with TemporaryDirectory() as folder, _on(kind, url.format(folder), Path(folder)) as subjects:
        yield subjects


@contextmanager
def _on_postgresql() -> Iterator[Subjects]:
    with PostgreSQLServer() as place, _on("sql", place.url, place.folder) as subjects:
        yield subjects


@contextmanager
def _on_mariadb() -> Iterator[Subjects]:
    with (
        MariaDBServer("--innodb-flush-log-at-trx-commit=2") as place,
        _on("sql", place.url, place.folder) as subjects,
    ):
        yield subjects


@contextmanager
def _on_redis() -> Iterator[Subjects]:
    with RedisServer() as place:
        starlette = {
            STARLETTE: Apart(bare, peers_starlette.bare_starlette),
            "starsessions": Apart(visits, peers_starlette.starsessions_on, place.url),
        }
        with _on("redis", place.url, place.folder, **starlette) as subjects:
            yield subjects


@contextmanager
def _on_memcached() -> Iterator[Subjects]:
    with MemcachedServer("-m", "512") as place, _on("memcached", place.url, place.folder) as subjects:
        yield subjects


@contextmanager
def _in_cookies() -> Iterator[Subjects]:
    with (
        TemporaryDirectory() as folder,
        RedisServer() as place,
        _all(
            {
                OURS: Apart(visits, peers.sessionkit_cookie, None),
                f"{OURS}, revocable: files": Apart(visits, peers.sessionkit_cookie, f"file://{folder}/known"),
                f"{OURS}, revocable: Redis": Apart(visits, peers.sessionkit_cookie, place.url),
                OWN_COOKIE: Apart(visits, peers.signed_cookie),
                "Django": Apart(visits, peers_django.django_on, "cookie", "", Path(folder)),
            }
        ) as subjects,
    ):
        yield subjects


STORES = {
    "memory": partial(_in_folder, "memory", "memory:"),
    "files": partial(_in_folder, "files", "file://{}/ours"),
    "SQLite": partial(_in_folder, "sql", "sqlite:///{}/ours.db"),
    "PostgreSQL": _on_postgresql,
    "MariaDB": _on_mariadb,
    "Redis": _on_redis,
    "Memcached": _on_memcached,
    "cookie": _in_cookies,
}
_SIZED = ("memory", "Redis", "cookie")


if __name__ == "__main__":
    main()
