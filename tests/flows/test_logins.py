"""What a login does to a session, by ``login_user`` or by a key that names the user. Ids are of SECURITY.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import session
from flow_ends import START
from flow_site import Seen, Site, both, costs, drop, end_by_identity, identify, login, put, remembered

from flask_sessionkit import login_view

MakeSite = Callable[..., Site]


# Login.


@pytest.mark.requirement("FX-01")
def test_a_login_changes_the_token_and_kills_the_old_one(site: Site) -> None:
    """FX-01."""
    old = site.token(put(cart=1))

    new = site.token(login("ann"), old)

    assert new != old
    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"cart": 1})
    assert len(site.live_records()) == 1


@pytest.mark.requirement("FX-04")
def test_a_login_drops_another_users_data(site: Site) -> None:
    """FX-04."""
    ann = site.token(both(login("ann"), put(v="secret", cart=[1])))

    bob = site.token(both(lambda: session["cart"].append(2), put(own=1), login("bob")), ann)

    assert site.seen(bob) == Seen("bob", {"own": 1})
    assert site.dead(ann)


def test_a_login_of_the_same_user_keeps_the_data(site: Site) -> None:
    old = site.token(both(login("ann"), put(v=1)))

    new = site.token(login("ann"), old)

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"v": 1})


@pytest.mark.requirement("FX-04")
def test_a_login_after_a_logout_of_somebody_else_drops_what_that_left(site: Site) -> None:
    """FX-04, by way of Flask-Login's logout, which leaves the rest of the data in the session."""
    ann = site.token(both(identify("ann"), put(v="secret")))
    rest = site.token(end_by_identity, ann)

    assert site.seen(rest) == Seen(None, {"v": "secret"})
    assert site.seen(site.token(login("bob"), rest)) == Seen("bob", {})


def test_a_login_after_a_logout_of_the_same_user_keeps_what_that_left(site: Site) -> None:
    rest = site.token(end_by_identity, site.token(both(identify("ann"), put(v=1))))

    assert site.seen(site.token(login("ann"), rest)) == Seen("ann", {"v": 1})


@pytest.mark.requirement("FX-03")
def test_a_login_removes_the_csrf_token_and_keeps_a_later_one(site: Site) -> None:
    """FX-03."""
    old = site.token(put(csrf_token="of the attacker"))

    assert site.seen(site.token(login("ann"), old)).data == {}
    old = site.token(put(csrf_token="of the attacker"))
    assert site.seen(site.token(both(login("ann"), put(csrf_token="new")), old)).data == {"csrf_token": "new"}


def test_two_logins_in_one_request_leave_one_record_and_one_cookie(site: Site) -> None:
    old = site.token(put(cart=1))

    new = site.token(both(login("bob"), login("ann")), old)

    assert site.seen(new).user == "ann"
    assert site.dead(old)
    assert len(site.live_records()) == 1


def test_a_user_id_is_compared_byte_for_byte(site: Site) -> None:
    token = site.token(both(login("ann"), put(v=1)))

    assert site.seen(site.token(login("Ann"), token)) == Seen("Ann", {})


@pytest.mark.parametrize(("given", "kept"), [(7, "7"), ("7", "7"), ("é", "é")])
def test_a_user_id_is_kept_as_text(site: Site, given: Any, kept: str) -> None:
    assert site.seen(site.token(login(given))).user == kept


@pytest.mark.parametrize(("given", "error"), [("", ValueError), (True, TypeError), (None, TypeError), (1.5, TypeError)])
def test_what_is_no_user_id_is_refused(site: Site, given: Any, error: type[Exception]) -> None:
    def view() -> None:
        with pytest.raises(error):
            login(given)()

    assert site.ask(None, view).says_nothing


@pytest.mark.requirement("FX-02", "FX-07")
def test_a_first_factor_only_is_no_login_and_the_second_changes_the_token(site: Site) -> None:
    """FX-07, FX-02."""
    first = site.token(login_view(put(pending="ann")))
    assert site.seen(first).user is None

    second = site.token(login_view(both(drop("pending"), login("ann"))), first)

    assert site.dead(first)
    assert site.seen(second) == Seen("ann", {})


