"""Sessions that lie in the browser, and the store that knows which of them count."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from flask import session
from flow_site import (
    NOBODY,
    Seen,
    Site,
    View,
    append,
    both,
    bump,
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

from flask_sessionkit import SessionKitError, StoreError, login_user, logout_user
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore, in_thread

OLD, NEW = "the old secret of the flow tests", "the new secret of the flow tests"
HOUR = 3600.0


@pytest.fixture
def store() -> PausingStore:
    return PausingStore(MemoryStore())


@pytest.fixture
def site_settings() -> dict[str, Any]:
    return {"in_cookies": True}


@pytest.fixture
def lone(make_site: Callable[..., Site]) -> Site:
    """A site where nothing is kept of sessions, as was wished."""
    return make_site(SESSIONKIT_REVOCATION_STORE=None)


def calls(site: Site, call: Callable[[], object]) -> dict[str, int]:
    store = pausing(site)
    store.reset()
    call()
    return dict(store.counts)


def everywhere() -> None:
    logout_user(everywhere=True)


def revoke_others(user: str) -> View:
    from flask import current_app

    from flask_sessionkit import SessionKit  # noqa: F401  # the kit is found on the application

    return lambda: current_app.extensions["sessionkit"].revoke_user(user, keep_current=True)


# What the cookie holds


def test_what_was_put_comes_back(site: Site) -> None:
    data = {"n": 1, "t": (1, b"\0\xff"), "s": {1, 2}, "d": {"deep": [None, 1.5]}}

    token = site.token(put(**data))

    assert site.seen(token) == Seen(None, data)


@pytest.mark.requirement("LG-01")
def test_nothing_of_it_can_be_read(site: Site) -> None:
    """CR-09, LG-01: neither values nor the names of keys, at any offset."""
    token = site.token(both(login("alice@example.com"), put(favourite_tea="sencha from uji")))

    decoded = b"".join(base64.urlsafe_b64decode(token[at : at + (len(token) - at) // 4 * 4]) for at in range(4))
    words = (b"alice@example.com", b"favourite_tea", b"sencha from uji")
    for word in words:
        assert not any(word[at : at + 4] in decoded for at in range(len(word) - 3))
        assert word not in token.encode()


@pytest.mark.requirement("CK-08")
def test_an_unchanged_session_sends_nothing(site: Site) -> None:
    """CK-08."""
    token = site.token(both(login("ann"), put(v=[1])))

    assert all(site.ask(token, look).says_nothing for _ in range(10))
    assert site.ask(token, still).says_nothing


def test_a_change_inside_a_value_is_sent(site: Site) -> None:
    token = site.token(put(cart=[1]))

    assert site.seen(site.token(append("cart", 2), token)) == Seen(None, {"cart": [1, 2]})


def test_what_is_emptied_is_deleted(site: Site) -> None:
    assert site.ask(site.token(put(a=1)), drop("a")).forgets
    assert site.ask(site.token(both(login("ann"), put(a=1))), wipe).forgets


def test_an_atomic_change_is_sent_also_if_the_request_fails(site: Site) -> None:
    token = site.token(put(a=1))

    answer = site.ask(token, failing(bump(), put(a=2)), status=500)

    assert answer.token is not None
    assert site.seen(answer.token) == Seen(None, {"a": 1, "n": 1})


def test_an_error_saves_nothing(site: Site) -> None:
    token = site.token(both(login("ann"), put(a=1)))

    assert site.ask(token, failing(put(a=2)), status=500).says_nothing
    assert site.ask(None, failing(login("bob")), status=500).says_nothing


@pytest.mark.requirement("CK-05")
@pytest.mark.parametrize("name", ["session", "a" * 200])
def test_the_whole_header_stays_below_what_servers_pass_on(make_site: Callable[..., Site], name: str) -> None:
    """CK-05: the largest that fits fits with every attribute, and one byte more is refused in that request."""
    settings = {"SESSION_COOKIE_DOMAIN": "shop.example", "SESSION_COOKIE_PATH": "/a/path"}
    site = make_site(SESSION_COOKIE_NAME=name, SESSION_COOKIE_SECURE=True, SESSION_COOKIE_PARTITIONED=True, **settings)

    def header_of(size: int) -> str | None:
        response = site.app.test_client(use_cookies=False).post(
            "/do", environ_overrides={"flow.view": fill(size), "flow.values": []}
        )
        return next(iter(response.headers.getlist("Set-Cookie")), None)

    def fill(size: int) -> View:
        def view() -> None:
            login_user("ann", remember=True)
            session["small"], session["large"] = "x", b"x" * size

        return view

    fits, breaks = 1000, 4000
    while breaks - fits > 1:
        middle = (fits + breaks) // 2
        fits, breaks = (middle, breaks) if header_of(middle) else (fits, middle)

    header = header_of(fits)
    assert header is not None
    assert 3790 <= len(f"Set-Cookie: {header}\r\n") <= 3800


def test_what_is_too_large_names_its_largest_keys_and_leaves_the_old_cookie(site: Site) -> None:
    token = site.token(both(login("ann"), put(a=1)))

    def view() -> None:
        session["huge"], session["tiny"] = "x" * 5000, "y"

    answer = site.ask(token, view, status=500)

    assert answer.says_nothing
    assert site.seen(token) == Seen("ann", {"a": 1})
    site.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(SessionKitError, match=r"more than the 3\d\d\d .*'huge' \(500\d bytes\), 'tiny'") as told:
        site.ask(token, view)
    assert "x" * 10 not in str(told.value)


def test_a_full_session_of_nobodys_can_sign_in(site: Site) -> None:
    fits, breaks = 1000, 4000
    while breaks - fits > 1:
        middle = (fits + breaks) // 2
        taken = site.ask(None, put(cart=b"x" * middle), status=(200, 500)).status == 200
        fits, breaks = (middle, breaks) if taken else (fits, middle)
    full = site.token(put(cart=b"x" * fits))

    token = site.token(login("u" * 64, remember=True, stamp="s" * 64), full)

    assert 2250 < fits < 2400
    assert site.seen(token).data == {"cart": b"x" * fits, "_permanent": True}


def test_a_session_that_is_too_large_for_a_login_signs_nobody_in(site: Site) -> None:
    site.ask(None, both(login("ann"), put(huge="x" * 5000)), status=500)

    assert site.outside(site.kit.sessions_of, "ann") == []


# The seal


@pytest.mark.requirement("ST-12")
@pytest.mark.parametrize(
    "other",
    [
        {"SESSION_COOKIE_NAME": "other"},
        {"SESSIONKIT_APP_ID": "other"},
        {"SECRET_KEY": "another secret of the flow tests"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_cookie_of_elsewhere_is_nobodys(make_site: Callable[..., Site], other: dict[str, str]) -> None:
    """CR-05, ST-12."""
    token = make_site(SESSIONKIT_REVOCATION_STORE=None).token(both(login("ann"), put(a=1)))
    site = make_site(SESSIONKIT_REVOCATION_STORE=None, **other)

    name = other.get("SESSION_COOKIE_NAME", "session")
    site.ask(None, look, headers={"Cookie": f"{name}={token}"})
    assert site.ask(None, look, headers={"Cookie": f"{name}={token}"}).value == NOBODY


def test_each_character_counts(lone: Site) -> None:
    """CR-01, CR-04: a cookie with another character anywhere is nobody's, and never an error."""
    token = lone.token(login("ann"))

    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        assert lone.seen(token[:at] + other + token[at + 1 :]) == NOBODY
    for changed in (token[:-1], token + "A", token[1:], token + "=", token.lower()):
        assert lone.seen(changed) == NOBODY


