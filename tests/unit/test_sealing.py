"""What a seal promises: nothing is opened that was not sealed, for this very key, by a secret of the ring.

Held here: the bytes of ``docs/formats.rst``, and of ``docs/requirements.rst`` CR-01 to CR-07, CR-09, CR-13, KE-03 to
KE-07, KE-09, ST-01, ST-12.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from flask_sessionkit import sealing
from flask_sessionkit.sealing import OVERHEAD, OVERHEAD_ENCRYPTED, KeyRing, Seal
from flask_sessionkit.secret_keys import secrets_of

SECRET, OLD, OLDER = b"x" * 32, b"y" * 32, b"z" * 32
KEY, OTHER_KEY = "a" * 64, "b" * 64
NAME = "__Host-session"
RING = KeyRing([SECRET], app_id="shop")
COOKIES = KeyRing([SECRET], app_id="shop", cookie_name=NAME)
NUMBER = bytes(range(24))


def lp(field: bytes) -> bytes:
    return len(field).to_bytes(2, "big") + field


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 by hand: extract, then one block of expand."""
    extracted = hmac.new(b"flask_sessionkit/1", secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


def keys_by_hand(purpose: bytes, *, secret: bytes, app_id: bytes, name: bytes = b"") -> tuple[bytes, bytes, bytes]:
    """Return the id, the MAC's key and the key that the key of each seal is made of."""
    context = lp(purpose) + lp(app_id) + lp(name)
    return tuple(hkdf(secret, lp(label) + context, size) for label, size in ((b"kid", 4), (b"mac", 32), (b"sub", 32)))  # type: ignore[return-value]  # three of them


def authenticated_by_hand(
    payload: bytes,
    *,
    purpose: bytes = b"record",
    secret: bytes = SECRET,
    app_id: bytes = b"shop",
    name: bytes = b"",
    bound: bytes = b"",
    version: int = 0x11,
) -> bytes:
    kid, mac_key, _ = keys_by_hand(purpose, secret=secret, app_id=app_id, name=name)
    body = bytes([version]) + kid + payload
    return body + hmac.new(mac_key, bound + body, hashlib.sha256).digest()


def encrypted_by_hand(
    plaintext: bytes,
    *,
    purpose: bytes,
    secret: bytes = SECRET,
    app_id: bytes = b"shop",
    name: bytes = b"",
    bound: bytes = b"",
    bound_of_cipher: bytes | None = None,
    number: bytes = NUMBER,
    version: int = 0x01,
) -> bytes:
    """The bytes of ``docs/formats.rst``, with the store's key in front of what both layers vouch for."""
    kid, mac_key, sub_key = keys_by_hand(purpose, secret=secret, app_id=app_id, name=name)
    header = bytes([version]) + kid
    key = hmac.new(sub_key, b"enc" + number[:12] + b"\x01", hashlib.sha256).digest()
    associated = (bound if bound_of_cipher is None else bound_of_cipher) + header
    body = header + number + AESGCM(key).encrypt(number[12:], plaintext, associated)
    return body + hmac.new(mac_key, bound + body, hashlib.sha256).digest()


def as_cookie(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def of_cookie(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def known_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every seal draws the same number."""
    monkeypatch.setattr(os, "urandom", lambda size: NUMBER[:size])


# The layout.


@pytest.mark.parametrize("secret", [SECRET, b"\xff" * 200, "sécret".encode() * 9])
@pytest.mark.parametrize("app_id", ["shop", "läden", "s" * 255])
def test_the_layout_is_the_one_that_is_written_down(secret: bytes, app_id: str) -> None:
    ring = KeyRing([secret], app_id=app_id)

    by_hand = authenticated_by_hand(b"payload", secret=secret, app_id=app_id.encode(), bound=lp(KEY.encode()))

    assert ring.seal(b"payload", key=KEY) == by_hand
    assert ring.open(by_hand, key=KEY) == b"payload"


@pytest.mark.parametrize("secret", [SECRET, b"\xff" * 200, "sécret".encode() * 9])
@pytest.mark.parametrize("app_id", ["shop", "läden", "s" * 255])
@pytest.mark.parametrize("name", ["session", NAME, "é" * 40])
@pytest.mark.usefixtures("known_number")
def test_a_cookie_is_laid_out_as_it_is_written_down(secret: bytes, app_id: str, name: str) -> None:
    """The names of the cookie and of the application are in its keys."""
    ring = KeyRing([secret], app_id=app_id, cookie_name=name)

    by_hand = encrypted_by_hand(
        b"plaintext", purpose=b"cookie", secret=secret, app_id=app_id.encode(), name=name.encode()
    )

    assert ring.seal_cookie(b"plaintext") == as_cookie(by_hand)
    assert ring.open_cookie(as_cookie(by_hand)) == (b"plaintext", True)


@pytest.mark.usefixtures("known_number")
def test_what_is_encrypted_in_a_store_is_laid_out_as_it_is_written_down() -> None:
    """Keys for each purpose, without the cookie's name; the store's key before all that is vouched for."""
    bound = lp(KEY.encode())
    record, info, revocations = (
        encrypted_by_hand(b"plaintext", purpose=purpose, bound=bound) for purpose in (b"record", b"info", b"revocation")
    )

    assert COOKIES.seal(b"plaintext", key=KEY, encrypts=True) == record
    assert COOKIES.seal_info(b"plaintext", key=KEY) == info
    assert COOKIES.seal_revocations(b"plaintext", key=KEY) == revocations
    assert COOKIES.open(record, key=KEY) == b"plaintext"
    assert COOKIES.open_info(info, key=KEY) == b"plaintext"
    assert COOKIES.open_revocations(revocations, key=KEY) == (b"plaintext", True)


@pytest.mark.requirement("CR-14")
@pytest.mark.usefixtures("known_number")
def test_the_known_answer_never_changes() -> None:
    """What an earlier release sealed has to be opened by every later one."""
    ring = KeyRing([bytes(32)], app_id="demo", cookie_name=NAME)
    times = b"".join(at.to_bytes(5, "big") for at in (1700000000, 1700000060, 1700043200))
    plaintext = b"\0" + times + bytes(range(16)) + b'{"user_id":"42"}'
    known = (
        "AR6NM_MAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcX1AG5zAr7i8z0LLc3ps22Ep1Lb5nJU5-91E_VtYOe59uATmnN-LjiBVBTHUV0uYXA6HLH"
        "GZEQS3shJ2xrmyGwfmSQtro8JL_M0zqKiG2FHNt93aGdjj2ZIyODDFyl5mA"
    )

    assert ring.seal_cookie(plaintext) == known
    assert ring.open_cookie(known) == (plaintext, True)
    assert of_cookie(known)[1:5].hex() == "1e8d33f3"


def test_a_seal_adds_what_it_says() -> None:
    assert len(RING.seal(b"payload", key=KEY)) - len(b"payload") == OVERHEAD == 37
    assert len(RING.seal(b"payload", key=KEY, encrypts=True)) - len(b"payload") == OVERHEAD_ENCRYPTED == 77
    # 109 bytes with an inner header of 32, so 546 characters for 300.
    assert len(COOKIES.seal_cookie(bytes(32 + 300))) == 546


def test_an_owner_is_the_hash_that_is_written_down() -> None:
    _, user_key, _ = keys_by_hand(b"user", secret=SECRET, app_id=b"shop")

    assert RING.owners("42") == [hmac.new(user_key, b"42", hashlib.sha256).hexdigest()[:32]]


# What lies in a store.


@given(st.binary(max_size=300), st.booleans())
def test_what_is_sealed_opens_encrypted_or_not(payload: bytes, encrypts: bool) -> None:
    """It can be switched on a live store, in both directions."""
    assert RING.open(RING.seal(payload, key=KEY, encrypts=encrypts), key=KEY) == payload


@pytest.mark.parametrize("encrypts", [False, True])
def test_under_another_key_it_stays_shut(encrypts: bool) -> None:
    """ST-01: one record's bytes put under another's key."""
    sealed = RING.seal(b"payload", key=KEY, encrypts=encrypts)

    assert RING.open(sealed, key=OTHER_KEY) is None
    assert RING.open(sealed, key=KEY + "a") is None


def test_both_layers_vouch_for_the_key() -> None:
    """A MAC that fits does not help a ciphertext that was made for another key."""
    bound = lp(KEY.encode())
    moved = encrypted_by_hand(b"payload", purpose=b"record", bound=bound, bound_of_cipher=lp(OTHER_KEY.encode()))

    assert RING.open(moved, key=KEY) is None
    assert RING.open(moved, key=OTHER_KEY) is None


def test_what_is_in_a_store_under_a_key_opens_for_that_alone() -> None:
    info, known = RING.seal_info(b"device", key=KEY), RING.seal_revocations(b"known", key=KEY)

    assert RING.open_info(info, key=OTHER_KEY) == info
    assert RING.open_revocations(known, key=OTHER_KEY) is None


@given(st.binary(max_size=200))
def test_info_that_was_not_sealed_is_as_it_is(info: bytes) -> None:
    """Records from before the encryption was switched on lie beside those from after it."""
    assert RING.open_info(info, key=KEY) == info


def test_an_encrypted_record_does_not_show_what_it_holds() -> None:
    payload = b"user 4711 has a cart"
    sealed = [RING.seal(payload, key=KEY, encrypts=True), RING.seal_info(payload, key=KEY)]

    assert not [one for one in sealed if any(payload[at : at + 4] in one for at in range(len(payload) - 3))]
    assert payload in RING.seal(payload, key=KEY)


def test_a_part_of_the_key_is_no_part_of_the_payload() -> None:
    """Without a length in front, the last letter of a key could move into what is sealed."""
    key, body = "a" * 64, RING.seal(b"payload", key="a" * 64)[:-32]
    mac = RING.seal(b"payload", key=key)[-32:]

    assert RING.open(b"a" + body + mac, key=key[:-1]) is None


@pytest.mark.parametrize("encrypts", [False, True])
def test_every_bit_of_a_record_counts(encrypts: bool) -> None:
    sealed = RING.seal(b"payload", key=KEY, encrypts=encrypts)

    assert [wrong for wrong in flipped(sealed) if RING.open(wrong, key=KEY) is not None] == []


@pytest.mark.parametrize("encrypts", [False, True])
def test_every_truncation_and_extension_of_a_record_is_shut(encrypts: bool) -> None:
    sealed = RING.seal(b"payload", key=KEY, encrypts=encrypts)

    assert all(RING.open(sealed[:length], key=KEY) is None for length in range(len(sealed)))
    assert all(RING.open(sealed[start:], key=KEY) is None for start in range(1, len(sealed)))
    assert RING.open(sealed + b"\0", key=KEY) is None
    assert RING.open(sealed[:-32] + b"\0" + sealed[-32:], key=KEY) is None


def flipped(sealed: bytes) -> list[bytes]:
    """Return some bytes with each of their bits turned over in turn."""
    whole = int.from_bytes(sealed, "big")
    return [(whole ^ 1 << place).to_bytes(len(sealed), "big") for place in range(8 * len(sealed))]


@given(st.binary(max_size=200))
def test_garbage_is_shut_and_raises_nothing(garbage: bytes) -> None:
    assert RING.open(garbage, key=KEY) is None
    assert RING.open(b"\x11" + garbage, key=KEY) is None


def test_an_empty_payload_is_a_payload() -> None:
    assert RING.open(RING.seal(b"", key=KEY), key=KEY) == b""


@pytest.mark.parametrize("version", [version for version in range(256) if version not in (0x01, 0x11)])
def test_other_versions_are_shut_even_under_a_right_mac(version: int) -> None:
    """CR-03."""
    bound = lp(KEY.encode())
    readable = authenticated_by_hand(b"payload", bound=bound, version=version)
    encrypted = encrypted_by_hand(b"payload", purpose=b"record", bound=bound, version=version)
    token = encrypted_by_hand(b"payload", purpose=b"cookie", name=NAME.encode(), version=version)
    known = encrypted_by_hand(b"payload", purpose=b"revocation", bound=bound, version=version)

    assert RING.open(readable, key=KEY) is None
    assert RING.open(encrypted, key=KEY) is None
    assert RING.open_revocations(known, key=KEY) is None
    assert COOKIES.open_cookie(as_cookie(token)) is None


def test_a_version_that_is_right_elsewhere_is_shut_even_under_a_right_mac() -> None:
    """CR-03: of a cookie, and of what is known of users, nothing is ever merely authenticated."""
    payload, bound = b"p" * 80, lp(KEY.encode())
    token = authenticated_by_hand(payload, purpose=b"cookie", name=NAME.encode())
    known = authenticated_by_hand(payload, purpose=b"revocation", bound=bound)
    info = authenticated_by_hand(payload, purpose=b"info", bound=bound)

    assert COOKIES.open_cookie(as_cookie(token)) is None
    assert COOKIES.open_revocations(known, key=KEY) is None
    assert COOKIES.open_info(info, key=KEY) == info


# Tokens.


@given(st.binary(max_size=300))
def test_what_is_sealed_into_a_cookie_opens(plaintext: bytes) -> None:
    assert COOKIES.open_cookie(COOKIES.seal_cookie(plaintext)) == (plaintext, True)


@pytest.mark.requirement("CR-01")
def test_every_bit_of_a_token_counts() -> None:
    """CR-01."""
    sealed = of_cookie(COOKIES.seal_cookie(b"p" * 60))

    assert [wrong for wrong in flipped(sealed) if COOKIES.open_cookie(as_cookie(wrong)) is not None] == []


@pytest.mark.requirement("CR-01")
def test_every_truncation_and_extension_of_a_token_is_shut() -> None:
    """CR-01."""
    token = COOKIES.seal_cookie(b"p" * 60)
    sealed = of_cookie(token)
    longer = [sealed[:place] + b"\0" + sealed[place:] for place in range(len(sealed) + 1)]

    assert [length for length in range(len(token)) if COOKIES.open_cookie(token[:length]) is not None] == []
    assert [start for start in range(1, len(token)) if COOKIES.open_cookie(token[start:]) is not None] == []
    assert [wrong for wrong in longer if COOKIES.open_cookie(as_cookie(wrong)) is not None] == []


@pytest.mark.requirement("CR-01")
def test_every_splice_of_two_tokens_is_shut() -> None:
    """CR-01: of the same length, and of different ones."""
    one, same, longer = (of_cookie(COOKIES.seal_cookie(bytes(size))) for size in (60, 60, 80))
    spliced = [this[:place] + that[place:] for this in (one, longer) for that in (same, longer) for place in range(157)]
    wrong = [splice for splice in spliced if splice not in (one, same, longer)]

    assert len(wrong) > 300
    assert [splice for splice in wrong if COOKIES.open_cookie(as_cookie(splice)) is not None] == []


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.requirement("CR-04")
@pytest.mark.parametrize("size", [60, 61, 62])
def test_one_token_has_one_spelling(size: int) -> None:
    """CR-04: all lengths of the last group of four; a lax decoder takes every one of these."""
    token = COOKIES.seal_cookie(bytes(size))
    respelled = [token[:-1] + last for last in ALPHABET if of_cookie(token[:-1] + last) == of_cookie(token)]
    padded = token + "=" * (-len(token) % 4)
    junk = [token[:5] + odd + token[5:] for odd in "=!. \n\0%é,;"] + [
        token + "=",
        padded + "=",
        token + "\n",
        " " + token,
    ]
    plain = token.translate(str.maketrans("-_", "+/"))

    assert len(respelled) == {0: 1, 2: 16, 3: 4}[len(token) % 4]
    assert [text for text in respelled if COOKIES.open_cookie(text) is not None] == [token]
    assert [text for text in {*junk, padded, plain} - {token} if COOKIES.open_cookie(text) is not None] == []


@pytest.mark.requirement("CR-05")
def test_a_token_is_for_one_cookie_of_one_application_and_for_nothing_else() -> None:
    """CR-05: also with the right key's id pasted in."""
    foreign = {
        "another name": KeyRing([SECRET], app_id="shop", cookie_name="session").seal_cookie(b"p" * 60),
        "no name": RING.seal_cookie(b"p" * 60),
        "another application": KeyRing([SECRET], app_id="blog", cookie_name=NAME).seal_cookie(b"p" * 60),
        "another secret": KeyRing([OLD], app_id="shop", cookie_name=NAME).seal_cookie(b"p" * 60),
        "a record": as_cookie(COOKIES.seal(b"p" * 60, key="", encrypts=True)),
        "an info": as_cookie(COOKIES.seal_info(b"p" * 60, key="")),
        "what is known of a user": as_cookie(COOKIES.seal_revocations(b"p" * 60, key="")),
        **{
            f"{purpose!r}, bound to nothing": as_cookie(
                encrypted_by_hand(b"p" * 60, purpose=purpose, name=NAME.encode())
            )
            for purpose in (b"record", b"info", b"revocation", b"user", b"")
        },
    }
    ours = of_cookie(COOKIES.seal_cookie(b""))[1:5]
    pasted = {what: as_cookie(of_cookie(text)[:1] + ours + of_cookie(text)[5:]) for what, text in foreign.items()}

    assert {what for what, text in foreign.items() if of_cookie(text)[1:5] == ours} == set()
    assert {what for what, text in foreign.items() if COOKIES.open_cookie(text) is not None} == set()
    assert {what for what, text in pasted.items() if COOKIES.open_cookie(text) is not None} == set()


def test_a_token_is_nothing_that_lies_in_a_store() -> None:
    """CR-05, the other way round."""
    sealed = of_cookie(COOKIES.seal_cookie(b"p" * 60))

    for key in ("", KEY):
        assert COOKIES.open(sealed, key=key) is None
        assert COOKIES.open_revocations(sealed, key=key) is None
        assert COOKIES.open_info(sealed, key=key) == sealed


@pytest.mark.requirement("CR-06")
@pytest.mark.parametrize(
    ("one", "other"), [(("a", "bc"), ("ab", "c")), (("a", ""), ("", "a")), (("a\0\1b", ""), ("a", "b"))]
)
def test_a_part_of_one_name_is_no_part_of_the_next(one: tuple[str, str], other: tuple[str, str]) -> None:
    """CR-06: a missing separator was CVE-2019-10911."""
    here, there = (KeyRing([SECRET], app_id=app_id, cookie_name=name) for app_id, name in (one, other))
    token, ours = here.seal_cookie(b"p" * 60), there.seal_cookie(b"p" * 60)
    pasted = as_cookie(of_cookie(token)[:1] + of_cookie(ours)[1:5] + of_cookie(token)[5:])

    assert there.open_cookie(token) is None
    assert there.open_cookie(pasted) is None


def key_of_seal(token: str) -> tuple[bytes, bytes]:
    """Return the number of a token and the key that was made of it."""
    number = of_cookie(token)[5:29]
    _, _, sub_key = keys_by_hand(b"cookie", secret=SECRET, app_id=b"shop", name=NAME.encode())
    return number, hmac.digest(sub_key, b"enc" + number[:12] + b"\x01", "sha256")


@pytest.mark.requirement("CR-07")
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.thorough)])
def test_no_two_seals_share_a_number_or_a_key(count: int) -> None:
    """CR-07: so no pair of key and nonce repeats, and no number of messages is too many."""
    sub_key = keys_by_hand(b"cookie", secret=SECRET, app_id=b"shop", name=NAME.encode())[2]
    drawn = [of_cookie(COOKIES.seal_cookie(b""))[5:29] for _ in range(count)]

    assert len(set(drawn)) == count
    assert len({hmac.digest(sub_key, b"enc" + number[:12] + b"\x01", "sha256") for number in drawn}) == count


