"""Security requirements ID: what the browser holds leads to a session of ours, and says nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import session
from flow_site import NOBODY, Seen, Site, both, login, logout, look, pausing, put, renew
from flow_stores import keys_in
from visitors import BY_COOKIE, sessions_of, signed_in

from flask_sessionkit.stores.memory import MemoryStore

MakeSite = Callable[..., Site]


@pytest.mark.requirement("ID-01", "CK-07")
def test_cookies_differ_and_hold_only_what_no_proxy_changes(site: Site) -> None:
    values = {site.token(put(n=1)) for _ in range(100)}

    assert len(values) == 100
    assert all(
        set(value) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") for value in values
    )


@pytest.mark.requirement("ID-02")
def test_a_token_that_we_did_not_issue_is_never_adopted(make_site: MakeSite) -> None:
    site = make_site()
    stranger = make_site(SECRET_KEY="of another site", store=MemoryStore()).token(login("ann"))

    assert site.ask(stranger, look).says_nothing
    begun = site.token(put(v=1), stranger)

    assert begun != stranger
    assert site.dead(stranger)
    assert site.seen(begun) == Seen(None, {"v": 1})


@pytest.mark.requirement("ID-03")
@pytest.mark.parametrize("value", ["", '""', " ", "None", "null", "0", "undefined"])
def test_nothing_empty_names_a_session(site: Site, value: str) -> None:
    visitor = signed_in(site)
    visitor.does(both(put(v=1), logout))
    pausing(site).reset()

    answer = site.ask(None, look, headers={"Cookie": f"session={value}"})

    assert answer.value == NOBODY
    assert pausing(site).counts == {}


@BY_COOKIE
@pytest.mark.requirement("ID-04")
def test_a_token_is_taken_from_the_cookie_only(site: Site) -> None:
    [token] = signed_in(site).held
    pausing(site).reset()
    elsewhere: list[dict[str, Any]] = [
        {"query_string": {"session": token, "sid": token}},
        {"data": {"session": token}},
        {"json": {"session": token}},
        *({"headers": {name: token}} for name in ("Session", "X-Session-Id", "X-Session-Token", "Authorization")),
        {"headers": {"Authorization": f"Bearer {token}"}},
    ]

    for way in elsewhere:
        values: list[Any] = []
        environ = {"flow.view": look, "flow.values": values}
        site.app.test_client(use_cookies=False).post("/do", environ_overrides=environ, **way)
        assert values == [NOBODY], way

    assert pausing(site).counts == {}


@pytest.mark.requirement("ID-05")
def test_no_key_of_a_store_is_a_cookie(site: Site) -> None:
    signed_in(site)

    for key in keys_in(site.store):
        for form in (key, key[:43], base64.urlsafe_b64encode(bytes.fromhex(key)).decode().rstrip("=")):
            assert site.dead(form)


@pytest.mark.requirement("ID-08")
def test_neither_the_session_nor_a_list_shows_a_token(site: Site) -> None:
    visitor = signed_in(site)
    visitor.does(put(v=1))

    def show() -> Any:
        current: Any = session
        own = current._get_current_object()
        return [repr(own), str(own), repr(vars(own)), json.dumps(dict(current)), repr(site.kit.sessions_of("ann"))]

    shown = "\n".join(visitor.does(both(look, show)).value)

    assert not any(token in shown for token in visitor.held)
    [row] = sessions_of(site)
    assert site.dead(row.handle, row.handle[:43], row.handle * 3)


@pytest.mark.requirement("ID-08")
def test_a_handle_stays_when_the_token_is_renewed(site: Site) -> None:
    visitor = signed_in(site)
    [before] = sessions_of(site)

    visitor.does(renew)

    [after] = sessions_of(site)
    assert after.handle == before.handle
    assert visitor.sees.user == "ann"
    assert site.outside(site.kit.revoke, before.handle) == 1
    assert site.dead(*visitor.held)
