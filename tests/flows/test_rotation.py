"""Tokens that are renewed by age: one successor, an old token that leads on for a while, and one that was stolen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import session
from flow_fixtures import each_of
from flow_site import (
    NOBODY,
    Answer,
    Seen,
    Site,
    append,
    both,
    bump,
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
)
from flow_stores import KINDS_AND_CLUSTER, keys_in
from msgspec.structs import replace

from flask_sessionkit import StoreError, login_view
from flask_sessionkit.contents import Kind
from flask_sessionkit.record import Record, Version, Write
from flask_sessionkit.server_roster import ServerRoster
from flask_sessionkit.stores.base import Capability, Store
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import Crash, FrozenClock, PausingStore, in_thread
from flask_sessionkit.tokens import key_of

HOUR = 3600
MakeSite = Callable[..., Site]


kind = each_of(KINDS_AND_CLUSTER)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(
        SESSIONKIT_ROTATE_EVERY=timedelta(hours=1),
        SESSIONKIT_IDLE_TIMEOUT=4 * HOUR,
        SESSIONKIT_TOUCH_INTERVAL=4 * HOUR / 10,
    )


def signed_in(site: Site, user: str = "ann", *, age: float = HOUR) -> str:
    """Sign in, and let the token reach an age."""
    token = site.token(both(login(user), put(cart=["tea"])))
    site.clock.tick(age)
    return token


def rotated(site: Site, user: str = "ann") -> tuple[str, str]:
    """Return an old token and the new one, which no client has shown yet."""
    old = signed_in(site, user)
    return old, site.token(look, old)


ANN = Seen("ann", {"cart": ["tea"]})


def times_of() -> Any:
    return [session.created_at, session.login_at]  # type: ignore[attr-defined]  # ours


# When, and what stays.


def test_a_token_is_renewed_at_its_age_and_not_before(site: Site) -> None:
    old = signed_in(site, age=HOUR - 1)
    assert site.ask(old, look).says_nothing
    site.clock.tick(1)

    answer = site.ask(old, look)

    assert answer.value == ANN
    assert answer.token not in (None, old)
    assert answer.response.headers["Cache-Control"] == "no-store"
    assert site.seen(answer.token) == ANN


def test_the_new_tokens_age_counts_from_its_own_beginning(site: Site) -> None:
    new = rotated(site)[1]
    site.clock.tick(HOUR - 1)
    assert site.ask(new, look).says_nothing
    site.clock.tick(1)

    assert site.token(look, new) != new


@pytest.mark.requirement("TO-03")
def test_times_handle_and_device_outlive_a_rotation(site: Site) -> None:
    token = signed_in(site)
    before = site.outside(site.kit.sessions_of, "ann")[0]
    times = site.ask(token, times_of).value
    new = site.handed_out[-1]

    after = site.outside(site.kit.sessions_of, "ann")

    assert [row.handle for row in after] == [before.handle]
    assert (after[0].login_at, after[0].user_agent, after[0].address) == (
        before.login_at,
        before.user_agent,
        before.address,
    )
    assert site.ask(new, times_of).value == times
    assert [row.current for row in site.ask(new, lambda: site.kit.sessions_of("ann")).value] == [True]
    site.clock.tick(11 * HOUR)
    assert site.dead(new)


def test_a_session_of_nobody_is_renewed_too(site: Site) -> None:
    old = site.token(put(cart=["tea"]))
    site.clock.tick(HOUR)

    assert site.seen(site.token(look, old)) == Seen(None, {"cart": ["tea"]})


def test_what_a_view_changed_goes_into_the_new_record(site: Site) -> None:
    new = site.token(both(append("cart", "pot"), put(n=1)), signed_in(site))

    assert site.seen(new) == Seen("ann", {"cart": ["tea", "pot"], "n": 1})


@pytest.mark.parametrize("view", [still, failing(look)])
def test_a_view_that_does_not_look_or_fails_renews_nothing(site: Site, view: Callable[[], Any]) -> None:
    token = signed_in(site)

    assert site.ask(token, view, status=(200, 500)).says_nothing
    assert len(keys_in(site.store)) == 1


def test_a_passive_request_renews_nothing(site: Site) -> None:
    token = signed_in(site)

    assert site.ask(token, look, path="/passive").says_nothing
    assert len(keys_in(site.store)) == 1


def test_a_session_that_its_view_empties_is_ended_and_not_renewed(site: Site) -> None:
    token = site.token(put(n=1))
    site.clock.tick(HOUR)

    assert site.ask(token, lambda: session.pop("n")).forgets
    assert site.live_records() == []


def test_nothing_is_renewed_unless_it_is_asked_for(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_IDLE_TIMEOUT=12 * HOUR)
    token = signed_in(site, age=11 * HOUR)

    assert site.ask(token, look).says_nothing


def test_a_rotation_costs_two_writes_and_the_first_show_of_the_token_one(site: Site) -> None:
    old = signed_in(site)
    pausing(site).reset()
    new = site.token(look, old)
    assert (pausing(site).counts["create"], pausing(site).counts["replace"]) == (1, 1)
    pausing(site).reset()
    site.ask(new, look)
    assert (pausing(site).counts["create"], pausing(site).counts["replace"]) == (0, 1)
    pausing(site).reset()
    site.ask(new, look)

    assert pausing(site).counts == {"load": 1}


def test_one_signal_tells_of_a_rotation(site: Site) -> None:
    token = signed_in(site)
    with site.events() as events:
        site.ask(token, look)

    assert events == [("session_regenerated", {"user_id": "ann"})]


# The old token leads on for 30 s.


def test_the_old_token_reads_and_writes_for_half_a_minute_and_is_given_no_token(site: Site) -> None:
    old, new = rotated(site)
    site.clock.tick(29.9)

    answer = site.ask(old, both(append("cart", "pot"), bump(), look))

    assert answer.says_nothing
    assert answer.value == Seen("ann", {"cart": ["tea", "pot"], "n": 1})
    assert site.seen(new) == Seen("ann", {"cart": ["tea", "pot"], "n": 1})


def test_a_permanent_sessions_old_token_is_not_sent_again(site: Site) -> None:
    token = site.token(login("ann", remember=True))
    site.clock.tick(HOUR)
    new = site.token(look, token)

    assert site.ask(token, look).says_nothing
    assert site.ask(new, look).token == new


@pytest.mark.parametrize("view", [renew, login("ann"), login_view(put(role="chief"))], ids=["renew", "login", "view"])
def test_7_through_the_old_token_no_renewal_is_given(site: Site, view: Callable[[], Any]) -> None:
    """And it is not silent: the browser has the new token, and can send the request again."""
    old, new = rotated(site)
    refused = site.ask(old, both(put(n=1), view), status=500)

    assert refused.says_nothing
    assert site.seen(new) == ANN
    assert len(site.live_records()) == 1


def test_7_a_change_of_the_password_through_the_old_token_signs_nobody_out(site: Site) -> None:
    stamps = {"ann": "old"}
    site.kit.user_stamp(stamps.__getitem__)
    old, new = rotated(site)
    other = site.token(login("ann"))

    def change() -> None:
        stamps["ann"] = "new"
        site.kit.revoke_user("ann", keep_current=True, reason="stamp")

    assert site.ask(old, both(look, change), status=500).says_nothing
    assert site.seen(new) == ANN
    assert site.dead(other)


def test_7_a_logout_through_the_old_token_ends_the_session(site: Site) -> None:
    old, new = rotated(site)

    assert site.ask(old, logout).token is None
    assert site.dead(old, new)


def test_7_an_identity_that_is_removed_through_the_old_token_leaves_nobody_a_token(site: Site) -> None:
    token = site.token(both(identify("ann"), put(cart=["tea"])))
    site.clock.tick(HOUR)
    new = site.token(look, token)

    answer = site.ask(token, end_by_identity)

    assert answer.forgets
    assert site.dead(token, new)


def test_another_user_logs_in_through_the_old_token_of_nobody(site: Site) -> None:
    """A lost answer keeps nobody from signing in, with the cart."""
    old = site.token(put(cart=["tea"]))
    site.clock.tick(HOUR)
    lost = site.token(look, old)

    mine = site.token(login("ann"), old)

    assert site.seen(mine) == ANN
    assert site.dead(old, lost)


def test_a_request_is_judged_by_the_time_it_opened(site: Site) -> None:
    """It read the body of an upload for a minute; its sender is no thief."""
    old, new = rotated(site)
    site.seen(new)

    def upload() -> Any:
        site.clock.tick(60)
        return both(put(file="here"), look)()

    site.clock.tick(29)
    answer = site.ask(old, upload)

    assert answer.value == Seen("ann", {"cart": ["tea"], "file": "here"})
    assert site.seen(new) == answer.value


def test_a_token_from_before_two_rotations_leads_on(site: Site) -> None:
    """Two rotations within half a minute take a clock that jumps, or a shorter setting."""
    old, new = rotated(site)
    site.seen(new)
    opened = site.clock.now()
    site.clock.tick(HOUR)
    newest = site.token(look, new)
    site.clock.tick(opened - site.clock.now())

    assert site.seen(old) == ANN
    assert site.seen(newest) == ANN


# The answer with the new token was lost.


@pytest.mark.parametrize("later", [30, 60, 1800])
def test_an_old_token_whose_successor_nobody_showed_is_renewed_again(site: Site, later: float) -> None:
    old, lost = rotated(site)
    site.clock.tick(later)

    answer = site.ask(old, both(put(n=1), look))

    assert answer.token not in (None, old, lost)
    assert site.seen(answer.token) == Seen("ann", {"cart": ["tea"], "n": 1})
    assert len(site.live_records()) == 1
    assert site.seen(lost).user == "ann"  # on its way for long, and the browser may yet get it last


def test_every_answer_may_be_lost(site: Site) -> None:
    old = signed_in(site)
    for _ in range(8):
        assert site.token(look, old) != old
        assert site.ask(old, look).says_nothing
        site.clock.tick(31)

    assert site.seen(site.token(bump(), old)).data == {"cart": ["tea"], "n": 1}
    assert len(site.live_records()) == 1


def test_a_login_and_a_change_of_role_work_after_a_lost_answer(site: Site) -> None:
    old, _ = rotated(site)
    site.clock.tick(31)

    new = site.token(both(put(role="chief"), renew), old)

    assert site.seen(new) == Seen("ann", {"cart": ["tea"], "role": "chief"})
    assert site.dead(old)


# Theft.


@pytest.mark.requirement("FX-02")
def test_a_token_that_comes_long_after_the_new_one_was_shown_ends_the_session(site: Site) -> None:
    old, new = rotated(site)
    site.seen(new)
    site.clock.tick(30)
    with site.events() as events:
        assert site.seen(old) == NOBODY

    assert events == [
        ("session_ended", {"reason": "rotated", "user_id": "ann"}),
        ("session_refused", {"reason": "rotated"}),
    ]
    assert site.ask(new, ended_because).value == "rotated"
    assert site.dead(old, new)
    assert site.live_records() == []


def test_whoever_comes_with_the_old_token_reads_why(site: Site) -> None:
    """Where a thief was first to be given the new token, it is the user."""
    old, new = rotated(site)
    site.seen(new)
    site.clock.tick(30)

    assert [site.ask(old, ended_because).value for _ in range(2)] == ["rotated", "rotated"]
    site.clock.tick(61)
    assert site.ask(new, ended_because).value is None


def test_the_first_holder_is_noticed_when_the_thief_was_first(site: Site) -> None:
    """Who copied the token came first after a lost answer, and got the new one."""
    old, _ = rotated(site)
    site.clock.tick(31)
    thiefs = site.token(look, old)
    site.seen(thiefs)
    site.clock.tick(30)

    assert site.dead(old, thiefs)


@pytest.mark.parametrize("hours", [1, 3, 8])
def test_a_theft_is_noticed_until_the_old_absolute_end(site: Site, hours: int) -> None:
    old, new = rotated(site)
    for _ in range(hours):
        site.seen(new)
        site.clock.tick(HOUR)
        new = site.token(look, new)
    site.seen(new)
    site.clock.tick(30)

    assert site.seen(old) == NOBODY
    assert site.dead(new)


def test_a_theft_is_noticed_after_a_renewal_that_was_asked_for(site: Site) -> None:
    old, new = rotated(site)
    newest = site.token(renew, new)
    site.clock.tick(31)
    assert site.seen(newest) == ANN

    assert site.dead(old)
    assert site.seen(newest) == NOBODY


def test_a_theft_is_noticed_when_what_lies_between_is_gone(site: Site) -> None:
    old, new = rotated(site)
    newest = site.token(renew, new)
    site.clock.tick(600)
    site.purge()
    assert site.seen(newest) == ANN

    assert site.dead(old)
    assert site.seen(newest) == NOBODY


def test_an_old_token_of_a_session_that_is_over_ends_no_other(site: Site) -> None:
    old, new = rotated(site)
    site.ask(new, logout)
    mine = site.token(login("ann"))
    for seconds in (1, 40, 600):
        site.clock.tick(seconds)
        assert site.seen(old) == NOBODY

    assert site.seen(mine).user == "ann"


def test_an_old_token_is_nothing_after_the_absolute_end(site: Site) -> None:
    old, new = rotated(site)
    site.clock.tick(12 * HOUR)
    with site.events() as events:
        assert site.seen(old) == NOBODY

    assert [name for name, _ in events if name == "session_refused"] == []
    assert site.dead(new)


def test_an_older_cookie_beside_the_new_one_is_no_theft(site: Site) -> None:
    """A browser keeps both after a change of the cookie's path or domain."""
    old, new = rotated(site)
    site.seen(new)
    site.clock.tick(31)
    for tokens in (f"{old}; session={new}", f"{new}; session={old}"):
        assert site.ask(tokens, look).value == ANN

    assert site.seen(new) == ANN


