"""What a request sends to the store's server: round trips, bytes, and the wait that follows where a trip takes 1 ms.

A trip is a turn of direction, counted at a TCP proxy between the client and the server: the client spoke and the server
answers. So is the opening of a connection, which everybody has done before this begins: who is charged with one closes
his after each request. Bytes are what TCP carries, without its own headers and those below. A write whose answer is not
waited for has bytes and no trip: Flask-Session's on Memcached, as pymemcache comes.

Then the proxy holds the beginning of each answer back, so that a trip takes 1 ms: all of it, with what the proxy takes
itself. How much that is tells the driver's own fetch, through it and past it; both are among the rows, and nothing is
taken off but the framework's own bare request, in the same round. In a view of bare Flask the same calls share the
processor's caches with a request, as a store does.

The sessions are of somebody who is signed in, about 300 bytes of data; "first write" is somebody's who is not. Clients,
peers and requests are those of ``requests``, and what is said of them there holds here. PostgreSQL and MariaDB do not
wait for the disk at a commit. One process makes one request after the other, and nobody else asks the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import sub
from pathlib import Path
from statistics import median, quantiles

from tests.servers import MariaDBServer, MemcachedServer, PostgreSQLServer, RedisServer

from . import floors, peers, peers_django
from .apart import Apart, Calls
from .surplus import DJANGO, FLASK, OURS, REQUESTS
from .tables import Cell, Report, Table, arguments
from .timing import Cost, by_rounds, each
from .wires import Traffic, Wire

_FLOOR, _VIEW, _PAST = "the driver's own calls", "the same, in a view", "the same, past the proxy"

#: Requests that go before those that are counted: psycopg has a server prepare a statement at its fifth run.
_WARM = 10
#: Requests that are counted.
_COUNTED = 10
#: Microseconds.
_TRIP = 1000.0
#: Milliseconds.
_GOALS = {"read": 1.1, "change": 2.2}

_STORES: Mapping[str, tuple[str, Callable[[], RedisServer | MemcachedServer | PostgreSQLServer | MariaDBServer]]] = {
    "Redis": ("redis", RedisServer),
    "Memcached": ("memcached", MemcachedServer),
    "PostgreSQL": ("sql", PostgreSQLServer),
    "MariaDB": ("sql", partial(MariaDBServer, "--innodb-flush-log-at-trx-commit=2")),
}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=_STORES, metavar="STORE", help=", ".join(_STORES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=10, help="requests of each subject in a round")
    options = parser.parse_args()
    rounds, calls = (3, 3) if options.quick else (options.rounds, options.calls)
    packages = "flask flask-session django redis pymemcache sqlalchemy psycopg pymysql"
    report = Report("wire", options.save, *packages.split())
    print(f"{rounds} rounds of {calls} requests each; medians")
    findings = []
    for name in [options.only] if options.only else _STORES:
        with _subjects(name, calls) as (subjects, wire):
            findings.append(_measured(name, subjects, wire, rounds, calls))
        print(f"{name}: done", flush=True)
    for table in (*_traffic_tables(findings), _latency_table(findings), _goals_table(findings)):
        report.add(table)


# What is measured


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was measured on one store.

    :param traffic: of one request, by subject and request.
    :param costs: where a trip takes 1 ms, round by round.
    :param hold: microseconds for which the proxy holds an answer back.
    """

    store: str
    hold: float
    traffic: dict[tuple[str, str], tuple[float, float, float]] = field(default_factory=dict)
    costs: dict[str, dict[str, list[Cost]]] = field(default_factory=dict)

    def surplus(self, request: str, name: str) -> list[Cost]:
        """Return what a request costs above the bare framework's, round by round; of the driver's calls all of it."""
        costs = self.costs[request]
        if name in (_FLOOR, _PAST):
            return costs[name]
        return each(sub, costs[name], costs[DJANGO if name == "Django" else FLASK])

    def trip(self) -> float:
        """Return the milliseconds that a trip took: the driver's own fetch, less the same past the proxy."""
        costs = self.costs["read"]
        return median(cost.wall for cost in each(sub, costs[_FLOOR], costs[_PAST])) / 1000