# Identity keys.


@pytest.fixture
def two_keys(make_site: MakeSite) -> Site:
    return make_site(SESSIONKIT_IDENTITY_KEYS=["uid", "admin_id"])


def test_setting_an_identity_key_is_a_login(site: Site) -> None:
    old = site.token(put(cart=1))

    new = site.token(put(_user_id="ann"), old)

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"cart": 1, "_user_id": "ann"})


def test_the_same_value_again_is_no_login(site: Site) -> None:
    token = site.token(put(_user_id="ann"))

    assert site.ask(token, put(_user_id="ann")).says_nothing
    assert costs(site, token, put(_user_id="ann")) == {"load": 1}


def test_another_value_drops_the_others_data_and_keeps_what_this_request_set(site: Site) -> None:
    old = site.token(put(_user_id="ann", v="secret", w=1))

    new = site.token(both(put(before=1), put(_user_id="bob", after=2)), old)

    assert site.dead(old)
    assert site.seen(new) == Seen("bob", {"_user_id": "bob", "before": 1, "after": 2})


def test_of_several_keys_the_first_that_is_set_names_the_user(two_keys: Site) -> None:
    token = two_keys.token(put(admin_id=7))
    assert two_keys.seen(token).user == "7"

    token = two_keys.token(put(uid=5), token)

    assert two_keys.seen(token).user == "5"


def test_a_key_behind_the_first_changes_nobody(two_keys: Site) -> None:
    token = two_keys.token(put(uid=5))

    assert two_keys.ask(token, put(admin_id=7)).says_nothing
    assert two_keys.seen(token).user == "5"


def test_removing_the_first_key_makes_the_second_the_user(two_keys: Site) -> None:
    old = two_keys.token(put(uid=5, admin_id=7))

    new = two_keys.ask(old, both(drop("uid"), put(own=1))).token

    assert two_keys.dead(old)
    assert two_keys.seen(new).user == "7"


@pytest.mark.parametrize("nothing", [None, ""])
def test_none_empty_and_absent_are_the_same(site: Site, nothing: Any) -> None:
    token = site.token(put(_user_id=nothing, cart=1))
    assert site.seen(token).user is None
    assert site.ask(token, drop("_user_id")).says_nothing

    token = site.token(put(_user_id="ann"), token)
    rest = site.token(put(_user_id=nothing), token)

    assert site.dead(token)
    assert site.seen(rest).user is None


def test_removing_an_identity_key_ends_the_login_and_renews_the_token(site: Site) -> None:
    old = site.token(both(identify("ann"), put(cart=1)))

    new = site.token(end_by_identity, old)

    assert site.dead(old)
    assert site.seen(new) == Seen(None, {"cart": 1})


def test_removing_an_identity_key_and_all_else_deletes_the_cookie(site: Site) -> None:
    old = site.token(identify("ann"))

    assert site.ask(old, end_by_identity).forgets
    assert site.live_records() == []


def test_a_remembered_user_has_no_login_at(site: Site) -> None:
    token = site.token(remembered("ann"))

    assert site.ask(token, lambda: (session.user_id, session.login_at)[1]).value is None
    assert site.seen(token).user == "ann"


def test_fresh_becoming_true_is_a_login(site: Site) -> None:
    old = site.token(both(remembered("ann"), put(cart=1)))
    site.clock.tick(10)

    new = site.token(put(_fresh=True), old)

    assert site.dead(old)
    assert site.ask(new, lambda: session.login_at).value == START + 10
    assert site.seen(new).data == {"_user_id": "ann", "_fresh": True, "cart": 1}


def test_an_identity_key_of_a_wrong_type_is_refused(site: Site) -> None:
    def view() -> None:
        with pytest.raises(TypeError, match="names the user"):
            session["_user_id"] = ["ann"]

    assert site.ask(None, view).says_nothing