def test_an_old_token_of_a_session_that_was_logged_out_cries_no_theft(site: Site) -> None:
    old, new = rotated(site)
    site.ask(new, logout)
    site.clock.tick(600)
    site.purge()
    with site.events() as events:
        reasons = [site.ask(old, ended_because).value for _ in range(2)]

    assert reasons == [None, None]
    assert events == []


def test_what_led_to_a_session_that_is_gone_costs_a_list_only_once(site: Site) -> None:
    old, new = rotated(site)
    site.ask(new, logout)
    site.clock.tick(600)
    site.purge()
    site.seen(old)
    pausing(site).reset()
    site.seen(old)

    assert pausing(site).counts == {"load": 1}


def test_a_store_without_lists_refuses_an_old_token(clock: FrozenClock) -> None:
    class Unlisted(MemoryStore):
        capabilities = Capability.PURGE

    site = Site(PausingStore(Unlisted()), clock, SESSIONKIT_ROTATE_EVERY=HOUR, SESSIONKIT_IDLE_TIMEOUT=4 * HOUR)
    old, new = rotated(site)
    newest = site.token(renew, new)
    site.clock.tick(600)
    site.purge()

    assert site.seen(old) == NOBODY
    assert site.seen(newest) == ANN


def test_a_session_that_has_grown_too_large_is_read_as_before(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_IDLE_TIMEOUT=4 * HOUR)
    lowered = make_site(SESSIONKIT_IDLE_TIMEOUT=4 * HOUR, SESSIONKIT_ROTATE_EVERY=HOUR, SESSIONKIT_MAX_SIZE=1024)
    raised = make_site(SESSIONKIT_IDLE_TIMEOUT=4 * HOUR, SESSIONKIT_ROTATE_EVERY=HOUR)
    token = site.token(both(login("ann"), put(big="x" * 3000)))
    site.clock.tick(HOUR)

    assert lowered.ask(token, look).value.user == "ann"
    new = raised.token(look, token)
    assert lowered.ask(new, look).value.user == "ann"
    assert lowered.ask(new, put(n=1), status=500).says_nothing


