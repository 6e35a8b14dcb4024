"""Two requests of one session that meet at a named call, and the same with a crash in place of the last step.

What is asserted at the end of each is what a browser is served that kept every token ever handed out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import session
from flow_site import (
    NOBODY,
    Answer,
    Seen,
    Site,
    View,
    append,
    both,
    bump,
    drop,
    end_by_identity,
    identify,
    login,
    logout,
    look,
    pausing,
    put,
    renew,
    stopped,
    wipe,
)
from flow_stores import keys_in

from flask_sessionkit import SessionConflict, logout_view
from flask_sessionkit.server_backend import ServerBackend
from flask_sessionkit.server_roster import ServerRoster
from flask_sessionkit.stores.base import Capability, Store, Touches
from flask_sessionkit.testing import Crash, FrozenClock, PausingStore, Running, in_thread
from flask_sessionkit.testing.interleaving import Call
from flask_sessionkit.tokens import key_of

ENDS: dict[str, View] = {
    "logout_user": logout,
    "logout_view": logout_view(lambda: None),
    "identity_key": end_by_identity,
}


def assert_crashed(running: Running[Answer]) -> None:
    with pytest.raises(Crash):
        running.result()


# 1. Logout loaded, renewal done, logout writes.


@pytest.mark.requirement("CC-01", "TR-01")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_1_a_logout_that_is_overtaken_by_a_renewal_ends_the_old_token_and_the_new(site: Site, end: View) -> None:
    """TR-01, CC-01."""
    old = site.token(both(put(cart="full"), identify("ann")))

    with stopped(site, old, end, "replace") as slow:
        new = site.token(renew, old)
    slow.result()

    assert site.dead(old)
    assert site.seen(new) == NOBODY
    assert all(seen.user is None for seen in site.served())


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_1_two_renewals_in_a_row_do_not_shake_a_logout_off(site: Site, end: View) -> None:
    old = site.token(identify("ann"))

    with stopped(site, old, end, "replace") as slow:
        newest = site.token(renew, site.token(renew, old))
    slow.result()

    assert site.dead(old, newest)
    assert all(seen.user is None for seen in site.served())


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_1_crash_a_logout_that_died_leaves_the_old_token_dead_and_one_live_session(site: Site, end: View) -> None:
    old = site.token(identify("ann"))

    with stopped(site, old, end, "replace") as slow:
        new = site.token(renew, old)
        pausing(site).crash("load")  # where the logout looks for the session that goes on
    assert_crashed(slow)

    assert site.dead(old)
    assert site.served() == [Seen("ann", site.seen(new).data)]
    assert len(site.live_records()) == 1


@pytest.mark.requirement("CC-04")
def test_1_the_late_answer_of_a_logout_does_not_wipe_a_newer_cookie(site: Site) -> None:
    """CC-04: another request of this browser logged out and in again, and was sent a newer cookie."""
    old = site.token(login("ann"))

    with stopped(site, old, logout, "replace") as slow:
        new = site.token(login("bob"), old)

    assert slow.result().says_nothing
    assert site.dead(old)
    assert site.seen(new).user == "bob"


def test_1_a_logout_of_a_session_that_was_ended_elsewhere_deletes_the_cookie(site: Site) -> None:
    token = site.token(login("ann"))

    with stopped(site, token, logout, "replace") as slow:
        assert site.outside(site.kit.revoke_user, "ann") == 1

    assert slow.result().forgets


# 2. A revocation that lists while a session is renewed behind its cursor.


def roster(site: Site, ended: list[str | None]) -> ServerRoster:
    return ServerRoster(site.backend, site.clock, lambda _, user: ended.append(user), has_stamp=True, page=1)


@pytest.mark.requirement("CC-02", "TR-03")
def test_2_a_renewal_behind_the_cursor_does_not_escape_a_revocation(site: Site) -> None:
    """TR-03, CC-02."""
    tokens = [site.token(login("ann")) for _ in range(4)]
    cursor = sorted(keys_in(site.store))[1]
    ended: list[str | None] = []
    gap = pausing(site).pause_before("list_owner", nth=3)  # two pages are read and ended

    running = in_thread(roster(site, ended).revoke_user, "ann")
    with gap:
        for token in [token for token in tokens if site.seen(token) != NOBODY]:
            while key_of(token, "flows") > cursor:
                token = site.token(renew, token)  # until chance puts it behind
    count = running.result()

    assert count == 4
    assert ended == ["ann"] * 4
    assert site.served() == []
    assert site.live_records() == []


def test_2_a_login_after_the_call_is_not_chased(site: Site) -> None:
    """Else a user who keeps logging in would keep the revocation running."""
    old = site.token(login("ann"))
    gap = pausing(site).pause_before("list_owner", nth=3)  # the first pass is over

    running = in_thread(roster(site, []).revoke_user, "ann")
    with gap:
        site.clock.tick(1)
        new = site.token(login("ann"))

    assert running.result() == 1
    assert site.dead(old)
    assert site.seen(new).user == "ann"


def test_2_a_renewal_that_was_under_way_fails_and_leaves_no_record(site: Site) -> None:
    token = site.token(login("ann"))

    with stopped(site, token, renew, "replace", status=500):
        assert site.outside(site.kit.revoke_user, "ann") == 1

    assert site.served() == []


def test_2_crash_a_revocation_that_died_has_ended_what_it_counted(site: Site) -> None:
    tokens = [site.token(login("ann")) for _ in range(3)]
    ended: list[str | None] = []
    pausing(site).crash("replace", nth=2)

    with pytest.raises(Crash):
        roster(site, ended).revoke_user("ann")

    assert len(ended) == 1
    assert len(site.served()) == 2
    assert roster(site, ended).revoke_user("ann") == 2
    assert site.dead(*tokens)


# 3. A login swaps what another request has just written to.


def test_3_what_was_written_during_a_login_is_in_the_new_session(site: Site) -> None:
    old = site.token(put(cart=["bread"]))

    with stopped(site, old, login("ann"), "replace") as slow:
        site.ask(old, both(append("cart", "milk"), put(seen=True)))
    new = slow.result().token

    assert site.dead(old)
    assert site.seen(new) == Seen("ann", {"cart": ["bread", "milk"], "seen": True})
    assert len(site.live_records()) == 1


def test_3_what_was_removed_during_a_login_does_not_come_back(site: Site) -> None:
    old = site.token(put(coupon="10%", cart=1))

    with stopped(site, old, login("ann"), "replace") as slow:
        site.ask(old, drop("coupon"))

    assert site.seen(slow.result().token) == Seen("ann", {"cart": 1})


def test_3_a_key_that_both_changed_is_the_logins_and_is_told(site: Site) -> None:
    old = site.token(put(lang="en"))

    with site.events() as heard:
        with stopped(site, old, both(login("ann"), put(lang="fr")), "replace") as slow:
            site.ask(old, put(lang="de"))
        new = slow.result().token

    assert site.seen(new) == Seen("ann", {"lang": "fr"})
    assert ("session_conflict", {"keys": ["lang"]}) in heard


def test_3_a_login_follows_a_renewal(site: Site) -> None:
    old = site.token(put(cart=1))

    with stopped(site, old, login("ann"), "replace") as slow:
        between = site.token(renew, old)
        site.ask(between, put(more=2))
    new = slow.result().token

    assert site.dead(old, between)
    assert site.served() == [Seen("ann", {"cart": 1, "more": 2})]
    assert site.seen(new) == Seen("ann", {"cart": 1, "more": 2})
    assert len(site.live_records()) == 1


def test_3_of_two_logins_at_once_both_are_carried_out_and_one_has_the_data(site: Site) -> None:
    old = site.token(put(cart=1))

    with stopped(site, old, login("ann"), "replace") as slow:
        first = site.token(login("bob"), old)
    second = slow.result().token

    assert site.dead(old)
    assert site.seen(first) == Seen("bob", {"cart": 1})
    assert site.seen(second) == Seen("ann", {})
    assert len(site.live_records()) == 2


@pytest.mark.requirement("FX-04")
def test_3_another_users_data_does_not_come_by_a_write_during_a_login(site: Site) -> None:
    """FX-04."""
    old = site.token(both(login("ann"), put(secret="ann's")))

    with stopped(site, old, login("bob"), "replace") as slow:
        site.ask(old, put(diary="ann's"))

    assert site.seen(slow.result().token) == Seen("bob", {})


def test_3_a_login_is_carried_out_without_the_data_of_a_session_that_was_ended(site: Site) -> None:
    old = site.token(put(cart=1))

    with stopped(site, old, both(login("ann"), put(own=2)), "replace") as slow:
        site.ask(old, wipe)

    assert site.seen(slow.result().token) == Seen("ann", {"own": 2})


def test_3_remembered_users_of_one_browser_that_return_at_once_meet_no_error(site: Site) -> None:
    """A page and its parts, each sent with the same old session and a remember cookie."""
    old = site.token(put(cart=1))
    remembered = put(_user_id="ann", _fresh=False)

    with stopped(site, old, remembered, "replace") as slow:
        new = site.token(remembered, old)

    assert slow.result().says_nothing
    assert site.seen(new).user == "ann"
    assert len(site.live_records()) == 1


@pytest.mark.parametrize("written_between", [False, True])
def test_3_crash_a_login_that_died_leaves_the_anonymous_session(site: Site, written_between: bool) -> None:
    old = site.token(put(cart=1))

    if not written_between:
        pausing(site).crash("replace")
        with pytest.raises(Crash):
            site.ask(old, login("ann"))
    else:
        with stopped(site, old, login("ann"), "replace") as slow:
            site.ask(old, put(more=2))
            pausing(site).crash("replace", nth=2)  # its second swap; the first is a conflict, then it merges
        assert_crashed(slow)

    assert [seen.user for seen in site.served()] == [None]


def test_3_crash_just_after_the_swap_nobody_is_signed_in(site: Site) -> None:
    old = site.token(put(cart=1))
    pausing(site).crash("replace", before=False)

    with pytest.raises(Crash):
        site.ask(old, login("ann"))

    assert site.dead(old)
    assert site.served() == []


# 4. A slow change, and what ends or removes meanwhile.


def test_4_a_key_that_was_removed_meanwhile_stays_gone(site: Site) -> None:
    token = site.token(put(cart=["bread"], lang="en"))

    with stopped(site, token, append("cart", "milk"), "replace"):
        site.ask(token, drop("cart"))

    assert site.seen(token) == Seen(None, {"lang": "en"})


def test_4_what_was_cleared_meanwhile_stays_gone(site: Site) -> None:
    token = site.token(put(cart=["bread"]))

    with stopped(site, token, append("cart", "milk"), "replace") as slow:
        site.ask(token, both(wipe, put(other=1)))

    assert slow.result().says_nothing
    assert site.seen(token) == Seen(None, {"other": 1})


def test_4_a_slow_clear_takes_what_was_written_meanwhile_with_it(site: Site) -> None:
    token = site.token(put(cart=1))

    with stopped(site, token, both(wipe, put(kept=2)), "replace"):
        site.ask(token, put(meanwhile=3))

    assert site.seen(token) == Seen(None, {"kept": 2})


def test_4_a_slow_removal_takes_a_change_of_that_key_with_it_and_no_other(site: Site) -> None:
    token = site.token(put(cart=[1], lang="en"))

    with stopped(site, token, drop("cart"), "replace"):
        site.ask(token, both(append("cart", 2), put(lang="de")))

    assert site.seen(token) == Seen(None, {"lang": "de"})


def test_4_a_session_that_was_emptied_meanwhile_is_not_filled_again_by_a_change_of_what_is_gone(site: Site) -> None:
    token = site.token(put(cart=["bread"]))

    with stopped(site, token, append("cart", "milk"), "replace") as slow:
        assert site.ask(token, drop("cart")).forgets

    assert slow.result().says_nothing
    assert site.served() == []


def revoke(site: Site, token: str) -> None:
    assert site.outside(site.kit.revoke_user, "ann") == 1


def idle_out(site: Site, token: str) -> None:
    site.clock.tick(1800)
    assert site.seen(token) == NOBODY


def purge(site: Site, token: str) -> None:
    site.clock.tick(1800 + 121)
    assert site.purge() == 1


def log_out(site: Site, token: str) -> None:
    site.ask(token, logout)


def log_in_again(site: Site, token: str) -> None:
    site.token(login("ann"), token)


EVENTS = [log_out, log_in_again, revoke, idle_out, purge]
LATE: dict[str, View] = {
    "nested": append("cart", "milk"),
    "new_key": put(late=1),
    "clear": both(wipe, put(late=1)),
    "forced": lambda: setattr(session, "modified", True),
}


@pytest.mark.requirement("CC-01", "CC-02", "CC-03")
@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("event", EVENTS)
def test_4_a_slow_change_brings_nothing_back(site: Site, event: Callable[[Site, str], None], late: View) -> None:
    """CC-01, CC-02, CC-03: after logout, login, revocation, idle end and purge."""
    token = site.token(both(login("ann"), put(cart=["bread"])))

    with stopped(site, token, late, "replace") as slow:
        event(site, token)

    if slow.result().token is not None:  # only of a session with nothing of the old one in it
        assert slow.result().token != token
    assert site.dead(token)
    assert all("late" not in (seen.data or {}) for seen in site.served())
    assert [seen.user for seen in site.served()] == (["ann"] if event is log_in_again else [])


@pytest.mark.parametrize("late", [*LATE.values(), bump(), renew], ids=[*LATE, "atomic", "renew"])
def test_4_a_slow_change_does_not_revive_what_idled_out_unnoticed(site: Site, late: View) -> None:
    token = site.token(both(login("ann"), put(cart=["bread"])))

    def slowly() -> None:
        look()
        site.clock.tick(1800)
        try:
            late()
        except SessionConflict:
            assert late is not renew

    answer = site.ask(token, slowly, status=500 if late is renew else 200)

    assert answer.says_nothing
    assert site.served() == []
    assert site.live_records() == []


@pytest.mark.parametrize("event", EVENTS)
def test_4_an_atomic_change_of_a_session_that_ended_is_an_error(site: Site, event: Callable[[Site, str], None]) -> None:
    token = site.token(login("ann"))

    def count() -> str:
        with pytest.raises(SessionConflict):
            bump()()
        return "told"

    with stopped(site, token, count, "replace") as slow:
        event(site, token)

    assert slow.result().value == "told"
    assert site.dead(token)


@pytest.mark.parametrize("event", EVENTS)
def test_4_crash_an_end_whose_slow_writer_died_stays(site: Site, event: Callable[[Site, str], None]) -> None:
    token = site.token(both(login("ann"), put(cart=["bread"])))
    gap = pausing(site).pause_before("replace")
    pausing(site).crash("replace")

    slow = in_thread(site.ask, token, append("cart", "milk"))
    with gap:
        event(site, token)
    assert_crashed(slow)

    assert site.dead(token)


def test_4_crash_a_logout_that_died_before_its_swap_changes_nothing(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))
    pausing(site).crash("replace")

    with pytest.raises(Crash):
        site.ask(token, logout)

    assert site.seen(token) == Seen("ann", {"cart": 1})


def test_4_crash_a_logout_that_died_after_its_swap_has_happened(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=1)))
    pausing(site).crash("replace", before=False)

    with pytest.raises(Crash):
        site.ask(token, logout)

    assert site.served() == []
    assert site.live_records() == []


def test_4_crash_an_identity_key_that_was_removed_ends_the_login_before_anything_new_is_made(site: Site) -> None:
    token = site.token(both(identify("ann"), put(cart=1)))
    pausing(site).crash("create")

    with pytest.raises(Crash):
        site.ask(token, end_by_identity)

    assert site.served() == []


# 5. Each write is carried out, its answer is lost, and the store repeats it.


class Repeating:
    """A store behind a line that loses answers: each write is sent twice, and only the second answer arrives."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)
        if name not in ("create", "replace"):
            return call

        def twice(*args: Any, **kwargs: Any) -> Any:
            call(*args, **kwargs)
            return call(*args, **kwargs)

        return twice


