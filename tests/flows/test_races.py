"""Requests that really run at once, in threads and in processes, over and over. Each race is bounded.

What a forced interleaving shows once, these look for where nobody thought of it.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import session
from flow_site import (
    NOBODY,
    Seen,
    Site,
    View,
    append,
    both,
    bump,
    drop,
    end_by_identity,
    identify,
    login,
    logout,
    look,
    put,
    renew,
    wipe,
)
from flow_stores import KINDS, open_store, prepare

from flask_sessionkit import SessionConflict
from flask_sessionkit.clock import SystemClock
from flask_sessionkit.testing import FrozenClock, race
from flask_sessionkit.testing.interleaving import PATIENCE

ROUNDS = 200


@pytest.fixture
def quick(kind: str, folder: Path) -> Site:
    """A site whose store is not watched, and whose clock pauses for real where requests meet."""
    return Site(open_store(kind, folder), SystemClock())  # type: ignore[arg-type]  # nobody ticks it here


@pytest.mark.requirement("CC-05")
def test_two_requests_that_each_set_a_key_of_their_own_both_take_effect(quick: Site) -> None:
    """CC-05: 200 times of 200."""
    tokens = [quick.token(put(start=0)) for _ in range(ROUNDS)]

    race(
        lambda number: quick.ask(tokens[number], both(look, put(one=number))),
        lambda number: quick.ask(tokens[number], both(look, put(two=number))),
        rounds=ROUNDS,
    )

    kept = [quick.seen(token).data for token in tokens]
    assert kept == [{"start": 0, "one": number, "two": number} for number in range(ROUNDS)]


def test_nested_changes_of_two_keys_both_take_effect(quick: Site) -> None:
    tokens = [quick.token(put(one=[], two=[])) for _ in range(ROUNDS)]

    race(
        lambda number: quick.ask(tokens[number], append("one", number)),
        lambda number: quick.ask(tokens[number], append("two", number)),
        rounds=ROUNDS,
    )

    assert [quick.seen(token).data for token in tokens] == [{"one": [n], "two": [n]} for n in range(ROUNDS)]


@pytest.mark.requirement("CC-05")
def test_parallel_writers_that_count_in_keys_of_their_own_lose_nothing(quick: Site) -> None:
    """CC-05."""
    token = quick.token(put(start=0))

    def count(key: str) -> Callable[[int], object]:
        return lambda _: quick.ask(token, lambda: session.update({key: session.get(key, 0) + 1}))

    race(count("a"), count("b"), count("c"), rounds=ROUNDS)

    assert quick.seen(token).data == {"start": 0, "a": ROUNDS, "b": ROUNDS, "c": ROUNDS}


def test_parallel_atomic_counts_of_one_key_lose_nothing(quick: Site) -> None:
    token = quick.token(put(n=0))

    race(*[lambda _: quick.ask(token, bump())] * 3, rounds=ROUNDS)

    assert quick.seen(token).data == {"n": 3 * ROUNDS}


def revoke(site: Site, token: str) -> None:
    site.outside(site.kit.revoke_user, "ann")


def purge(site: Site, token: str) -> None:
    site.purge()


ENDS: dict[str, Callable[[Site, str], Any]] = {
    "logout": lambda site, token: site.ask(token, logout),
    "identity_key": lambda site, token: site.ask(token, end_by_identity),
    "clear": lambda site, token: site.ask(token, wipe),
    "login": lambda site, token: site.ask(token, login("bob")),
    "revocation": revoke,
}


@pytest.mark.requirement("CC-01", "CC-02")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_request_under_way_brings_nothing_back(quick: Site, end: Callable[[Site, str], Any]) -> None:
    """CC-01, CC-02: 200 of 200."""
    tokens: list[str] = []

    def sign_in(number: int) -> None:
        tokens.append(quick.token(both(identify("ann"), put(cart=[]))))

    race(
        lambda number: end(quick, tokens[number]),
        lambda number: quick.ask(tokens[number], both(append_if_there(number), put(late=1))),
        rounds=ROUNDS,
        before=sign_in,
    )

    assert quick.dead(*tokens)
    assert not [seen for seen in quick.served() if seen.user == "ann"]


@pytest.mark.requirement("CC-02", "CC-07")
def test_a_request_under_way_during_a_purge_brings_nothing_back(kind: str, folder: Path) -> None:
    """CC-02, CC-07: 200 of 200. It was admitted in the session's last second; the purge comes when that is over."""
    clock = FrozenClock()
    site = Site(open_store(kind, folder), clock)
    tokens: list[str] = []
    begun, over = threading.Barrier(2), threading.Barrier(2)

    def sign_in(number: int) -> None:
        tokens.append(site.token(both(login("ann"), put(cart=[]))))
        clock.tick(1799)

    def slowly(number: int) -> None:
        def view() -> None:
            session["cart"].append(number)
            begun.wait(PATIENCE)
            over.wait(PATIENCE)

        assert site.ask(tokens[number], view).says_nothing

    def sweep(number: int) -> None:
        begun.wait(PATIENCE)
        clock.tick(1800 + 121)
        over.wait(PATIENCE)
        site.purge()

    race(slowly, sweep, rounds=ROUNDS, before=sign_in)

    assert site.dead(*tokens)
    assert site.served() == []
    assert site.live_records() == []


