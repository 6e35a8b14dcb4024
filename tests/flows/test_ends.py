"""What becomes of a token whose session ended, and how one is ended. Ids are of SECURITY.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import flash, get_flashed_messages, session
from flow_ends import ELSEWHERE, KNOWN, START
from flow_site import (
    NOBODY,
    Seen,
    Site,
    View,
    both,
    ended_because,
    identify,
    login,
    logout,
    look,
    put,
    remembered,
    renew,
    still,
    wipe,
)

from flask_sessionkit import login_view, logout_user, logout_view

MakeSite = Callable[..., Site]


# A token that has just died.


@pytest.mark.requirement("CC-04")
@pytest.mark.parametrize("view", [put(late=1), lambda: flash("late"), remembered("ann"), logout, wipe, renew, look])
@pytest.mark.parametrize("leave", KNOWN)
def test_a_token_whose_browser_has_a_newer_cookie_starts_and_sends_nothing(
    site: Site, leave: Callable[[Site, str], None], view: View
) -> None:
    """CC-04."""
    token = site.token(both(login("ann"), put(cart=1)))
    leave(site, token)
    before = len(site.live_records())

    assert site.ask(token, view).says_nothing
    assert len(site.live_records()) == before


@pytest.mark.parametrize("enter", [login("bob"), login_view(put(own=1)), identify("bob")])
@pytest.mark.parametrize("leave", KNOWN)
def test_a_login_starts_a_session_there(site: Site, leave: Callable[[Site, str], None], enter: View) -> None:
    token = site.token(both(login("ann"), put(cart=1)))
    leave(site, token)

    new = site.token(enter, token)

    assert "cart" not in (site.seen(new).data or {})
    assert site.dead(token)


def test_after_a_minute_such_a_token_leads_nowhere(site: Site) -> None:
    token = site.token(login("ann"))
    site.ask(token, logout)

    site.clock.tick(59)
    assert site.ask(token, put(a=1)).says_nothing
    assert site.ask(token, ended_because).value == "logout"
    site.clock.tick(1)
    assert site.ask(token, put(a=1)).token is not None
    assert site.ask(token, ended_because).value is None


@pytest.mark.parametrize(("why", "leave"), ELSEWHERE.items(), ids=ELSEWHERE)
def test_ended_from_elsewhere_a_token_is_like_one_that_leads_nowhere_and_tells_why(
    site: Site, why: str, leave: Callable[[Site, str], None]
) -> None:
    token = site.token(both(login("ann"), put(cart=1)))
    leave(site, token)

    answer = site.ask(token, both(look, ended_because))
    assert answer.value == why
    assert answer.says_nothing

    site.clock.tick(59)
    new = site.token(put(own=1), token)
    assert site.ask(new, ended_because).value == why  # the redirect to the login page tells it too
    assert site.seen(new) == Seen(None, {"own": 1})
    site.clock.tick(60)
    assert site.ask(new, ended_because).value is None


# After a logout.


@pytest.mark.requirement("TR-01")
@pytest.mark.parametrize("end", [logout, logout_view(lambda: None)])
def test_after_a_logout_every_earlier_cookie_is_refused(site: Site, end: View) -> None:
    """TR-01."""
    first = site.token(put(cart=1))
    second = site.token(login("ann"), first)
    third = site.token(renew, second)
    site.ask(third, put(more=1))

    assert site.ask(third, end).forgets

    assert site.dead(first, second, third)
    assert site.live_records() == []


def test_what_is_written_after_a_logout_starts_a_new_session(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))

    new = site.token(both(logout, lambda: flash("bye")), token)

    assert site.dead(token)
    assert site.ask(new, lambda: (get_flashed_messages(), dict(session))[0:2]).response.status_code == 200
    fresh = site.token(both(logout, lambda: flash("bye")), site.token(login("ann")))
    assert site.seen(fresh) == Seen(None, {"_flashes": [("message", "bye")]})


def test_a_logout_view_leaves_the_data_readable_and_keeps_a_message(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))

    answer = site.ask(token, logout_view(both(put(other=1), lambda: flash("bye"), look)))

    assert answer.value.user == "ann"
    assert answer.value.data["cart"] == 1
    assert site.dead(token)
    assert site.seen(answer.token) == Seen(None, {"_flashes": [("message", "bye")]})


def test_a_logout_view_ends_a_session_that_the_view_does_not_look_at(site: Site) -> None:
    token = site.token(login("ann"))

    assert site.ask(token, logout_view(still)).forgets
    assert site.dead(token)


@pytest.mark.requirement("CS-03")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_logout_view_needs_a_post_unless_told(site: Site, method: str) -> None:
    """CS-03."""
    token = site.token(login("ann"))

    site.ask(token, logout_view(still), method=method)
    assert site.seen(token).user == "ann"
    site.ask(token, logout_view(allow_get=True)(still), method=method)
    assert site.dead(token)


def test_a_login_after_a_logout_in_one_request_is_a_new_session(site: Site) -> None:
    old = site.token(both(login("ann"), put(v="secret")))

    new = site.token(both(logout, login("ann"), put(own=1)), old)

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"own": 1})


def test_a_logout_after_a_login_in_one_request_is_no_login(site: Site) -> None:
    old = site.token(put(cart=1))

    assert site.ask(old, both(login("ann"), logout)).forgets
    assert site.served() == []


def test_logout_everywhere_ends_all_sessions_of_the_user(site: Site) -> None:
    tokens = [site.token(login("ann")) for _ in range(3)]
    bob = site.token(login("bob"))

    assert site.ask(tokens[0], lambda: logout_user(everywhere=True)).forgets

    assert site.dead(*tokens)
    assert site.seen(bob).user == "bob"


# Termination, revocation, the user's stamp.


@pytest.mark.requirement("TR-03")
def test_a_revocation_ends_all_sessions_of_a_user_on_every_server(make_site: MakeSite) -> None:
    """TR-03."""
    one, two = make_site(), make_site()
    tokens = [one.token(login("ann")) for _ in range(3)] + [two.token(login("ann")) for _ in range(2)]
    bob = one.token(login("bob"))

    assert one.outside(one.kit.revoke_user, "ann") == 5

    assert one.dead(*tokens)
    assert two.dead(*tokens)
    assert two.seen(bob).user == "bob"


@pytest.mark.requirement("TR-03")
def test_a_login_in_the_same_second_after_a_revocation_survives(site: Site) -> None:
    """TR-03."""
    old = site.token(login("ann"))
    assert site.outside(site.kit.revoke_user, "ann") == 1

    new = site.token(login("ann"))

    assert site.seen(new).user == "ann"
    assert site.dead(old)


@pytest.mark.requirement("TR-03")
def test_a_session_that_a_server_made_whose_clock_is_ahead_is_revoked(make_site: MakeSite) -> None:
    """TR-03."""
    from flask_sessionkit.testing import FrozenClock

    site, ahead = make_site(), make_site(clock=FrozenClock(START + 30))
    token = ahead.token(login("ann"))

    assert site.outside(site.kit.revoke_user, "ann") == 1
    assert site.dead(token)
    assert ahead.dead(token)


@pytest.mark.requirement("TR-04")
def test_a_revocation_can_keep_the_current_session_under_a_new_token(site: Site) -> None:
    """TR-04."""
    others = [site.token(login("ann")) for _ in range(2)]
    current = site.token(both(login("ann"), put(cart=1)))

    answer = site.ask(current, lambda: site.kit.revoke_user("ann", keep_current=True))

    assert answer.value == 2
    assert site.dead(current, *others)
    assert site.seen(answer.token) == Seen("ann", {"cart": 1})


@pytest.mark.requirement("TR-05")
def test_a_user_lists_and_ends_single_sessions_of_their_own(site: Site) -> None:
    """TR-05."""
    first = site.token(login("ann"))
    site.clock.tick(1)
    second = site.token(login("ann"))
    bob = site.token(login("bob"))
    rows = site.ask(second, lambda: site.kit.sessions_of("ann")).value

    assert [(row.current, row.login_at) for row in rows] == [(True, START + 1), (False, START)]
    assert site.ask(bob, lambda: site.kit.revoke(rows[1].handle, user_id="bob")).value == 0
    assert site.seen(first).user == "ann"
    assert site.ask(second, lambda: site.kit.revoke(rows[1].handle, user_id="ann")).value == 1
    assert site.dead(first)
    assert site.seen(second).user == "ann"


def test_a_handle_names_a_session_across_renewals(site: Site) -> None:
    token = site.token(login("ann"))
    [before] = site.outside(site.kit.sessions_of, "ann")

    token = site.token(renew, token)

    [after] = site.outside(site.kit.sessions_of, "ann")
    assert after.handle == before.handle
    assert site.outside(site.kit.revoke, before.handle) == 1
    assert site.dead(token)


@pytest.mark.requirement("ID-08")
def test_a_handle_opens_nothing(site: Site) -> None:
    """ID-08."""
    site.token(login("ann"))
    [row] = site.outside(site.kit.sessions_of, "ann")

    assert site.seen(row.handle) == NOBODY
    assert site.seen(row.handle[:43]) == NOBODY


@pytest.mark.requirement("TR-11")
@pytest.mark.parametrize("today", ["another password", None])
def test_another_stamp_ends_the_session(site: Site, today: str | None) -> None:
    """TR-11: None is a user who is gone."""
    stamps: dict[str, str | None] = {"ann": "a password", "bob": "b"}
    site.kit.user_stamp(stamps.get)
    token, bob = site.token(login("ann")), site.token(login("bob"))
    assert site.seen(token).user == "ann"

    stamps["ann"] = today

    assert site.ask(token, both(look, ended_because)).value == "stamp"
    assert site.seen(bob).user == "bob"
    stamps["ann"] = "a password"
    assert site.dead(token)


def test_the_stamp_is_the_one_that_was_read_with_the_password(site: Site) -> None:
    """The password is changed between its check and the login."""
    site.kit.user_stamp(lambda user: "the new password")

    token = site.token(login("ann", stamp="the old password"))

    assert site.seen(token) == NOBODY


def test_the_stamp_is_not_asked_for_nobody(site: Site) -> None:
    asked: list[str] = []
    site.kit.user_stamp(lambda user: asked.append(user) or "x")  # type: ignore[func-returns-value]  # to count

    site.seen(site.token(put(cart=1)))

    assert asked == []


@pytest.mark.requirement("TR-04")
def test_a_revocation_with_a_new_stamp_keeps_the_current_session(site: Site) -> None:
    """TR-04: the way a password is changed."""
    stamps = {"ann": "old"}
    site.kit.user_stamp(stamps.get)
    current, other = site.token(login("ann")), site.token(login("ann"))

    def change() -> None:
        look()
        stamps["ann"] = "new"
        site.kit.revoke_user("ann", keep_current=True)

    new = site.token(change, current)

    assert site.seen(new).user == "ann"
    assert site.dead(current, other)