@pytest.mark.requirement("IN-06")
def test_what_cannot_be_opened_is_told_of_and_answered_with_silence(site: Site) -> None:
    """IN-06, CR-11."""
    token = site.token(login("ann"))
    changed = token[:-2] + ("AA" if token[-2:] != "AA" else "AE")

    with site.events() as events:
        answer = site.ask(changed, look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert [name for name, _ in events] == ["session_refused"]


def test_a_logout_deletes_a_cookie_that_cannot_be_opened(site: Site) -> None:
    token = site.token(login("ann"))

    assert site.ask(token[:-2] + "AA", logout).forgets


def test_two_cookies_of_one_session_are_that_session(site: Site) -> None:
    """As after a change of the cookie's path; of two sessions nobody is trusted (CK-09)."""
    older = site.token(both(login("ann"), put(a=1)))
    site.clock.tick(1)
    newer = site.token(put(a=2), older)
    other = site.token(login("ann"))

    def come_with(*tokens: str) -> Seen:
        return site.ask(None, look, headers={"Cookie": "; ".join(f"session={token}" for token in tokens)}).value  # type: ignore[no-any-return]  # of any view

    for pause in (0, 60):  # a touch is due then, which dates both alike
        site.clock.tick(pause)
        assert come_with(older, newer) == come_with(newer, older) == Seen("ann", {"a": 2})
    assert come_with(newer, other) == NOBODY


# Times


def test_a_touch_that_is_due_is_sent(site: Site) -> None:
    token = site.token(put(a=1))
    site.clock.tick(59)
    assert site.ask(token, look).says_nothing
    site.clock.tick(1)

    later = site.ask(token, look).token

    assert later is not None
    site.clock.tick(1790)
    assert site.seen(token) == NOBODY
    assert site.seen(later) == Seen(None, {"a": 1})


@pytest.mark.requirement("TO-01")
@pytest.mark.parametrize("start", [put(a=1), login("ann")])
def test_the_idle_limit_is_kept_by_the_server(site: Site, start: View) -> None:
    """TO-01."""
    token = site.token(start)
    site.clock.tick(1799)
    assert not site.dead(token)
    site.clock.tick(1)

    assert site.dead(token)
    assert site.ask(token, lambda: session.ended_because).value == "idle"


@pytest.mark.requirement("TO-02")
@pytest.mark.parametrize("start", [put(a=1), login("ann")])
def test_activity_never_moves_the_absolute_limit(site: Site, start: View) -> None:
    """TO-02."""
    token = site.token(start)
    for _ in range(int(12 * HOUR / 600) - 1):
        site.clock.tick(600)
        token = site.ask(token, put(n=site.clock.now())).token or token
    site.clock.tick(599)
    assert not site.dead(token)
    site.clock.tick(1)

    assert site.dead(token)
    assert site.ask(token, lambda: session.ended_because).value == "absolute"


@pytest.mark.requirement("TO-08")
def test_what_a_user_ran_out_of_time_stays_over_when_the_clock_goes_back(site: Site) -> None:
    """TO-08; of nobody's session nothing is kept, so there the clock decides alone."""
    token = site.token(login("ann"))
    site.clock.tick(1801)
    assert site.dead(token)
    site.clock.tick(-HOUR / 2)

    assert site.dead(token)


@pytest.mark.requirement("TO-06")
def test_lowered_timeouts_hold_at_once(make_site: Callable[..., Site]) -> None:
    """TO-06."""
    token = make_site().token(login("ann"))
    strict = make_site(SESSIONKIT_IDLE_TIMEOUT=600)
    strict.clock.tick(601)

    assert strict.dead(token)


@pytest.mark.requirement("TO-09")
def test_a_session_from_the_future_is_refused(make_site: Callable[..., Site], clock: FrozenClock) -> None:
    """TO-09."""
    ahead = FrozenClock(clock.now() + HOUR)
    site, other = make_site(), make_site(clock=ahead)

    assert site.dead(other.token(login("ann")), other.token(put(a=1)))


@pytest.mark.requirement("TO-12")
def test_a_passive_view_sends_no_touch(site: Site) -> None:
    """TO-12."""
    token = site.token(login("ann"))
    for _ in range(29):
        site.clock.tick(61)
        assert site.ask(token, look, path="/passive").says_nothing
    site.clock.tick(61)

    assert site.dead(token)


def test_a_permanent_session_outlives_the_browser_for_its_own_limits(site: Site) -> None:
    answer = site.ask(None, login("ann", remember=True))

    assert f"Max-Age={30 * 86400}" in answer.response.headers["Set-Cookie"]
    site.clock.tick(20 * 86400)
    assert not site.dead(answer.token or "")


def test_what_becomes_permanent_later_is_known_for_as_long(site: Site) -> None:
    token = site.token(login("ann"))
    site.clock.tick(10)

    def stay() -> None:
        session.permanent = True

    token = site.token(stay, token)
    site.token(login("ann"))  # a write that sweeps
    site.clock.tick(20 * 86400)
    site.token(login("ann"))

    assert not site.dead(token)


@pytest.mark.requirement("CC-04")
def test_what_becomes_permanent_with_a_renewal_is_known_for_as_long(site: Site) -> None:
    token = site.token(login("ann"))

    def stay() -> None:
        session.permanent = True
        session.regenerate()

    token = site.token(stay, token)
    site.clock.tick(2 * 86400)
    site.token(login("ann"))  # a write that sweeps
    site.purge()

    assert site.seen(token).user == "ann"


def test_a_session_whose_limits_were_noted_wrongly_is_noted_again_at_its_next_look(site: Site) -> None:
    """Two requests at once may note limits in the order that is not that of their cookies."""
    token = site.token(login("ann"))

    def stay() -> None:
        session.permanent = True

    def leave() -> None:
        session.permanent = False

    later = site.token(stay, token)
    site.token(leave, token)
    site.ask(later, look)
    site.clock.tick(2 * 86400)
    site.token(login("ann"))

    assert site.seen(later).user == "ann"


def test_a_clock_that_was_ahead_costs_one_write(site: Site, make_site: Callable[..., Site]) -> None:
    ahead = make_site(clock=FrozenClock(site.clock.now() + 50))
    token = ahead.token(login("ann"))
    ahead.clock.tick(3600)
    ahead.ask(token, look)
    site.ask(token, look)

    assert calls(site, lambda: [site.ask(token, look) for _ in range(5)]) == {"load": 5}


def test_an_end_by_the_time_is_told_once_or_not_at_all(site: Site, lone: Site) -> None:
    """Nothing is remembered of nobody's session, so its cookie is no news each time that it comes."""
    ann, nobodys, unknown = site.token(login("ann")), site.token(put(a=1)), lone.token(login("ann"))
    site.clock.tick(1801)

    with site.events() as events, lone.events() as others:
        for _ in range(3):
            assert site.ask(nobodys, lambda: session.ended_because).value == "idle"
            site.ask(ann, look)
            lone.ask(unknown, look)

    assert events == [("session_ended", {"reason": "idle", "user_id": "ann"})]
    assert others == []


def test_who_was_revoked_by_a_handle_is_told(site: Site) -> None:
    site.token(login("ann"))
    [row] = site.outside(site.kit.sessions_of, "ann")

    with site.events() as events:
        site.outside(site.kit.revoke, row.handle)

    assert events == [("session_ended", {"reason": "revoked", "user_id": "ann"})]


def test_a_slow_answer_does_not_put_an_unchanged_cookie_over_a_newer_one(site: Site) -> None:
    """CC-04: a touch can wait, unless the idle limit is half way."""
    token = site.token(put(a=1))

    def slow() -> None:
        look()
        site.clock._elapsed += 0.2  # type: ignore[attr-defined]  # time that is none of the session's

    site.clock.tick(61)
    assert site.ask(token, slow).says_nothing
    site.clock.tick(900)
    assert site.ask(token, slow).token is not None


# Login


@pytest.mark.requirement("FX-01")
def test_a_login_keeps_the_data_under_another_id(site: Site) -> None:
    """FX-01: the cookie from before stays anonymous."""
    before = site.token(put(cart=1))

    after = site.token(login("ann"), before)

    assert site.seen(after) == Seen("ann", {"cart": 1})
    assert site.seen(before).user is None


@pytest.mark.requirement("FX-04")
def test_a_change_of_user_leaves_the_data_behind_and_ends_the_session_before(site: Site) -> None:
    """FX-04."""
    ann = site.token(both(login("ann"), put(secret=1)))

    bob = site.token(login("bob"), ann)

    assert site.seen(bob) == Seen("bob", {})
    assert site.dead(ann)


@pytest.mark.requirement("FX-02")
@pytest.mark.parametrize("change", [renew, login("ann"), identify("ann")])
def test_a_renewal_lets_earlier_cookies_count_no_longer(site: Site, change: View) -> None:
    """FX-02."""
    first = site.token(both(login("ann"), put(a=1)))
    second = site.token(put(b=1), first)

    third = site.token(change, second)

    assert site.seen(third).user == "ann"
    assert site.dead(first, second)


def test_a_renewal_stays_the_same_session_in_the_list(site: Site) -> None:
    token = site.token(login("ann"))
    [before] = site.outside(site.kit.sessions_of, "ann")

    site.token(renew, token)

    [after] = site.outside(site.kit.sessions_of, "ann")
    assert (after.handle, after.login_at, after.created_at) == (before.handle, before.login_at, before.created_at)


def test_two_renewals_at_once_leave_one(site: Site) -> None:
    token = site.token(login("ann"))
    gap = pausing(site).pause_before("replace")
    slow = in_thread(site.ask, token, renew, status=(200, 500))
    with gap:
        winner = site.token(renew, token)

    assert slow.result().status == 500
    assert site.seen(winner).user == "ann"
    assert len(site.served()) == 1


@pytest.mark.requirement("FX-05", "ST-10")
def test_a_login_whose_note_fails_signs_nobody_in(site: Site) -> None:
    """FX-05, ST-10."""
    before = site.token(put(a=1))
    pausing(site).fail("create")

    assert site.ask(before, login("ann"), status=503).says_nothing
    assert site.seen(before) == Seen(None, {"a": 1})


# The end


@pytest.mark.requirement("TR-01")
@pytest.mark.parametrize("end", [logout, everywhere, wipe, end_by_identity])
def test_after_a_logout_no_cookie_of_the_session_opens_anything(site: Site, end: View) -> None:
    """TR-01."""
    first = site.token(identify("ann"))
    second = site.token(put(a=1), first)
    site.clock.tick(61)
    third = site.token(look, second)

    with site.events() as events:
        site.ask(third, end)

    assert all(site.seen(token).user is None for token in (first, second, third))
    assert site.dead(first, second, third)
    assert ("session_ended", {"reason": "logout", "user_id": "ann"}) in events


def test_a_logout_ends_one_and_everywhere_ends_all(site: Site) -> None:
    tokens = [site.token(login("ann")) for _ in range(4)]
    bob = site.token(login("bob"))

    site.ask(tokens[0], logout)
    assert [site.seen(token).user for token in tokens] == [None, "ann", "ann", "ann"]
    site.ask(tokens[1], everywhere)

    assert site.dead(*tokens)
    assert site.seen(bob).user == "bob"


@pytest.mark.requirement("TR-03", "TR-10")
def test_revoked_sessions_end_and_a_login_in_the_same_instant_stays(make_site: Callable[..., Site]) -> None:
    """TR-03, TR-10: two servers, whose clocks are 5 s apart, and all of it in one second of theirs."""
    site, other = make_site(clock=FrozenClock()), make_site(clock=FrozenClock(FrozenClock().now() + 5))
    old = [site.token(login("ann")), other.token(login("ann"))]

    assert site.outside(site.kit.revoke_user, "ann") == 2
    new = [site.token(login("ann")), other.token(login("ann"))]

    assert site.dead(*old)
    assert other.dead(*old)
    assert [where.seen(token).user for where in (site, other) for token in new] == ["ann"] * 4


@pytest.mark.requirement("TR-04")
def test_a_change_of_password_spares_the_session_that_made_it(site: Site) -> None:
    """TR-04."""
    mine, others = site.token(login("ann")), [site.token(login("ann")) for _ in range(3)]

    mine_later = site.token(revoke_others("ann"), mine)

    assert site.dead(mine, *others)
    assert site.seen(mine_later).user == "ann"


@pytest.mark.requirement("TR-05")
def test_a_handle_ends_one_session_of_its_owner(site: Site) -> None:
    """TR-05."""
    first, second = site.token(login("ann")), site.token(login("ann"))
    current = site.ask(first, lambda: site.kit.sessions_of("ann")).value
    [handle] = [row.handle for row in current if not row.current]

    assert site.outside(site.kit.revoke, handle, user_id="bob") == 0
    assert site.outside(site.kit.revoke, handle, user_id="ann") == 1
    assert site.outside(site.kit.revoke, handle, user_id="ann") == 0
    assert site.outside(site.kit.revoke, "no handle") == 0
    assert site.seen(first).user == "ann"
    assert site.dead(second)
    assert site.seen(handle) == NOBODY


@pytest.mark.requirement("TR-11")
def test_a_stamp_ends_sessions(site: Site) -> None:
    """TR-11."""
    stamps: dict[str, str | None] = {"ann": "1", "bob": "1"}
    site.kit.user_stamp(stamps.get)
    ann, bob = site.token(login("ann")), site.token(login("bob"))
    stamps |= {"ann": "2", "bob": None}

    assert site.dead(ann, bob)
    assert site.ask(ann, lambda: session.ended_because).value == "stamp"


def test_a_user_is_told_why_for_a_minute(site: Site) -> None:
    token = site.token(login("ann"))
    site.outside(site.kit.revoke_user, "ann")

    assert site.ask(token, lambda: session.ended_because).value == "revoked"
    site.clock.tick(60)
    assert site.ask(token, lambda: session.ended_because).value is None
    assert site.dead(token)


@pytest.mark.requirement("CC-01", "CC-03")
def test_a_request_under_way_brings_nothing_back(site: Site) -> None:
    """CC-01, CC-03."""
    token = site.token(both(login("ann"), put(a=[1])))
    gap = pausing(site).pause_after("load")
    slow = in_thread(site.ask, token, append("a", 2))
    with gap:
        site.ask(token, logout)

    assert site.dead(token, slow.result().token or token)
    assert site.served() == []


def test_a_request_of_a_user_asks_once_and_nobodys_never(site: Site) -> None:
    anonymous, user = site.token(put(a=1)), site.token(login("ann"))

    assert calls(site, lambda: site.ask(anonymous, put(b=1))) == {}
    assert calls(site, lambda: site.ask(anonymous, logout)) == {}
    assert calls(site, lambda: site.ask("x" * 200, look)) == {}
    assert calls(site, lambda: site.ask(user, still)) == {}
    assert calls(site, lambda: site.ask(user, look)) == {"load": 1}
    assert calls(site, lambda: site.ask(user, put(a=1))) == {"load": 1}
    assert calls(site, lambda: site.ask(anonymous, login("ann"))) == {"load": 1, "replace": 1}
    assert calls(site, lambda: site.ask(user, renew)) == {"load": 1, "replace": 1}
    site.clock.tick(61)
    user = site.token(login("ann"))
    site.clock.tick(61)
    assert calls(site, lambda: site.handed_out.append(site.token(look, user))) == {"load": 1, "replace": 1}
    assert calls(site, lambda: site.ask(site.handed_out[-1], logout)) == {"load": 1, "replace": 1}


@pytest.mark.requirement("ST-09", "TR-12")
def test_a_store_that_cannot_be_asked_refuses_and_recovers(site: Site) -> None:
    """TR-12, ST-09."""
    token, anonymous = site.token(login("ann")), site.token(put(a=1))
    pausing(site).fail("load")

    answer = site.ask(token, look, status=503)

    assert answer.says_nothing
    assert answer.response.headers["Retry-After"] == "5"
    assert site.seen(token).user == "ann"
    pausing(site).fail("load")
    assert site.seen(anonymous) == Seen(None, {"a": 1})


def test_a_store_that_takes_no_writes_lets_readers_in(site: Site) -> None:
    token = site.token(login("ann"))
    site.clock.tick(61)
    pausing(site).fail("replace")

    later = site.ask(token, look)

    assert later.token is not None
    assert site.seen(later.token).user == "ann"


def test_a_store_that_was_emptied_opens_nothing(site: Site) -> None:
    token = site.token(login("ann"))
    ended = site.token(login("ann"))
    site.ask(ended, logout)
    pausing(site).inner._records.clear()  # type: ignore[attr-defined]  # memory's own

    assert site.dead(token, ended)
    site.token(login("ann"))
    assert site.dead(token, ended)


def test_a_store_that_was_set_back_opens_only_what_lived_then(site: Site) -> None:
    """What was signed in since stays out. What was ended since lives again for as long as its cookie is fresh: a store
    and a cookie of the same moment cannot be told from that moment."""
    inner: Any = pausing(site).inner
    before, ended_before = site.token(login("ann")), site.token(login("ann"))
    site.ask(ended_before, logout)
    backup = deepcopy(inner._records)
    since = site.token(login("ann"))
    site.ask(since, logout)
    site.ask(before, logout)
    inner._records.clear()
    inner._records.update(backup)

    assert site.dead(ended_before, since)
    assert not site.dead(before)
    site.clock.tick(1801)
    assert site.dead(before)


@pytest.mark.requirement("CL-01", "TR-09")
def test_what_is_known_of_a_user_goes_when_nobody_needs_it(site: Site) -> None:
    """TR-09, CL-01."""
    token = site.token(login("ann"))
    site.outside(site.kit.revoke_user, "ann")
    site.clock.tick(12 * HOUR - 1)
    assert site.dead(token)
    assert site.purge() == 0
    site.clock.tick(400)

    assert site.purge() == 1
    assert pausing(site).inner._records == {}  # type: ignore[attr-defined]  # memory's own


def test_a_user_has_200_sessions_at_most(site: Site) -> None:
    first = site.token(login("ann"))
    for _ in range(200):
        site.clock.tick(0.001)
        last = site.token(login("ann"))

    assert site.dead(first)
    assert site.seen(last).user == "ann"
    assert len(site.outside(site.kit.sessions_of, "ann")) == 200


def test_16_logins_at_once_are_all_known(site: Site) -> None:
    waiting = [in_thread(site.ask, None, login("ann")) for _ in range(16)]
    tokens = [one.result().token or "" for one in waiting]

    assert [site.seen(token).user for token in tokens] == ["ann"] * 16
    assert len(site.outside(site.kit.sessions_of, "ann")) == 16


def test_a_list_shows_what_is_known_of_a_device(site: Site) -> None:
    token = site.token(login("ann"))
    site.clock.tick(100)
    token = site.token(look, token)
    site.clock.tick(10)
    site.ask(None, login("ann"), headers={"User-Agent": "Firefox"})

    rows = site.ask(token, lambda: site.kit.sessions_of("ann")).value

    now = site.clock.now()
    assert [(row.user_agent, row.address, row.current) for row in rows] == [
        ("Firefox", "127.0.0.1", False),
        (rows[1].user_agent, "127.0.0.1", True),
    ]
    assert [(row.login_at, row.seen_at, row.expires_at) for row in rows] == [
        (now, now, now + 1800),
        (now - 110, now - 10, now + 1790),
    ]


def test_a_dump_of_the_store_tells_nothing(site: Site) -> None:
    token = site.token(both(login("alice@example.com"), put(tea="sencha")))
    site.ask(token, look, headers={"User-Agent": "Firefox"})

    dump = repr(pausing(site).inner._records).encode()  # type: ignore[attr-defined]  # memory's own
    assert not any(word in dump for word in (b"alice", b"sencha", b"tea", b"127.0.0.1", b"Firefox", token.encode()))


# Without a store that knows


def test_without_a_store_a_logout_clears_one_browser(lone: Site) -> None:
    token = lone.token(login("ann"))

    assert lone.ask(token, logout).forgets
    assert lone.seen(token).user == "ann"
    lone.clock.tick(1801)
    assert lone.dead(token)


def test_without_a_store_lists_and_revocations_say_that_they_are_not_known(lone: Site) -> None:
    for call in (
        lambda: lone.kit.sessions_of("ann"),
        lambda: lone.kit.revoke_user("ann"),
        lambda: lone.kit.revoke("handle"),
    ):
        with pytest.raises(SessionKitError, match="SESSIONKIT_REVOCATION_STORE"):
            lone.outside(call)
    assert lone.outside(lone.kit.purge) == 0


# Secrets


@pytest.mark.requirement("KE-03", "KE-04", "KE-05")
def test_what_a_fallback_opened_is_sealed_again_with_its_times(make_site: Callable[..., Site]) -> None:
    """KE-03, KE-04, KE-05."""
    token = make_site(SECRET_KEY=OLD).token(both(login("ann"), put(a=1)))
    both_known = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    both_known.clock.tick(30)

    again = both_known.token(look, token)

    only_new = make_site(SECRET_KEY=NEW)
    assert both_known.ask(again, look).says_nothing
    assert only_new.seen(again) == Seen("ann", {"a": 1})
    assert only_new.dead(token)
    only_new.clock.tick(1769)
    assert not only_new.dead(again)
    only_new.clock.tick(1)
    assert only_new.dead(again)


def test_a_slow_answer_seals_again_too(make_site: Callable[..., Site]) -> None:
    token = make_site(SECRET_KEY=OLD).token(put(a=1))
    site = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])

    def slow() -> None:
        look()
        site.clock._elapsed += 0.2

    assert site.ask(token, slow).token is not None


