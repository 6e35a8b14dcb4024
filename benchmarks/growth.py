"""Whether ten times as many live sessions make a request slower: 10,000 against 100,000, on files and on SQLite.

Every session is a real one, made through the store's ``create``; each request is of another of them, drawn at random.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from flask_sessionkit import codec
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.interface import SessionKitInterface

from . import peers
from .timing import Cost, each, in_turns, machine, middle, spread


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=50, help="requests of each subject in a round")
    parser.add_argument("--folder", help="where files and databases lie; by default the system's temporary folder")
    options = parser.parse_args()
    print(machine("flask", "sqlalchemy"))
    print(f"{options.rounds} rounds of {options.calls} requests each; medians; wall clock / CPU time\n")
    few, many = f"{options.few:,}", f"{options.many:,}"
    print(f"  {'us a request':24}{few:>17}{many:>17}{'ratio':>17}{'(CPU, mid half)':>17}")
    with TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "few").mkdir(mode=0o700)
        (folder / "many").mkdir(mode=0o700)
        for store, url in (("files", "file://{}/{}"), ("SQLite", "sqlite:///{}/{}.db")):
            crowds = {
                size: _filled(url.format(folder, place), size)
                for place, size in (("few", options.few), ("many", options.many))
            }
            for view in ("read", "change"):
                calls = {size: _call(crowd, view) for size, crowd in crowds.items()}
                costs = in_turns(calls, rounds=options.rounds, calls=options.calls)
                _print(f"{store}, {view}s one value", costs[options.few], costs[options.many])


def _filled(url: str, size: int) -> list[peers.Subject]:
    """Return a visitor for some of the sessions of a store that now holds ``size`` of them."""
    app = peers.sessionkit_app(url)
    site = cast(SessionKitInterface, app.session_interface)
    now = site.clock.now()
    timeouts = site.settings.timeouts
    data = {name: codec.encode(value) for name, value in peers.TYPICAL.items()}
    cookies = []
    for _ in range(size):
        contents = Contents(
            Kind.LIVE, timeouts.idle, now + timeouts.absolute, now, random.randbytes(16), now, user="4711", data=data
        )
        found = site.backend(app).create(contents, seen_at=now)
        cookies.append(f"{site.get_cookie_name(app)}={found.token}")
    return [peers.Subject(app, cookie=cookie) for cookie in random.sample(cookies, min(size, 2000))]


def _call(crowd: list[peers.Subject], view: str) -> Callable[[], None]:
    calls = [visitor.call(view) for visitor in crowd]
    return lambda: random.choice(calls)()


def _print(title: str, few: list[Cost], many: list[Cost]) -> None:
    ratio = each(truediv, many, few)
    figures = [_pair(middle(few), 0), _pair(middle(many), 0), _pair(middle(ratio), 2), spread(ratio)]
    print(f"  {title:24}{''.join(f'{figure:>17}' for figure in figures)}", flush=True)


def _pair(cost: Cost, digits: int) -> str:
    return f"{cost.wall:.{digits}f} /{cost.cpu:>6.{digits}f}"


if __name__ == "__main__":
    main()