def _measured(store: str, subjects: Mapping[str, Apart], wire: Wire, rounds: int, calls: int) -> _Finding:
    finding = _Finding(store, _hold(subjects, wire, min(10, rounds)))
    for request in REQUESTS:
        asked: dict[str, Callable[[int], Cost]] = {}
        for name, subject in subjects.items():
            call = _call(name, request)
            if call is None:
                continue
            if name not in (FLASK, DJANGO, _VIEW, _PAST):
                finding.traffic[name, request] = _counted(subject, call, wire)
            asked[name] = partial(_delayed, subject, call, wire, finding.hold)
        finding.costs[request] = by_rounds(asked, rounds=rounds, calls=calls)
    for subject in subjects.values():
        if "check" in subject.names:
            subject.cost("check", 1)
    return finding


def _call(name: str, request: str) -> str | None:
    if name in (_FLOOR, _VIEW, _PAST):
        own = floors.CALLS.get(request)
        return f"view {own}" if own and name == _VIEW else own
    return "bare" if name in (FLASK, DJANGO) else request


def _hold(subjects: Mapping[str, Apart], wire: Wire, rounds: int) -> float:
    """Return for how long an answer is to be held, so that the driver's own fetch takes 1 ms more than past the proxy.

    What is found is tried, since who waits for long wakes up more slowly. On a machine that does something else a trip
    is to be longer than 1 ms, not shorter: the quicker rounds are taken, and a proxy is not that slow.
    """
    hold = _TRIP
    for _ in range(3):
        fetches = {
            _FLOOR: partial(_delayed, subjects[_FLOOR], "get", wire, hold),
            _PAST: partial(subjects[_PAST].cost, "get"),
        }
        costs = by_rounds(fetches, rounds=rounds, calls=20)
        through, past = (quantiles((cost.wall for cost in costs[name]), n=4)[0] for name in (_FLOOR, _PAST))
        hold = max(hold - (through - past - _TRIP), 0.7 * _TRIP)
    return hold


def _counted(subject: Apart, call: str, wire: Wire) -> tuple[float, float, float]:
    for calls in (_WARM, _COUNTED):
        _prepare(subject, call)
        wire.traffic = Traffic()
        subject.cost(call, calls)
    made = _COUNTED + 1  # the first brings its code into the caches, and went over the wire as well
    went = wire.traffic
    return went.trips / made, went.sent / made, went.received / made


def _delayed(subject: Apart, call: str, wire: Wire, hold: float, calls: int) -> Cost:
    _prepare(subject, call)
    wire.hold = max(0.0, hold) / 1e6
    cost = subject.cost(call, calls)
    wire.hold = 0.0
    return cost


def _prepare(subject: Apart, call: str) -> None:
    if f"before {call}" in subject.names:
        subject.cost(f"before {call}", 1)


# Who is measured


@contextmanager
def _subjects(store: str, calls: int) -> Iterator[tuple[Mapping[str, Apart], Wire]]:
    kind, server = _STORES[store]
    with ExitStack() as stack:
        place = stack.enter_context(server())
        wire = stack.enter_context(Wire(place.host, place.port))
        url = place.url.replace(f":{place.port}", f":{wire.port}")
        floor = Apart(floors.floor_on, kind, url, place.folder)
        subjects = {
            FLASK: Apart(bare, peers.bare_flask),
            DJANGO: Apart(bare, peers_django.bare_django),
            OURS: Apart(visits, calls, peers.sessionkit_on, url),
            "Flask-Session": Apart(visits, calls, peers.flask_session_on, kind, url, place.folder),
            "Flask-Session*": Apart(visits, calls, flask_session_that_waits, kind, url, place.folder),
            "Django": Apart(visits, calls, peers_django.django_on, kind, url, place.folder),
            _FLOOR: floor,
            _VIEW: floor,
        }
        for subject in {*subjects.values()}:
            stack.enter_context(subject)
        if floor.names:  # its table is there, for the second to find
            subjects[_PAST] = stack.enter_context(Apart(floors.floor_on, kind, place.url, place.folder))
        yield subjects, wire