def test_sessions_outlive_a_change_of_secrets_and_stay_revocable(make_site: Callable[..., Site]) -> None:
    """First the new secret among the fallbacks everywhere, then as the current one; servers change one by one."""
    before = make_site(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW])
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    tokens = [before.token(login("ann")) for _ in range(3)]

    tokens = [after.token(look, token) for token in tokens]
    tokens = [before.token(look, token) for token in tokens]  # to a server that is not changed yet, and back
    before.ask(tokens[0], logout)
    fourth = before.token(login("ann"))
    assert after.dead(tokens[0])
    tokens = [after.token(look, token) for token in (*tokens[1:], fourth)]
    done = make_site(SECRET_KEY=NEW)

    assert [done.seen(token).user for token in tokens] == ["ann"] * 3
    assert len(done.outside(done.kit.sessions_of, "ann")) == 3
    assert done.outside(done.kit.revoke_user, "ann") == 3
    assert done.dead(*tokens)
    assert after.dead(*tokens)
    assert before.dead(*tokens)


def test_what_a_server_with_the_new_secret_made_outlives_a_visit_to_one_with_the_old(
    make_site: Callable[..., Site],
) -> None:
    before = make_site(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW])
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    users = [f"user {number}" for number in range(8)]  # whose names under the two secrets come in either order
    tokens = {user: after.token(login(user, remember=True)) for user in users}
    for _ in range(2):
        tokens = {user: before.token(look, token) for user, token in tokens.items()}
        tokens = {user: after.token(look, token) for user, token in tokens.items()}
    after.clock.tick(3601)
    tokens = {user: after.token(look, token) for user, token in tokens.items()}

    done = make_site(SECRET_KEY=NEW)

    assert [done.seen(token).user for token in tokens.values()] == users
    assert [done.outside(done.kit.revoke_user, user) for user in users] == [1] * 8
    assert done.dead(*tokens.values())
    assert after.dead(*tokens.values())
    assert before.dead(*tokens.values())


