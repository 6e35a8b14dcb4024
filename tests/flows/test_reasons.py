"""Why a session ended, as whoever ended it from outside said, and as its browser then reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flow_fixtures import each_of
from flow_site import Site, both, ended_because, login, look
from flow_stores import KINDS_AND_CLUSTER

REASONS = ("revoked", "administrator", "stamp", "limit")


kind = each_of(KINDS_AND_CLUSTER)


@pytest.fixture(params=[False, True], ids=["server", "client"])
def site(make_site: Callable[..., Site], request: pytest.FixtureRequest) -> Site:
    return make_site(in_cookies=request.param)


@pytest.mark.parametrize("reason", REASONS)
def test_who_ends_a_session_from_outside_says_why(site: Site, reason: str) -> None:
    token = site.token(login("ann"))
    handle = site.outside(site.kit.sessions_of, "ann")[0].handle
    with site.events() as events:
        assert site.outside(site.kit.revoke, handle, reason=reason) == 1

    assert site.ask(token, ended_because).value == reason
    assert events == [("session_ended", {"reason": reason, "user_id": "ann"})]


@pytest.mark.parametrize("reason", REASONS)
def test_who_ends_all_of_a_users_sessions_says_why(site: Site, reason: str) -> None:
    tokens = [site.token(login("ann")) for _ in range(2)]
    assert site.outside(site.kit.revoke_user, "ann", reason=reason) == 2

    assert [site.ask(token, ended_because).value for token in tokens] == [reason, reason]


def test_a_change_of_the_password_is_told_to_the_other_sessions(site: Site) -> None:
    other, mine = site.token(login("ann")), site.token(login("ann"))
    answer = site.ask(mine, lambda: site.kit.revoke_user("ann", keep_current=True, reason="stamp"))

    assert site.ask(other, ended_because).value == "stamp"
    assert site.ask(answer.token, both(look, ended_because)).value is None


@pytest.mark.parametrize("reason", ["logout", "idle", "replaced", "rotated", "bored", ""])
def test_only_reasons_that_hold_from_outside_can_be_given(site: Site, reason: str) -> None:
    """A session that "logged out" would have its browser think that it was sent a newer cookie."""
    token = site.token(login("ann"))

    with pytest.raises(ValueError, match="revoked, limit, stamp, administrator"):
        site.outside(site.kit.revoke_user, "ann", reason=reason)
    with pytest.raises(ValueError, match=repr(reason)):
        site.outside(site.kit.revoke, "handle", reason=reason)
    assert site.seen(token).user == "ann"
