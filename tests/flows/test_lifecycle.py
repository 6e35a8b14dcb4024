"""What a request does with its session, promise by promise. Ids are of ``docs/requirements.rst``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import abort, flash, session
from flow_ends import ELSEWHERE, START, leave_by_renewal
from flow_site import (
    NOBODY,
    Seen,
    Site,
    View,
    append,
    both,
    costs,
    drop,
    end_by_identity,
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

from flask_sessionkit import current_user_id, login_view, logout_view
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.testing import in_thread
from flask_sessionkit.tokens import key_of, new_token

MakeSite = Callable[..., Site]


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