@pytest.fixture
def repeating(make_site: Callable[..., Site], store: PausingStore) -> Site:
    return make_site(store=Repeating(store))


def test_5_a_repeated_create_is_one_session(repeating: Site) -> None:
    token = repeating.token(put(cart=1))

    assert repeating.seen(token) == Seen(None, {"cart": 1})
    assert len(keys_in(repeating.store)) == 1


def test_5_a_repeated_save_is_one_change(repeating: Site) -> None:
    token = repeating.token(put(cart=[1]))

    with repeating.events() as heard:
        assert repeating.ask(token, append("cart", 2)).status == 200

    assert repeating.seen(token) == Seen(None, {"cart": [1, 2]})
    assert heard == []


def test_5_a_repeated_atomic_adds_one(repeating: Site) -> None:
    token = repeating.token(put(n=0))

    assert repeating.ask(token, bump()).value == 1
    assert repeating.ask(token, bump()).value == 2
    assert repeating.seen(token) == Seen(None, {"n": 2})


def test_5_a_repeated_renewal_leaves_one_live_session(repeating: Site) -> None:
    old = repeating.token(put(cart=1))

    new = repeating.token(renew, old)

    assert repeating.dead(old)
    assert repeating.seen(new) == Seen(None, {"cart": 1})
    assert len(repeating.live_records()) == 1