def test_the_first_news_of_a_token_counts_and_not_the_latest(site: Site) -> None:
    """The old token was copied; its successor was shown, and the one after that is on its way."""
    old, new = rotated(site)
    site.seen(new)
    site.clock.tick(HOUR)
    newest = site.token(look, new)
    site.clock.tick(31)

    assert site.ask(old, look).says_nothing
    assert site.dead(old, newest)


def test_a_copy_is_noticed_also_by_a_longer_way(site: Site) -> None:
    """A process died before it had made the way of the old token shorter."""
    old, _ = rotated(site)
    site.clock.tick(31)
    pausing(site).crash("replace", nth=2)
    with pytest.raises(Crash):
        site.ask(old, look)
    site.clock.tick(31)
    new = site.token(look, old)
    assert site.seen(new) == ANN
    site.clock.tick(31)

    assert site.dead(old, new)


def test_an_old_token_leads_to_no_other_session(site: Site) -> None:
    old, _ = rotated(site)
    bobs = site.token(login("bob"))
    now = site.clock.now()
    alias = site.backend.load_key(key_of(old, site.app.name), now=now)
    other = site.backend.load_key(key_of(bobs, site.app.name), now=now)
    assert alias
    assert other
    site.backend.lead_on(alias, other, now=now)

    assert site.seen(old) == NOBODY
    assert site.seen(bobs).user == "bob"


