"""``session.atomic``: changes that are saved at once, on what is there, and that stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import session
from flow_site import NOBODY, Seen, Site, both, bump, drop, failing, login, logout, look, pausing, put, renew, wipe

from flask_sessionkit import SessionConflict, SessionKitError, logout_user
from flask_sessionkit.testing import in_thread


def test_it_returns_what_the_function_returns(site: Site) -> None:
    assert site.ask(None, lambda: session.atomic(lambda current: len(current))).value == 0


def test_it_saves_at_once(site: Site) -> None:
    token = site.token(put(n=41))

    other = site.ask(token, both(bump(), lambda: site.seen(token))).value

    assert other == Seen(None, {"n": 42})


def test_the_view_goes_on_with_what_was_saved(site: Site) -> None:
    token = site.token(put(n=41))

    assert site.ask(token, both(bump(), look)).value == Seen(None, {"n": 42})


def test_it_stays_though_the_request_fails(site: Site) -> None:
    token = site.token(put(n=41))

    site.ask(token, failing(put(lost=1), bump()), status=500)

    assert site.seen(token) == Seen(None, {"n": 42})


def test_it_saves_nothing_that_the_view_changed_before(site: Site) -> None:
    token = site.token(put(n=0, cart=["bread"]))

    def view() -> Seen:
        session["cart"].append("milk")
        session["mine"] = 1
        session.pop("gone", None)
        bump()()
        return site.seen(token)

    assert site.ask(token, view).value == Seen(None, {"n": 1, "cart": ["bread"]})
    assert site.seen(token) == Seen(None, {"n": 1, "cart": ["bread", "milk"], "mine": 1})


def test_the_function_sees_what_the_view_changed_before(site: Site) -> None:
    token = site.token(put(n=1, gone=1))

    view = both(put(n=10), drop("gone"), lambda: session.atomic(dict))

    assert site.ask(token, view).value == {"n": 10}


def test_what_the_function_makes_of_a_value_that_the_view_changed_is_what_is_kept(site: Site) -> None:
    token = site.token(put(n=1))

    assert site.ask(token, both(put(n=10), bump(), look)).value == Seen(None, {"n": 11})
    assert site.seen(token) == Seen(None, {"n": 11})


@pytest.mark.requirement("CC-05")
def test_it_runs_again_on_what_another_request_wrote(site: Site) -> None:
    """CC-05."""
    token = site.token(put(n=0))
    gap = pausing(site).pause_before("replace")

    slow = in_thread(site.ask, token, bump())
    with gap:
        assert site.ask(token, bump()).value == 1

    assert slow.result().value == 2
    assert site.seen(token) == Seen(None, {"n": 2})


def test_what_another_request_changed_meanwhile_is_seen_afterwards(site: Site) -> None:
    token = site.token(put(n=0, lang="en", theme="dark"))
    gap = pausing(site).pause_before("replace")

    slow = in_thread(site.ask, token, both(look, bump(), look))
    with gap:
        site.ask(token, both(put(lang="de"), drop("theme")))

    assert slow.result().value == Seen(None, {"n": 1, "lang": "de"})
    assert site.seen(token) == Seen(None, {"n": 1, "lang": "de"})


def test_a_pending_change_does_not_undo_what_came_between(site: Site) -> None:
    token = site.token(put(n=0, cart=[1], gone=1))
    gap = pausing(site).pause_before("replace")

    slow = in_thread(site.ask, token, both(lambda: session["cart"].append(2), put(mine=1), bump()))
    with gap:
        site.ask(token, both(drop("gone"), put(theirs=1)))
    slow.result()

    assert site.seen(token) == Seen(None, {"n": 1, "cart": [1, 2], "mine": 1, "theirs": 1})


def test_a_function_that_changes_nothing_writes_nothing(site: Site) -> None:
    token = site.token(put(n=1))
    pausing(site).reset()

    assert site.ask(token, lambda: session.atomic(lambda current: current["n"])).value == 1
    assert pausing(site).counts == {"load": 1}


def test_it_costs_one_write(site: Site) -> None:
    token = site.token(put(n=1))
    pausing(site).reset()

    site.ask(token, bump())

    assert pausing(site).counts == {"load": 1, "replace": 1}


def test_it_begins_a_session_and_sends_its_token_once(site: Site) -> None:
    pausing(site).reset()

    answer = site.ask(None, both(bump(), bump()))

    assert answer.value == 2
    assert site.seen(answer.token) == Seen(None, {"n": 2})
    assert pausing(site).counts["create"] == 1


def test_it_begins_a_session_also_where_the_request_fails(site: Site) -> None:
    answer = site.ask(None, failing(bump()), status=500)

    assert site.seen(answer.token) == Seen(None, {"n": 1})


def test_nested_changes_are_noticed(site: Site) -> None:
    token = site.token(put(cart={"bread": [1]}))

    site.ask(token, failing(lambda: session.atomic(lambda current: current["cart"]["bread"].append(2))), status=500)

    assert site.seen(token) == Seen(None, {"cart": {"bread": [1, 2]}})


def test_a_removal_in_the_function_is_saved(site: Site) -> None:
    token = site.token(put(coupon="10%", n=1))

    answer = site.ask(token, both(look, lambda: session.atomic(lambda current: current.pop("coupon")), look))

    assert answer.value == Seen(None, {"n": 1})
    assert site.seen(token) == Seen(None, {"n": 1})


def test_a_key_that_the_view_removed_and_the_function_set_is_there(site: Site) -> None:
    token = site.token(put(n=5, other=1))

    assert site.ask(token, both(drop("n"), bump(), look)).value == Seen(None, {"n": 1, "other": 1})
    assert site.seen(token) == Seen(None, {"n": 1, "other": 1})


def test_a_key_that_the_view_removed_before_stays_removed(site: Site) -> None:
    token = site.token(put(n=1, gone=1))

    assert site.ask(token, both(drop("gone"), bump(), look)).value == Seen(None, {"n": 2})
    assert site.seen(token) == Seen(None, {"n": 2})


def test_a_clear_before_it_takes_the_rest_and_leaves_what_it_saved(site: Site) -> None:
    token = site.token(put(n=5, other=1))

    assert site.ask(token, both(wipe, bump(), look)).value == Seen(None, {"n": 1})
    assert site.seen(token) == Seen(None, {"n": 1})


@pytest.mark.parametrize(
    "wish",
    [
        lambda current: current.regenerate(),
        lambda current: current.invalidate(),
        lambda current: current.end_at_close(),
        lambda current: current.atomic(len),
        lambda current: current.update(_user_id="bob"),
        lambda current: current.clear(),
    ],
    ids=["regenerate", "invalidate", "end_at_close", "atomic", "identity_key", "clear"],
)
def test_the_function_may_not_log_in_or_out_or_renew(site: Site, wish: Callable[[Any], object]) -> None:
    token = site.token(both(login("ann"), put(n=1)))

    def view() -> None:
        with pytest.raises(SessionKitError, match="may not log in, log out, renew or nest"):
            session.atomic(wish)

    assert site.ask(token, view).says_nothing
    assert site.seen(token) == Seen("ann", {"n": 1})


def test_the_end_of_the_login_by_an_identity_key_is_refused(site: Site) -> None:
    token = site.token(put(_user_id="ann"))

    def view() -> None:
        with pytest.raises(SessionKitError, match="may not log in"):
            session.atomic(lambda current: current.pop("_user_id"))

    site.ask(token, view)

    assert site.seen(token).user == "ann"


@pytest.mark.parametrize("end", [logout_user, lambda: session.invalidate()])
def test_after_the_end_it_is_an_error(site: Site, end: Callable[[], None]) -> None:
    token = site.token(login("ann"))

    def view() -> None:
        end()
        with pytest.raises(SessionConflict):
            bump()()

    site.ask(token, view)

    assert site.served() == []


def test_with_a_token_that_has_just_died_it_is_an_error(site: Site) -> None:
    token = site.token(login("ann"))
    site.ask(token, logout)

    def view() -> None:
        with pytest.raises(SessionConflict):
            bump()()

    assert site.ask(token, view).says_nothing
    assert site.live_records() == []


def test_a_login_afterwards_takes_what_it_saved_along(site: Site) -> None:
    old = site.token(put(n=1))

    new = site.token(both(bump(), login("ann")), old)

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"n": 2})


@pytest.mark.requirement("FX-04")
def test_a_login_of_another_user_inherits_nothing_that_was_only_looked_at(site: Site) -> None:
    """FX-04."""
    old = site.token(both(login("ann"), put(diary="ann's", n=1)))

    new = site.token(both(lambda: session["diary"], bump(), login("bob")), old)

    assert site.seen(new) == Seen("bob", {})


def test_a_renewal_afterwards_takes_what_it_saved_along(site: Site) -> None:
    old = site.token(put(n=1))

    new = site.token(both(renew, bump()), old)

    assert site.dead(old)
    assert site.seen(new) == Seen(None, {"n": 2})


def test_a_logout_afterwards_ends_what_it_saved(site: Site) -> None:
    token = site.token(login("ann"))

    assert site.ask(token, both(bump(), logout)).forgets
    assert site.seen(token) == NOBODY


def test_the_user_is_the_one_of_the_session(site: Site) -> None:
    token = site.token(login("ann"))

    assert site.ask(token, lambda: session.atomic(lambda current: current.user_id)).value == "ann"


def test_a_login_that_waits_for_the_close_is_not_lost(site: Site) -> None:
    old = site.token(put(n=1))

    new = site.token(both(login("ann"), bump()), old)

    assert site.seen(new) == Seen("ann", {"n": 2})


def test_an_error_of_the_function_saves_nothing(site: Site) -> None:
    token = site.token(put(n=1))

    def wrong(current: Any) -> None:
        current["n"] = 2
        raise LookupError("as the test wanted")

    def view() -> None:
        with pytest.raises(LookupError):
            session.atomic(wrong)

    site.ask(token, view)

    assert site.seen(token) == Seen(None, {"n": 1})


def test_an_atomic_conflict_names_what_to_do(site: Site) -> None:
    token = site.token(put(n=0))

    def view() -> None:
        look()
        site.ask(token, logout)
        with pytest.raises(SessionConflict, match="begin again"):
            session.atomic(lambda current: current.update(n=1))

    site.ask(token, view)