def test_5_a_repeated_login_leaves_one_live_session(repeating: Site) -> None:
    old = repeating.token(put(cart=1))

    new = repeating.token(login("ann"), old)

    assert repeating.dead(old)
    assert repeating.seen(new) == Seen("ann", {"cart": 1})
    assert len(repeating.live_records()) == 1


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_5_a_repeated_end_is_told_once(repeating: Site, end: View) -> None:
    token = repeating.token(identify("ann"))

    with repeating.events() as heard:
        assert repeating.ask(token, end).forgets

    assert heard == [("session_ended", {"reason": "logout", "user_id": "ann"})]
    assert repeating.served() == []


@pytest.mark.parametrize("call", ["create", "replace"])
def test_5_crash_a_renewal_whose_answer_was_lost_leaves_no_token_but_the_old(site: Site, call: Call) -> None:
    """Carried out, the answer lost, and not repeated: an error, and at most the session of before."""
    old = site.token(put(cart=1))
    pausing(site).fail(call, before=False)

    assert site.ask(old, renew, status=503).says_nothing

    assert site.served() == ([Seen(None, {"cart": 1})] if call == "create" else [])


# 6. A renewal whose swap conflicts.


def test_6_a_write_during_a_renewal_is_in_the_new_session(site: Site) -> None:
    old = site.token(put(cart=[1]))

    with stopped(site, old, both(renew, put(mine=1)), "replace") as slow:
        site.ask(old, both(append("cart", 2), put(theirs=2)))
    new = slow.result().token

    assert site.dead(old)
    assert site.seen(new) == Seen(None, {"cart": [1, 2], "mine": 1, "theirs": 2})
    assert len(site.live_records()) == 1


