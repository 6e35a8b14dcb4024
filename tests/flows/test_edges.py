"""Where two promises meet: each of these was broken once, by somebody who tried."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from traceback import TracebackException
from typing import Any

import flask_login
import pytest
from flask import session
from flow_site import (
    NOBODY,
    Seen,
    Site,
    both,
    drop,
    end_by_identity,
    failing,
    login,
    logout,
    look,
    pausing,
    put,
    renew,
    wipe,
)
from flow_stores import open_store

from flask_sessionkit import SessionConflict, StoreError, login_user
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.testing import FrozenClock, PausingStore, in_thread


@pytest.fixture
def ahead(make_site: Callable[..., Site], clock: FrozenClock) -> Site:
    """A server of the same sessions whose clock is 30 s ahead, which is less than is believed."""
    return make_site(clock=FrozenClock(clock.now() + 30))


@pytest.mark.requirement("TR-03", "TR-10")
def test_a_renewal_on_a_server_that_is_ahead_does_not_escape_a_revocation(site: Site, ahead: Site) -> None:
    """TR-03, TR-10."""
    token = ahead.token(login("ann"))
    gap = pausing(site).pause_before("load")
    revoking = in_thread(site.outside, site.kit.revoke_user, "ann")
    with gap:
        renewed = ahead.token(renew, token)

    assert revoking.result() == 1
    assert site.dead(token, renewed)


@pytest.mark.requirement("FX-03")
def test_a_csrf_token_that_is_written_during_a_login_dies_with_those_before(site: Site) -> None:
    """FX-03: whoever planted the cookie knows that token."""
    token = site.token(put(cart=1))
    gap = pausing(site).pause_before("replace")
    signing_in = in_thread(site.ask, token, login("ann"))
    with gap:
        site.ask(token, put(csrf_token="known to another", seen=1))

    assert site.seen(signing_in.result().token) == Seen("ann", {"cart": 1, "seen": 1})


@pytest.mark.requirement("FX-04")
def test_atomic_writes_nothing_of_a_new_user_into_the_session_of_the_one_before(site: Site) -> None:
    """FX-04."""
    token = site.token(both(login("alice"), put(v=1)))

    def view() -> None:
        login_user("bob")
        with pytest.raises(SessionConflict, match="before the change of user"):
            session.atomic(lambda current: current.update(secret="bob's"))

    site.ask(token, failing(view), status=500)
    site.ask(token, failing(both(end_by_identity, wipe), view), status=500)

    assert [seen.data for seen in site.served()] in ([{"v": 1}], [])


def test_atomic_goes_on_after_the_login_of_a_stranger(site: Site) -> None:
    token = site.token(put(cart=1))
    answer = site.ask(token, both(login("ann"), lambda: session.atomic(lambda current: current.update(n=1))))

    assert site.seen(answer.token) == Seen("ann", {"cart": 1, "n": 1})


def test_clear_inside_atomic_takes_what_was_pending_with_it(site: Site) -> None:
    token = site.token(put(x=1, y=2))

    view = both(put(x=5, z=6), lambda: session.atomic(lambda current: current.clear()), look)

    assert site.ask(token, view).value == NOBODY
    assert site.seen(token) == NOBODY


def test_a_session_that_atomic_emptied_is_ended(site: Site) -> None:
    token = site.token(put(x=1))

    answer = site.ask(token, lambda: session.atomic(lambda current: current.clear()))

    assert answer.forgets
    assert site.live_records() == []


def test_a_login_keeps_the_keys_that_it_set_though_the_session_before_is_gone(site: Site) -> None:
    """The same value again, too: Flask-Login would not know its user without ``_user_id``."""
    token = site.token(put(_user_id="ann", _fresh=False, old=1))
    gap = pausing(site).pause_before("replace")
    signing_in = in_thread(site.ask, token, put(_user_id="ann", _fresh=True, cart=1))
    with gap:
        site.ask(token, logout)

    assert site.seen(signing_in.result().token) == Seen("ann", {"_user_id": "ann", "_fresh": True, "cart": 1})


@pytest.mark.parametrize("stamp", [7, b"hash"])
def test_a_stamp_of_another_type_is_an_error_and_no_silent_stranger(site: Site, stamp: Any) -> None:
    site.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(TypeError, match="stamp must be str"):
        site.ask(None, login("ann", stamp=stamp))

    site.kit.user_stamp(lambda user: stamp)
    with pytest.raises(TypeError, match="user_stamp function must return str or None"):
        site.ask(None, login("ann"))
    assert site.live_records() == []


@pytest.mark.requirement("FX-04")
def test_data_stays_whose_it_was_whoever_clears_beside_it(site: Site) -> None:
    """FX-04."""
    token = site.token(both(put(_user_id="alice", private="alice's")))
    token = site.token(end_by_identity, token)
    gap = pausing(site).pause_before("replace")
    slow = in_thread(site.ask, token, lambda: session.update(report="made of " + session["private"]))
    with gap:
        site.ask(token, both(wipe, put(hello=1)))
    slow.result()

    bob = site.seen(site.token(login("bob"), token))
    assert "report" not in (bob.data or {})


@pytest.mark.parametrize("view", [put(user="1"), drop("user"), look])
def test_a_value_of_before_its_key_named_users_is_nobody(
    make_site: Callable[..., Site], site: Site, view: Callable[[], Any]
) -> None:
    token = site.token(put(user={"id": 1}))
    today = make_site(SESSIONKIT_IDENTITY_KEYS=["user"])

    assert today.ask(token, view).status == 200


@pytest.mark.requirement("TO-03")
def test_the_end_of_a_login_does_not_lengthen_the_life_of_what_stays(site: Site) -> None:
    """TO-03."""
    token = site.token(put(_user_id="ann", _fresh=True, cart=1))
    for hour in range(24):
        site.clock.tick(1790)
        if hour == 12:
            token = site.token(end_by_identity, token)
        site.ask(token, look)
    assert site.seen(token) == Seen(None, {"cart": 1})

    site.clock.tick(12 * 3600 - 24 * 1790)

    assert site.dead(token)


@pytest.mark.requirement("ST-10")
def test_a_login_that_was_not_saved_leaves_no_remember_cookie(make_site: Callable[..., Site]) -> None:
    """ST-10."""
    site = make_site()
    manager = flask_login.LoginManager(site.app)
    user = flask_login.UserMixin()
    user.id = "ann"
    manager.user_loader(lambda _: user)
    pausing(site).fail("create")

    answer = site.ask(None, lambda: flask_login.login_user(user, remember=True) and "in", status=503)

    assert answer.response.headers.getlist("Set-Cookie") == []


def test_an_enumeration_is_a_key_like_the_text_that_it_is(site: Site) -> None:
    class Key(StrEnum):
        CART = "cart"

    token = site.token(lambda: session.update({Key.CART: 1}))

    assert site.seen(token) == Seen(None, {"cart": 1})
    assert type(site.ask(token, lambda: next(iter(session))).value) is str


@pytest.mark.requirement("LG-01")
@pytest.mark.parametrize("call", ["load", "replace"])
def test_an_errors_reporter_that_shows_variables_shows_no_token(site: Site, call: Any) -> None:
    """LG-01: such a reporter shows the variables of each frame of ours."""
    token = site.token(put(known=1))
    pausing(site).fail(call)

    def view() -> list[dict[str, str] | None]:
        try:
            session.get("known")
            session.atomic(lambda current: current.update(known=2))
        except StoreError as error:
            frames = TracebackException.from_exception(error, capture_locals=True).stack
            return [frame.locals for frame in frames if "/flask_sessionkit/" in frame.filename]
        return []

    shown = site.ask(token, view, status=(200, 503)).value

    assert len(shown) > 3
    assert token not in str(shown)


@pytest.mark.requirement("CL-02")
def test_a_purge_beside_a_list_is_no_failure(
    tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CL-02: the purge sweeps the user's empty folder away just before the list looks into it."""
    store = FileStore(tmp_path / "sessions")
    site = Site(PausingStore(store), clock)
    site.ask(site.token(login("ann")), logout)
    look_into, swept = os.listdir, []

    def listdir(path: str) -> list[str]:
        if "/owner/" in path and not swept:
            swept.append(store.purge(now=clock.now() + 10))
        return look_into(path)

    monkeypatch.setattr(os, "listdir", listdir)

    assert site.outside(site.kit.revoke_user, "ann") == 0
    assert swept


def test_two_purges_at_once_are_no_failure(tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = FileStore(tmp_path / "sessions"), open_store("files", tmp_path)
    site = Site(PausingStore(store), clock)
    site.ask(site.token(login("ann")), logout)
    scan, swept = os.scandir, []

    def scandir(path: str) -> Any:
        if "/owner/" in path and not swept:
            swept.append(1)
            other.purge(now=clock.now() + 10)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)

    assert site.purge() == 0
    assert swept
