"""A script: users in greenlets, each killed where an answer is late; prints what they saw."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402  # gevent has to be first
import sys  # noqa: E402  # the same
from pathlib import Path  # noqa: E402  # the same

import gevent  # noqa: E402  # the same
from gevent.pool import Pool  # noqa: E402  # the same

sys.path.insert(0, str(Path(__file__).parent.parent))

from flow_site import Seen, Site, both, login, put  # noqa: E402  # the same
from flow_stores import open_store  # noqa: E402  # the same

from flask_sessionkit.testing import FrozenClock  # noqa: E402  # the same

USERS = 120
VISITS = 3
#: Seconds: a late answer takes 0.3, and the store itself would wait for it.
IMPATIENCE = 0.1


def main(kind: str, folder: str) -> None:
    site = Site(open_store(kind, Path(folder), timeout=5.0), FrozenClock())
    told: dict[str, list[object]] = {"wrong": [], "killed": [], "answered": []}

    def visit(name: str) -> None:
        token = site.token(both(login(name), put(of=name)))
        for _ in range(VISITS):
            try:
                with gevent.Timeout(IMPATIENCE):
                    seen = site.seen(token)
            except gevent.Timeout:
                told["killed"].append(name)
                continue
            told["answered"].append(name)
            if seen != Seen(name, {"of": name}):
                told["wrong"].append([name, repr(seen)])

    pool = Pool(16)
    for greenlet in [pool.spawn(visit, f"user-{number}") for number in range(USERS)]:
        greenlet.get()
    print(json.dumps({"wrong": told["wrong"], "killed": len(told["killed"]), "answered": len(told["answered"])}))  # noqa: T201  # a script


if __name__ == "__main__":
    main(*sys.argv[1:])