def bare(make: Callable[..., peers.Subject]) -> Calls:
    """Return the one request of a bare framework."""
    return {"bare": make().call("ignore")}


def flask_session_that_waits(kind: str, url: str, folder: Path) -> peers.Subject:
    """Return Flask-Session that does not write at every request."""
    return peers.flask_session_on(kind, url, folder, refresh=False)


def visits(calls: int, make: Callable[..., peers.Subject], *args: object) -> Calls:
    """Return all requests of a visitor, ``check``, and what goes before a login and a logout."""
    visitor = make(*args)
    visitor.check_login()
    visitor.sign_in()
    once: dict[str, Callable[[], object]] = {}
    for view, *before in (("login", "write"), ("logout", "write", "login")):
        prepared = visitor.call_after(view, *before)
        # Not a Prepared one itself: what it prepares would be counted, and delayed.
        once |= {f"before {view}": partial(prepared.prepare, 1 + max(calls, _WARM, _COUNTED)), view: prepared.__call__}
    return (
        {view: visitor.call(view) for view in ("ignore", "read", "change", "write")} | once | {"check": visitor.check}
    )


# What is told


def _traffic_tables(findings: Sequence[_Finding]) -> list[Table]:
    whats = {
        "trips": "Round trips of a request",
        "sent": "Bytes of a request to the store's server",
        "received": "Bytes of a request from the store's server",
    }
    return [
        Table(
            f"wire-{name}",
            title,
            list(REQUESTS.values()),
            [
                [f"{finding.store}: {who}", *(_went(finding, who, request, place) for request in REQUESTS)]
                for finding in findings
                for who in dict.fromkeys(who for who, _ in finding.traffic)
            ],
        )
        for place, (name, title) in enumerate(whats.items())
    ]


def _went(finding: _Finding, who: str, request: str, place: int) -> float | None:
    there = finding.traffic.get((who, request))
    return None if there is None else there[place]


def _latency_table(findings: Sequence[_Finding]) -> Table:
    rows: list[Sequence[Cell]] = []
    for finding in findings:
        for name in finding.costs["read"]:
            if name in (FLASK, DJANGO):
                continue
            cells = [
                _milliseconds(finding, request, name) if name in costs else None
                for request, costs in finding.costs.items()
            ]
            rows.append([f"{finding.store}: {name}", *cells])
    held = ", ".join(f"{finding.hold:.0f} us on {finding.store}" for finding in findings)
    return Table(
        "wire-latency",
        "Where a trip takes 1 ms: ms of a request above the framework's own bare one, wall clock",
        list(REQUESTS.values()),
        rows,
        f"For a trip of 1 ms an answer is held back for {held}: the proxy takes the rest. "
        "The driver's own calls are told in full; in a view of bare Flask they are above it as well.",
    )


def _milliseconds(finding: _Finding, request: str, name: str) -> float:
    return median(cost.wall for cost in finding.surplus(request, name)) / 1000


def _goals_table(findings: Sequence[_Finding]) -> Table:
    rows: list[Sequence[Cell]] = []
    for request, most in _GOALS.items():
        for finding in findings:
            reached = _milliseconds(finding, request, OURS)
            floor = _milliseconds(finding, request, _VIEW)
            met = "met" if reached <= most else "missed"
            rows.append([f"{request}, {finding.store}", most, reached, met, floor, finding.trip()])
    return Table(
        "wire-goals",
        "Goals and what was reached where a trip takes 1 ms: ms above bare Flask",
        ["at most", "reached", "", "driver's calls in a view", "a trip took"],
        rows,
        "The driver's calls in a view fetch the bytes of such a session, or fetch and put them: there is nothing else. "
        "A trip is what the driver's own fetch took more than past the proxy, in the same rounds: on a busy machine "
        "that is more than 1 ms.",
    )


if __name__ == "__main__":
    main()