def test_an_old_token_is_followed_four_times_at_most(site: Site) -> None:
    tokens = [site.token(login("ann"))]
    now = site.clock.now()
    found = site.backend.load_key(key_of(tokens[0], site.app.name), now=now)
    assert found
    assert found.contents
    for _ in range(6):
        later = site.backend.create(replace(found.contents, is_shown=False), seen_at=now)
        site.backend.lead_on(found, later, now=now)
        found = later
        assert found.contents
    pausing(site).reset()
    site.ask(tokens[0], look)

    assert pausing(site).counts["load"] == 1 + 4


def test_an_old_token_of_a_session_that_was_logged_out_reads_so(site: Site) -> None:
    old, new = rotated(site)
    site.seen(new)
    site.ask(new, logout)
    site.clock.tick(31)
    with site.events() as events:
        assert site.ask(old, ended_because).value == "logout"

    assert events == []


def test_a_session_that_idled_out_reads_so_by_its_old_token(site: Site) -> None:
    old, new = rotated(site)
    site.seen(new)
    site.clock.tick(4 * HOUR)

    assert site.ask(old, ended_because).value == "idle"


def test_a_renewal_that_was_asked_for_begins_the_age_anew(site: Site) -> None:
    new = site.token(renew, signed_in(site, age=HOUR - 10))
    site.clock.tick(20)

    assert site.ask(new, look).says_nothing