@pytest.mark.requirement("CR-07")
def test_two_forked_workers_share_no_number_and_no_key() -> None:
    """CR-07: nothing of what is drawn is prepared before the fork."""
    before = [key_of_seal(COOKIES.seal_cookie(b"")) for _ in range(20)]
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads of other tests may be about
        children = [os.fork() or tell_tokens(writer) for _ in range(2)]
    os.close(writer)
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        drawn = [*before, *map(key_of_seal, pipe.read().split())]

    assert len({number for number, _ in drawn}) == len({key for _, key in drawn}) == len(drawn) == 60


def tell_tokens(writer: int) -> int:
    os.write(writer, "".join(f"{COOKIES.seal_cookie(b'')}\n" for _ in range(20)).encode())
    os._exit(0)


@pytest.mark.requirement("CR-09")
def test_nothing_of_a_token_is_readable() -> None:
    """CR-09: however it is cut before it is decoded, names of keys included."""
    plaintext = b"\x01 the user 4711 put articles into the cart, and csrf_token is 9e2f0a6d4b8c1357"
    token = COOKIES.seal_cookie(plaintext)
    shown = b"|".join(of_cookie(token[cut:][: (len(token) - cut) // 4 * 4]) for cut in range(4))

    assert [
        part for at in range(len(plaintext) - 3) if (part := plaintext[at : at + 4]) in shown + token.encode()
    ] == []


# The ring.


def test_another_application_on_the_same_secret_cannot_open_it_nor_names_users_so() -> None:
    other = KeyRing([SECRET], app_id="blog")
    sealed = RING.seal(b"payload", key=KEY)

    assert other.open(sealed, key=KEY) is None
    assert other.open(sealed[:1] + other.seal(b"", key=KEY)[1:5] + sealed[5:], key=KEY) is None
    assert other.owners("42") != RING.owners("42")


@pytest.mark.requirement("KE-03", "KE-04")
def test_a_fallback_opens_and_the_current_secret_seals() -> None:
    """KE-03, KE-04."""
    before, between = KeyRing([OLD], app_id="shop"), KeyRing([SECRET, OLD], app_id="shop")

    assert between.open(before.seal(b"payload", key=KEY), key=KEY) == b"payload"
    assert between.open(before.seal(b"payload", key=KEY, encrypts=True), key=KEY) == b"payload"
    assert between.open_info(before.seal_info(b"device", key=KEY), key=KEY) == b"device"
    assert between.open_revocations(before.seal_revocations(b"known", key=KEY), key=KEY) == (b"known", False)
    assert between.open_cookie(before.seal_cookie(b"payload")) == (b"payload", False)
    assert RING.open(between.seal(b"payload", key=KEY), key=KEY) == b"payload"
    assert RING.open_cookie(between.seal_cookie(b"payload")) == (b"payload", True)
    assert between.owners("42") == RING.owners("42") + before.owners("42")


@pytest.mark.requirement("KE-03")
def test_every_new_token_is_of_the_current_secret() -> None:
    """KE-03: with two fallbacks."""
    ring = KeyRing([SECRET, OLD, OLDER], app_id="shop", cookie_name=NAME)
    kid, *_ = keys_by_hand(b"cookie", secret=SECRET, app_id=b"shop", name=NAME.encode())

    assert {of_cookie(ring.seal_cookie(bytes(size)))[1:5] for size in range(200)} == {kid}


@pytest.mark.requirement("KE-05")
def test_a_dropped_fallback_opens_nothing_any_more() -> None:
    """KE-05."""
    before = KeyRing([OLD], app_id="shop")
    info = before.seal_info(b"device", key=KEY)

    assert RING.open(before.seal(b"payload", key=KEY), key=KEY) is None
    assert RING.open(before.seal(b"payload", key=KEY, encrypts=True), key=KEY) is None
    assert RING.open_info(info, key=KEY) == info
    assert RING.open_revocations(before.seal_revocations(b"known", key=KEY), key=KEY) is None
    assert RING.open_cookie(before.seal_cookie(b"payload")) is None


@pytest.mark.requirement("KE-05")
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_opening_costs_one_mac_however_many_fallbacks_there_are(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """KE-05: the id in front of a token chooses the key. One of nobody's costs none at all."""
    secrets = [SECRET, OLD, OLDER, b"v" * 32]
    ring = KeyRing(secrets, app_id="shop", cookie_name=NAME)
    theirs, nobodys = (
        KeyRing([secret], app_id="shop", cookie_name=NAME).seal_cookie(b"p" * 60)
        for secret in (secrets[place], b"n" * 32)
    )
    macs: list[int] = []
    real = sealing._Key.mac
    monkeypatch.setattr(sealing._Key, "mac", lambda key, message: macs.append(1) or real(key, message))

    opened, costs = ring.open_cookie(theirs), len(macs)

    assert opened == (b"p" * 60, place == 0)
    assert costs == 1
    assert ring.open_cookie(nobodys) is None
    assert len(macs) == 1


@pytest.mark.requirement("KE-09")
def test_secrets_whose_ids_are_equal_both_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """KE-09: an id has 32 bits only. Forced to zero for all."""
    real = sealing._hkdf

    def same_ids(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return bytes(4) if label == b"kid" else real(secret, label, context, length)

    monkeypatch.setattr(sealing, "_hkdf", same_ids)
    rings = [KeyRing([secret], app_id="shop") for secret in (SECRET, OLD)]
    both = KeyRing([SECRET, OLD], app_id="shop")
    nobodys = KeyRing([OLDER], app_id="shop")

    assert [both.open(ring.seal(b"payload", key=KEY), key=KEY) for ring in rings] == [b"payload"] * 2
    assert both.open(nobodys.seal(b"payload", key=KEY), key=KEY) is None
    assert [both.open_cookie(ring.seal_cookie(b"p" * 60)) for ring in rings] == [(b"p" * 60, True), (b"p" * 60, False)]
    assert both.open_cookie(nobodys.seal_cookie(b"p" * 60)) is None


def test_what_others_sign_with_the_same_secret_never_opens() -> None:
    signed = URLSafeTimedSerializer(SECRET, salt="cookie-session").dumps({"_user_id": "1"}).encode()  # type: ignore[union-attr]

    assert RING.open(signed, key=KEY) is None
    assert RING.open(b"\x11" + signed, key=KEY) is None
    assert COOKIES.open_cookie(signed.decode()) is None
    assert COOKIES.open_cookie(as_cookie(b"\x01" + signed)) is None


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


@pytest.mark.requirement("KE-07")
def test_neither_a_secret_nor_a_key_shows() -> None:
    """Reporters of errors show the variables of a frame, and what those hold."""
    seals = {name: vars(seal) for name, seal in vars(RING).items() if isinstance(seal, Seal)}
    shown = f"{RING!r} {RING} {vars(RING)} {seals} {[vars(key) for key in all_keys()]}"
    keys = [
        key
        for purpose in (b"record", b"info", b"revocation", b"cookie", b"user")
        for key in keys_by_hand(purpose, secret=SECRET, app_id=b"shop")[1:]
    ]

    assert "x" * 8 not in shown
    assert [key for key in keys for form in (repr(key)[2:-1], key.hex()) if form in shown] == []


@pytest.mark.requirement("KE-07")
def test_neither_shows_where_keys_cannot_be_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    """KE-07: cryptography is brought in late, and may be broken then."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.hkdf", None)

    with pytest.raises(ImportError) as raised:
        KeyRing(secrets_of(SECRET, [OLD])[0], app_id="shop")

    frames = TracebackException.from_exception(raised.value, capture_locals=True).stack
    shown = str([frame.locals for frame in frames if frame.filename == sealing.__file__])
    assert "shop" in shown
    assert "x" * 8 not in shown
    assert "y" * 8 not in shown


#: Words that stand for a digest in the names of variables, attributes and functions.
DIGESTS = {"mac", "hmac", "digest", "tag", "signature", "hash"}


def compared(source: str) -> list[str]:
    """Return the comparisons by ``==``, ``!=``, ``in`` and ``is`` that something named like a digest takes part in."""
    comparisons = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare)]
    return [ast.unparse(node) for node in comparisons if DIGESTS & words_in(node)]


def words_in(tree: ast.AST) -> set[str]:
    names = [getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(tree)]
    return {word for name in names for word in name.lower().split("_")}


@pytest.mark.parametrize(
    "line", ["mac == given", "x != key.mac(body)", "self._mac in them", "given.tag == x", "hexdigest_of == body_digest"]
)
def test_a_comparison_of_digests_would_be_found(line: str) -> None:
    assert compared(f"if {line}: pass")


@pytest.mark.requirement("CR-13")
@pytest.mark.parametrize(
    "room", ["sealing", "tokens", "client_backend", "server_backend", "revocations", "secret_keys"]
)
def test_digests_are_compared_in_constant_time_only(room: str) -> None:
    """CR-13."""
    source = Path(str(import_module(f"flask_sessionkit.{room}").__file__)).read_text()

    assert compared(source) == []


@pytest.mark.requirement("CR-13")
def test_the_mac_is_what_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """CR-13: every opening asks ``hmac.compare_digest``, of two whole MACs, and believes it."""
    asked: list[tuple[int, int]] = []

    def deny(one: bytes, other: bytes) -> bool:
        asked.append((len(one), len(other)))
        return False

    token, bound = COOKIES.seal_cookie(b"p" * 60), {"key": KEY}
    sealed = COOKIES.seal(b"payload", **bound), COOKIES.seal_info(b"device", **bound)
    known = COOKIES.seal_revocations(b"known", **bound)
    monkeypatch.setattr(hmac, "compare_digest", deny)

    assert COOKIES.open_cookie(token) is None
    assert COOKIES.open(sealed[0], **bound) is None
    assert COOKIES.open_info(sealed[1], **bound) == sealed[1]
    assert COOKIES.open_revocations(known, **bound) is None
    assert asked == [(32, 32)] * 4


@pytest.mark.requirement("CR-02")
def test_nothing_is_decrypted_before_the_mac_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """CR-02."""
    ciphers: list[bytes] = []
    token = COOKIES.seal_cookie(b"p" * 60)
    real: Callable[..., Any] = sealing._Key.cipher
    monkeypatch.setattr(sealing._Key, "cipher", lambda key, number: ciphers.append(number) or real(key, number))
    wrong = [as_cookie(sealed) for sealed in flipped(of_cookie(token))]

    assert [text for text in wrong if COOKIES.open_cookie(text) is not None] == []
    assert ciphers == []
    assert COOKIES.open_cookie(token) == (b"p" * 60, True)
    assert len(ciphers) == 1


def test_what_authenticates_a_purpose_that_seals_nothing_is_made_as_for_those_that_do() -> None:
    secret, key = bytes(range(32)), "ab" * 32
    sealed = KeyRing([secret], app_id="shop").seal(b"payload", key=key)
    bound = (64).to_bytes(2, "big") + key.encode()

    mac = hmac.digest(sealing.mac_key(secret, purpose=b"record", app_id="shop"), bound + sealed[:-32], "sha256")

    assert mac == sealed[-32:]
    made = [
        (secret, b"form", "shop"),
        (secret, b"user", "shop"),
        (secret, b"form", "club"),
        (bytes(32), b"form", "shop"),
    ]
    assert len({sealing.mac_key(one, purpose=purpose, app_id=app) for one, purpose, app in made}) == 4
