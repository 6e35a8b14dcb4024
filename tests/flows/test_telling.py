"""What is told of a session, and how often. Ids are of SECURITY.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import flash
from flow_ends import ELSEWHERE
from flow_site import (
    NOBODY,
    Site,
    View,
    both,
    end_by_identity,
    identify,
    login,
    logout,
    look,
    put,
    renew,
    still,
    wipe,
)

from flask_sessionkit import logout_view

MakeSite = Callable[..., Site]


def heard_of(site: Site, token: str | None, view: View, **how: Any) -> list[tuple[str, dict[str, Any]]]:
    with site.events() as heard:
        site.ask(token, view, **how)
    return heard


def created(user: str | None) -> tuple[str, dict[str, Any]]:
    return "session_created", {"user_id": user}


def regenerated(user: str) -> tuple[str, dict[str, Any]]:
    return "session_regenerated", {"user_id": user}


def ended(why: str, user: str) -> tuple[str, dict[str, Any]]:
    return "session_ended", {"reason": why, "user_id": user}


#: What was done in the request before, what is done, what is heard of it.
TOLD: dict[str, tuple[View | None, View, list[tuple[str, dict[str, Any]]]]] = {
    "a look at nothing": (None, look, []),
    "a beginning": (None, put(cart=1), [created(None)]),
    "a login of a stranger": (None, login("ann"), [created("ann")]),
    "a look": (put(cart=1), look, []),
    "a change": (put(cart=1), put(cart=2), []),
    "a login": (put(cart=1), login("ann"), [regenerated("ann")]),
    "a renewal": (login("ann"), renew, [regenerated("ann")]),
    "a login of another": (login("ann"), login("bob"), [regenerated("bob"), ended("replaced", "ann")]),
    "a logout": (login("ann"), logout, [ended("logout", "ann")]),
    "a logout by a view": (login("ann"), logout_view(still), [ended("logout", "ann")]),
    "an identity key": (both(identify("ann"), put(cart=1)), end_by_identity, [ended("logout", "ann")]),
    "a clear": (both(login("ann"), put(cart=1)), wipe, [ended("logout", "ann")]),
    "a logout with a message": (
        login("ann"),
        both(logout, lambda: flash("bye")),
        [ended("logout", "ann"), created(None)],
    ),
}


@pytest.mark.requirement("LG-02")
@pytest.mark.parametrize(("before", "act", "told"), TOLD.values(), ids=TOLD)
def test_each_action_is_told_once(
    site: Site, before: View | None, act: View, told: list[tuple[str, dict[str, Any]]]
) -> None:
    """LG-02."""
    token = None if before is None else site.token(before)

    assert heard_of(site, token, act) == told


@pytest.mark.requirement("LG-02")
@pytest.mark.parametrize("act", [login("ann"), logout], ids=["login", "logout"])
def test_what_was_told_is_not_told_again(site: Site, act: View) -> None:
    """LG-02."""
    token = site.token(login("bob"))
    site.ask(token, act)

    assert heard_of(site, token, look) == []
    assert heard_of(site, token, logout) == []


@pytest.mark.requirement("LG-02")
@pytest.mark.parametrize(("why", "leave"), [*ELSEWHERE.items()], ids=ELSEWHERE)
def test_each_end_from_elsewhere_is_told_once(site: Site, why: str, leave: Callable[[Site, str], None]) -> None:
    """LG-02."""
    token = site.token(login("ann"))

    with site.events() as heard:
        leave(site, token)
        for _ in range(3):
            assert site.seen(token) == NOBODY

    assert heard == [ended(why, "ann")]


def test_a_login_after_an_end_in_between_is_told_as_a_beginning(site: Site) -> None:
    token = site.token(login("ann"))

    def slowly() -> None:
        look()
        site.ask(token, logout)
        login("bob")()

    assert heard_of(site, token, slowly) == [
        ("session_ended", {"reason": "logout", "user_id": "ann"}),
        ("session_created", {"user_id": "bob"}),
    ]


@pytest.mark.requirement("CK-09")
def test_two_live_cookies_of_one_name_are_refused_and_told(site: Site) -> None:
    """CK-09."""
    mine, tossed = site.token(login("ann")), site.token(login("mallory"))

    with site.events() as heard:
        answer = site.ask(None, look, headers={"Cookie": f"session={tossed}; session={mine}"})

    assert answer.value == NOBODY
    assert heard == [("session_refused", {"reason": "duplicate"})]
