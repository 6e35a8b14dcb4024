"""Encryption at rest: nothing in a store can be read, and it can be switched on and off under live sessions."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_dumps import dump
from flow_site import NOBODY, Seen, Site, append, both, identify, login, logout, look, pausing, put, renew
from flow_stores import keys_in
from msgspec.structs import replace as changed

from flask_sessionkit.device import Device
from flask_sessionkit.stores.base import LimitsPayload
from flask_sessionkit.tokens import key_of

AGENT = {"User-Agent": "Firefox/140 on a ThinkPad"}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(SESSIONKIT_ENCRYPT_RECORDS=True)


@pytest.mark.requirement("ST-11")
def test_a_dump_shows_nothing(site: Site, make_site: Callable[..., Site], kind: str, tmp_path: Path) -> None:
    """ST-11: no value, no key of the session, no user, no address and no device; in the clear all of them are there."""
    words = [b"alice@example.com", b"favourite tea", b"sencha", b"Firefox", b"127.0.0.1"]

    def filled(where: Site) -> str:
        token = where.ask(
            None, both(login("alice@example.com"), put(**{"favourite tea": "sencha"})), headers=AGENT
        ).token
        assert token is not None
        return token

    token = filled(site)
    stolen = dump(kind, pausing(site), tmp_path)

    assert keys_in(site.store)[0].encode() in stolen
    for word in (*words, token.encode(), base64.urlsafe_b64decode(token + "=")):
        assert word not in stolen
        assert base64.b64encode(word).rstrip(b"=")[:-1] not in stolen
        assert word.hex().encode() not in stolen
    filled(make_site())
    readable = dump(kind, pausing(site), tmp_path)
    assert [word for word in words if word not in readable] == []


def test_a_session_lives_as_ever(site: Site) -> None:
    before = site.token(put(cart=[1]))
    token = site.token(login("ann"), before)
    site.ask(token, append("cart", 2))
    site.clock.tick(61)
    site.ask(token, look)
    token = site.token(renew, token)

    assert site.seen(token) == Seen("ann", {"cart": [1, 2]})
    [row] = site.outside(site.kit.sessions_of, "ann")
    assert row.address == "127.0.0.1"
    assert site.outside(site.kit.revoke, row.handle) == 1
    assert site.dead(before, token)


@pytest.mark.parametrize("is_on", [True, False], ids=["switched on", "switched off"])
def test_it_is_switched_under_live_sessions(make_site: Callable[..., Site], is_on: bool) -> None:
    earlier, later = make_site(SESSIONKIT_ENCRYPT_RECORDS=not is_on), make_site(SESSIONKIT_ENCRYPT_RECORDS=is_on)
    token = earlier.ask(None, both(login("ann"), put(v=[1])), headers=AGENT).token or ""
    other = earlier.token(login("ann"))

    assert later.seen(token) == Seen("ann", {"v": [1]})
    later.ask(token, append("v", 2))
    assert earlier.seen(token) == Seen("ann", {"v": [1, 2]})
    assert {row.user_agent for row in later.outside(later.kit.sessions_of, "ann")} >= {AGENT["User-Agent"]}
    renewed = later.token(renew, token)
    assert earlier.seen(renewed) == Seen("ann", {"v": [1, 2]})
    earlier.ask(renewed, logout)
    assert later.outside(later.kit.revoke_user, "ann") == 1
    assert later.dead(token, other, renewed)


def test_what_is_written_again_is_encrypted_then(make_site: Callable[..., Site]) -> None:
    token = make_site().ask(None, both(identify("ann"), put(v=1)), headers=AGENT).token or ""
    site = make_site(SESSIONKIT_ENCRYPT_RECORDS=True)

    site.ask(token, put(v=2))

    record = pausing(site).inner.load(key_of(token, "flows"), now=site.clock.now())
    assert record is not None
    assert record.payload[:1] == b"\x01"
    assert b"Firefox" not in record.info
    assert Device.decode(record.info) is None


@pytest.mark.requirement("ST-01", "ST-11")
def test_a_record_opens_under_its_own_key_alone(site: Site) -> None:
    """ST-01, ST-11: another's bytes, payload or info, under a key of one's own; and each byte changed."""
    ann, bob = site.token(both(login("ann"), put(v=1))), site.token(login("bob"))
    store: Any = pausing(site).inner
    of_ann, of_bob = (store.load(key_of(token, "flows"), now=site.clock.now()) for token in (ann, bob))

    def put_down(**parts: Any) -> None:
        store.delete(of_bob.key)
        assert store.create(changed(of_bob, version=bytes(8), **parts))

    put_down(payload=of_ann.payload)
    assert site.seen(bob) == NOBODY
    put_down(info=of_ann.info)
    assert site.seen(bob).user == "bob"
    assert [row.address for row in site.outside(site.kit.sessions_of, "bob")] == [""]
    for at in range(0, len(of_bob.payload), 7):
        payload = bytearray(of_bob.payload)
        payload[at] ^= 1
        put_down(payload=bytes(payload))
        assert site.seen(bob) == NOBODY


@pytest.mark.parametrize(
    "kind", [pytest.param("memcached", marks=[pytest.mark.memcached, pytest.mark.thorough])], indirect=True
)
def test_what_a_server_can_hold_is_measured_with_the_seal(site: Site, make_site: Callable[..., Site]) -> None:
    """The largest session that is taken is one that the server takes."""
    inner = pausing(site).inner
    assert isinstance(inner, LimitsPayload)
    large = make_site(SESSIONKIT_ENCRYPT_RECORDS=True, SESSIONKIT_MAX_SIZE=2**24, store=inner)
    fits, breaks = 2**19, 2**21
    while breaks - fits > 1:
        middle = (fits + breaks) // 2
        is_taken = large.ask(None, put(v=b"x" * middle), status=(200, 500)).status == 200
        fits, breaks = (middle, breaks) if is_taken else (fits, middle)

    assert large.seen(large.token(put(v=b"x" * fits))).data == {"v": b"x" * fits}
    large.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(Exception, match="largest keys"):
        large.ask(None, put(v=b"x" * breaks))
