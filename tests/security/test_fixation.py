"""Security requirements FX: no token from before a login is worth anything after it."""

from __future__ import annotations

from typing import Any

import pytest
from flow_site import Seen, Site, View, both, drop, login, logout, pausing, put, renew
from visitors import Visitor, sessions_of, signed_in, where

from flask_sessionkit import login_view


@pytest.mark.requirement("FX-01")
def test_a_login_changes_the_token_and_the_one_before_is_nobodys(site: Site) -> None:
    visitor = Visitor(site)
    visitor.does(put(cart=1))
    planted = visitor.token

    visitor.does(login("ann"))

    assert planted is not None
    assert visitor.token != planted
    assert visitor.sees == Seen("ann", {"cart": 1})
    assert where(site, planted) == [None]
    assert len(sessions_of(site)) == 1


CHANGES: dict[str, View] = {
    "login again": login("ann"),
    "another user": login("bob"),
    "another role": login_view(put(role="admin")),
    "on request": renew,
    "logout": logout,
}


@pytest.mark.requirement("FX-02", "TR-01")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_rights_kills_the_token_before(site: Site, change: View) -> None:
    visitor = signed_in(site)
    visitor.does(put(cart=1))
    before = list(visitor.held)

    visitor.does(change)

    assert visitor.token not in before
    assert site.dead(*before)


@pytest.mark.requirement("FX-03")
def test_a_forms_token_from_before_the_login_dies(site: Site) -> None:
    visitor = Visitor(site)
    visitor.does(put(csrf_token="planted", cart=1))

    visitor.does(login("ann"))

    assert visitor.sees == Seen("ann", {"cart": 1})


@pytest.mark.requirement("FX-04")
def test_another_user_inherits_nothing(site: Site) -> None:
    visitor = signed_in(site, "alice")
    visitor.does(put(v="secret"))

    visitor.does(login("bob"))

    assert visitor.sees == Seen("bob", {})
    assert site.dead(*visitor.held[:-1])


@pytest.mark.requirement("FX-04")
def test_the_same_user_keeps_the_data(site: Site) -> None:
    visitor = signed_in(site)
    visitor.does(put(v=1))

    visitor.does(login("ann"))

    assert visitor.sees == Seen("ann", {"v": 1})


@pytest.mark.requirement("FX-05", "ST-10")
@pytest.mark.parametrize("before", [True, False], ids=["not carried out", "answer lost"])
@pytest.mark.parametrize("call", ["load", "create", "replace"])
def test_a_login_that_the_store_fails_is_none(site: Site, call: Any, before: bool) -> None:
    others = [] if call == "create" else signed_in(site).held
    visitor = Visitor(site)
    visitor.does(put(cart=1))
    pausing(site).fail(call, before=before)

    answer = visitor.does(login("ann"), status=503)

    assert answer.says_nothing
    assert where(site, *visitor.held) == [None]
    assert where(site, *others) == ["ann"] * len(others)


@pytest.mark.requirement("FX-06")
@pytest.mark.parametrize("twice", [both(renew, renew), both(login("bob"), login("ann")), both(login("ann"), renew)])
def test_renewing_twice_in_one_request_is_renewing_once(site: Site, twice: View) -> None:
    visitor = signed_in(site)

    answer = visitor.does(twice)

    assert answer.token is not None  # and the site has seen that it is the only one
    assert len(sessions_of(site)) == 1
    assert sessions_of(site, "bob") == []
    assert visitor.sees.user == "ann"


@pytest.mark.requirement("FX-07")
def test_a_first_factor_is_no_login_and_the_second_changes_the_token(site: Site) -> None:
    visitor = Visitor(site)
    visitor.does(login_view(put(pending="ann")))
    assert visitor.sees.user is None
    assert sessions_of(site) == []

    visitor.does(login_view(both(drop("pending"), login("ann"))))

    assert visitor.sees == Seen("ann", {})
    assert where(site, *visitor.held) == [None, "ann"]
