"""What the first request with a session of before costs, beside an ordinary one.

Each first request has a cookie of its own, signed by Flask or sealed by ``cookie:`` before the measurement. The store
is memory, so that it is the library alone; how often it calls a store is in the last column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import truediv
from typing import Any

from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.test import EnvironBuilder

from flask_sessionkit import SessionKit, login_user
from flask_sessionkit.testing import round_trips

from .tables import Report, Table, arguments
from .timing import each, in_turns, middle, spread

_ORDINARY = "a read, under our token"
_SECRET = "a secret of the benchmarks, long enough"


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=100, help="calls of each subject in a round")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.calls = 4, 20
    report = Report("taking_over", options.save, "flask", "itsdangerous", "msgspec")
    trips, calls = _calls(options.rounds * options.calls)
    costs = in_turns(calls, rounds=options.rounds, calls=options.calls)
    rows = []
    for name, cost in costs.items():
        ratio = each(truediv, cost, costs[_ORDINARY])
        rows.append((name, middle(cost).cpu, middle(ratio).cpu, spread(ratio), trips[name]))
    report.add(
        Table(
            "taking_over",
            "A first request, CPU",
            ("us", "of a read", "middle half", "store calls"),
            rows,
            f"Medians of {options.rounds} rounds of {options.calls} requests, ratios inside a round.",
        )
    )


def _calls(number: int) -> tuple[dict[str, int], dict[str, Callable[[], object]]]:
    ours = _app(take_over="flask")
    sealed = _app(take_over="cookie:", SESSIONKIT_REVOCATION_STORE=None)
    sign = SecureCookieSessionInterface().get_signing_serializer(_app()).dumps  # type: ignore[union-attr]  # a secret is set
    token = _sent(ours, "/login/ann", "")
    before = _app(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=None)
    spare = number + 300  # in_turns warms up
    signed = iter([sign({"_user_id": f"user-{one}", "_fresh": True, "n": 1}) for one in range(spare)])
    asked: dict[str, tuple[Flask, str, Iterator[str]]] = {
        _ORDINARY: (ours, "/", iter([token] * spare)),
        "a change, under our token": (ours, "/add", iter([token] * spare)),
        "the first, with Flask's cookie": (ours, "/", signed),
        "the first, with a cookie of cookie:": (
            sealed,
            "/",
            iter([_sent(before, f"/login/user-{one}", "") for one in range(spare)]),
        ),
    }
    trips = {name: _trips(app, path, next(cookies)) for name, (app, path, cookies) in asked.items()}
    return trips, {name: _call(app, path, cookies) for name, (app, path, cookies) in asked.items()}


def _app(*, take_over: str | None = None, **config: object) -> Flask:
    app = Flask("shop")
    app.config.update({"SECRET_KEY": _SECRET, "TESTING": True, "SESSIONKIT_STORE": "memory:", **config})
    app.config["SESSIONKIT_TAKE_OVER"] = take_over
    SessionKit(app)
    app.add_url_rule("/", "read", lambda: str(session.get("n")))
    app.add_url_rule("/add", "add", lambda: session.update(n=session.get("n", 0) + 1) or "added")
    app.add_url_rule("/login/<user>", "login", lambda user: login_user(user) or session.update(n=1) or "in")
    return app


def _ask(app: Flask, path: str, cookie: str) -> dict[str, Any]:
    environ = EnvironBuilder(path=path).get_environ()
    environ["HTTP_COOKIE"] = f"session={cookie}"
    told: dict[str, Any] = {}
    app.wsgi_app(
        environ, lambda status, headers, _=None: told.update(status=status, headers=headers) or (lambda _: None)
    )
    return told


def _sent(app: Flask, path: str, cookie: str) -> str:
    line = dict(_ask(app, path, cookie)["headers"])["Set-Cookie"]
    return str(line).partition(";")[0].partition("=")[2]


def _trips(app: Flask, path: str, cookie: str) -> int:
    with round_trips(app) as trips:
        _ask(app, path, cookie)
    return trips.count


def _call(app: Flask, path: str, cookies: Iterator[str]) -> Callable[[], object]:
    return lambda: _ask(app, path, next(cookies))


if __name__ == "__main__":
    main()
