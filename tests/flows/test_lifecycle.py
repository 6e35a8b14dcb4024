"""What a request does with its session, promise by promise. Ids are of ``docs/requirements.rst``."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from flask import Response, abort, flash, get_flashed_messages, redirect, session
from flow_site import (
    NOBODY,
    Seen,
    Site,
    View,
    append,
    both,
    drop,
    end_by_identity,
    ended_because,
    failing,
    identify,
    login,
    logout,
    look,
    pausing,
    put,
    renew,
    still,
    wipe,
)
from flow_stores import keys_in

from flask_sessionkit import (
    SessionConflict,
    current_user_id,
    fresh_login_required,
    login_required,
    login_view,
    logout_user,
    logout_view,
)
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.testing import Crash, PausingStore, in_thread
from flask_sessionkit.tokens import key_of, new_token

START = 1_700_000_000.0
IDLE = 1800
ABSOLUTE = 43_200

MakeSite = Callable[..., Site]


def costs(site: Site, token: str | None, view: View, **how: Any) -> dict[str, int]:
    """Return the calls of the store that a request makes."""
    pausing(site).reset()
    site.ask(token, view, **how)
    return dict(pausing(site).counts)


def remembered(user: str) -> View:
    """Come back by a remember cookie, as Flask-Login does."""
    return put(_user_id=user, _fresh=False)


def make_permanent() -> None:
    session.permanent = True


# Opening, and what it costs.


def test_a_view_that_does_not_look_costs_no_call(site: Site) -> None:
    token = site.token(login("ann"))

    assert costs(site, token, still) == {}


def test_the_moment_that_a_request_opened_is_known_at_its_first_look(site: Site) -> None:
    """Which token was the newest when the client sent it goes by that moment."""

    def look_late() -> Any:
        site.clock.tick(40)
        assert session.get("cart") is None
        return session.visit._circumstances.opened_at  # type: ignore[attr-defined]  # the object behind the proxy

    opened_at = site.clock.now()

    assert site.ask(None, look_late).value == opened_at


@pytest.mark.requirement("ID-03", "IN-01")
@pytest.mark.parametrize("token", [None, "", "not-a-token", "A" * 42, "A" * 44, "A" * 42 + "B", "../" * 14 + "A"])
def test_what_cannot_be_a_token_costs_no_call(site: Site, token: str | None) -> None:
    """ID-03, IN-01."""
    assert costs(site, token, look) == {}


def test_a_read_costs_one_call(site: Site) -> None:
    token = site.token(put(cart=[1]))

    assert costs(site, token, lambda: [session["cart"], session.user_id, len(session)]) == {"load": 1}


def test_a_due_touch_costs_one_call_more_unless_it_is_part_of_the_load(site: Site) -> None:
    token = site.token(put(cart=1))
    site.clock.tick(60)

    assert sum(costs(site, token, look).values()) == (1 if Capability.TOUCH_ON_LOAD in site.store.capabilities else 2)
    assert costs(site, token, look) == {"load": 1}


def test_a_change_costs_two_calls(site: Site) -> None:
    token = site.token(put(cart=[1]))

    assert costs(site, token, append("cart", 2)) == {"load": 1, "replace": 1}


def test_a_first_write_costs_one_call(site: Site) -> None:
    assert costs(site, None, put(cart=1)) == {"create": 1}


def test_a_login_costs_at_most_three_calls(site: Site) -> None:
    token = site.token(put(cart=1))

    assert costs(site, None, login("ann")) == {"create": 1}
    assert costs(site, token, login("ann")) == {"load": 1, "create": 1, "replace": 1}


@pytest.mark.parametrize("end", [logout, logout_view(lambda: None)])
def test_a_logout_costs_at_most_two_calls(site: Site, end: View) -> None:
    token = site.token(login("ann"))

    assert costs(site, token, end) == {"load": 1, "replace": 1}


def test_a_value_that_is_set_to_what_it_was_costs_no_write(site: Site) -> None:
    token = site.token(put(cart=[1], lang="en"))

    assert costs(site, token, put(cart=[1], lang="en")) == {"load": 1}


def test_nothing_is_written_where_modified_is_set_to_false(site: Site) -> None:
    token = site.token(put(cart=[1]))

    assert costs(site, token, both(append("cart", 2), lambda: setattr(session, "modified", False))) == {"load": 1}


def test_modified_set_by_hand_writes_and_sends_the_cookie_again(site: Site) -> None:
    token = site.token(put(cart=1))

    assert site.ask(token, lambda: setattr(session, "modified", True)).token == token


# A token that leads nowhere.


@pytest.mark.requirement("ID-02")
def test_a_token_that_leads_nowhere_is_never_adopted(site: Site) -> None:
    """ID-02."""
    stranger = new_token()

    sent = site.token(put(cart=1), stranger)

    assert sent != stranger
    assert site.seen(stranger) == NOBODY
    assert key_of(stranger, "flows") not in keys_in(site.store)


@pytest.mark.requirement("DS-01")
def test_a_token_that_leads_nowhere_is_answered_with_silence(site: Site) -> None:
    """DS-01."""
    answer = site.ask(new_token(), look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert keys_in(site.store) == []


def test_a_logout_with_a_token_that_leads_nowhere_is_answered_with_silence(site: Site) -> None:
    assert site.ask(new_token(), logout).says_nothing


@pytest.mark.requirement("TR-08")
def test_a_thousand_logouts_without_a_session_do_nothing(site: Site) -> None:
    """TR-08."""
    for _ in range(1000):
        assert site.ask(None, logout).says_nothing

    assert keys_in(site.store) == []


# Values.


def test_a_nested_change_is_noticed(site: Site) -> None:
    token = site.token(put(cart={"bread": [1]}))

    site.ask(token, lambda: session["cart"]["bread"].append(2))

    assert site.seen(token) == Seen(None, {"cart": {"bread": [1, 2]}})


def test_a_nested_change_in_a_first_write_is_noticed(site: Site) -> None:
    def view() -> None:
        session["cart"] = cart = [1]
        cart.append(2)

    assert site.seen(site.token(view)) == Seen(None, {"cart": [1, 2]})


def test_values_not_looked_at_are_written_back_as_they_came(site: Site) -> None:
    """Bytes that this version cannot decode, as a newer one might have written, are in nobody's way."""
    token = site.token(put(cart=1, later="x"))
    key = key_of(token, "flows")
    found = site.backend.load_key(key, now=START)
    assert found is not None
    assert found.contents is not None
    foreign = {**found.contents.data, "later": b"\xff from a newer version"}
    site.backend.update(found, _with_data(found.contents, foreign), now=START)

    site.ask(token, put(cart=2))

    after = site.backend.load_key(key, now=START)
    assert after is not None
    assert after.contents is not None
    assert after.contents.data["later"] == b"\xff from a newer version"
    assert after.contents.data["cart"] != foreign["cart"]


