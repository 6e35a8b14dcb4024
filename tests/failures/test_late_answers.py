"""An answer that comes after its request has given up reaches no other request."""

from __future__ import annotations

import itertools
import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flow_site import Seen, Site, both, login, look, put
from flow_stores import open_store
from servers import Proxy

from flask_sessionkit.testing import FrozenClock

#: Seconds: what the store waits for, and what a late answer takes.
TIMEOUT, LATE = 0.1, 0.2
USERS = 1000
#: As many as a store of SQL keeps connections; others would connect for each statement.
THREADS = 5


@pytest.mark.requirement("ST-13")
@pytest.mark.thorough
def test_a_late_answer_is_never_served_to_another(
    kind: str, folder: Path, wire: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """ST-13: 1,000 users between each other, one answer of 23 late; each reads, writes and reads."""
    caplog.set_level(logging.CRITICAL, logger="flask_sessionkit")  # it tells of each 503
    patient = Site(open_store(kind, folder), FrozenClock())
    site = Site(open_store(kind, folder, timeout=TIMEOUT), patient.clock)
    names = [f"user-{number}" for number in range(USERS)]
    tokens: dict[str, str] = {}
    answers = itertools.count(1)
    statuses: list[int] = []
    wrong: list[tuple[str, object]] = []

    def arrive(name: str) -> None:
        tokens[name] = patient.token(both(login(name), put(of=name, n=0)))

    def visit(name: str) -> None:
        allowed = [Seen(name, {"of": name, "n": 0})]
        for view in (look, put(n=1), look):
            answer = site.ask(tokens[name], view, status=(200, 503))
            statuses.append(answer.status)
            if view is not look:
                # One that was not answered may have been done, or is going to be.
                allowed = [*(allowed if answer.status == 503 else ()), Seen(name, {"of": name, "n": 1})]
            elif answer.status == 200 and answer.value not in allowed:
                wrong.append((name, answer.value))

    in_threads(names, arrive)
    wire.delay = lambda: LATE if next(answers) % 23 == 0 else 0.0
    in_threads(names, visit)
    wire.delay = 0.0

    assert wrong == []
    assert next(answers) > 23 * 100, "a hundred answers were not late"
    assert statuses.count(200) > 500
    assert all(patient.seen(tokens[name]).user == name for name in names)


def in_threads(names: list[str], visit: Callable[[str], None]) -> None:
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        todo.put(name)
    faults: list[BaseException] = []

    def serve() -> None:
        try:
            while not faults:
                visit(todo.get_nowait())
        except queue.Empty:
            pass
        except AssertionError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=serve) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


@pytest.mark.requirement("ST-13")
@pytest.mark.thorough
def test_the_answer_to_a_killed_greenlet_is_never_served_to_another(kind: str, folder: Path, wire: Proxy) -> None:
    """ST-13, cancelled: a timeout of gevent's ends a greenlet in the middle of a call of the store."""
    answers = itertools.count(1)
    wire.delay = lambda: 0.3 if next(answers) % 5 == 0 else 0.0

    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "gevent_users.py"), kind, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["killed"] > 20, "nobody was killed"
    assert told["answered"] > 20