def test_a_renewal_that_was_asked_for_needs_no_note_that_it_was_shown(site: Site) -> None:
    old, _ = rotated(site)
    site.clock.tick(31)
    new = site.token(renew, old)
    pausing(site).reset()
    site.ask(new, look)

    assert pausing(site).counts == {"load": 1}


def test_who_is_left_after_a_logout_by_the_identity_has_a_token_of_a_new_age(site: Site) -> None:
    token = site.token(both(identify("ann"), put(cart=["tea"])))
    site.clock.tick(HOUR - 10)
    left = site.token(end_by_identity, token)
    site.clock.tick(20)

    assert site.ask(left, look).says_nothing


def test_the_first_show_of_a_token_by_a_passive_request_is_no_activity(site: Site) -> None:
    new = rotated(site)[1]
    site.clock.tick(100)
    site.ask(new, look, path="/passive")

    assert site.outside(site.kit.sessions_of, "ann")[0].seen_at == site.clock.now() - 100


def test_a_rotation_is_activity(site: Site) -> None:
    old = signed_in(site, age=HOUR - 100)
    site.seen(old)
    site.clock.tick(100)  # for a touch that is too soon
    site.token(look, old)

    assert site.outside(site.kit.sessions_of, "ann")[0].seen_at == site.clock.now()


def test_beside_an_older_cookie_the_new_ones_holder_may_renew(site: Site) -> None:
    old, new = rotated(site)
    site.seen(new)

    assert site.ask(f"{old}; session={new}", renew).token is not None


def test_a_session_that_is_gone_when_its_token_is_first_shown_is_nobodys(site: Site) -> None:
    new = rotated(site)[1]
    slow, gap = stopped(site, new, look, "replace")
    with gap:
        pausing(site).inner.delete(key_of(new, site.app.name))

    assert slow.result().value == NOBODY


# Forced interleavings.


def test_16_an_atomic_change_after_a_lost_answer_is_given_no_second_token(site: Site) -> None:
    old, _ = rotated(site)
    site.clock.tick(31)
    slow, gap = stopped(site, old, both(bump(), look), "replace")
    with gap:
        quick = site.token(look, old)

    assert slow.result().says_nothing
    assert site.seen(quick).data == {"cart": ["tea"], "n": 1}