class Busy:
    """A store on which another writer is always quicker: before each swap of a session's record it changes that."""

    def __init__(self, inner: Store, write: Callable[[], None]) -> None:
        self.inner = inner
        self.write = write
        self.is_busy = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def replace(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_busy:
            self.is_busy = False
            self.write()
            self.is_busy = True
        return self.inner.replace(*args, **kwargs)


@pytest.fixture
def busy(make_site: Callable[..., Site], store: PausingStore) -> Site:
    return make_site(store=Busy(store, lambda: None))


def hammer(site: Site, token: str) -> None:
    assert isinstance(site.store, Busy)
    site.store.write = lambda: site.ask(token, lambda: session.update(hits=session.get("hits", 0) + 1)) and None
    site.store.is_busy = True


@pytest.mark.parametrize("view", [renew, login("ann"), put(mine=1), bump()], ids=["renew", "login", "put", "atomic"])
def test_6_a_writer_in_a_loop_is_an_error_within_a_second_and_leaves_no_orphan(busy: Site, view: View) -> None:
    token = busy.token(put(cart=1))
    hammer(busy, token)
    before = busy.clock.elapsed()

    answer = busy.ask(token, view, status=500)

    busy.store.is_busy = False  # type: ignore[attr-defined]  # it is a Busy
    assert answer.says_nothing
    assert 1.0 <= busy.clock.elapsed() - before <= 1.1
    assert [(seen.user, seen.data["cart"]) for seen in busy.served()] == [(None, 1)]  # type: ignore[index]
    assert len(busy.live_records()) == 1


@pytest.mark.requirement("CC-01")
@pytest.mark.parametrize("end", [logout, logout_view(lambda: None)], ids=["logout_user", "logout_view"])
def test_6_a_writer_in_a_loop_does_not_keep_a_logout_from_ending_the_session(busy: Site, end: View) -> None:
    """CC-01. What is left says why, so that the writer's next request starts nothing in place of it."""
    token = busy.token(login("ann"))
    hammer(busy, token)

    answer = busy.ask(token, end)

    busy.store.is_busy = False  # type: ignore[attr-defined]  # it is a Busy
    assert answer.forgets
    assert busy.live_records() == []
    assert busy.ask(token, lambda: session.ended_because).value == "logout"
    assert busy.ask(token, put(late=1)).says_nothing


def test_6_the_budget_counts_the_waits_and_not_the_view(site: Site) -> None:
    """A slow view that met one conflict early has its second of patience left at the end."""
    token = site.token(put(n=0))

    def slowly() -> None:
        bump()()
        site.clock.tick(5)
        session["mine"] = 1

    first = pausing(site).pause_before("replace")  # the atomic change
    slow = in_thread(site.ask, token, slowly)
    with first:
        site.ask(token, put(theirs=1))
        second = pausing(site).pause_before("replace", nth=2)  # after its repetition: the save at the close
    with second:
        site.ask(token, put(theirs=2))
    slow.result()

    assert site.seen(token) == Seen(None, {"n": 1, "mine": 1, "theirs": 2})


@pytest.mark.requirement("CC-04")
def test_6_a_renewal_that_lost_against_another_is_an_error_and_sends_no_dead_token(site: Site) -> None:
    """CC-04: also where the session is permanent, so that each answer would send its cookie again."""
    old = site.token(both(put(cart=1), lambda: setattr(session, "permanent", True)))

    with stopped(site, old, renew, "replace", status=500) as slow:
        new = site.token(renew, old)

    assert slow.result().says_nothing
    assert site.dead(old)
    assert site.seen(new) == Seen(None, {"_permanent": True, "cart": 1})
    assert len(site.live_records()) == 1


@pytest.mark.parametrize("call", ["create", "replace"])
def test_6_crash_a_renewal_that_died_leaves_the_old_session(site: Site, call: Call) -> None:
    old = site.token(put(cart=1))
    pausing(site).crash(call)

    with pytest.raises(Crash):
        site.ask(old, renew)

    assert site.served() == [Seen(None, {"cart": 1})]


def test_6_crash_a_renewal_that_died_after_a_conflict_leaves_the_old_session_with_what_was_written(site: Site) -> None:
    old = site.token(put(cart=1))

    with stopped(site, old, renew, "replace") as slow:
        site.ask(old, put(theirs=2))
        pausing(site).crash("replace", nth=2)
    assert_crashed(slow)

    assert site.served() == [Seen(None, {"cart": 1, "theirs": 2})]


# 8. A due touch that is stopped between its read and its write.


def touch_stopped(site: Site, token: str) -> Any:
    """Stop a look at the session where it has read, and is about to note that it was seen.

    Where both are one step of the server's, nothing comes between: there it stops with both done.
    """
    site.clock.tick(120)
    return stopped(site, token, look, **touch_call(site))


def touch_call(site: Site) -> Any:
    """Return which call of a request is the touch."""
    if Capability.TOUCH_ON_LOAD in site.store.capabilities:
        return {"at": "load", "after": True}
    return {"at": "touch"} if isinstance(site.store, Touches) else {"at": "load", "nth": 2}


def test_8_a_touch_does_not_undo_a_change(site: Site) -> None:
    token = site.token(put(cart=[1]))

    with touch_stopped(site, token) as slow:
        site.ask(token, append("cart", 2))

    assert slow.result().value == Seen(None, {"cart": [1]})
    assert site.seen(token) == Seen(None, {"cart": [1, 2]})


def test_8_a_change_from_before_a_touch_does_not_undo_it(site: Site) -> None:
    token = site.token(both(login("ann"), put(cart=[1])))
    site.clock.tick(120)
    gap = pausing(site).pause_before("replace")

    slow = in_thread(site.ask, token, append("cart", 2), path="/passive")
    with gap:
        site.clock.tick(300)
        site.ask(token, look)
    slow.result()

    assert site.ask(token, lambda: session.seen_at).value == 1_700_000_420.0
    assert site.seen(token).data == {"cart": [1, 2]}


@pytest.mark.parametrize("event", [log_out, revoke, log_in_again])
def test_8_a_touch_makes_nothing_of_a_session_that_ended(site: Site, event: Callable[[Site, str], None]) -> None:
    token = site.token(login("ann"))

    with touch_stopped(site, token):
        event(site, token)

    assert site.dead(token)
    assert len(site.live_records()) == (event is log_in_again)


def test_8_a_touch_does_not_lengthen_the_life_of_a_tombstone(site: Site) -> None:
    token = site.token(login("ann"))

    with touch_stopped(site, token):
        site.ask(token, logout)
    site.clock.tick(60 + 121)

    assert site.purge() == 1
    assert keys_in(site.store) == []


def test_8_a_touch_that_a_rotation_overtakes_makes_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site(SESSIONKIT_ROTATE_EVERY=60)
    token = site.token(login("ann"))

    with touch_stopped(site, token) as slow:
        new = site.token(look, token)

    assert slow.result().says_nothing
    assert site.seen(new).user == "ann"
    assert len(site.live_records()) == 1


def test_8_a_touch_makes_nothing_of_what_was_purged(site: Site, make_site: Callable[..., Site]) -> None:
    token = site.token(login("ann"))

    site.clock.tick(120)
    with stopped(site, token, look, **{**touch_call(site), "after": False}):
        site.clock.tick(1801)
        assert site.purge() == 1

    assert keys_in(site.store) == []
    assert site.dead(token)


@pytest.mark.requirement("CC-07")
def test_8_a_purge_does_not_take_what_is_touched(site: Site) -> None:
    """CC-07."""
    token = site.token(login("ann"))

    site.clock.tick(1799)
    with stopped(site, token, look, **touch_call(site)):
        assert site.purge() == 0
    site.clock.tick(1799)

    assert site.seen(token).user == "ann"


def test_8_crash_a_touch_that_died_changes_nothing(site: Site) -> None:
    token = site.token(put(cart=1))
    site.clock.tick(120)
    touch = touch_call(site)
    pausing(site).crash(touch["at"], nth=touch.get("nth", 1))

    with pytest.raises(Crash):
        site.ask(token, look)

    assert site.ask(token, lambda: session.seen_at, path="/passive").value == 1_700_000_000.0
    assert site.seen(token) == Seen(None, {"cart": 1})


@pytest.mark.parametrize("behind", [30, 300])
@pytest.mark.parametrize("path", ["/do", "/passive"])
def test_1_a_logout_that_is_overtaken_on_a_server_whose_clock_is_behind_ends_both(
    site: Site, make_site: Callable[..., Site], behind: int, path: str
) -> None:
    """The tombstone of the renewal has ended by our clock before it was written."""
    other = make_site(clock=FrozenClock(site.clock.now()))
    token = site.token(login("ann"))
    site.clock.tick(900)
    other.clock.tick(900 - behind)
    site.ask(token, look)

    with stopped(site, token, logout, "replace") as slow:
        renewed = other.ask(token, renew, path=path).token

    assert slow.result().status == 200
    assert renewed is not None
    assert site.dead(token, renewed)
    assert other.dead(token, renewed)


@pytest.fixture
def ahead(make_site: Callable[..., Site]) -> Site:
    """A second server on the same store, whose clock is 5 minutes ahead."""
    return make_site(clock=FrozenClock(1_700_000_300.0))


def test_8_clocks_apart_a_session_that_both_use_lives(site: Site, ahead: Site) -> None:
    token = site.token(both(login("ann"), put(n=0)))

    for _ in range(20):
        site.clock.tick(600)
        ahead.clock.tick(600)
        assert ahead.ask(token, look).value.user == "ann"
        assert site.ask(token, bump()).status == 200

    assert site.seen(token) == Seen("ann", {"n": 20})


def test_8_clocks_apart_nothing_lengthens_the_absolute_end(site: Site, ahead: Site) -> None:
    token = site.token(login("ann"))

    for _ in range(71):
        site.clock.tick(600)
        ahead.clock.tick(600)
        assert ahead.seen(token).user == ("ann" if ahead.clock.now() < 1_700_000_000 + 43_200 else None)
        site.seen(token)
    site.clock.tick(600)

    assert site.dead(token)


def test_8_clocks_apart_a_session_that_one_buried_is_dead_for_both(site: Site, ahead: Site) -> None:
    token = site.token(login("ann"))
    site.clock.tick(1500)
    ahead.clock.tick(1500)

    assert ahead.seen(token) == NOBODY
    assert site.seen(token) == NOBODY


def test_8_clocks_apart_a_touch_between_read_and_write_does_not_undo_the_others_end(site: Site, ahead: Site) -> None:
    token = site.token(login("ann"))

    with touch_stopped(site, token):
        ahead.ask(token, logout)

    assert site.dead(token)
    assert ahead.dead(token)


@pytest.mark.requirement("LG-02")
def test_8_two_requests_that_meet_the_same_end_tell_it_once(site: Site) -> None:
    """LG-02: a page and its parts, all sent by a browser that was away."""
    token = site.token(login("ann"))
    site.clock.tick(1800)

    with site.events() as heard:
        gap = pausing(site).pause_after("load")
        slow = in_thread(site.ask, token, look)
        with gap:
            assert site.seen(token) == NOBODY
        assert slow.result().value == NOBODY

    assert heard == [("session_ended", {"reason": "idle", "user_id": "ann"})]
    assert site.ask(token, lambda: session.ended_because).value == "idle"


# 10. Two servers in the middle of a change of secrets, one with only the new one and one with only the old.


OLD, NEW = "the old secret of two servers", "the new secret of two servers"


@pytest.fixture
def older(make_site: Callable[..., Site]) -> Site:
    return make_site(SECRET_KEY=OLD)


@pytest.fixture
def newer(make_site: Callable[..., Site]) -> Site:
    return make_site(SECRET_KEY=NEW)


@pytest.fixture
def careless(make_site: Callable[..., Site]) -> Site:
    """A third server that opens both and seals with the new one, which the older does not know yet."""
    return make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])


