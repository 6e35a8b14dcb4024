"""What a session adds to a whole request, ours and our peers' beside each other.

Bare Flask has a session interface that hands out one empty object and saves nothing; bare Django has no middleware.
Every request but the first write sends its session's cookie. A surplus is what a request costs above the same
framework's bare one, taken inside one round. "cookie" is a session in the browser, "cookie+..." one with a revocation
store, which is asked of its user each time. Of peers whose sessions would be thrown away at 300 or 500 the limit is
lifted, and their SQLite files are in WAL mode as ours is; else all is as it comes.
"""

from __future__ import annotations

import argparse
from operator import sub, truediv
from pathlib import Path
from tempfile import TemporaryDirectory

from . import peers
from .timing import Cost, each, in_turns, machine, middle, spread

_BARE_FLASK = "bare Flask"
_BARE_DJANGO = "bare Django"
_NO_SECRET = "Flask, no secret"
_BARE = {_BARE_FLASK, _BARE_DJANGO, _NO_SECRET}
_STORES = ("memory", "files", "SQLite")
_OURS = "SessionKit"
_LAZY = "Flask-Session*"
_THEIRS = ("Flask-Session", _LAZY, "Django", "Flask's own")
#: Those that begin no session here: what is known of the one user would grow by each login.
_REVOCABLE = {f"{_OURS} cookie+files", f"{_OURS} cookie+SQLite"}
_REQUESTS = {
    "ignore": "A view that does not look at the session",
    "read": "A view that reads one value",
    "change": "A view that changes one value",
    "begin": "The first write of a session, which is a login",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=25, help="requests of each subject in a round")
    parser.add_argument("--folder", help="where files and databases lie; by default the system's temporary folder")
    options = parser.parse_args()
    print(machine("flask", "flask-session", "cachelib", "django", "sqlalchemy"))
    print(f"{options.rounds} rounds of {options.calls} requests each; medians; wall clock / CPU time")
    with TemporaryDirectory(dir=options.folder) as folder:
        subjects = _subjects(Path(folder))
        for view, title in _REQUESTS.items():
            tried = {name: one for name, one in subjects.items() if view != "begin" or name not in _REVOCABLE}
            calls = {name: subject.call("ignore" if name in _BARE else view) for name, subject in tried.items()}
            costs = in_turns(calls, rounds=options.rounds, calls=options.calls)
            print(f"\n{title}")
            _print(costs)
            for name, subject in subjects.items():
                if name not in _BARE:
                    subject.check()
    print("\n* with SESSION_REFRESH_EACH_REQUEST = False; by default Flask-Session writes at every request.")


def _subjects(folder: Path) -> dict[str, peers.Subject]:
    for name in ("ours", "known", "theirs", "lazy", "django"):
        (folder / name).mkdir(mode=0o700)
    subjects = {
        _BARE_FLASK: peers.bare_flask(),
        _NO_SECRET: peers.flask_without_secret(),
        "Flask's own cookie": peers.signed_cookie(),
        f"{_OURS} memory": peers.sessionkit("memory:"),
        f"{_OURS} files": peers.sessionkit(f"file://{folder}/ours"),
        f"{_OURS} SQLite": peers.sessionkit(f"sqlite:///{folder}/ours.db"),
        f"{_OURS} cookie": peers.sessionkit_cookie(None),
        f"{_OURS} cookie+files": peers.sessionkit_cookie(f"file://{folder}/known"),
        f"{_OURS} cookie+SQLite": peers.sessionkit_cookie(f"sqlite:///{folder}/known.db"),
    }
    for name, path, refresh in (("Flask-Session", "theirs", True), (_LAZY, "lazy", False)):
        subjects |= {
            f"{name} memory": peers.flask_session_memory(refresh=refresh),
            f"{name} files": peers.flask_session_files(folder / path, refresh=refresh),
            f"{name} SQLite": peers.flask_session_sqlite(folder / f"{path}.db", refresh=refresh),
        }
    return subjects | {
        _BARE_DJANGO: peers.bare_django(folder / "django"),
        "Django memory": peers.django_sessions("cache"),
        "Django files": peers.django_sessions("file"),
        "Django SQLite": peers.django_sessions("db"),
        "Django cookie": peers.django_sessions("signed_cookies"),
    }


def _print(costs: dict[str, list[Cost]]) -> None:
    print(f"  {'':25}{'us':>15}{'of bare':>15}{'(CPU, mid half)':>17}{'surplus, us':>15}{'ours of theirs':>17}")
    bare = {name: costs[_BARE_DJANGO if "Django" in name else _BARE_FLASK] for name in costs}
    surplus = {name: each(sub, cost, bare[name]) for name, cost in costs.items()}
    for name, cost in costs.items():
        ratio = each(truediv, cost, bare[name])
        line = f"  {name:25}{_pair(middle(cost), 0)}{_pair(middle(ratio), 2)}{spread(ratio):>17}"
        if name not in _BARE:
            line += _pair(middle(surplus[name]), 0)
        family, _, store = name.rpartition(" ")
        if family in _THEIRS:
            line += "  " + _pair(middle(each(truediv, surplus[f"{_OURS} {store}"], surplus[name])), 2)
        print(line)


def _pair(cost: Cost, digits: int) -> str:
    return f"{cost.wall:>7.{digits}f} /{cost.cpu:>6.{digits}f}"


if __name__ == "__main__":
    main()
