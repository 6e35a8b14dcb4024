"""Requests that take the same session over at once, with a stop or a crash between any two of the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flow_site import (
    NOBODY,
    Seen,
    Site,
    View,
    append,
    end_by_identity,
    login,
    logout,
    look,
    pausing,
    put,
    stopped,
    wipe,
)
from former_cookies import signed_by_flask, with_login

from flask_sessionkit import StoreError
from flask_sessionkit.cookie_policy import CookiePolicy
from flask_sessionkit.predecessors import Former
from flask_sessionkit.testing import Crash
from flask_sessionkit.testing.interleaving import Call, race
from flask_sessionkit.transport import Cookie

CALLS_OF_A_TAKE_OVER: list[tuple[Call, int]] = [("load", 1), ("create", 1), ("create", 2)]
OLD = "drawn-at-random"


class Drawer:
    """Where an application's sessions lay before, on the server: a predecessor in the shape that anybody may write.

    :ivar kept: data by token.
    :ivar before: called ahead of a call of this name.
    """

    has_random_tokens = True

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.before: dict[str, Callable[[], object]] = {}
        self.retired: list[bool] = []

    def __call__(self, app: Any) -> Drawer:
        self.app = app
        return self

    @property
    def cookie(self) -> Cookie:
        return CookiePolicy(is_secure=False).cookie(self.app)

    def name(self, token: str) -> str | None:
        return token if token.startswith("drawn") else None

    def load(self, token: str, *, now: float) -> Former | None:
        self.before.pop("load", lambda: None)()
        items = self.kept.get(token)
        return None if items is None else Former(until=now + 3600, items=items)

    def retire(self, token: str, *, now: float) -> bool:
        self.before.pop("retire", lambda: None)()
        self.retired.append(self.kept.pop(token, None) is not None)
        return self.retired[-1]


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture(params=["flask", "drawer"])
def takes_from(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(make_site: Callable[..., Site], takes_from: str, drawer: Drawer) -> Site:
    site = make_site(SESSIONKIT_TAKE_OVER="flask" if takes_from == "flask" else drawer)
    site.kit.user_stamp(lambda user: "as ever")
    return site


@pytest.fixture
def old(site: Site, takes_from: str, drawer: Drawer) -> str:
    """The cookie of a user's session that was kept in another way."""
    items = with_login("ann", cart=[1])
    if takes_from == "flask":
        return signed_by_flask(items, at=site.clock.now() - 60)
    drawer.kept[OLD] = dict(items)
    return OLD


@pytest.mark.parametrize(("call", "nth"), CALLS_OF_A_TAKE_OVER)
@pytest.mark.parametrize("after", [False, True])
def test_two_first_requests_share_one_session_wherever_the_one_stops(
    site: Site, old: str, call: Call, nth: int, after: bool
) -> None:
    with stopped(site, old, append("cart", 2), call, nth=nth, after=after) as slow:
        quick = site.ask(old, append("cart", 3))
    answers = [slow.result(), quick]

    tokens = [answer.token for answer in answers if answer.token]
    assert len(tokens) == 1
    assert site.seen(tokens[0]).data == with_login("ann", cart=site.seen(tokens[0]).data["cart"])  # type: ignore[index]
    assert {1, 2, 3} >= set(site.seen(tokens[0]).data["cart"]) > {1}  # type: ignore[index]
    assert len(site.outside(site.kit.sessions_of, "ann")) == 1


def test_changes_of_different_keys_in_two_first_requests_are_both_there(site: Site, old: str) -> None:
    with stopped(site, old, put(a=1), "create", nth=2) as slow:
        quick = site.ask(old, put(b=2))
    answers = [slow.result(), quick]

    (token,) = [answer.token for answer in answers if answer.token]
    assert site.seen(token).data == with_login("ann", cart=[1], a=1, b=2)


def test_six_first_requests_at_once_share_one_session(site: Site, old: str) -> None:
    (answers,) = race(*[lambda _, number=number: site.ask(old, put(**{f"n{number}": number})) for number in range(6)])

    (token,) = [answer.token for answer in answers if answer.token]
    assert site.seen(token).data == with_login("ann", cart=[1], **{f"n{number}": number for number in range(6)})
    assert len(site.outside(site.kit.sessions_of, "ann")) == 1


@pytest.mark.parametrize(("call", "nth"), CALLS_OF_A_TAKE_OVER)
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_step_loses_nothing_and_leaves_nothing_that_a_token_opens(
    site: Site, old: str, call: Call, nth: int, after: bool
) -> None:
    pausing(site).crash(call, nth=nth, before=not after)
    with pytest.raises(Crash):
        site.ask(old, look)

    assert site.ask(old, look).value.user == "ann"
    site.clock.tick(seconds=31)
    answer = site.ask(old, look)
    token = answer.token or site.handed_out[-1]
    assert site.seen(token).user == "ann"
    site.ask(token, logout)
    site.clock.tick(minutes=31)
    assert site.served() == []
    assert site.dead(old)


@pytest.mark.parametrize(("call", "nth"), CALLS_OF_A_TAKE_OVER)
def test_a_logout_by_another_request_while_one_takes_over_ends_it_for_good(
    site: Site, old: str, call: Call, nth: int
) -> None:
    with stopped(site, old, look, call, nth=nth, status=(200, 503)) as slow:
        site.ask(site.token(look, old), logout)

    assert slow.result().says_nothing
    assert site.dead(old)
    assert site.served() == []
    assert site.live_records() == []


def test_a_login_by_another_request_while_one_takes_over_leaves_only_the_login(site: Site, old: str) -> None:
    with stopped(site, old, look, "create", nth=2) as slow:
        new = site.token(login("bob"), site.token(look, old))

    assert slow.result().says_nothing
    assert site.dead(old)
    assert site.served() == [site.seen(new)]
    assert site.seen(new).user == "bob"