def test_10_a_save_that_meets_an_unreadable_record_leaves_it_as_it_is(older: Site, careless: Site) -> None:
    token = older.token(put(cart=[1]))

    with stopped(older, token, append("cart", 2), "replace") as slow:
        careless.ask(token, put(theirs=1))

    assert slow.result().says_nothing
    assert careless.seen(token) == Seen(None, {"cart": [1], "theirs": 1})


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_10_a_logout_that_meets_an_unreadable_record_ends_it(older: Site, careless: Site, end: View) -> None:
    token = older.token(identify("ann"))

    with older.events() as heard, stopped(older, token, end, "replace") as slow:
        careless.ask(token, put(theirs=1))
        del heard[:]
    slow.result()

    assert careless.dead(token)
    assert older.dead(token)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_10_the_end_of_an_unreadable_record_is_told(older: Site, careless: Site, end: View) -> None:
    token = older.token(identify("ann"))

    with older.events() as heard:
        with stopped(older, token, end, "replace") as slow:
            careless.ask(token, put(theirs=1))
        slow.result()

    assert heard == [("session_ended", {"reason": "logout", "user_id": "ann"})]


def test_10_a_logout_of_a_session_that_cannot_be_read_at_all_ends_it(older: Site, newer: Site) -> None:
    """An end needs no valid seal."""
    token = older.token(login("ann"))

    assert newer.seen(token) == NOBODY
    assert newer.ask(token, logout).forgets

    assert older.dead(token)