@pytest.mark.requirement("CC-01")
@pytest.mark.parametrize("rival", [logout, end_by_identity], ids=["logout_user", "identity_key"])
def test_a_logout_that_met_the_session_ends_it_under_whatever_token(quick: Site, rival: View) -> None:
    """CC-01: a renewal at the same time that comes too late is an error; one that comes first is followed."""
    tokens: list[str] = []

    def leave(number: int) -> bool:
        return bool(quick.ask(tokens[number], lambda: (look().user, rival())[0] is not None).value)

    def go_on(number: int) -> str | None:
        def view() -> None:
            look()
            renew()

        return quick.ask(tokens[number], view, status=(200, 500)).token

    answers = race(
        leave,
        go_on,
        rounds=ROUNDS,
        before=lambda number: tokens.append(quick.token(identify("ann"))),
    )

    assert quick.dead(*tokens)
    for met, renewed in answers:
        if met:
            assert renewed is None or quick.seen(renewed) == NOBODY  # type: ignore[arg-type]  # a token
    assert any(met for met, _ in answers)


@pytest.mark.requirement("CC-01")
def test_a_logout_under_four_hammering_writers_wins(quick: Site) -> None:
    """CC-01: 200 of 200."""
    tokens: list[str] = []

    def hammer(number: int) -> None:
        for turn in range(3):
            quick.ask(tokens[number], put(hit=turn))

    race(
        lambda number: quick.ask(tokens[number], logout),
        *[hammer] * 4,
        rounds=ROUNDS if quick.store.__class__.__name__ == "MemoryStore" else ROUNDS // 4,
        before=lambda number: tokens.append(quick.token(both(login("ann"), put(hit=0)))),
    )

    assert quick.dead(*tokens)
    assert quick.served() == []


def test_two_logins_at_once_leave_the_old_session_dead_and_two_new_ones(quick: Site) -> None:
    tokens: list[str] = []

    answers = race(
        lambda number: quick.token(login("ann"), tokens[number]),
        lambda number: quick.token(login("bob"), tokens[number]),
        rounds=ROUNDS // 2,
        before=lambda number: tokens.append(quick.token(put(cart=number))),
    )

    assert quick.dead(*tokens)
    for number, pair in enumerate(answers):
        seen = [quick.seen(token) for token in pair]
        assert [one.user for one in seen] == ["ann", "bob"]
        assert [one.data for one in seen].count({"cart": number}) == 1


def test_what_is_written_during_a_login_is_kept_by_the_new_session_or_was_too_late(quick: Site) -> None:
    tokens: list[str] = []
    wrote: list[bool] = []

    def write(number: int) -> bool:
        """Return whether the store took it: a token that has just died takes nothing."""

        def view() -> bool:
            try:
                return bool(session.atomic(lambda current: current.setdefault("late", True)))
            except SessionConflict:
                return False

        return bool(quick.ask(tokens[number], view).value)

    answers = race(
        lambda number: quick.token(login("ann"), tokens[number]),
        write,
        rounds=ROUNDS,
        before=lambda number: tokens.append(quick.token(put(cart=number))),
    )

    for number, (new, was_kept) in enumerate(answers):
        wrote.append(was_kept)
        wanted = {"cart": number, "late": True} if was_kept else {"cart": number}
        assert quick.seen(new) == Seen("ann", wanted)  # type: ignore[arg-type]  # a token
    assert any(wrote)


def test_a_removal_and_a_change_of_one_key_leave_it_removed(quick: Site) -> None:
    tokens = [quick.token(put(cart=[0], lang="en")) for _ in range(ROUNDS)]

    race(
        lambda number: quick.ask(tokens[number], drop("cart")),
        lambda number: quick.ask(tokens[number], lambda: "cart" in session and session["cart"].append(1)),
        rounds=ROUNDS,
    )

    assert all(quick.seen(token).data == {"lang": "en"} for token in tokens)


@pytest.mark.requirement("CC-06")
def test_no_request_sees_another_users_session(quick: Site) -> None:
    """CC-06: 32 threads, each its own user."""
    tokens = {f"user {lane}": quick.token(both(login(f"user {lane}"), put(mine=lane, n=0))) for lane in range(32)}
    rounds = 60 if quick.store.__class__.__name__ == "MemoryStore" else 12

    def lane(number: int) -> Callable[[int], Seen]:
        user = f"user {number}"

        def go(turn: int) -> Seen:
            quick.ask(tokens[user], put(n=turn))
            if turn % 5 == 4:
                tokens[user] = quick.token(renew, tokens[user])
            return quick.seen(tokens[user])

        return go

    answers = race(*[lane(number) for number in range(32)], rounds=rounds)

    for turn, seen in enumerate(answers):
        assert seen == [Seen(f"user {number}", {"mine": number, "n": turn}) for number in range(32)]