def _with_data(contents: Any, data: dict[str, bytes]) -> Any:
    from msgspec.structs import replace

    return replace(contents, data=data)


# Merging.


def meet(site: Site, token: str, slow: View, quick: View, **how: Any) -> Any:
    """Let a request load its session, another one write to it and answer, and then the first one save."""
    gap = pausing(site).pause_after("load")
    running = in_thread(site.ask, token, slow, **how)
    with gap:
        site.ask(token, quick)
    return running.result()


def test_changes_of_different_keys_both_take_effect(site: Site) -> None:
    token = site.token(put(cart=[1], lang="en"))

    meet(site, token, both(append("cart", 2), put(mine=1)), put(lang="de", theirs=1))

    assert site.seen(token) == Seen(None, {"cart": [1, 2], "lang": "de", "mine": 1, "theirs": 1})


def test_a_removal_wins_over_a_change(site: Site) -> None:
    token = site.token(put(cart=[1], lang="en"))

    meet(site, token, put(cart=[2]), drop("cart"))
    meet(site, token, drop("lang"), put(lang="de", other=1))

    assert site.seen(token) == Seen(None, {"other": 1})


def test_a_key_that_both_added_is_the_laters(site: Site) -> None:
    token = site.token(put(a=1))

    meet(site, token, put(b="later"), put(b="earlier"))

    assert site.seen(token) == Seen(None, {"a": 1, "b": "later"})


def test_clear_removes_everything_that_is_there(site: Site) -> None:
    token = site.token(put(a=1))

    assert meet(site, token, wipe, put(b=1)).forgets
    assert site.seen(token) == NOBODY


def test_a_key_that_both_changed_is_told(site: Site) -> None:
    token = site.token(put(lang="en", same=1))

    with site.events() as heard:
        meet(site, token, put(lang="fr", same=2, mine=1), put(lang="de", same=2, theirs=1))

    assert site.seen(token).data == {"lang": "fr", "same": 2, "mine": 1, "theirs": 1}
    assert heard == [("session_conflict", {"keys": ["lang"]})]


def test_changes_of_different_keys_are_no_conflict(site: Site) -> None:
    token = site.token(put(lang="en"))

    with site.events() as heard:
        meet(site, token, put(mine=1), put(lang="de"))

    assert heard == []


def test_who_the_user_is_takes_no_part_in_a_merge(site: Site) -> None:
    token = site.token(both(identify("ann"), put(n=1)))

    meet(site, token, put(n=2), end_by_identity)

    assert site.dead(token)
    assert [seen.user for seen in site.served()] == [None]


# Gone, emptied, cleared.


