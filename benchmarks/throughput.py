"""How many requests a second a site answers, and how soon: gunicorn with two workers of four threads, asked by wrk.

All of them stand ready at once and take turns of some seconds, in rounds. wrk keeps 16 connections busy, each of which
asks again when it was answered, with the cookies of 200 visitors who are signed in, any of them next; "mixed" changes a
value in one request of ten and reads one in the others. wrk, the workers and the store's server share this machine's
processors, so that what costs the store's server more costs the workers too: what counts are the ratios. They are taken
inside one round.

A share is that of what the same framework answers with no sessions at all. PostgreSQL does not wait for the disk, for
none of them. Flask-Session* has ``SESSION_REFRESH_EACH_REQUEST = False``; by default it writes at every request.
Requests of one visitor may meet: of the changes some are then lost, which is told as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TypeAlias

from tests.servers import PostgreSQLServer, RedisServer

from . import wrk
from .gunicorns import Gunicorn
from .surplus import DJANGO, FLASK, OURS, OWN_COOKIE
from .tables import Cell, Report, Table, arguments
from .wrk import Turn

_BARE = (FLASK, DJANGO)
_THEIRS = ("Flask-Session", "Flask-Session*", "Django")
_STORES: Mapping[str, tuple[str, type[RedisServer | PostgreSQLServer]]] = {
    "Redis": ("redis", RedisServer),
    "PostgreSQL": ("sql", PostgreSQLServer),
}

#: By the names that tables have: what is asked for, and how many requests there are to one change.
_REQUESTS = {"no look": ("/ignore", 0), "read": ("/read", 0), "mixed": ("/read", 10)}

#: Of whom and of which request, round by round.
Turns: TypeAlias = dict[tuple[str, str], list[Turn]]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=_STORES, metavar="STORE", help=", ".join(_STORES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of a turn")
    options = parser.parse_args()
    wrk.need()
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    stores = [options.only] if options.only else ["Redis"] if options.quick else list(_STORES)
    packages = "flask flask-session django gunicorn redis sqlalchemy psycopg"
    report = Report("throughput", options.save, *packages.split())
    print(f"{rounds} rounds of {seconds} s each; medians")
    with _servers(stores) as servers:
        if not options.quick:
            for name, server in servers.items():
                _turn(name, server, "mixed", 1)  # brings code and connections to where they stay
        turns = _rounds(servers, rounds, seconds)
    for table in _tables(turns, stores):
        report.add(table)


def _rounds(servers: Mapping[str, Gunicorn], rounds: int, seconds: int) -> Turns:
    turns: Turns = {(name, request): [] for request in _REQUESTS for name in servers}
    order = list(turns)
    for _ in range(rounds):
        for name, request in order:
            turns[name, request].append(_turn(name, servers[name], request, seconds))
        order.append(order.pop(0))
    return turns


def _turn(name: str, server: Gunicorn, request: str, seconds: int) -> Turn:
    path, change_every = ("/ignore", 0) if name in _BARE else _REQUESTS[request]
    return wrk.turn(server, path, seconds, change_every=change_every)


# Who is asked


@contextmanager
def _servers(stores: Sequence[str]) -> Iterator[Mapping[str, Gunicorn]]:
    with ExitStack() as stack:
        servers = {
            FLASK: Gunicorn("bare_flask()", has_sessions=False),
            DJANGO: Gunicorn("bare_django()", has_sessions=False),
            OWN_COOKIE: Gunicorn("signed_cookie()", on_server=False),
        }
        for store in stores:
            kind, server_of = _STORES[store]
            place = stack.enter_context(server_of())
            is_sql = kind == "sql"
            where = f"{kind!r}, {place.url!r}, {str(place.folder)!r}"
            servers |= {
                f"{store}: {OURS}": Gunicorn(f"sessionkit({place.url!r})"),
                f"{store}: Flask-Session": Gunicorn(f"flask_session({where}, True)", has_table=is_sql),
                f"{store}: Flask-Session*": Gunicorn(f"flask_session({where}, False)", has_table=is_sql),
                f"{store}: Django": Gunicorn(f"django({where})", has_table=is_sql),
            }
        for server in servers.values():
            stack.enter_context(server)
            server.sign_in()
        yield servers


# What is told


def _tables(turns: Turns, stores: Sequence[str]) -> list[Table]:
    names = list(dict.fromkeys(name for name, _ in turns))
    return [
        _table("throughput", "Requests a second", turns, names, "rate"),
        _shares(turns, names),
        _table("throughput-p50", "ms within which half of all answers came", turns, names, "p50"),
        _table("throughput-p99", "ms within which 99 of 100 answers came", turns, names, "p99"),
        _ratios(turns, stores),
        _kept(turns, names),
    ]


def _table(name: str, title: str, turns: Turns, names: Sequence[str], figure: str) -> Table:
    rows = [[who, *(median(getattr(turn, figure) for turn in turns[who, one]) for one in _REQUESTS)] for who in names]
    return Table(name, title, list(_REQUESTS), rows)


def _shares(turns: Turns, names: Sequence[str]) -> Table:
    rows: list[Sequence[Cell]] = []
    for who in names:
        bare = DJANGO if "Django" in who else FLASK
        if who not in _BARE:
            rows.append([who, *(_ratio(turns[who, one], turns[bare, one]) for one in _REQUESTS)])
    return Table("throughput-share", "Requests a second, as a share of the framework's own bare", list(_REQUESTS), rows)


def _ratios(turns: Turns, stores: Sequence[str]) -> Table:
    rows: list[Sequence[Cell]] = []
    for store in stores:
        for who in _THEIRS:
            cells = [_ratio(turns[f"{store}: {OURS}", one], turns[f"{store}: {who}", one]) for one in _REQUESTS]
            rows.append([f"{store}: {OURS} / {who}", *cells])
    return Table("throughput-ratio", "Requests a second, ours as a multiple of theirs", list(_REQUESTS), rows)


def _ratio(these: Sequence[Turn], those: Sequence[Turn]) -> float:
    return median(this.rate / that.rate for this, that in zip(these, those, strict=True))


def _kept(turns: Turns, names: Sequence[str]) -> Table:
    rows: list[Sequence[Cell]] = []
    for who in names:
        kept = [turn.kept for turn in turns[who, "mixed"] if turn.kept is not None]
        if kept:
            rows.append([who, 100 * median(kept)])
    return Table(
        "throughput-kept",
        "Of the changes that were sent, % that were there afterwards",
        ["mixed"],
        rows,
        "A counter that two requests of a visitor raise at the same time is raised once, where nobody tells them.",
    )


if __name__ == "__main__":
    main()