@pytest.mark.parametrize("user", [f"user {number}" for number in range(4)])
def test_two_first_logins_on_servers_with_different_secrets_are_known_to_both(
    make_site: Callable[..., Site], user: str
) -> None:
    before = make_site(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW])
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    gap = pausing(before).pause_before("create")
    slow = in_thread(before.ask, None, login(user))
    with gap:
        first = after.token(login(user))
    second = slow.result().token or ""

    assert [site.seen(token).user for site in (before, after) for token in (first, second)] == [user] * 4
    assert after.outside(after.kit.revoke_user, user) == 2
    assert before.dead(first, second)


def test_a_revocation_by_a_server_with_the_old_secret_reaches_the_new_one(make_site: Callable[..., Site]) -> None:
    before = make_site(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW])
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    token = after.token(look, before.token(login("ann")))

    assert before.outside(before.kit.revoke_user, "ann") == 1
    assert after.dead(token)


@pytest.mark.parametrize("call", ["replace", "create"])
def test_a_move_to_a_new_secret_that_breaks_off_is_gone_on_with(make_site: Callable[..., Site], call: Any) -> None:
    token = make_site(SECRET_KEY=OLD).token(login("ann"))
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    pausing(after).fail(call, before=False)
    after.ask(token, look, status=(200, 503))
    pausing(after).fail(call)
    after.ask(token, look, status=(200, 503))

    again = after.token(look, token)

    assert make_site(SECRET_KEY=NEW).seen(again).user == "ann"


