"""The record of each user in the revocation store: what counts, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import request, session
from flow_site import NOBODY, Site, View, both, ended_because, login, logout, look, pausing, put, renew
from msgspec.structs import replace

from flask_sessionkit import login_user, standings
from flask_sessionkit.client_backend import ClientBackend
from flask_sessionkit.standings import Standing
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

OLD, NEW = "the old secret of the flow tests", "the new secret of the flow tests"
HOUR = 3600.0


@pytest.fixture
def store() -> PausingStore:
    return PausingStore(MemoryStore())


@pytest.fixture
def site_settings() -> dict[str, Any]:
    return {"in_cookies": True}


def known(site: Site) -> Standing:
    """What is known of ann."""
    backend: Any = site.backend
    assert isinstance(backend, ClientBackend)
    assert backend.revocations
    held = backend.revocations.look("ann")
    assert held
    assert held.standing
    return held.standing


# How long a session is known


def test_one_that_changes_often_stays_known(site: Site) -> None:
    """Its cookie is never old enough for a touch."""
    token = site.token(login("ann"))
    for number in range(300):
        site.clock.tick(30)
        token = site.token(put(n=number), token)
    site.token(login("ann"))  # a write that sweeps

    assert site.seen(token).user == "ann"


def test_one_whose_touches_could_not_be_noted_is_known_for_two_idle_limits(site: Site) -> None:
    token = site.token(login("ann"))
    for _ in range(2):
        site.clock.tick(1500)
        pausing(site).fail("replace")
        token = site.token(look, token)
    site.token(login("ann"))

    assert site.seen(token).user == "ann"


def test_where_only_the_record_is_due_nothing_is_sent(site: Site) -> None:
    token = site.token(login("ann"))
    site.clock.tick(40)
    token = site.token(put(a=1), token)
    site.clock.tick(40)

    assert site.ask(token, look).says_nothing
    assert known(site).live.popitem()[1].seen_at == site.clock.now()


def test_a_server_whose_clock_is_behind_shortens_nothing(site: Site, make_site: Callable[..., Site]) -> None:
    behind = make_site(clock=FrozenClock(site.clock.now() - 50))
    token = site.token(login("ann"))
    site.clock.tick(70)
    behind.clock.tick(70)
    token = site.token(look, token)
    later = behind.token(put(a=1), token)
    site.clock.tick(1799)

    assert site.seen(later).user == "ann"


def test_what_ended_by_itself_is_swept(site: Site) -> None:
    site.ask(site.token(login("ann")), logout)
    for _ in range(5):
        site.token(login("ann"))
    site.clock.tick(12 * HOUR + 61)
    site.token(login("ann"))

    assert (len(known(site).live), len(known(site).ended)) == (1, 0)


def test_of_those_that_ended_the_latest_are_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "MOST_LIVE", 2)
    for _ in range(4):
        site.clock.tick(1)
        token = site.token(login("ann"))
        site.ask(token, logout)

    assert site.ask(token, ended_because).value == "logout"
    assert len(known(site).ended) == 2


def test_a_login_a_day_after_the_last_one_needs_no_purge(site: Site) -> None:
    site.token(login("ann"))
    site.clock.tick(24 * HOUR)

    assert site.seen(site.token(login("ann"))).user == "ann"


def test_what_has_idled_out_is_not_listed(site: Site) -> None:
    site.token(login("ann"))
    site.clock.tick(1801)

    assert site.outside(site.kit.sessions_of, "ann") == []


# What counts


@pytest.mark.requirement("TR-10")
def test_another_generation_refuses_and_a_revocation_makes_one(site: Site) -> None:
    site.token(login("ann"))
    first = known(site).generation
    site.outside(site.kit.revoke_user, "ann")
    assert known(site).generation != first

    token = site.token(login("ann"))
    backend: Any = site.backend
    backend.revocations.change("ann", lambda standing: (replace(standing, generation=bytes(16)), None))

    assert site.dead(token)


@pytest.mark.parametrize("change", [renew, login("ann")])
@pytest.mark.parametrize("late", [put(late=1), look, logout, renew])
def test_a_late_request_with_the_cookie_from_before_starts_and_sends_nothing(
    site: Site, change: View, late: View
) -> None:
    before = site.token(both(login("ann"), put(a=1)))
    after = site.token(change, before)

    assert site.ask(before, late, status=(200, 500)).says_nothing
    assert site.seen(after).user == "ann"


def test_a_renewal_is_told_to_the_cookie_from_before_for_a_minute(site: Site) -> None:
    before = site.token(login("ann"))
    site.token(renew, before)

    assert site.ask(before, ended_because).value == "replaced"
    site.clock.tick(60)
    assert site.ask(before, ended_because).value is None


def test_a_login_that_fails_at_its_end_leaves_nobody_in_the_list(site: Site) -> None:
    ann = site.token(login("ann"))
    pausing(site).fail("replace")  # the end of ann's

    assert site.ask(ann, login("bob"), status=503).says_nothing
    assert site.outside(site.kit.sessions_of, "bob") == []
    assert site.seen(ann).user == "ann"


def test_each_session_that_is_revoked_is_told(site: Site) -> None:
    for _ in range(2):
        site.token(login("ann"))

    with site.events() as events:
        site.outside(site.kit.revoke_user, "ann")

    assert events == [("session_ended", {"reason": "revoked", "user_id": "ann"})] * 2


def test_without_a_store_no_cookie_counts_that_was_noted_in_one(site: Site, make_site: Callable[..., Site]) -> None:
    """It may have ended there."""
    live, ended = site.token(login("ann")), site.token(login("ann"))
    site.ask(ended, logout)

    lone = make_site(SESSIONKIT_REVOCATION_STORE=None)

    assert lone.dead(live, ended)
    assert lone.seen(lone.token(login("ann"))).user == "ann"


def test_a_handle_from_before_a_change_of_secrets_moves_nothing(make_site: Callable[..., Site]) -> None:
    old = make_site(SECRET_KEY=OLD)
    token = old.token(login("ann"))
    [row] = old.outside(old.kit.sessions_of, "ann")
    after, new = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD]), make_site(SECRET_KEY=NEW)
    token = after.token(look, token)
    other = after.token(login("ann"))

    assert after.outside(after.kit.revoke, row.handle) == 1
    assert new.dead(token)
    assert new.seen(other).user == "ann"
    assert new.outside(new.kit.revoke, row.handle) == 0
    assert new.seen(other).user == "ann"


# The cookie


def test_a_slow_answer_seals_again_also_when_a_touch_is_due(make_site: Callable[..., Site]) -> None:
    token = make_site(SECRET_KEY=OLD).token(put(a=1))
    site = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    site.clock.tick(61)

    def slow() -> None:
        look()
        site.clock._elapsed += 0.2

    assert site.ask(token, slow).token is not None


def test_a_users_cookie_is_measured_with_all_that_is_in_it(site: Site) -> None:
    def header(size: int) -> str | None:
        def view() -> None:
            login_user("ann", remember=True)
            session["large"] = b"x" * size

        sent = site.ask(None, view, status=(200, 500)).response.headers.getlist("Set-Cookie")
        return sent[0] if sent else None

    fits, breaks = 1000, 4000
    while breaks - fits > 1:
        middle = (fits + breaks) // 2
        fits, breaks = (middle, breaks) if header(middle) else (fits, middle)

    assert len(f"Set-Cookie: {header(fits)}\r\n") <= 3800


@pytest.mark.requirement("CR-05")
def test_a_name_that_depends_on_the_request_keeps_cookies_apart(
    site: Site, make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever name the first request of a process has."""
    sites = [site, make_site()]
    for one in sites:
        monkeypatch.setattr(
            one.app.session_interface, "get_cookie_name", lambda app: request.headers.get("X-Name", "session")
        )
    token = sites[0].token(put(a=1))
    sites[1].ask(None, put(a=1), headers={"X-Name": "admin"})

    for one in sites:
        assert one.seen(token).data == {"a": 1}
        as_admin = one.ask(None, look, headers={"X-Name": "admin", "Cookie": f"admin={token}"})
        assert as_admin.value == NOBODY


def test_another_format_is_no_session(site: Site) -> None:
    backend: Any = site.backend
    ring = backend._ring
    plain, _ = ring.open_cookie(site.token(put(a=1)))

    assert not site.dead(ring.seal_cookie(plain))
    assert site.dead(ring.seal_cookie(b"\2" + plain[1:]))