@pytest.mark.requirement("IN-06", "KE-05")
def test_10_a_look_leaves_an_unreadable_record_where_it_is(older: Site, newer: Site) -> None:
    """IN-06, KE-05: the key may come back as a fallback."""
    token = older.token(put(cart=1))

    assert newer.ask(token, look).says_nothing

    assert older.seen(token) == Seen(None, {"cart": 1})


def test_10_a_merge_of_a_login_that_meets_an_unreadable_record_goes_on_without_it(older: Site, careless: Site) -> None:
    old = older.token(put(cart=1))

    with stopped(older, old, login("ann"), "replace") as slow:
        careless.ask(old, put(theirs=1))
    new = slow.result().token

    assert older.seen(new) == Seen("ann", {})
    assert careless.dead(old)


def test_10_a_renewal_that_meets_an_unreadable_record_is_an_error_and_leaves_nothing(
    older: Site, careless: Site
) -> None:
    old = older.token(put(cart=1))

    with stopped(older, old, renew, "replace", status=500) as slow:
        careless.ask(old, put(theirs=1))

    assert slow.result().says_nothing
    assert older.live_records() == []
    assert careless.dead(old)


def test_10_a_revocation_ends_what_the_other_server_sealed(older: Site, careless: Site) -> None:
    token = older.token(login("ann"))
    careless.ask(token, put(theirs=1))

    assert careless.outside(careless.kit.revoke_user, "ann") == 1
    assert careless.dead(token)