def test_a_rotation_that_comes_second_after_two_conflicts_leaves_the_first_alone(site: Site) -> None:
    old, inner = signed_in(site), pausing(site).inner
    replace_in, pause, writes, firsts = inner.replace, site.clock.pause, [], []

    def busy(record: Record, *, expected: Version | None, now: float) -> Write:
        if len(writes) < 2 and record.key == key_of(old, site.app.name):
            writes.append(record.key)
            inner.replace = replace_in  # type: ignore[method-assign]  # another writer between
            site.ask(old, put(n=len(writes)), path="/passive")
            inner.replace = busy  # type: ignore[method-assign]  # the same
        return replace_in(record, expected=expected, now=now)

    def rotate(seconds: float) -> None:
        site.clock.pause = pause  # type: ignore[method-assign]  # another rotation while this one waits
        firsts.append(site.token(look, old))

    inner.replace, site.clock.pause = busy, rotate  # type: ignore[method-assign]  # both
    answer = site.ask(old, look)

    assert answer.says_nothing
    assert site.seen(firsts[0]).data == {"cart": ["tea"], "n": 2}
    assert len(site.live_records()) == 1


def test_5_a_write_that_arrives_after_it_was_given_up_costs_no_login(site: Site) -> None:
    """The store answered too late, and was asked what there is before the write got there."""
    old, inner, late = signed_in(site), pausing(site).inner, []
    replace = inner.replace

    def lose(record: Record, *, expected: Version | None, now: float) -> Write:
        if late:
            return replace(record, expected=expected, now=now)
        late.append((record, expected, now))
        raise StoreError("too late")

    inner.replace = lose  # type: ignore[method-assign]  # the wire
    site.ask(old, look, status=503)
    inner.replace = replace  # type: ignore[method-assign]
    record, expected, now = late[0]
    replace(record, expected=expected, now=now)

    assert site.seen(old) == ANN
    assert len(site.outside(site.kit.sessions_of, "ann")) == 1


def test_6_an_atomic_change_that_a_rotation_overtakes_is_given_no_renewal(site: Site) -> None:
    old = signed_in(site, age=HOUR - 1)
    slow, gap = stopped(site, old, both(bump(), renew), "replace")
    with gap:
        site.clock.tick(1)
        new = site.token(look, old)

    assert (slow.result().status, slow.result().token) == (500, None)
    assert site.seen(new).data == {"cart": ["tea"], "n": 1}


def test_10_a_rotation_that_meets_a_record_it_cannot_open_is_put_off(make_site: MakeSite) -> None:
    before = {"SECRET_KEY": "the old secret of the tests"}
    after = {"SECRET_KEY": "the new secret of the tests", "SECRET_KEY_FALLBACKS": ["the old secret of the tests"]}
    hours = {"SESSIONKIT_ROTATE_EVERY": HOUR, "SESSIONKIT_IDLE_TIMEOUT": 4 * HOUR, "SESSIONKIT_TOUCH_INTERVAL": 1440}
    one, other = make_site(**before, **hours), make_site(**after, **hours)
    old = signed_in(one)
    slow, gap = stopped(one, old, look, "replace")
    with gap:
        other.ask(old, put(n=1), path="/passive")

    assert slow.result().value == ANN
    assert slow.result().says_nothing
    assert other.seen(other.token(look, old)).data == {"cart": ["tea"], "n": 1}


def stopped(site: Site, token: str, view: Any, at: Any, *, nth: int = 1, path: str = "/do") -> Any:
    gap = pausing(site).pause_before(at, nth=nth)
    return in_thread(partial(site.ask, status=(200, 500), path=path), token, view), gap


def test_6_two_requests_at_the_moment_of_rotation_make_one_successor(site: Site) -> None:
    old = signed_in(site)
    slow, gap = stopped(site, old, both(put(slow=1), look), "replace")
    with gap:
        quick = site.ask(old, both(put(quick=1), look))

    assert slow.result().says_nothing
    assert quick.token is not None
    assert site.seen(quick.token).data == {"cart": ["tea"], "quick": 1, "slow": 1}
    assert len(site.live_records()) == 1


def test_6_a_write_between_does_not_beat_a_rotation(site: Site) -> None:
    """Both changes are there, and the token is another one."""
    old = signed_in(site)
    rotating, gap = stopped(site, old, both(put(mine=1), look), "replace")
    with gap:
        site.ask(old, put(first=1), path="/passive")
    answer = rotating.result()

    assert answer.token not in (None, old)
    assert site.seen(answer.token).data == {"cart": ["tea"], "first": 1, "mine": 1}