# Processes: each builds an application of its own on the same folder or database.


def work_in_process(kind: str, folder: str, tokens: list[str], task: str, lane: int, line: Any) -> list[str]:
    """Run one lane of a race; return the tokens that were sent. ``line`` lets a round begin for all."""
    site = Site(open_store(kind, Path(folder)), SystemClock())  # type: ignore[arg-type]  # nobody ticks it here
    views = {
        "keys": put(**{f"lane{lane}": lane}),
        "count": lambda: session.update({f"lane{lane}": session.get(f"lane{lane}", 0) + 1}),
        "atomic": bump(),
        "logout": logout if lane == 0 else append_if_there(lane),
        "login": login("bob") if lane == 0 else append_if_there(lane),
    }
    try:
        for token in tokens:
            line.wait(6 * PATIENCE if token is tokens[0] else PATIENCE)  # processes take their time to start
            if task == "revocation" and lane == 0:
                site.outside(site.kit.revoke_user, "ann")
            else:
                site.ask(token, views.get(task) or append_if_there(lane))
    except BaseException:
        line.abort()
        raise
    return site.handed_out


def append_if_there(lane: int) -> View:
    return lambda: session["cart"].append(lane) if "cart" in session else None


def start_lane(line: Any) -> None:
    globals()["_line"] = line


def run_lane(kind: str, folder: str, tokens: list[str], task: str, lane: int) -> list[str]:
    return work_in_process(kind, folder, tokens, task, lane, globals()["_line"])


LANES = 3


@dataclass
class Lanes:
    """Processes that are started once, since that takes longer than a race."""

    pool: ProcessPoolExecutor
    line: Any

    def run(self, kind: str, folder: Path, tokens: list[str], task: str) -> list[list[str]]:
        """Run a task in each process at once; return the tokens that each was sent."""
        futures = [self.pool.submit(run_lane, kind, str(folder), tokens, task, lane) for lane in range(LANES)]
        errors = [future.exception(timeout=12 * PATIENCE) for future in futures]
        self.line.reset()
        for error in sorted(filter(None, errors), key=lambda error: isinstance(error, threading.BrokenBarrierError)):
            raise error  # the others are its echo
        return [future.result() for future in futures]


@pytest.fixture(scope="module")
def processes() -> Iterator[Lanes]:
    spawn = multiprocessing.get_context("spawn")
    line = spawn.Barrier(LANES)
    with ProcessPoolExecutor(LANES, spawn, start_lane, (line,)) as pool:
        yield Lanes(pool, line)


@pytest.fixture(params=KINDS[1:])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, Site]:
    kind = str(request.param)
    folder = prepare(kind, tmp_path, request)
    return kind, folder, Site(open_store(kind, folder), SystemClock())  # type: ignore[arg-type]  # nobody ticks it


@pytest.mark.thorough
@pytest.mark.requirement("CC-05")
def test_processes_that_each_set_a_key_of_their_own_all_take_effect(processes: Lanes, shared: Any) -> None:
    """CC-05: 200 times of 200."""
    kind, folder, site = shared
    tokens = [site.token(put(start=0)) for _ in range(ROUNDS)]

    processes.run(kind, folder, tokens, "keys")

    assert all(site.seen(token).data == {"start": 0, "lane0": 0, "lane1": 1, "lane2": 2} for token in tokens)


@pytest.mark.thorough
@pytest.mark.requirement("CC-05")
@pytest.mark.parametrize(
    ("task", "wanted"), [("count", {"lane0": 100, "lane1": 100, "lane2": 100}), ("atomic", {"n": 300})]
)
def test_processes_that_count_lose_nothing(processes: Lanes, shared: Any, task: str, wanted: dict[str, int]) -> None:
    """CC-05."""
    kind, folder, site = shared
    token = site.token(put(start=0))

    processes.run(kind, folder, [token] * 100, task)

    assert site.seen(token).data == {"start": 0, **wanted}


@pytest.mark.thorough
@pytest.mark.requirement("CC-01", "CC-02", "TR-03")
@pytest.mark.parametrize("task", ["logout", "login", "revocation"])
def test_a_request_under_way_in_another_process_brings_nothing_back(processes: Lanes, shared: Any, task: str) -> None:
    """CC-01, CC-02, TR-03: 200 of 200."""
    kind, folder, site = shared
    tokens = [site.token(both(login("ann"), put(cart=[]))) for _ in range(ROUNDS)]

    sent = processes.run(kind, folder, tokens, task)

    assert site.dead(*tokens)
    later = [site.seen(token) for lane in sent for token in lane]
    assert all(seen.user != "ann" for seen in later)
