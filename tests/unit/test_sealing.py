"""What a seal promises: nothing is opened that was not sealed, for this very key, by a secret of the ring.

Held here: SECURITY.md 2.3, 2.10, KE-03, KE-05 to KE-07, KE-09, ST-01, ST-12, CR-06, CR-13.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from flask_sessionkit import sealing
from flask_sessionkit.sealing import KeyRing, Seal

SECRET, OLD = b"x" * 32, b"y" * 32
KEY, OTHER_KEY = "a" * 64, "b" * 64
RING = KeyRing([SECRET], app_id="shop")


def lp(field: bytes) -> bytes:
    return len(field).to_bytes(2, "big") + field


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 by hand: extract, then one block of expand."""
    extracted = hmac.new(b"flask_sessionkit/1", secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


def context(purpose: bytes, app_id: bytes) -> bytes:
    return lp(purpose) + lp(app_id) + lp(b"")


def sealed_by_hand(payload: bytes, *, secret: bytes, app_id: bytes, key: str) -> bytes:
    kid = hkdf(secret, lp(b"kid") + context(b"record", app_id), 4)
    mac_key = hkdf(secret, lp(b"mac") + context(b"record", app_id), 32)
    body = b"\x11" + kid + payload
    return body + hmac.new(mac_key, lp(key.encode()) + body, hashlib.sha256).digest()


@pytest.mark.parametrize("secret", [SECRET, b"\xff" * 200, "sécret".encode() * 9])
@pytest.mark.parametrize("app_id", ["shop", "läden", "s" * 255])
def test_the_layout_is_the_one_that_is_written_down(secret: bytes, app_id: str) -> None:
    ring = KeyRing([secret], app_id=app_id)

    by_hand = sealed_by_hand(b"payload", secret=secret, app_id=app_id.encode(), key=KEY)

    assert ring.seal(b"payload", key=KEY) == by_hand
    assert ring.open(by_hand, key=KEY) == b"payload"


def test_an_owner_is_the_hash_that_is_written_down() -> None:
    user_key = hkdf(SECRET, lp(b"mac") + context(b"user", b"shop"), 32)

    assert RING.owners("42") == [hmac.new(user_key, b"42", hashlib.sha256).hexdigest()[:32]]


@given(st.binary(max_size=300))
def test_what_is_sealed_opens(payload: bytes) -> None:
    assert RING.open(RING.seal(payload, key=KEY), key=KEY) == payload


def test_under_another_key_it_stays_shut() -> None:
    """ST-01: one record's bytes put under another's key."""
    assert RING.open(RING.seal(b"payload", key=KEY), key=OTHER_KEY) is None
    assert RING.open(RING.seal(b"payload", key=KEY), key=KEY + "a") is None


def test_a_part_of_the_key_is_no_part_of_the_payload() -> None:
    """Without a length in front, the last letter of a key could move into what is sealed."""
    key, body = "a" * 64, RING.seal(b"payload", key="a" * 64)[:-32]
    mac = RING.seal(b"payload", key=key)[-32:]

    assert RING.open(b"a" + body + mac, key=key[:-1]) is None


def test_every_bit_counts() -> None:
    sealed = RING.seal(b"payload", key=KEY)
    for place in range(len(sealed)):
        for bit in range(8):
            wrong = bytearray(sealed)
            wrong[place] ^= 1 << bit
            assert RING.open(bytes(wrong), key=KEY) is None


def test_every_truncation_and_extension_is_shut() -> None:
    sealed = RING.seal(b"payload", key=KEY)

    assert all(RING.open(sealed[:length], key=KEY) is None for length in range(len(sealed)))
    assert all(RING.open(sealed[start:], key=KEY) is None for start in range(1, len(sealed)))
    assert RING.open(sealed + b"\0", key=KEY) is None
    assert RING.open(sealed[:-32] + b"\0" + sealed[-32:], key=KEY) is None


@given(st.binary(max_size=200))
def test_garbage_is_shut_and_raises_nothing(garbage: bytes) -> None:
    assert RING.open(garbage, key=KEY) is None
    assert RING.open(b"\x11" + garbage, key=KEY) is None


def test_an_empty_payload_is_a_payload() -> None:
    assert RING.open(RING.seal(b"", key=KEY), key=KEY) == b""


@pytest.mark.parametrize("version", [version for version in range(256) if version != 0x11])
def test_other_versions_are_shut_even_under_a_right_mac(version: int) -> None:
    kid = hkdf(SECRET, lp(b"kid") + context(b"record", b"shop"), 4)
    mac_key = hkdf(SECRET, lp(b"mac") + context(b"record", b"shop"), 32)
    body = bytes([version]) + kid + b"payload"

    assert RING.open(body + hmac.digest(mac_key, lp(KEY.encode()) + body, "sha256"), key=KEY) is None


def test_another_application_on_the_same_secret_cannot_open_it_nor_names_users_so() -> None:
    other = KeyRing([SECRET], app_id="blog")
    sealed = RING.seal(b"payload", key=KEY)

    assert other.open(sealed, key=KEY) is None
    assert other.open(sealed[:1] + other.seal(b"", key=KEY)[1:5] + sealed[5:], key=KEY) is None
    assert other.owners("42") != RING.owners("42")


def test_a_fallback_opens_and_the_current_secret_seals() -> None:
    before, between = KeyRing([OLD], app_id="shop"), KeyRing([SECRET, OLD], app_id="shop")

    assert between.open(before.seal(b"payload", key=KEY), key=KEY) == b"payload"
    assert RING.open(between.seal(b"payload", key=KEY), key=KEY) == b"payload"
    assert between.owners("42") == RING.owners("42") + before.owners("42")


def test_a_dropped_fallback_opens_nothing_any_more() -> None:
    assert RING.open(KeyRing([OLD], app_id="shop").seal(b"payload", key=KEY), key=KEY) is None


def test_secrets_whose_ids_are_equal_both_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """KE-09: an id has 32 bits only. Forced to zero for all."""
    real = sealing._hkdf

    def same_ids(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return bytes(4) if label == b"kid" else real(secret, label, context, length)

    monkeypatch.setattr(sealing, "_hkdf", same_ids)
    rings = [KeyRing([secret], app_id="shop") for secret in (SECRET, OLD)]
    both = KeyRing([SECRET, OLD], app_id="shop")

    assert [both.open(ring.seal(b"payload", key=KEY), key=KEY) for ring in rings] == [b"payload"] * 2
    assert both.open(KeyRing([b"z" * 32], app_id="shop").seal(b"payload", key=KEY), key=KEY) is None


def test_what_others_sign_with_the_same_secret_never_opens() -> None:
    signed = URLSafeTimedSerializer(SECRET, salt="cookie-session").dumps({"_user_id": "1"}).encode()  # type: ignore[union-attr]

    assert RING.open(signed, key=KEY) is None
    assert RING.open(b"\x11" + signed, key=KEY) is None


RING_PURPOSES = ("record", "info", "revocation", "cookie", "user")


def all_keys() -> list[Any]:
    seals = [value for value in vars(RING).values() if isinstance(value, Seal)]
    return [*(key for seal in seals for key in seal._keys), *RING._users]


def test_each_purpose_has_keys_of_its_own() -> None:
    keys = all_keys()
    number = bytes(24)

    assert len(keys) == len(RING_PURPOSES)
    assert len({key.kid for key in keys}) == len(keys)
    assert len({key.mac(b"x") for key in keys}) == len(keys)
    assert len({key.cipher(number).encrypt(bytes(12), b"x", None) for key in keys}) == len(keys)


def test_neither_a_secret_nor_a_key_shows() -> None:
    """Reporters of errors show the variables of a frame, and what those hold."""
    seals = {name: vars(seal) for name, seal in vars(RING).items() if isinstance(seal, Seal)}
    shown = f"{RING!r} {RING} {vars(RING)} {seals} {[vars(key) for key in all_keys()]}"
    key = hkdf(SECRET, lp(b"mac") + context(b"record", b"shop"), 32)

    assert "x" * 8 not in shown
    assert not any(form in shown for form in (repr(key)[2:-1], key.hex()))


def test_digests_are_compared_in_constant_time_only() -> None:
    """CR-13: nothing named like a digest stands beside ``==`` or ``!=``."""
    tree = ast.parse(Path(sealing.__file__).read_text())
    compared = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
    ]

    assert [text for text in compared if "mac" in text.lower().replace("_mac or", "")] == []
