"""``SESSIONKIT_TAKE_OVER = "cookie:"``: our own sessions in browsers go on in a store, and are dead there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask import session
from flow_site import NOBODY, Seen, Site, both, login, logout, look, pausing, put, still, wipe

from flask_sessionkit import ConfigError
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import Crash, FrozenClock, PausingStore, in_thread


def stamped(site: Site) -> Site:
    """Let a site say of every user what one on Memcached says anyway."""
    site.kit.user_stamp(lambda user: "as ever")
    return site


@pytest.fixture
def known() -> PausingStore:
    """The revocation store, of before and now."""
    return PausingStore(MemoryStore())


@pytest.fixture
def sealed(known: PausingStore, clock: FrozenClock) -> Site:
    """A server of before."""
    return stamped(Site(known, clock, in_cookies=True))


@pytest.fixture
def make_new(store: PausingStore, known: PausingStore, clock: FrozenClock) -> Callable[..., Site]:
    def make(**config: Any) -> Site:
        given = {"SESSIONKIT_REVOCATION_STORE": known, "SESSIONKIT_TAKE_OVER": "cookie:", **config}
        return stamped(Site(store, clock, **given))

    return make


@pytest.fixture
def site(make_new: Callable[..., Site]) -> Site:
    return make_new()


def test_a_session_goes_on_with_its_times_its_user_and_its_data(site: Site, sealed: Site) -> None:
    old = sealed.token(both(login("ann"), put(cart=[1], pair=("a", b"b"))))
    login_at = sealed.ask(old, lambda: session.login_at).value
    site.clock.tick(minutes=5)

    answer = site.ask(old, look)

    assert answer.value == Seen("ann", {"cart": [1], "pair": ("a", b"b")})
    assert len(answer.token or "") == 43
    assert site.ask(answer.token, lambda: session.login_at).value == login_at
    assert site.ask(answer.token, lambda: session.created_at).value == login_at
    assert site.ask(answer.token, site.kit.is_fresh).value is True


def test_the_absolute_limit_counts_from_where_it_counted(site: Site, sealed: Site) -> None:
    token = sealed.token(login("ann"))
    for _ in range(2):
        site.clock.tick(minutes=25)
        token = sealed.ask(token, look).token or token
    new = site.token(look, token)
    for _ in range(26):
        site.clock.tick(minutes=25)
        assert site.seen(new).user == "ann"

    site.clock.tick(minutes=21)

    assert site.seen(new) == NOBODY


def test_the_idle_limit_is_judged_before_it_is_taken_over(site: Site, sealed: Site) -> None:
    token = sealed.token(login("ann"))
    site.clock.tick(minutes=30)
    pausing(site).reset()

    assert site.ask(token, look).value == NOBODY
    assert not pausing(site).counts


def test_a_shorter_limit_of_today_holds(make_new: Callable[..., Site], sealed: Site) -> None:
    token = sealed.token(login("ann"))
    site = make_new(SESSIONKIT_IDLE_TIMEOUT=600)
    site.clock.tick(minutes=10)

    assert site.ask(token, look).value == NOBODY


def test_a_session_of_nobody_goes_on(site: Site, sealed: Site) -> None:
    old = sealed.token(put(cart=[1]))

    assert site.seen(site.token(look, old)) == Seen(None, {"cart": [1]})


def test_a_server_of_before_refuses_what_was_taken_over(site: Site, sealed: Site) -> None:
    old = sealed.token(login("ann"))
    new = site.token(look, old)

    assert sealed.seen(old) == NOBODY
    assert site.seen(new).user == "ann"
    assert sealed.outside(sealed.kit.sessions_of, "ann") == []


def ends(sealed: Site, old: str) -> dict[str, Callable[[], object]]:
    return {
        "logout": lambda: sealed.ask(old, logout),
        "revoked": lambda: sealed.outside(sealed.kit.revoke_user, "ann"),
        "login": lambda: sealed.ask(old, login("ann")),
    }


@pytest.mark.parametrize("end", ["logout", "revoked", "login"])
def test_what_ended_at_a_server_of_before_is_not_taken_over(site: Site, sealed: Site, end: str) -> None:
    old = sealed.token(login("ann"))
    ends(sealed, old)[end]()

    assert site.ask(old, look).value == NOBODY
    assert site.live_records() == []


@pytest.mark.parametrize("end", ["logout", "revoked"])
def test_what_ends_at_a_server_of_before_between_the_steps_is_ended_here_too(
    site: Site, sealed: Site, known: PausingStore, end: str
) -> None:
    old = sealed.token(login("ann"))
    gap = pausing(site).pause_before("create", nth=2)
    slow = in_thread(site.ask, old, look)
    with gap:
        ends(sealed, old)[end]()

    assert slow.result().value == NOBODY
    assert slow.result().says_nothing
    assert site.live_records() == []
    assert site.dead(old)


@pytest.mark.parametrize("later", [0, 31, 100, 20 * 60])
@pytest.mark.parametrize("user", ["ann", None])
@pytest.mark.parametrize("has_known", [True, False])
def test_no_cookie_of_a_session_that_was_taken_over_opens_it_or_another(
    clock: FrozenClock, store: PausingStore, known: PausingStore, user: str | None, later: float, has_known: bool
) -> None:
    """All cookies of a session have its lineage in common: also an older one is known as such."""
    kept = known if has_known else None
    sealed = stamped(Site(known, clock, in_cookies=True, SESSIONKIT_REVOCATION_STORE=kept))
    site = stamped(Site(store, clock, SESSIONKIT_REVOCATION_STORE=kept, SESSIONKIT_TAKE_OVER="cookie:"))
    older = sealed.token(both(login(user), put(n=1)) if user else put(n=1))
    old = sealed.token(put(n=2), older)
    new = site.token(look, old)
    site.ask(new, wipe if user is None else logout)

    for _ in range(3):
        clock.tick(seconds=later)
        site.purge()
        assert site.ask(old, look).value == NOBODY
        assert site.ask(older, look).value == NOBODY
    assert site.live_records() == []


def test_a_cookie_that_lives_longer_than_the_one_that_was_taken_over_opens_nothing_either(
    clock: FrozenClock, store: PausingStore, known: PausingStore
) -> None:
    """Of a session that was made permanent in between."""
    sealed = stamped(Site(known, clock, in_cookies=True, SESSIONKIT_REVOCATION_STORE=None))
    site = stamped(Site(store, clock, SESSIONKIT_REVOCATION_STORE=None, SESSIONKIT_TAKE_OVER="cookie:"))
    short = sealed.token(put(n=1))
    lasting = sealed.token(put(_permanent=True), short)
    site.ask(site.token(look, short), wipe)

    for _ in range(29):
        clock.tick(days=1)
        site.purge()
        assert site.ask(lasting, look).value == NOBODY


def test_another_cookie_of_the_same_session_is_led_on(site: Site, sealed: Site) -> None:
    older = sealed.token(both(login("ann"), put(n=1)))
    old = sealed.token(put(n=2), older)
    new = site.token(look, old)

    answer = site.ask(older, look)

    assert answer.says_nothing
    assert answer.value == site.seen(new)


def test_of_two_cookies_of_one_session_the_one_that_counts_is_taken(site: Site, sealed: Site) -> None:
    older = sealed.token(login("ann"))
    newer = sealed.token(lambda: session.regenerate(), older)

    assert site.ask(f"{older}; session={newer}", look).value.user == "ann"


@pytest.mark.parametrize("spoil", [lambda text: text[:-1], lambda text: "B" + text[1:], lambda text: text + "A"])
def test_what_is_no_cookie_of_ours_is_silence_and_asks_no_store(
    site: Site, sealed: Site, known: PausingStore, spoil: Callable[[str], str]
) -> None:
    old = sealed.token(login("ann"))
    pausing(site).reset()
    known.reset()

    answer = site.ask(spoil(old), look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert not pausing(site).counts
    assert not known.counts


def test_another_application_s_cookie_is_not_taken_over(make_new: Callable[..., Site], sealed: Site) -> None:
    old = sealed.token(login("ann"))

    assert make_new(SESSIONKIT_APP_ID="another").ask(old, look).value == NOBODY


def test_an_older_secret_still_opens(make_new: Callable[..., Site], known: PausingStore, clock: FrozenClock) -> None:
    older = "an older secret of the flow tests"
    old = stamped(Site(known, clock, in_cookies=True, SECRET_KEY=older)).token(login("ann"))

    assert make_new(SECRET_KEY_FALLBACKS=[older]).ask(old, look).value.user == "ann"


def test_a_changed_stamp_ends_it_before_it_is_taken_over(site: Site, sealed: Site) -> None:
    stamps = {"ann": "1"}
    sealed.kit.user_stamp(stamps.get)
    site.kit.user_stamp(stamps.get)
    one, other = sealed.token(login("ann")), sealed.token(login("ann"))
    assert site.ask(one, look).value.user == "ann"

    stamps["ann"] = "2"

    assert site.ask(other, look).value == NOBODY


def test_a_passive_request_takes_over_and_is_no_activity(site: Site, sealed: Site) -> None:
    old = sealed.token(login("ann"))
    site.clock.tick(minutes=20)
    answer = site.ask(old, look, path="/passive")
    assert answer.value.user == "ann"

    site.clock.tick(minutes=10)

    assert site.ask(answer.token, look, path="/passive").value == NOBODY


@pytest.mark.parametrize("step", ["load", "replace"])
def test_a_revocation_store_that_is_down_is_a_503_and_nothing_is_lost(
    site: Site, sealed: Site, known: PausingStore, step: Any
) -> None:
    old = sealed.token(login("ann"))
    known.fail(step)

    assert site.ask(old, look, status=503).says_nothing
    assert site.ask(old, look).value.user == "ann"


@pytest.mark.parametrize("step", ["load", "replace"])
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_at_the_revocation_store_loses_nothing(
    site: Site, sealed: Site, known: PausingStore, step: Any, before: bool
) -> None:
    old = sealed.token(login("ann"))
    known.crash(step, before=before)
    with suppress(Crash):
        site.ask(old, look)

    assert site.ask(old, look).value.user == "ann"
    site.clock.tick(seconds=31)
    new = site.token(look, old)
    assert sealed.seen(old) == NOBODY
    assert site.seen(new).user == "ann"


def test_what_it_costs(site: Site, sealed: Site, known: PausingStore) -> None:
    old = sealed.token(login("ann"))
    pausing(site).reset()
    known.reset()
    site.ask(old, still)
    assert not pausing(site).counts
    assert not known.counts

    new = site.token(look, old)

    assert pausing(site).counts == {"load": 1, "create": 2}
    assert known.counts == {"load": 2, "replace": 1}
    site.ask(new, look)
    pausing(site).reset()
    known.reset()
    site.ask(new, look)
    assert pausing(site).counts == {"load": 1}
    assert not known.counts


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({}, "SESSIONKIT_TAKE_OVER is 'cookie:'"),
        ({"SESSIONKIT_REVOCATION_STORE": "cookie:"}, "must be a store on the server, not a cookie"),
    ],
)
def test_the_revocation_store_has_to_be_named_still(clock: FrozenClock, config: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Site(MemoryStore(), clock, SESSIONKIT_TAKE_OVER="cookie:", **config)