@pytest.mark.parametrize("is_back", [True, False])
def test_what_an_old_name_leads_from_is_no_backup(make_site: Callable[..., Site], is_back: bool) -> None:
    """What is left behind by a move brings nothing back when that to which it leads is gone."""
    before = make_site(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW])
    token = before.token(login("ann", remember=True))
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    later = after.token(look, token)
    after.ask(later, logout)
    inner: Any = pausing(after).inner
    inner.delete(max(inner._records.values(), key=lambda record: len(record.payload)).key)
    assert len(inner._records) == 1
    site = before if is_back else after

    assert site.dead(token, later)
    again = site.token(login("ann"))
    assert before.seen(again).user == after.seen(again).user == "ann"
    assert before.dead(token, later)
    assert after.dead(token, later)


@pytest.mark.parametrize("was_moved", [True, False])
def test_in_a_change_of_secrets_a_store_that_takes_no_writes_lets_readers_in(
    make_site: Callable[..., Site], was_moved: bool
) -> None:
    token = make_site(SECRET_KEY=OLD).token(login("ann"))
    after = make_site(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    if was_moved:
        make_site(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW]).ask(after.token(look, token), bump())
    pausing(after).fail("replace")

    assert after.seen(token).user == "ann"


def test_a_dropped_secret_refuses_and_a_login_begins_anew(make_site: Callable[..., Site]) -> None:
    old = make_site(SECRET_KEY=OLD)
    token = old.token(login("ann"))
    only_new = make_site(SECRET_KEY=NEW)

    assert only_new.dead(token)
    assert only_new.seen(only_new.token(login("ann"))).user == "ann"


def test_errors_of_the_store_are_store_errors(site: Site) -> None:
    site.token(login("ann"))
    pausing(site).fail("load")

    with pytest.raises(StoreError):
        site.outside(site.kit.sessions_of, "ann")


@pytest.mark.requirement("CK-07")
def test_cookies_are_base64url(site: Site) -> None:
    """CK-07."""
    tokens = [site.token(put(n=number)) for number in range(200)]

    assert all(re.fullmatch("[A-Za-z0-9_-]+", token) for token in tokens)
    assert len(set(tokens)) == 200


def test_a_login_in_a_request_that_had_one_ended_begins_a_new_session(site: Site) -> None:
    token = site.token(login("ann"))

    def over_and_in() -> None:
        logout_user()
        login_user("ann")

    later = site.token(over_and_in, token)

    assert site.dead(token)
    assert site.seen(later).user == "ann"