def test_a_slow_write_is_not_lost_when_the_token_was_renewed_meanwhile(site: Site) -> None:
    old = signed_in(site, age=HOUR - 1)
    slow, gap = stopped(site, old, both(append("cart", "pot"), look), "replace")
    with gap:
        site.clock.tick(1)
        new = site.token(look, old)

    assert slow.result().says_nothing
    assert site.seen(new) == Seen("ann", {"cart": ["tea", "pot"]})


def test_a_slow_atomic_change_is_not_lost_when_the_token_was_renewed_meanwhile(site: Site) -> None:
    old = signed_in(site, age=HOUR - 1)
    slow, gap = stopped(site, old, bump(), "replace")
    with gap:
        site.clock.tick(1)
        new = site.token(look, old)

    assert slow.result().value == 1
    assert site.seen(new).data == {"cart": ["tea"], "n": 1}


@pytest.mark.parametrize("through", [False, True], ids=["before", "through"])
def test_1_a_logout_that_a_rotation_overtakes_ends_both(site: Site, through: bool) -> None:
    if through:
        old, new = rotated(site)
        slow, gap = stopped(site, old, logout, "replace")
        with gap:
            site.ask(new, put(n=1))
    else:
        old = signed_in(site, age=HOUR - 1)
        slow, gap = stopped(site, old, logout, "replace")
        with gap:
            site.clock.tick(1)
            new = site.token(look, old)
    slow.result()

    assert site.dead(old, new)
    assert site.live_records() == []


def test_1_a_rotation_that_a_logout_overtakes_brings_nothing_back(site: Site) -> None:
    old = signed_in(site)
    slow, gap = stopped(site, old, both(put(n=1), look), "replace")
    with gap:
        site.ask(old, logout)

    assert slow.result().says_nothing
    assert site.live_records() == []
    assert site.dead(old)


def test_2_a_revocation_follows_a_session_that_was_renewed_behind_its_cursor(site: Site) -> None:
    tokens = [signed_in(site, age=0) for _ in range(4)]
    site.clock.tick(HOUR)
    ended: list[Any] = []
    roster = ServerRoster(site.backend, site.clock, lambda *told: ended.append(told), has_stamp=True, page=1)
    gap = pausing(site).pause_before("load", nth=3)
    revoking = in_thread(roster.revoke_user, "ann")
    new = []
    with gap:
        for token in tokens:
            if site.seen(token) != NOBODY:
                new.append(site.handed_out[-1])
    count = revoking.result()

    assert count == 4 == len(ended)
    assert new
    assert site.dead(*tokens, *new)
    assert site.live_records() == []


def test_3_a_login_that_a_rotation_overtakes_is_carried_out(site: Site) -> None:
    old = site.token(put(cart=["tea"]))
    site.clock.tick(HOUR - 1)
    slow, gap = stopped(site, old, login("ann"), "replace")
    with gap:
        site.clock.tick(1)
        lost = site.token(both(append("cart", "pot"), look), old)
    mine = slow.result().token

    assert site.seen(mine) == Seen("ann", {"cart": ["tea", "pot"]})
    assert site.dead(old, lost)
    assert len(site.live_records()) == 1


def test_6_a_renewal_that_a_rotation_overtakes_is_an_error_and_leaves_no_orphan(site: Site) -> None:
    old = signed_in(site, age=HOUR - 1)
    slow, gap = stopped(site, old, both(put(role="chief"), renew), "replace")
    with gap:
        site.clock.tick(1)
        new = site.token(look, old)

    assert slow.result().status == 500
    assert site.seen(new) == ANN
    assert len(site.live_records()) == 1


def test_two_requests_with_a_lost_answer_are_renewed_once(site: Site) -> None:
    old, _ = rotated(site)
    site.clock.tick(31)
    slow, gap = stopped(site, old, both(put(slow=1), look), "replace")
    with gap:
        quick = site.ask(old, look)

    assert quick.token is not None
    assert slow.result().says_nothing
    assert site.seen(quick.token).data == {"cart": ["tea"], "slow": 1}
    assert len(site.live_records()) == 1


def test_the_new_token_comes_while_the_old_one_is_renewed_again(site: Site) -> None:
    """Whoever is first; neither is signed out."""
    old, new = rotated(site)
    site.clock.tick(31)
    slow, gap = stopped(site, old, look, "replace")
    with gap:
        assert site.seen(new) == ANN
    slow.result()

    assert site.seen(new) == ANN
    assert len(site.live_records()) == 1


