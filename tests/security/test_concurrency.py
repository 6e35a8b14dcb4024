"""Security requirements CC: what is under way while a session ends, is renewed or is written to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flow_site import Seen, Site, View, append, failing, login, logout, look, put, renew
from visitors import ABSOLUTE, IDLE, Visitor, sessions_of, signed_in

from flask_sessionkit.testing import in_thread

MakeSite = Callable[..., Site]


def meanwhile(event: Callable[[], Any], late: View) -> View:
    """Look at the session, let something happen to it, and go on with what was read."""

    def view() -> Any:
        look()
        event()
        return late()

    return view


LATE: dict[str, View] = {"reads": look, "writes": put(late=1), "changes a list": append("cart", 2)}


@pytest.mark.requirement("CC-01", "CC-03", "TR-01")
@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_logout_wins_against_what_is_under_way(site: Site, late: View) -> None:
    slow = signed_in(site)
    slow.does(put(cart=[1]))
    before = slow.token

    slow.does(meanwhile(lambda: site.ask(before, logout), late))

    assert site.dead(*slow.held)
    assert site.served() == []
    assert sessions_of(site) == []


def idle_out(site: Site, token: str) -> None:
    site.clock.tick(IDLE)
    site.seen(token)


def live_too_long(site: Site, token: str) -> None:
    site.clock.tick(ABSOLUTE)
    site.seen(token)


def revoke(site: Site, token: str) -> None:
    site.outside(site.kit.revoke_user, "ann")


def change_password(site: Site, token: str) -> None:
    site.kit.user_stamp(lambda user: "another")
    site.seen(token)


def purge(site: Site, token: str) -> None:
    site.clock.tick(2 * ABSOLUTE)
    site.purge()


ENDS = [idle_out, live_too_long, revoke, change_password, purge]


@pytest.mark.requirement("CC-02", "CC-03")
@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("end", ENDS)
def test_any_other_end_wins_too(site: Site, end: Callable[[Site, str], None], late: View) -> None:
    slow = signed_in(site)
    slow.does(put(cart=[1]))
    token = slow.held[-1]

    slow.does(meanwhile(lambda: end(site, token), late))

    assert site.dead(*slow.held)
    assert sessions_of(site) == []


@pytest.mark.requirement("CC-02")
@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("change", [renew, login("bob"), login("ann")])
def test_a_change_of_token_wins_too(site: Site, change: View, late: View) -> None:
    slow, quick = signed_in(site), Visitor(site)
    slow.does(put(cart=[1]))
    quick.token = slow.token

    slow.does(meanwhile(lambda: quick.does(change), late))

    assert site.dead(*slow.held)
    assert "late" not in (quick.sees.data or {})
    assert [seen for seen in site.served() if seen.user] == [quick.sees]


@pytest.mark.requirement("CC-04")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_in_the_browser_a_late_answer_that_only_read_does_not_touch_it_either(site: Site) -> None:
    """One that wrote replaces it, with a cookie that is worth no more than its own session: the last writer wins."""
    slow, quick = signed_in(site), Visitor(site)
    quick.token = slow.token

    answer = slow.does(meanwhile(lambda: quick.does(renew), look))

    assert answer.says_nothing
    assert quick.sees.user == "ann"


@pytest.mark.requirement("CC-05")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_in_the_browser_the_last_writer_wins(site: Site) -> None:
    """The documented limit of that kind; on servers both take effect, which the races hold."""
    slow, quick = signed_in(site), Visitor(site)
    quick.token = slow.token

    slow.does(meanwhile(lambda: quick.does(put(mine=1)), put(theirs=1)))

    assert slow.sees == Seen("ann", {"theirs": 1})
    assert quick.sees == Seen("ann", {"mine": 1})


@pytest.mark.requirement("CC-06")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_threads_in_the_browsers_kind_share_nothing(site: Site) -> None:
    """Of the other kinds the races hold it."""
    wrong: list[Any] = []
    together = threading.Barrier(8)

    def use(lane: int) -> None:
        visitors = [signed_in(site, f"{lane}-{number}") for number in range(3)]
        together.wait(10)
        for turn in range(20):
            visitor = visitors[turn % 3]
            visitor.does(put(v=turn))
            if visitor.sees != Seen(f"{lane}-{turn % 3}", {"v": turn}):
                wrong.append((lane, turn))

    for running in [in_thread(use, lane) for lane in range(8)]:
        running.result(within=60)

    assert wrong == []


@pytest.mark.requirement("CC-09")
def test_an_error_saves_no_data(site: Site) -> None:
    visitor = signed_in(site)
    visitor.does(put(v=1))

    assert visitor.does(failing(put(v=2, late=1)), status=500).says_nothing

    assert visitor.sees == Seen("ann", {"v": 1})


@pytest.mark.requirement("CC-09")
def test_an_error_makes_no_login_and_undoes_no_logout(site: Site) -> None:
    visitor = signed_in(site)
    stranger = Visitor(site)

    assert stranger.does(failing(login("bob")), status=500).says_nothing
    visitor.does(failing(logout), status=500)

    assert site.dead(*visitor.held)
    assert sessions_of(site, "bob") == []
