"""How many sessions of one user may live at once: the newest logins, also where they come at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import session
from flow_fixtures import each_of
from flow_site import NOBODY, Seen, Site, both, ended_because, identify, login, logout, look, pausing, put
from flow_stores import KINDS_AND_CLUSTER

from flask_sessionkit import ConfigError, SessionKit
from flask_sessionkit.stores.base import Capability, Store
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, in_thread

MakeSite = Callable[..., Site]
MOST = 3


kind = each_of(KINDS_AND_CLUSTER)


@pytest.fixture(params=[False, True], ids=["server", "client"])
def site(make_site: MakeSite, request: pytest.FixtureRequest) -> Site:
    return make_site(in_cookies=request.param, SESSIONKIT_MAX_SESSIONS_PER_USER=MOST)


def logins(site: Site, count: int, user: str = "ann") -> list[str]:
    """Sign in on so many devices, a second apart."""
    tokens = []
    for _ in range(count):
        tokens.append(site.token(login(user)))
        site.clock.tick(1)
    return tokens


@pytest.mark.requirement("DS-03")
def test_the_oldest_login_ends_with_one_too_many(site: Site) -> None:
    tokens = logins(site, MOST)
    with site.events() as events:
        newest = site.token(login("ann"))

    assert [site.seen(token).user for token in (*tokens, newest)] == [None, "ann", "ann", "ann"]
    assert site.ask(tokens[0], ended_because).value == "limit"
    assert ("session_ended", {"reason": "limit", "user_id": "ann"}) in events


def test_the_age_of_the_login_counts_and_not_the_last_use(site: Site) -> None:
    tokens = logins(site, MOST)
    site.clock.tick(300)
    site.seen(tokens[0])
    site.token(login("ann"))

    assert site.seen(tokens[0]) == NOBODY


def test_other_users_keep_theirs(site: Site) -> None:
    bobs = logins(site, MOST, "bob")
    logins(site, MOST + 2)

    assert [site.seen(token).user for token in bobs] == ["bob"] * MOST


def test_a_session_that_is_over_counts_no_more(site: Site) -> None:
    tokens = logins(site, MOST)
    site.ask(tokens[2], logout)
    site.token(login("ann"))

    assert site.seen(tokens[0]).user == "ann"


def test_who_logs_in_again_in_the_same_browser_ends_no_other(site: Site) -> None:
    tokens = logins(site, MOST)
    again = site.token(login("ann"), tokens[2])

    assert [site.seen(token).user for token in (*tokens[:2], again)] == ["ann"] * MOST


def test_a_login_by_the_identity_key_counts_too(site: Site) -> None:
    tokens = [site.token(identify("ann"))]
    site.clock.tick(1)
    tokens += logins(site, MOST)

    assert [site.seen(token).user for token in tokens] == [None, *["ann"] * MOST]


def test_a_limit_that_is_lowered_holds_from_the_next_login(make_site: MakeSite) -> None:
    site, lowered = make_site(), make_site(SESSIONKIT_MAX_SESSIONS_PER_USER=2)
    tokens = logins(site, 6)
    newest = lowered.token(login("ann"))

    assert [lowered.seen(token).user for token in (*tokens, newest)] == [*[None] * 5, "ann", "ann"]


def test_a_rotation_is_no_login(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_MAX_SESSIONS_PER_USER=2, SESSIONKIT_ROTATE_EVERY=60)
    tokens = logins(site, 2)
    site.clock.tick(60)
    new = [site.token(look, token) for token in tokens]

    assert [site.seen(token).user for token in new] == ["ann", "ann"]


def test_16_logins_at_once_leave_exactly_the_newest(site: Site) -> None:
    barrier = threading.Barrier(16)

    def one(n: int) -> str | None:
        def view() -> None:
            barrier.wait(10)
            login("ann")()
            session["n"] = n

        return site.ask(None, view).token

    running = [in_thread(one, n) for n in range(16)]
    tokens = [each.result() for each in running]

    assert len([token for token in tokens if token and site.seen(token).user == "ann"]) == MOST
    assert len(site.outside(site.kit.sessions_of, "ann")) == MOST


def test_all_that_race_keep_the_same_ones(make_site: MakeSite) -> None:
    """Each has inserted its own before any of them lists."""
    site = make_site(SESSIONKIT_MAX_SESSIONS_PER_USER=1)
    gap = pausing(site).pause_before("list_owner")
    first = in_thread(site.token, login("ann"))
    with gap:
        site.clock.tick(1)
        second = site.token(login("ann"))
        site.clock.tick(-1)

    assert site.seen(second).user == "ann"
    assert site.seen(first.result()) == NOBODY


@pytest.mark.requirement("ST-10")
def test_a_login_whose_limit_cannot_be_kept_fails(make_site: MakeSite) -> None:
    site = make_site(SESSIONKIT_MAX_SESSIONS_PER_USER=1)
    kept = site.token(login("ann"))
    basket = site.token(put(n=1))
    for token in (None, basket):
        pausing(site).fail("list_owner")
        assert site.ask(token, login("ann"), status=503).says_nothing

    assert site.served() == [Seen("ann", {}), Seen(None, {"n": 1})]
    assert site.seen(kept).user == "ann"


def test_without_a_limit_a_login_lists_nothing(make_site: MakeSite) -> None:
    site = make_site()
    pausing(site).reset()
    site.token(login("ann"))

    assert pausing(site).counts["list_owner"] == 0


class Unlisted(MemoryStore):
    capabilities = Capability.PURGE


@pytest.mark.parametrize(
    ("config", "store", "name"),
    [
        ({}, Unlisted(), "Unlisted"),
        ({"SESSIONKIT_STORE": "cookie:", "SESSIONKIT_REVOCATION_STORE": None}, None, "SESSIONKIT_REVOCATION_STORE"),
    ],
)
def test_what_cannot_list_has_no_limit(config: dict[str, Any], store: Store | None, name: str) -> None:
    from flask import Flask

    app = Flask("shop")
    app.config.update(TESTING=True, SESSIONKIT_MAX_SESSIONS_PER_USER=3, **config)

    with pytest.raises(ConfigError, match=f"SESSIONKIT_MAX_SESSIONS_PER_USER needs .*{name}"):
        SessionKit(app, store=store, clock=FrozenClock())


def test_tokens_in_browsers_are_not_renewed_by_age() -> None:
    from flask import Flask

    app = Flask("shop")
    app.config.update(
        TESTING=True, SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE="memory:", SESSIONKIT_ROTATE_EVERY=3600
    )

    with pytest.raises(ConfigError, match="SESSIONKIT_ROTATE_EVERY needs a store on the server"):
        SessionKit(app)


def test_a_login_and_its_limit_in_one_request_that_also_writes(site: Site) -> None:
    old = logins(site, 1)
    newest = [site.token(both(put(n=n), login("ann"))) for n in range(MOST)]

    assert site.dead(*old)
    assert [site.seen(token).data for token in newest] == [{"n": n} for n in range(MOST)]


def test_a_remembered_login_counts_by_when_it_began(site: Site) -> None:
    """Nobody typed a password then, so it has no time of a login."""
    remember = put(_user_id="ann", _fresh=False)
    tokens = []
    for _ in range(MOST):
        tokens.append(site.token(remember))
        site.clock.tick(100)
    site.seen(tokens[0])
    newest = site.token(remember)

    assert [site.seen(token).user for token in (*tokens, newest)] == [None, "ann", "ann", "ann"]