def test_10_crash_a_logout_that_died_over_an_unreadable_record_is_safe(older: Site, careless: Site) -> None:
    token = older.token(login("ann"))

    with stopped(older, token, logout, "replace") as slow:
        careless.ask(token, put(theirs=1))
        pausing(older).crash("replace")
    assert_crashed(slow)

    assert older.dead(token)
    assert careless.seen(token).user == "ann"  # the logout did not happen, and the user was told nothing else


def put_back(backend: ServerBackend, store: Store, key: str, site: Site) -> Callable[[], None]:
    """Return what writes a session's record back as it is now, as who can write to the store might."""
    record = store.load(key, now=site.clock.now())
    assert record is not None

    def write() -> None:
        store.delete(key)
        assert store.create(record)

    return write


def test_10_old_bytes_put_back_over_a_tombstone_live_again_until_the_absolute_end(site: Site) -> None:
    """The documented limit: a seal proves origin, not age (docs, "Security": what a seal cannot do)."""
    token = site.token(login("ann"))
    [key] = keys_in(site.store)
    replay = put_back(site.backend, site.store, key, site)
    site.ask(token, logout)
    assert site.dead(token)

    replay()

    assert site.seen(token) == Seen("ann", {})
    site.clock.tick(43_200)
    assert site.dead(token)


def test_10_old_bytes_put_back_are_dead_where_the_user_stamp_changed(site: Site) -> None:
    stamps = {"ann": "first password"}
    site.kit.user_stamp(stamps.get)
    token = site.token(login("ann"))
    [key] = keys_in(site.store)
    replay = put_back(site.backend, site.store, key, site)
    site.ask(token, logout)

    stamps["ann"] = "second password"
    replay()

    assert site.dead(token)
    assert site.live_records() == []


@pytest.mark.requirement("ST-01")
def test_10_old_bytes_are_dead_under_another_key(site: Site) -> None:
    """ST-01."""
    ann, bob = site.token(login("ann")), site.token(login("bob"))
    keys = keys_in(site.store)
    records = [site.store.load(key, now=site.clock.now()) for key in keys]
    for key, record in zip(keys, reversed(records), strict=True):
        assert record is not None
        site.store.delete(key)
        site.store.create(type(record)(**{**{name: getattr(record, name) for name in record.__slots__}, "key": key}))

    assert site.dead(ann, bob)