@pytest.mark.requirement("CC-01", "CC-03")
def test_a_session_that_is_gone_is_not_written_and_no_cookie_is_sent(site: Site) -> None:
    """CC-01, CC-03."""
    token = site.token(login("ann"))

    answer = meet(site, token, put(late=1), logout)

    assert answer.says_nothing
    assert site.live_records() == []


def test_clear_unbinds_the_user(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))

    answer = site.ask(token, both(wipe, put(kept=1), lambda: current_user_id()))

    assert answer.value is None
    assert site.dead(token)
    assert site.seen(answer.token) == Seen(None, {"kept": 1})


def test_clear_of_everything_deletes_the_cookie(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))

    assert site.ask(token, wipe).forgets
    assert site.live_records() == []


def test_an_emptied_session_of_nobody_is_ended_and_its_cookie_deleted(site: Site) -> None:
    token = site.token(put(cart=1))

    answer = site.ask(token, drop("cart"))

    assert answer.forgets
    assert site.live_records() == []
    assert site.seen(token) == NOBODY


def test_an_emptied_session_of_a_user_goes_on(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))

    assert site.ask(token, drop("cart")).says_nothing
    assert site.seen(token) == Seen("ann", {})


def test_what_was_written_since_a_clear_is_the_next_users_too(site: Site) -> None:
    """After a logout the rest is marked as that user's; a clear() takes the rest, and the mark with it."""
    token = site.token(both(identify("ann"), put(secret=1)))
    rest = site.token(end_by_identity, token)

    site.ask(rest, both(wipe, put(cart=1)))

    assert site.seen(site.token(login("bob"), rest)) == Seen("bob", {"cart": 1})


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


# Renewal.


@pytest.mark.requirement("FX-02")
def test_regenerate_goes_on_under_a_new_token(site: Site) -> None:
    """FX-02."""
    old = site.token(both(login("ann"), put(cart=1)))

    new = site.token(renew, old)

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"cart": 1})


@pytest.mark.requirement("FX-06")
def test_regenerate_twice_leaves_one_record_and_one_cookie(site: Site) -> None:
    """FX-06."""
    old = site.token(put(cart=1))

    answer = site.ask(old, both(renew, renew))

    assert len(answer.response.headers.getlist("Set-Cookie")) == 1
    assert len(site.live_records()) == 1
    assert costs(site, answer.token, both(renew, renew)) == {"load": 1, "create": 1, "replace": 1}


def test_regenerate_keeps_the_lineage_and_the_times(site: Site) -> None:
    old = site.token(login("ann"))
    [before] = site.live_records()
    site.clock.tick(100)

    site.token(renew, old)

    [after] = site.live_records()
    assert (after.lineage, after.created_at, after.login_at) == (before.lineage, START, START)


def test_regenerate_without_a_session_does_nothing(site: Site) -> None:
    assert site.ask(None, renew).says_nothing


@pytest.mark.requirement("FX-02")
def test_a_login_view_renews_whatever_it_changes(site: Site) -> None:
    """FX-02."""
    old = site.token(both(login("ann"), put(role="reader")))

    new = site.token(login_view(put(role="admin")), old)

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"role": "admin"})


@pytest.mark.parametrize("change", [lambda: None, lambda: flash("wrong"), put(csrf_token="x"), put(role="reader")])
def test_a_login_view_that_changes_nothing_of_weight_renews_nothing(site: Site, change: View) -> None:
    token = site.token(both(login("ann"), put(role="reader")))

    assert site.ask(token, login_view(change)).says_nothing
    assert site.seen(token).user == "ann"


def test_a_change_before_a_login_view_is_none_of_its_own(site: Site) -> None:
    token = site.token(put(a=1))

    assert site.ask(token, both(put(a=2), login_view(lambda: session["a"]))).says_nothing


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


# A token that has just died.


def leave_by_logout(site: Site, token: str) -> None:
    site.ask(token, logout)


def leave_by_login(site: Site, token: str) -> None:
    site.token(login("ann"), token)


def leave_by_renewal(site: Site, token: str) -> None:
    site.token(renew, token)


KNOWN = [leave_by_logout, leave_by_login, leave_by_renewal]


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


def idle_out(site: Site, token: str) -> None:
    site.clock.tick(IDLE)


