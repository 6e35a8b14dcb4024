"""Security requirements CS, LG, DS, CL, BI: forms and redirects, events and logs, floods, the command, binding."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flow_site import NOBODY, Site, login, logout, look, pausing, put, renew, still
from flow_stores import keys_in
from visitors import ABSOLUTE, IDLE, Visitor, sessions_of, signed_in, where

from flask_sessionkit import StoreError, logout_view
from flask_sessionkit.stores.base import GRACE

MakeSite = Callable[..., Site]


@pytest.mark.requirement("CS-03")
def test_a_link_logs_nobody_out(site: Site) -> None:
    visitor = signed_in(site)

    visitor.does(logout_view(still), method="GET")
    assert visitor.sees.user == "ann"
    visitor.does(logout_view(still))

    assert site.dead(*visitor.held)


def told(site: Site, act: Callable[[], object]) -> list[tuple[str, dict[str, Any]]]:
    with site.events() as heard:
        act()
    return list(heard)


def ended(reason: str) -> tuple[str, dict[str, Any]]:
    return "session_ended", {"reason": reason, "user_id": "ann"}


@pytest.mark.requirement("LG-02")
def test_each_action_of_a_visitor_is_told_once(site: Site) -> None:
    visitor = Visitor(site)

    assert told(site, lambda: visitor.does(put(v=1))) == [("session_created", {"user_id": None})]
    assert told(site, lambda: visitor.does(look)) == []
    assert told(site, lambda: visitor.does(login("ann"))) == [("session_regenerated", {"user_id": "ann"})]
    assert told(site, lambda: visitor.does(renew)) == [("session_regenerated", {"user_id": "ann"})]
    assert told(site, lambda: visitor.does(logout)) == [ended("logout")]
    assert told(site, lambda: visitor.does(logout)) == []


@pytest.mark.requirement("LG-02")
def test_a_revocation_is_told_once(site: Site) -> None:
    signed_in(site)

    assert told(site, lambda: site.outside(site.kit.revoke_user, "ann")) == [ended("revoked")]


@pytest.mark.requirement("LG-02")
def test_a_timeout_is_told_once(site: Site) -> None:
    visitor = signed_in(site)
    site.clock.tick(IDLE)

    assert told(site, lambda: [visitor.sees for _ in range(3)]) == [ended("idle")]


@pytest.mark.requirement("LG-02")
def test_a_failure_of_the_store_is_told_once(site: Site) -> None:
    visitor, error = signed_in(site), StoreError("down")
    pausing(site).fail("load", error=error)

    assert told(site, lambda: visitor.does(look, status=503)) == [("store_failed", {"error": error})]


@pytest.mark.requirement("LG-03")
def test_what_a_client_says_of_itself_is_short_and_one_line(site: Site) -> None:
    agent = "\x1b[31mMozilla\t" + "x" * 10_000

    Visitor(site).does(login("ann"), headers={"User-Agent": agent})

    [row] = sessions_of(site)
    assert len(row.user_agent) == 200
    assert row.user_agent.startswith("?[31mMozilla?")
    assert row.user_agent.isprintable()


@pytest.mark.requirement("LG-04")
def test_a_flood_of_bad_cookies_is_no_flood_of_lines(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    [live] = signed_in(site).held

    for number in range(100):
        site.ask(f"{live[:-4]}{number:04}", look)
        site.ask(f"bad{number}", look)

    assert caplog.messages == []


@pytest.mark.requirement("CL-01")
@pytest.mark.parametrize("kind", ["memory", "files", "sqlite", "encrypted"], indirect=True)
def test_a_purge_removes_what_has_ended_and_nothing_else(site: Site) -> None:
    ended = [signed_in(site) for _ in range(5)]
    site.clock.tick(IDLE + GRACE + 1)
    live = [signed_in(site) for _ in range(5)]

    done = site.app.test_cli_runner().invoke(args=["sessions", "purge"])

    assert (done.exit_code, done.output) == (0, "5 removed.\n")
    assert len(keys_in(site.store)) == 5
    assert [visitor.sees.user for visitor in live] == ["ann"] * 5
    assert [visitor.sees for visitor in ended] == [NOBODY] * 5


@pytest.mark.requirement("CL-01", "TR-09")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_a_purge_removes_what_is_known_of_users_when_nobody_needs_it(site: Site) -> None:
    for number in range(5):
        signed_in(site, f"ended{number}").does(logout)
    site.clock.tick(ABSOLUTE)
    live = [signed_in(site, f"live{number}") for number in range(5)]
    site.clock.tick(3 * 60 + GRACE)

    done = site.app.test_cli_runner().invoke(args=["sessions", "purge"])

    assert (done.exit_code, done.output) == (0, "5 removed.\n")
    assert where(site, *(visitor.held[0] for visitor in live)) == [f"live{number}" for number in range(5)]


@pytest.mark.requirement("BI-01")
def test_another_address_or_browser_signs_nobody_out(site: Site) -> None:
    """Binding is not built, so it is off."""
    visitor = Visitor(site)
    visitor.does(login("ann"), headers={"User-Agent": "one"})

    assert visitor.does(look, headers={"User-Agent": "another"}).value.user == "ann"