@pytest.mark.parametrize("what", ["create", "replace"])
@pytest.mark.parametrize("before", [True, False], ids=["not done", "answer lost"])
def test_5_a_store_that_fails_during_a_rotation_costs_no_login(site: Site, what: Any, before: bool) -> None:
    old = signed_in(site)
    pausing(site).fail(what, before=before)
    answer = site.ask(old, look, status=503)
    assert answer.says_nothing

    assert site.seen(old) == ANN
    site.clock.tick(31)
    assert site.seen(site.handed_out[-1]) == ANN
    assert len(site.outside(site.kit.sessions_of, "ann")) == 1


@pytest.mark.parametrize(("what", "before"), [("create", False), ("replace", True), ("replace", False)])
def test_5_a_process_that_dies_during_a_rotation_costs_no_login(site: Site, what: Any, before: bool) -> None:
    old = signed_in(site)
    pausing(site).crash(what, before=before)
    with pytest.raises(Crash):
        site.ask(old, look)
    site.clock.tick(31)
    new = site.token(look, old)

    assert site.seen(new) == ANN
    assert len(site.outside(site.kit.sessions_of, "ann")) == 1  # what it left behind is none of its own
    assert site.outside(site.kit.revoke_user, "ann") == 1
    assert site.live_records() == []


def test_six_requests_at_once_are_all_served_and_one_gets_the_token(site: Site) -> None:
    old = signed_in(site)
    barrier = threading.Barrier(6)

    def one(n: int) -> Answer:
        def view() -> Seen:
            dict(session)
            barrier.wait(10)
            session[f"k{n}"] = n
            return look()

        return site.ask(old, view)

    running = [in_thread(one, n) for n in range(6)]
    answers = [each.result() for each in running]

    assert all(answer.value.user == "ann" for answer in answers)
    (new,) = [answer.token for answer in answers if answer.token]
    assert site.seen(new).data == {"cart": ["tea"], **{f"k{n}": n for n in range(6)}}
    assert len(site.live_records()) == 1


def test_aliases_hold_no_data_and_are_on_no_list(site: Site) -> None:
    old, _ = rotated(site)
    left = site.backend.load_key(key_of(old, site.app.name), now=site.clock.now())

    assert left is not None
    assert left.contents is not None
    assert left.contents.kind is Kind.ALIAS
    assert left.contents.data == {}
    assert (left.record.owner, left.record.info) == (None, b"")


def test_a_purge_takes_what_leads_on_with_the_old_absolute_end(site: Site) -> None:
    rotated(site)
    site.clock.tick(11 * HOUR - 1)
    site.purge()
    kept = len(keys_in(site.store))
    site.clock.tick(122)
    site.purge()

    assert (kept, len(keys_in(site.store))) == (1, 0)


def test_switched_off_again_what_was_renewed_lives_on(site: Site, store: Store, clock: FrozenClock) -> None:
    old, new = rotated(site)
    off = Site(store, clock, SESSIONKIT_IDLE_TIMEOUT=4 * HOUR, SESSIONKIT_TOUCH_INTERVAL=4 * HOUR / 10)

    assert off.seen(old) == ANN
    assert off.seen(new) == ANN
    clock.tick(30)
    assert off.dead(old, new)


def test_a_conflict_without_end_only_puts_a_rotation_off(site: Site) -> None:
    """Renewing by age was not asked for by anybody, so it makes no error."""
    old = signed_in(site)
    store = pausing(site)
    backend = site.backend
    inner = store.inner.replace
    writes = 0

    def busy(record: Any, *, expected: Any, now: float) -> Any:
        nonlocal writes
        left = store.inner.load(record.key, now=now)
        contents = backend._opened(record.key, left, None).contents if left else None
        if (
            contents is not None
            and contents.kind is Kind.LIVE
            and writes < 500
            and record.key == key_of(old, site.app.name)
        ):
            writes += 1
            site.clock.tick(0.1)
            inner(
                backend._record(record.key, contents, seen_at=now, info=left.info if left else b""),
                expected=expected,
                now=now,
            )
        return inner(record, expected=expected, now=now)

    store.inner.replace = busy  # type: ignore[method-assign]  # another writer, without a pause
    try:
        answer = site.ask(old, look)
    finally:
        store.inner.replace = inner  # type: ignore[method-assign]

    assert answer.value == ANN
    assert site.seen(old) == ANN
    assert len(site.live_records()) == 1