def live_too_long(site: Site, token: str) -> None:
    for _ in range(ABSOLUTE // 1200):
        site.clock.tick(1200)
        site.seen(token)


def revoke(site: Site, token: str) -> None:
    site.outside(site.kit.revoke_user, "ann")


def change_password(site: Site, token: str) -> None:
    site.kit.user_stamp(lambda user: "another password")


ELSEWHERE = {"idle": idle_out, "absolute": live_too_long, "revoked": revoke, "stamp": change_password}


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


# Errors.


@pytest.mark.requirement("CC-09")
@pytest.mark.parametrize("change", [put(cart=2), put(new=1), append("list", 2), drop("cart"), renew])
def test_an_error_saves_no_data(site: Site, change: View) -> None:
    """CC-09."""
    token = site.token(both(login("ann"), put(cart=1, list=[1])))

    assert site.ask(token, failing(change), status=500).says_nothing
    assert site.seen(token) == Seen("ann", {"cart": 1, "list": [1]})


def test_an_error_starts_no_session(site: Site) -> None:
    assert site.ask(None, failing(put(cart=1)), status=500).says_nothing
    assert keys_in(site.store) == []


@pytest.mark.parametrize("enter", [login("ann"), identify("ann")])
def test_an_error_makes_no_login(site: Site, enter: View) -> None:
    token = site.token(put(cart=1))

    assert site.ask(token, failing(enter), status=500).says_nothing
    assert site.seen(token) == Seen(None, {"cart": 1})


def test_a_client_error_saves_data(site: Site) -> None:
    token = site.token(put(tries=1))

    site.ask(token, both(put(tries=2), lambda: abort(403)), status=403)

    assert site.seen(token) == Seen(None, {"tries": 2})


@pytest.mark.requirement("CC-09")
@pytest.mark.parametrize("end", [logout, logout_view(failing()), wipe, end_by_identity])
def test_an_error_does_not_keep_a_login_from_ending(site: Site, end: View) -> None:
    """CC-09."""
    token = site.token(both(identify("ann"), put(cart=1)))

    site.ask(token, failing(end), status=500)

    assert site.dead(token)
    assert all(seen.user is None for seen in site.served())


def test_an_error_does_not_keep_a_clear_from_happening(site: Site) -> None:
    token = site.token(put(cart=1))

    assert site.ask(token, failing(wipe, put(new=1)), status=500).forgets
    assert site.served() == []


def test_an_error_after_a_change_of_user_ends_the_login_and_makes_none(site: Site) -> None:
    token = site.token(both(identify("ann"), put(v="secret")))

    answer = site.ask(token, failing(end_by_identity, identify("bob")), status=500)

    assert site.dead(token)
    assert site.seen(answer.token).user is None


@pytest.mark.parametrize("propagates", [True, False], ids=["debugging", "production"])
@pytest.mark.parametrize("wrong", [object(), "x" * 70_000], ids=["unsupported", "too large"])
@pytest.mark.parametrize("end", [logout, wipe, end_by_identity])
def test_a_value_that_cannot_be_kept_does_not_keep_a_login_from_ending(
    make_site: MakeSite, end: View, wrong: object, propagates: bool
) -> None:
    """For an end the old first, and no failure of anything new prevents it."""
    site = make_site(PROPAGATE_EXCEPTIONS=propagates)
    token = site.token(identify("ann"))

    if propagates:
        with pytest.raises((TypeError, ValueError)):
            site.ask(token, both(end, put(new=wrong)))
    else:
        answer = site.ask(token, both(end, put(new=wrong)), status=500)
        assert answer.forgets or end is end_by_identity  # which may leave the rest of the data behind

    assert site.dead(token)
    assert all(contents.user is None for contents in site.live_records())


@pytest.mark.requirement("DS-02", "IN-07")
@pytest.mark.parametrize("wrong", [object(), "x" * 70_000], ids=["unsupported", "too large"])
def test_a_value_that_cannot_be_kept_leaves_what_was_there(site: Site, wrong: object) -> None:
    """DS-02, IN-07."""
    token = site.token(both(login("ann"), put(cart=1)))

    assert site.ask(token, put(cart=2, wrong=wrong), status=500).says_nothing
    assert site.ask(token, both(renew, put(wrong=wrong)), status=500).says_nothing
    assert site.ask(token, both(login("bob"), put(wrong=wrong)), status=500).says_nothing

    assert site.seen(token) == Seen("ann", {"cart": 1})
    assert len(site.live_records()) == 1


# What the browser and its caches are told.


@pytest.mark.requirement("CA-01", "CA-04")
def test_vary_is_told_where_the_session_was_looked_at(site: Site) -> None:
    """CA-01, CA-04."""
    assert site.ask(None, look).response.headers["Vary"] == "Cookie"
    assert "Vary" not in site.ask(None, still).response.headers


@pytest.mark.requirement("CA-03")
def test_a_response_that_sets_or_deletes_the_cookie_is_not_stored(site: Site) -> None:
    """CA-03."""

    def shared() -> Response:
        session["cart"] = 1
        return Response("x", headers={"Cache-Control": "public, max-age=600"})

    answer = site.ask(None, shared)
    assert answer.response.headers["Cache-Control"] == "no-store"
    assert site.ask(answer.token, wipe).response.headers["Cache-Control"] == "no-store"


def test_a_page_of_a_user_is_not_stored_unless_the_view_says_so(site: Site) -> None:
    token = site.token(login("ann"))

    def private() -> Response:
        look()
        return Response("x", headers={"Cache-Control": "private, max-age=5"})

    assert site.ask(token, look).response.headers["Cache-Control"] == "no-store"
    assert site.ask(token, private).response.headers["Cache-Control"] == "private, max-age=5"


def test_a_page_of_nobody_may_be_stored(site: Site) -> None:
    assert "Cache-Control" not in site.ask(site.token(put(cart=1)), look).response.headers


@pytest.mark.requirement("CK-08")
def test_an_unchanged_session_sends_no_cookie(site: Site) -> None:
    """CK-08."""
    token = site.token(both(login("ann"), put(cart=[1])))

    assert all(site.ask(token, look).says_nothing for _ in range(10))


def test_a_changed_session_sends_no_cookie(site: Site) -> None:
    token = site.token(put(cart=[1]))

    assert site.ask(token, append("cart", 2)).says_nothing


def test_a_permanent_session_that_was_looked_at_sends_its_cookie_again(site: Site) -> None:
    token = site.token(both(put(cart=1), make_permanent))

    assert site.ask(token, look).token == token
    assert site.ask(token, still).says_nothing


def test_a_request_that_is_no_activity_sends_no_cookie_again(site: Site) -> None:
    token = site.token(both(put(cart=1), make_permanent))

    assert site.ask(token, look, path="/passive").says_nothing
    assert site.ask(token, look, headers={"Sec-Purpose": "prefetch"}).says_nothing


def test_a_permanent_session_sends_its_cookie_once_where_flask_is_told_so(make_site: MakeSite) -> None:
    site = make_site(SESSION_REFRESH_EACH_REQUEST=False)
    token = site.token(both(put(cart=1), make_permanent))

    assert site.ask(token, look).says_nothing
    assert site.ask(token, put(cart=2)).token == token


@pytest.mark.requirement("TO-10")
def test_only_a_permanent_session_has_a_cookie_that_outlives_the_browser(site: Site) -> None:
    """TO-10: its Max-Age is what is left until the absolute end."""
    plain = site.ask(None, put(cart=1)).response.headers["Set-Cookie"]
    answer = site.ask(None, both(put(cart=1), make_permanent))
    site.clock.tick(3600)
    later = site.ask(answer.token, look).response.headers["Set-Cookie"]

    assert "Max-Age" not in plain
    assert "Expires" not in plain
    assert "Max-Age=2592000" in answer.response.headers["Set-Cookie"]
    assert "Max-Age=2588400" in later


def test_a_session_that_is_no_longer_permanent_sends_a_cookie_that_ends_with_the_browser(site: Site) -> None:
    token = site.token(both(put(cart=1), make_permanent))

    answer = site.ask(token, lambda: setattr(session, "permanent", False))

    assert answer.token == token
    assert "Max-Age" not in answer.response.headers["Set-Cookie"]


@pytest.mark.requirement("CC-04")
def test_a_slow_read_of_a_permanent_session_does_not_put_the_old_token_back(site: Site) -> None:
    """CC-04."""
    old = site.token(both(put(cart=1), make_permanent))

    def slowly() -> None:
        look()
        site.clock.tick(1)
        site.token(login("ann"), old)

    assert site.ask(old, slowly).says_nothing


# Timeouts.


@pytest.mark.requirement("TO-01")
def test_the_idle_timeout_is_enforced_by_the_server(site: Site) -> None:
    """TO-01."""
    token = site.token(login("ann"))

    site.clock.tick(IDLE - 1)
    assert site.seen(token).user == "ann"
    site.clock.tick(IDLE)
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-02")
def test_the_absolute_timeout_is_never_extended(site: Site) -> None:
    """TO-02."""
    token = site.token(login("ann"))

    for minute in range(1, ABSOLUTE // 60):
        site.clock.tick(60)
        assert site.seen(token).user == "ann", minute
    site.clock.tick(59)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


def keep_alive(site: Site, token: str, seconds: int) -> None:
    for _ in range(seconds // 1200):
        site.clock.tick(1200)
        assert site.seen(token) != NOBODY


@pytest.mark.requirement("TO-03")
def test_a_renewal_keeps_the_clock(site: Site) -> None:
    """TO-03."""
    token = site.token(login("ann"))
    keep_alive(site, token, 11 * 3600)

    token = site.token(renew, token)

    site.clock.tick(1200)
    site.seen(token)
    site.clock.tick(1200)
    site.seen(token)
    site.clock.tick(1199)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-03")
def test_a_login_resets_the_clock(site: Site) -> None:
    """TO-03."""
    token = site.token(login("ann"))
    keep_alive(site, token, 11 * 3600)

    token = site.token(login("ann"), token)

    keep_alive(site, token, 12 * 3600 - 1200)
    site.clock.tick(1199)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


def test_a_write_keeps_the_absolute_end(site: Site) -> None:
    token = site.token(both(login("ann"), put(n=0)))

    for n in range(35):
        site.clock.tick(1200)
        site.ask(token, put(n=n + 1))
    site.clock.tick(1200)

    assert site.seen(token) == NOBODY


def test_a_session_that_becomes_permanent_lives_as_long_as_one(site: Site) -> None:
    token = site.token(login("ann"))

    site.ask(token, make_permanent)
    site.clock.tick(29 * 86_400)

    assert site.seen(token).user == "ann"
    site.clock.tick(86_400)
    assert site.seen(token) == NOBODY


def test_a_remembered_login_lives_as_long_as_a_permanent_one(site: Site) -> None:
    token = site.token(login("ann", remember=True))

    site.clock.tick(30 * 86_400 - 1)
    assert site.seen(token).user == "ann"
    site.clock.tick(1)
    assert site.seen(token) == NOBODY


def test_the_idle_limit_of_a_permanent_session_is_flasks(make_site: MakeSite) -> None:
    site = make_site(PERMANENT_SESSION_LIFETIME=600)
    token = site.token(login("ann", remember=True))

    site.clock.tick(599)
    assert site.seen(token).user == "ann"
    site.clock.tick(600)
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-04")
@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_throttled_touches_never_lengthen_the_idle_window(make_site: MakeSite) -> None:
    """TO-04: 1,000 random activity patterns. It is the pattern that matters here, and the stores keep the contract."""
    site = make_site(SESSIONKIT_IDLE_TIMEOUT=900, SESSIONKIT_TOUCH_INTERVAL=60)
    dice = random.Random(4)
    shortest = 900.0

    for _ in range(1000):
        token = site.token(put(n=1))
        last = site.clock.now()
        for _ in range(dice.randrange(8)):
            site.clock.tick(dice.choice([1, 30, 59, 60, 61, 300, dice.uniform(0, 830)]))
            assert site.seen(token) != NOBODY
            last = site.clock.now()
        probe = dice.uniform(830, 960)
        site.clock.tick(probe)
        if site.seen(token) == NOBODY:
            shortest = min(shortest, site.clock.now() - last)
        else:
            assert site.clock.now() < last + 900
            site.ask(token, wipe)
        site.purge()

    assert shortest > 900 - 60


@pytest.mark.requirement("TO-06")
def test_lowering_the_idle_timeout_applies_at_once(make_site: MakeSite) -> None:
    """TO-06."""
    token = make_site().token(login("ann"))
    lowered = make_site(SESSIONKIT_IDLE_TIMEOUT=300, SESSIONKIT_TOUCH_INTERVAL=30)

    lowered.clock.tick(300)

    assert lowered.ask(token, both(look, ended_because)).value == "idle"
    assert make_site().seen(token) == NOBODY


@pytest.mark.requirement("TO-06")
def test_a_lowered_idle_timeout_is_not_lengthened_by_who_dies_on_finding_out(make_site: MakeSite) -> None:
    """TO-06: the touch of a load comes before the verdict, and after it nobody may be there to end the session."""
    before = make_site()
    token = before.token(login("ann"))
    lowered = make_site(SESSIONKIT_IDLE_TIMEOUT=300, SESSIONKIT_TOUCH_INTERVAL=30)
    lowered.clock.tick(300)
    pausing(lowered).crash("replace")

    with pytest.raises(Crash):
        lowered.ask(token, look)

    assert before.ask(token, lambda: session.seen_at, path="/passive").value == START
    assert lowered.seen(token) == NOBODY


def test_a_permanent_session_is_touched_past_the_idle_timeout_of_others(make_site: MakeSite) -> None:
    """Its own limit is known only after the load: the touch is then a call of its own."""
    site = make_site(PERMANENT_SESSION_LIFETIME=7200)
    token = site.token(both(login("ann"), lambda: setattr(session, "permanent", True)))

    for _ in range(5):
        site.clock.tick(7000)
        assert site.seen(token).user == "ann"


@pytest.mark.requirement("TO-06")
def test_lowering_the_absolute_timeout_applies_at_once(make_site: MakeSite) -> None:
    """TO-06."""
    before = make_site()
    token = before.token(login("ann"))
    keep_alive(before, token, 7200)

    lowered = make_site(SESSIONKIT_ABSOLUTE_TIMEOUT=3600)

    assert lowered.ask(token, both(look, ended_because)).value == "absolute"
    assert before.seen(token) == NOBODY


def test_raising_a_timeout_does_not_lengthen_a_session_until_it_is_written(make_site: MakeSite) -> None:
    token = make_site().token(login("ann"))
    raised = make_site(SESSIONKIT_IDLE_TIMEOUT=3600)

    raised.clock.tick(1800)

    assert raised.seen(token) == NOBODY


@pytest.mark.requirement("TO-02")
def test_raising_the_absolute_timeout_does_not_lengthen_a_session_that_lives(make_site: MakeSite) -> None:
    """TO-02: also not where it is written under the new setting."""
    token = make_site(SESSIONKIT_ABSOLUTE_TIMEOUT=3600).token(both(login("ann"), put(n=0)))
    raised = make_site()

    for n in range(3):
        raised.clock.tick(1000)
        raised.ask(token, put(n=n))
    raised.clock.tick(600)

    assert raised.ask(token, both(look, ended_because)).value == "absolute"


def test_why_a_session_ended_is_told_for_a_minute_though_it_ended_long_ago(site: Site) -> None:
    """A purge leaves the word of it where it is."""
    token = site.token(login("ann"))
    site.clock.tick(7200)

    assert site.ask(token, both(look, ended_because)).value == "idle"
    assert site.purge() == 0
    site.clock.tick(59)
    assert site.ask(token, ended_because).value == "idle"


@pytest.mark.parametrize("leave", [*ELSEWHERE.values(), *KNOWN], ids=[*ELSEWHERE, "logout", "login", "renewal"])
def test_what_an_end_leaves_in_the_store_says_nothing_of_the_user(
    site: Site, leave: Callable[[Site, str], None]
) -> None:
    token = site.token(both(login("ann"), put(cart=1)))
    leave(site, token)
    site.seen(token)

    record = site.store.load(key_of(token, "flows"), now=site.clock.now())

    assert record is not None
    assert (record.owner, record.info) == (None, b"")
    assert b"ann" not in record.payload
    assert b"cart" not in record.payload


@pytest.mark.requirement("TO-07")
def test_the_stores_own_expiry_is_not_the_only_check(site: Site, store: PausingStore) -> None:
    """TO-07: who can write to the store lengthens the idle window at most, and never the absolute one."""
    token = site.token(login("ann"))
    key = key_of(token, "flows")
    record = store.inner.load(key, now=START)
    assert record is not None
    fields = (
        {name: getattr(record, name) for name in type(record).__dataclass_fields__}
        if hasattr(type(record), "__dataclass_fields__")
        else {name: getattr(record, name) for name in type(record).__struct_fields__}
    )  # type: ignore[attr-defined]
    store.inner.delete(key)
    store.inner.create(type(record)(**{**fields, "idle": 1e9, "absolute_at": START + 1e9}))

    site.clock.tick(IDLE)

    assert site.seen(token) == NOBODY


@pytest.mark.requirement("TO-08")
def test_an_expired_session_is_removed_when_met_and_stays_dead_though_the_clock_goes_back(site: Site) -> None:
    """TO-08."""
    token = site.token(login("ann"))
    site.clock.tick(IDLE)

    assert site.seen(token) == NOBODY
    assert site.live_records() == []
    site.clock.tick(-3600)
    assert site.seen(token) == NOBODY
    assert site.live_records() == []


@pytest.mark.requirement("TO-09")
@pytest.mark.parametrize(("ahead", "lives"), [(60, True), (61, False), (3600, False)])
def test_a_time_too_far_in_the_future_is_refused(site: Site, ahead: int, lives: bool) -> None:
    """TO-09."""
    token = site.token(login("ann"))
    site.clock.tick(-ahead)

    with site.events() as heard:
        assert (site.seen(token).user == "ann") is lives

    assert heard == ([] if lives else [("session_refused", {"reason": "future"})])


@pytest.mark.requirement("TO-11")
def test_a_sudo_needs_a_recent_login(site: Site) -> None:
    """TO-11."""
    token = site.token(login("ann"))
    sudo = fresh_login_required(still)

    for _ in range(14):
        site.clock.tick(60)
        site.seen(token)
    site.clock.tick(59)
    site.ask(token, sudo)
    site.clock.tick(1)

    site.ask(token, sudo, status=401, headers={"Accept": "application/json"})
    token = site.token(renew, token)
    site.ask(token, sudo, status=401, headers={"Accept": "application/json"})
    site.ask(site.token(login("ann"), token), sudo)


def test_a_remembered_user_is_not_fresh(site: Site) -> None:
    token = site.token(remembered("ann"))

    site.ask(token, fresh_login_required(still), status=401, headers={"Accept": "application/json"})
    site.ask(token, login_required(still))


@pytest.mark.requirement("TO-12")
def test_a_passive_view_does_not_count_as_activity(site: Site) -> None:
    """TO-12."""
    token = site.token(both(login("ann"), put(n=0)))

    for n in range(IDLE // 60 - 1):
        site.clock.tick(60)
        assert site.ask(token, put(n=n), path="/passive").status == 200
    assert site.ask(token, look, path="/passive").value.user == "ann"
    site.clock.tick(60)

    assert site.ask(token, look, path="/passive").value == NOBODY


@pytest.mark.requirement("TO-12")
def test_a_renewal_by_a_passive_view_does_not_count_as_activity(site: Site) -> None:
    """TO-12."""
    token = site.token(login("ann"))
    site.clock.tick(IDLE - 60)

    answer = site.ask(token, renew, path="/passive")
    site.clock.tick(60)

    assert site.seen(answer.token) == NOBODY


@pytest.mark.requirement("TO-12")
@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip", "prefetch , x"])
def test_what_a_browser_prefetches_does_not_count_as_activity(site: Site, purpose: str) -> None:
    """TO-12."""
    token = site.token(login("ann"))
    site.clock.tick(IDLE - 60)

    assert site.ask(token, look, method="GET", headers={"Sec-Purpose": purpose}).value.user == "ann"
    site.clock.tick(60)
    assert site.seen(token) == NOBODY


@pytest.mark.parametrize("purpose", ["", "PREFETCH", "prefetching", "prerender;prefetch", '"prefetch"', "x, prefetch"])
def test_a_request_of_another_purpose_counts_as_activity(site: Site, purpose: str) -> None:
    token = site.token(login("ann"))
    site.clock.tick(IDLE - 60)

    site.ask(token, look, method="GET", headers={"Sec-Purpose": purpose})
    site.clock.tick(60)

    assert site.seen(token).user == "ann"


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


# Concurrency, in words of the requirements.


@pytest.mark.requirement("CC-01", "CC-03")
@pytest.mark.parametrize("view", [look, put(late=1)], ids=["slow", "slowwrite"])
@pytest.mark.parametrize("end", [logout, logout_view(still), end_by_identity])
def test_a_logout_wins_against_a_request_in_flight(site: Site, view: View, end: View) -> None:
    """CC-01, CC-03."""
    token = site.token(identify("ann"))

    answer = meet(site, token, view, end)

    assert answer.says_nothing
    assert site.dead(token)
    assert site.live_records() == []


@pytest.mark.requirement("CC-02")
@pytest.mark.parametrize("leave", [*ELSEWHERE.values(), leave_by_renewal], ids=[*ELSEWHERE, "renewal"])
def test_an_end_of_any_kind_wins_against_a_request_in_flight(site: Site, leave: Callable[[Site, str], None]) -> None:
    """CC-02."""
    token = site.token(both(login("ann"), put(cart=1)))

    def slowly() -> None:
        look()
        leave(site, token)
        site.seen(token)
        session["late"] = 1

    assert site.ask(token, slowly).says_nothing
    assert site.dead(token)
    assert all("late" not in contents.data for contents in site.live_records())


@pytest.mark.requirement("CC-04")
@pytest.mark.parametrize("late", [look, put(late=1), wipe, logout, drop("cart")])
def test_a_late_response_does_not_touch_the_newer_cookie(site: Site, late: View) -> None:
    """CC-04."""
    old = site.token(put(cart=1))
    new: list[str] = []

    def slowly() -> None:
        look()
        new.append(site.token(login("ann"), old))
        late()

    assert site.ask(old, slowly).says_nothing
    assert site.seen(new[0]) == Seen("ann", {"cart": 1})


def test_a_renewal_that_meets_an_end_is_an_error(site: Site) -> None:
    token = site.token(login("ann"))

    def slowly() -> None:
        look()
        site.ask(token, logout)
        renew()

    assert site.ask(token, slowly, status=500).says_nothing
    assert site.live_records() == []


# Signals.


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


def test_a_dead_cookie_beside_a_live_one_changes_nothing(site: Site) -> None:
    dead, live = site.token(login("ann")), site.token(login("ann"))
    site.ask(dead, logout)
    both_cookies = {"Cookie": f"session={dead}; session={live}"}

    assert site.ask(None, look, headers=both_cookies).value.user == "ann"
    answer = site.ask(None, both(logout, lambda: flash("bye")), headers=both_cookies)

    assert site.dead(live)
    assert site.seen(answer.token) == Seen(None, {"_flashes": [("message", "bye")]})


def test_a_redirect_after_a_login_carries_the_cookie(site: Site) -> None:
    answer = site.ask(None, both(login("ann"), lambda: redirect("/")), status=302)

    assert site.seen(answer.token).user == "ann"


def test_an_atomic_conflict_names_what_to_do(site: Site) -> None:
    token = site.token(put(n=0))

    def view() -> None:
        look()
        site.ask(token, logout)
        with pytest.raises(SessionConflict, match="begin again"):
            session.atomic(lambda current: current.update(n=1))

    site.ask(token, view)