def test_a_revocation_between_the_steps_is_not_undone(site: Site, old: str) -> None:
    with stopped(site, old, look, "create", nth=2) as slow:
        assert site.outside(site.kit.revoke_user, "ann") == 1
    token = slow.result().token

    assert token is not None
    assert site.dead(token, old)
    assert site.live_records() == []


def test_the_old_cookie_that_was_given_a_second_token_follows_only_that(site: Site, old: str) -> None:
    lost = site.token(look, old)
    site.clock.tick(seconds=31)

    with stopped(site, old, look, "replace", nth=1) as slow:
        quick = site.ask(old, look)
    tokens = [answer.token for answer in (slow.result(), quick) if answer.token]

    assert len(tokens) == 1
    assert site.seen(tokens[0]).user == "ann"
    assert len(site.outside(site.kit.sessions_of, "ann")) == 1
    assert lost not in tokens


# What only a predecessor on the server can do.


@pytest.fixture
def drawn(make_site: Callable[..., Site], drawer: Drawer) -> Site:
    drawer.kept[OLD] = dict(with_login("ann"))
    return make_site(SESSIONKIT_TAKE_OVER=[drawer])


def test_the_old_session_is_removed_once_it_was_taken_over(drawn: Site, drawer: Drawer) -> None:
    drawn.token(look, OLD)

    assert drawer.kept == {}
    assert drawer.retired == [True]


def test_the_old_token_is_known_as_such_for_as_long_as_the_session_lives(drawn: Site, drawer: Drawer) -> None:
    """Also where it would have ended by itself before, as in the drawer after an hour."""
    new = drawn.token(look, OLD)
    for _ in range(8):
        drawn.clock.tick(minutes=25)
        assert drawn.seen(new).user == "ann"
    drawn.purge()

    assert drawn.seen(OLD) == NOBODY
    assert drawn.dead(new)


def test_who_was_overtaken_while_loading_is_led_on(drawn: Site, drawer: Drawer) -> None:
    tokens: list[str] = []
    drawer.before["load"] = lambda: tokens.append(drawn.token(look, OLD))

    answer = drawn.ask(OLD, look)

    assert answer.value.user == "ann"
    assert answer.says_nothing
    assert drawn.seen(tokens[0]).user == "ann"
    assert len(drawn.outside(drawn.kit.sessions_of, "ann")) == 1


def test_who_logged_out_at_a_server_of_before_while_it_was_taken_over_stays_so(drawn: Site, drawer: Drawer) -> None:
    drawer.before["retire"] = drawer.kept.clear

    answer = drawn.ask(OLD, look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert drawn.live_records() == []
    assert drawn.dead(OLD)


def test_who_finds_a_take_over_that_was_cut_off_finishes_it(drawn: Site, drawer: Drawer) -> None:
    def die() -> None:
        raise Crash

    drawer.before["retire"] = die
    with pytest.raises(Crash):
        drawn.ask(OLD, look)
    assert drawer.kept != {}

    assert drawn.ask(OLD, look).value.user == "ann"
    assert drawer.kept != {}  # the one that took it over might yet be at it
    drawn.clock.tick(seconds=6)
    assert drawn.ask(OLD, look).value.user == "ann"
    assert drawer.kept == {}


@pytest.mark.parametrize("end", [logout, login("bob"), end_by_identity, wipe])
def test_who_ends_what_was_taken_over_without_its_last_step_removes_it_there_too(
    drawn: Site, drawer: Drawer, end: View
) -> None:
    """Servers of before would go on serving it."""

    def die() -> None:
        raise Crash

    drawer.before["retire"] = die
    with pytest.raises(Crash):
        drawn.ask(OLD, look)

    drawn.ask(OLD, end)

    assert drawer.kept == {}


def test_who_comes_after_the_end_of_what_was_taken_over_without_its_last_step_removes_it_there_too(
    drawn: Site, drawer: Drawer
) -> None:
    def die() -> None:
        raise Crash

    drawer.before["retire"] = die
    with pytest.raises(Crash):
        drawn.ask(OLD, look)
    drawn.outside(drawn.kit.revoke_user, "ann")

    assert drawn.dead(OLD)
    assert drawer.kept == {}


def test_who_is_very_late_with_the_last_step_does_not_take_it_for_a_logout(drawn: Site, drawer: Drawer) -> None:
    def another() -> None:
        drawn.clock.tick(seconds=10)
        assert drawn.ask(OLD, look).value.user == "ann"

    drawer.before["retire"] = another

    answer = drawn.ask(OLD, look)

    assert answer.value.user == "ann"
    assert drawn.seen(answer.token).user == "ann"


@pytest.mark.parametrize("step", ["load", "retire"])
def test_where_the_store_of_before_is_down_it_is_a_503_and_nothing_is_lost(
    drawn: Site, drawer: Drawer, step: str
) -> None:
    def fail() -> None:
        raise StoreError("The store of before failed, as the test wanted.")

    drawer.before[step] = fail
    assert drawn.ask(OLD, look, status=503).says_nothing

    assert drawn.ask(OLD, look).value.user == "ann"


def test_a_server_of_before_that_writes_the_old_session_again_revives_nothing(drawn: Site, drawer: Drawer) -> None:
    """Flask-Session writes back, at the end of a request, what it read at its beginning."""
    new = drawn.token(look, OLD)
    drawer.kept[OLD] = dict(with_login("ann"))
    drawn.ask(new, logout)

    assert drawn.dead(OLD)
    assert drawn.live_records() == []
    assert drawn.seen(OLD) == Seen()
