"""Sessions move between real servers while eight processes write to them, and some of these are killed.

Of 10,000 keys none that was answered is lost, and of 200 sessions that are logged out meanwhile none answers again.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from flow_site import NOBODY, Site, login
from flow_stores import prepare
from movers import Death, Pair, Share, copy, read_journal, work

from flask_sessionkit.clock import SystemClock
from flask_sessionkit.stores.migrating import MigratingStore

pytestmark = pytest.mark.thorough

PROCESSES = 8
KEYS = 10_000
KEYS_EACH = 5  # that one request writes
STAYING = 400
LEAVING = 200
#: Seconds.
PATIENCE = 240

#: Where each process is killed once: in the middle of its moves, between each two of their steps.
DEATHS = [
    Death(at_new=True, call="create", nth=5, after=True),
    Death(at_new=False, call="replace", nth=5, after=True),
    Death(at_new=False, call="replace", nth=7, after=True),
    Death(at_new=True, call="replace", nth=9, after=False),
    Death(at_new=True, call="replace", nth=9, after=True),
    Death(at_new=False, call="replace", nth=10, after=False),
    Death(at_new=False, call="replace", nth=12, after=True),
    Death(at_new=True, call="replace", nth=40, after=True),
]

PAIRS = [
    pytest.param("redis", "files", marks=pytest.mark.redis),
    pytest.param("postgresql", "redis", marks=[pytest.mark.redis, pytest.mark.postgresql]),
    pytest.param("postgresql", "sqlite", marks=pytest.mark.postgresql),
]


@pytest.fixture
def pair(new: str, old: str, tmp_path: Path, request: pytest.FixtureRequest) -> Pair:
    for which, kind in (("new", new), ("old", old)):
        (tmp_path / which).mkdir()
        prepare(kind, tmp_path / which, request)
    return Pair(new, old, tmp_path)


@pytest.mark.parametrize(("new", "old"), PAIRS)
def test_nothing_that_was_answered_is_lost_and_nobody_who_left_is_back(pair: Pair) -> None:
    before = pair.alone("old")
    tokens = [before.token(login(f"user-{number}")) for number in range(STAYING + LEAVING)]
    leaving = list(range(STAYING, STAYING + LEAVING))
    shares = [
        Share(number, KEYS // KEYS_EACH // PROCESSES, KEYS_EACH, STAYING, tuple(leaving[number::PROCESSES]), number < 2)
        for number in range(PROCESSES)
    ]

    killed = run_all(pair, tokens, shares)

    assert killed == PROCESSES + 1
    noted = [line for share in shares for line in read_journal(pair.folder, share.number)]
    answered = [(place, f"{name}-{key}") for kind, place, name in noted if kind == "key" for key in range(KEYS_EACH)]
    assert len(answered) > 0.98 * KEYS
    assert {place for kind, place, _ in noted if kind == "out"} == set(leaving)

    copy(pair, None)
    forget(pair.open())
    after = pair.alone("new")
    seen = [after.seen(token) for token in tokens[:STAYING]]
    assert [one.user for one in seen] == [f"user-{place}" for place in range(STAYING)]
    assert [key for place, key in answered if key not in (seen[place].data or {})] == []
    both = [Site(pair.open(is_swapped=is_swapped), SystemClock()) for is_swapped in (False, True)]
    servers = [after, pair.alone("old"), *both]
    assert [place for place in leaving for server in servers if server.seen(tokens[place]) != NOBODY] == []


def run_all(pair: Pair, tokens: list[str], shares: list[Share]) -> int:
    """Let all processes do their share, and a copy go on; start each again that was killed. Return how many were."""
    spawn = multiprocessing.get_context("spawn")
    running: dict[int, tuple[BaseProcess, Share | None]] = {}

    def start(share: Share | None, death: Death | None) -> None:
        args = (pair, death) if share is None else (pair, tokens, share, death)
        process = spawn.Process(target=copy if share is None else work, args=args)
        process.start()
        running[process.sentinel] = process, share

    for share, death in zip(shares, DEATHS, strict=True):
        start(share, death)
    start(None, Death(at_new=True, call="replace", nth=20, after=True))
    killed = 0
    while running:
        ended = wait(list(running), timeout=PATIENCE)
        assert ended, "A process hangs."
        for sentinel in ended:
            process, share = running.pop(sentinel)  # type: ignore[call-overload]  # as it was put there
            process.join()
            if process.exitcode == -9:
                killed += 1
                start(share, None)
            else:
                assert process.exitcode == 0
    return killed


def forget(store: MigratingStore) -> None:
    """Remove what tells of an end for a minute, as if ten had passed; Redis does that by its own clock."""
    now = SystemClock.now() + 600
    while store.purge(now=now).more:
        pass
