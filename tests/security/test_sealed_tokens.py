"""Sessions in cookies, seen from outside: what strangers can do with a sealed token (CR-01 to CR-15)."""

from __future__ import annotations

import base64
import hmac
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import session
from flow_site import NOBODY, Answer, Seen, Site, both, login, logout, look, pausing, put
from itsdangerous import URLSafeTimedSerializer

from flask_sessionkit import client_backend, sealing
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.tokens import new_token

SECRET, OLD = "a secret of the flow tests", "an older secret of the flow tests"


@pytest.fixture
def store() -> PausingStore:
    """Knows which sessions of users count."""
    return PausingStore(MemoryStore())


@pytest.fixture
def site_settings() -> dict[str, Any]:
    return {"in_cookies": True}


@pytest.fixture
def token(site: Site) -> str:
    """Of a user with some data."""
    return site.token(both(login("ann"), put(cart=[1, 2])))


def raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def accepted(site: Site, texts: Iterator[str] | list[str]) -> list[str]:
    """Return those that are anything but a stranger's: who has a session, a cookie, an error, or asked the store."""
    pausing(site).reset()
    found = [one for one in texts if is_taken(site.ask(one, look, status=(200, 500)))]
    return found + [f"the store was asked: {pausing(site).counts}"] * bool(pausing(site).counts)


def is_taken(answer: Answer) -> bool:
    return answer.status != 200 or answer.value != NOBODY or not answer.says_nothing


def ring(secret: str = SECRET, *, app_id: str = "flows", name: str = "session") -> KeyRing:
    return KeyRing([secret.encode()], app_id=app_id, cookie_name=name)


def keys_of(secret: str) -> tuple[Any, Any]:
    """Return what makes the MAC and the cipher of this site's cookies under a secret."""
    [key] = ring(secret)._cookies._keys
    return key.mac, key.cipher


# CR-01 to CR-04.


@pytest.mark.requirement("CR-01")
def test_a_token_with_one_bit_of_any_byte_turned_is_nobodys(site: Site, token: str) -> None:
    sealed = raw(token)
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1 << at % 8]) + sealed[at + 1 :] for at in range(len(sealed))]

    assert accepted(site, [text(one) for one in flipped]) == []
    assert site.seen(token) == Seen("ann", {"cart": [1, 2]})


@pytest.mark.requirement("CR-01")
def test_a_token_that_is_cut_or_lengthened_is_nobodys(site: Site, token: str) -> None:
    cut = [token[:length] for length in range(1, len(token))] + [token[start:] for start in range(1, len(token))]
    longer = [token + more for more in ("A", "AA", "AAAA", "_", token, f".{token}")]

    assert accepted(site, cut + longer) == []


@pytest.mark.requirement("CR-01")
def test_two_tokens_are_not_joined_to_a_third(site: Site, token: str) -> None:
    others = [site.token(both(login("bob"), put(cart=[1, 2]))), site.token(put(cart=[1, 2])), token]
    spliced = [one[:at] + other[at:] for one, other in product(others, others) for at in range(1, len(one), 7)]

    assert accepted(site, [splice for splice in spliced if splice not in others]) == []


@pytest.mark.requirement("CR-02")
def test_what_others_seal_or_sign_is_nobodys(site: Site) -> None:
    """Also with our secret: no second format is understood, whatever names itself in front of it."""
    claims = {"_user_id": "ann", "user": "ann", "cart": [1, 2], "pad": "p" * 120}
    plain = json.dumps(claims).encode()
    fernet = Fernet(base64.urlsafe_b64encode(SECRET.encode().ljust(32, b"0")[:32]))
    header = text(b'{"alg":"none","typ":"JWT"}')
    forged = [
        "",
        plain.decode(),
        text(plain),
        text(b"\x01" + plain),
        text(b"\x11" + plain),
        str(URLSafeTimedSerializer(SECRET, salt="cookie-session").dumps(claims)),
        str(URLSafeTimedSerializer(SECRET).dumps(claims)),
        fernet.encrypt(plain).decode(),
        fernet.encrypt(plain).decode().rstrip("="),
        f"{header}.{text(plain)}.",
        f"{header}{text(plain)}",
        text(zlib.compress(plain * 9, 0)),
    ]

    assert accepted(site, forged) == []


@pytest.mark.requirement("CR-02")
def test_nothing_is_decrypted_or_parsed_before_the_mac_holds(
    site: Site, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[str] = []
    real_cipher, real_parser = sealing._aesgcm(), client_backend._layout

    class Watched:
        def __init__(self, key: bytes) -> None:
            self._real = real_cipher(key)

        def decrypt(self, *args: Any) -> bytes:
            touched.append("decrypted")
            return bytes(self._real.decrypt(*args))

    monkeypatch.setattr(sealing, "_aesgcm", lambda: Watched)
    monkeypatch.setattr(
        client_backend,
        "_layout",
        SimpleNamespace(
            encode=real_parser.encode, decode=lambda data: touched.append("parsed") or real_parser.decode(data)
        ),
    )
    sealed = raw(token)
    wrong = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(0, len(sealed), 3)]

    assert accepted(site, [text(one) for one in wrong]) == []
    assert touched == []
    assert site.seen(token).user == "ann"
    assert touched[:2] == ["decrypted", "parsed"]


@pytest.mark.requirement("CR-03")
def test_every_other_version_is_nobodys(site: Site, token: str) -> None:
    sealed = raw(token)

    assert accepted(site, [text(bytes([version]) + sealed[1:]) for version in (0, *range(2, 256))]) == []


@pytest.mark.requirement("CR-03")
def test_another_version_is_nobodys_even_under_the_right_keys(site: Site, token: str) -> None:
    mac, cipher = keys_of(SECRET)
    sealed, found = raw(token), []
    number = sealed[5:29]
    plaintext = cipher(number).decrypt(number[12:], sealed[29:-32], sealed[:5])
    for version in (0, *range(2, 256)):
        header = bytes([version]) + sealed[1:5]
        encrypted = header + number + cipher(number).encrypt(number[12:], plaintext, header)
        readable = header + plaintext
        found += [text(body + mac(body)) for body in (encrypted, readable)]

    assert accepted(site, found) == []


@pytest.mark.requirement("CR-04")
def test_one_token_has_one_spelling(site: Site) -> None:
    """A lax decoder takes them all; the browser's own, and quoted ones, are the same text."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for size in range(3):
        token = site.token(both(login("ann"), put(pad="p" * size)))
        respelled = {token[:-1] + last for last in letters} - {token}
        same = [one for one in respelled if raw(one) == raw(token)]
        padded = [token + "=" * count for count in (1, 2, 3)]
        junk = [token[:9] + odd + token[9:] for odd in ("!", ".", "%2D", "\\055", "=", "\x0b", "\xa0")]

        assert len(same) in (0, 3, 15)
        assert (
            accepted(site, [*same, *padded, *junk, f'"{token}"', token.replace("-", "+").replace("_", "/") + "+"]) == []
        )
        assert site.seen(token).user == "ann"


# CR-05 to CR-08: keys.


def with_the_kid_of(token: str, own: str) -> str:
    """Return a token that claims to be of another key."""
    return text(raw(token)[:1] + raw(own)[1:5] + raw(token)[5:])


@pytest.mark.requirement("CR-05")
@pytest.mark.parametrize(
    "config",
    [{"SESSION_COOKIE_NAME": "basket"}, {"SESSIONKIT_APP_ID": "blog"}, {"SECRET_KEY": OLD}],
    ids=["another name", "another application", "another secret"],
)
def test_a_token_of_elsewhere_is_nobodys(
    site: Site, token: str, make_site: Callable[..., Site], config: dict[str, str]
) -> None:
    there = make_site(**config)
    name = config.get("SESSION_COOKIE_NAME", "session")
    response = there.app.test_client(use_cookies=False).post(
        "/do", environ_overrides={"flow.view": login("ann"), "flow.values": []}
    )
    theirs = response.headers["Set-Cookie"].partition(";")[0].removeprefix(f"{name}=")

    assert accepted(site, [theirs, with_the_kid_of(theirs, token)]) == []
    assert site.seen(token).user == "ann"


@pytest.mark.requirement("CR-05")
def test_what_lies_in_a_store_is_no_token(site: Site, token: str, store: PausingStore) -> None:
    """Who reads the revocation store sends what is there; and records, had they been sealed for no key at all."""
    stored = [text(record.payload) for record in store.inner._records.values()]  # type: ignore[attr-defined]  # the memory store
    own, plaintext = ring(), raw_plaintext(site)
    others = [seal.encrypt(plaintext) for seal in (own._records, own._infos, own._revocations)]
    others += [
        own.seal(plaintext, key="", encrypts=True),
        own.seal(plaintext, key=""),
        own.seal_info(plaintext, key=""),
    ]

    sent = [*stored, *map(text, others)]

    assert len(stored) == 1
    assert accepted(site, sent + [with_the_kid_of(one, token) for one in sent]) == []


@pytest.mark.requirement("CR-06")
def test_a_part_of_the_applications_name_is_no_part_of_the_cookies(store: PausingStore, clock: FrozenClock) -> None:
    secrets = {"SECRET_KEY": SECRET}
    here = Site(store, clock, in_cookies=True, SESSIONKIT_APP_ID="shopse", SESSION_COOKIE_NAME="ssion", **secrets)
    there = Site(store, clock, in_cookies=True, SESSIONKIT_APP_ID="shop", SESSION_COOKIE_NAME="session", **secrets)
    response = here.app.test_client(use_cookies=False).post(
        "/do", environ_overrides={"flow.view": login("ann"), "flow.values": []}
    )
    token = response.headers["Set-Cookie"].partition(";")[0].removeprefix("ssion=")

    assert accepted(there, [token, with_the_kid_of(token, there.token(put(v=1)))]) == []


@pytest.mark.requirement("CR-07")
def test_no_number_comes_twice(site: Site) -> None:
    """A million of them, and those of forked workers, are counted in ``tests/unit/test_sealing.py``."""
    numbers = [raw(site.token(put(v=at)))[5:29] for at in range(300)]

    assert len(set(numbers)) == 300
    assert len({number[:12] for number in numbers}) == 300


def times(one: int, other: int) -> int:
    """Multiply in GCM's field (SP 800-38D, 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        product ^= one if other >> bit & 1 else 0
        one = one >> 1 ^ (0xE1 << 120 if one & 1 else 0)
    return product


def power(base: int, exponent: int) -> int:
    product = 1 << 127
    while exponent:
        product = times(product, base) if exponent & 1 else product
        base, exponent = times(base, base), exponent >> 1
    return product


def salamander(keys: tuple[bytes, bytes], nonce: bytes, associated: bytes) -> bytes:
    """Return ciphertext and tag that GCM takes under both of two keys (Dodis et al., "Invisible salamanders", 2018).

    Its tag is a polynomial over the blocks, so one free block makes two tags equal.
    """
    at_once = [Cipher(algorithms.AES(key), modes.ECB()).encryptor().update for key in keys]  # noqa: S305  # GCM's parts
    h = [int.from_bytes(encrypt(bytes(16)), "big") for encrypt in at_once]
    mask = [int.from_bytes(encrypt(nonce + b"\0\0\0\1"), "big") for encrypt in at_once]
    first, bound = int.from_bytes(b"a chosen block..", "big"), int.from_bytes(associated.ljust(16, b"\0"), "big")
    lengths = 8 * len(associated) << 64 | 8 * 32

    def rest(which: int) -> int:
        """All of the tag but what the free block, the second, adds."""
        terms = (times(bound, power(h[which], 4)), times(first, power(h[which], 3)), times(lengths, h[which]))
        return terms[0] ^ terms[1] ^ terms[2] ^ mask[which]

    free = times(rest(0) ^ rest(1), power(power(h[0], 2) ^ power(h[1], 2), 2**128 - 2))
    tag = rest(0) ^ times(free, power(h[0], 2))
    return b"".join(part.to_bytes(16, "big") for part in (first, free, tag))


@pytest.fixture
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """All secrets have keys of the same id, or GCM's associated data would tell them apart."""
    real = sealing._hkdf

    def hkdf(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return bytes(4) if label == b"kid" else real(secret, label, context, length)

    monkeypatch.setattr(sealing, "_hkdf", hkdf)


@pytest.mark.requirement("CR-08")
@pytest.mark.usefixtures("same_ids")
def test_what_gcm_takes_under_two_keys_opens_under_neither(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GCM is not bound to its key; the MAC is, and is asked first. Forged with all keys but those of the MAC."""
    both_keys = make_site(SECRET_KEY_FALLBACKS=[OLD])
    macs, ciphers = zip(*map(keys_of, (SECRET, OLD)), strict=True)
    header, number = b"\x01" + bytes(4), bytes(range(24))
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "_aesgcm", lambda: bytes)
        keys = tuple(cipher(number) for cipher in ciphers)
    forged = salamander(keys, number[12:], header)
    body = header + number + forged

    assert len({AESGCM(key).decrypt(number[12:], forged, header) for key in keys}) == 2
    wrong = [bytes(32), hmac.digest(keys[0], body, "sha256"), hmac.digest(keys[1], body, "sha256")]
    assert accepted(both_keys, [text(body + mac) for mac in wrong]) == []
    # Whoever has one key's MAC too has that key alone: under the other it stays shut.
    for mac, other in ((macs[0], OLD), (macs[1], SECRET)):
        assert ring(other).open_cookie(text(body + mac(body))) is None
        assert KeyRing([OLD.encode(), SECRET.encode()], app_id="flows", cookie_name="session").open_cookie(
            text(body + mac(body))
        ) == (AESGCM(keys[0 if other == OLD else 1]).decrypt(number[12:], forged, header), other == SECRET)


@pytest.mark.requirement("CR-08")
@pytest.mark.usefixtures("same_ids")
def test_what_gcm_takes_under_one_key_and_the_mac_under_another_is_nobodys(make_site: Callable[..., Site]) -> None:
    both_keys = make_site(SECRET_KEY_FALLBACKS=[OLD])
    macs, ciphers = zip(*map(keys_of, (SECRET, OLD)), strict=True)
    header, number = b"\x01" + bytes(4), bytes(range(24))
    plaintext = raw_plaintext(both_keys)
    for cipher, mac in ((ciphers[0], macs[1]), (ciphers[1], macs[0])):
        body = header + number + cipher(number).encrypt(number[12:], plaintext, header)

        assert accepted(both_keys, [text(body + mac(body))]) == []


def raw_plaintext(site: Site) -> bytes:
    opened = ring().open_cookie(site.token(put(v=1)))
    assert opened is not None
    return opened[0]


# CR-09, CR-10: what a token tells.


@pytest.mark.requirement("CR-09")
def test_nothing_of_the_contents_can_be_read(site: Site) -> None:
    token = site.token(both(login("user-4711"), put(basket=["article-1138"], csrf_token="9e2f0a6d4b8c1357")))
    words = ["user-4711", "basket", "article-1138", "csrf_token", "9e2f0a6d4b8c1357", "_user_id"]
    shown = b"|".join([raw(token[cut:][: (len(token) - cut) // 4 * 4]) for cut in range(4)] + [token.encode()])

    parts = {word[at : at + 4].encode() for word in words for at in range(len(word) - 3)}
    assert [part for part in parts if part in shown] == []


@pytest.mark.requirement("CR-10")
def test_only_the_length_of_the_contents_shows(site: Site) -> None:
    """No compression: it would tell how much of what a stranger put there repeats what is secret (CRIME, BREACH)."""
    filled = [
        site.token(put(secret="s3cr3t-9e2f0a6d", guess=guess))
        for guess in ("s3cr3t-9e2f0a6d", "x" * 15, "?&=9 z/Q~7,k_W1")
    ]

    assert len({len(token) for token in filled}) == 1


@pytest.mark.requirement("CR-10")
def test_a_compressed_bomb_under_the_right_keys_is_nobodys(site: Site) -> None:
    bomb = zlib.compress(bytes(2_000_000), 9)
    plain = raw_plaintext(site)
    inside = [
        bomb,
        b"\x01" + bomb,
        b"\x00" + bomb,
        b"\x78" + plain,
        zlib.compress(plain),
        b"\x01" + zlib.compress(plain),
    ]

    assert len(bomb) < 2100
    assert accepted(site, [ring().seal_cookie(one) for one in inside]) == []


# CR-11, CR-12, CR-15.


@pytest.mark.requirement("CR-11")
def test_all_refusals_look_alike(site: Site, token: str, clock: FrozenClock) -> None:
    sealed = raw(token)
    ended = site.token(login("bob"))
    site.ask(ended, logout)
    anonymous = site.token(put(v=1))
    clock.tick(1801)
    refused = {
        "none": None,
        "junk": "junk",
        "junk that could be one": "A" * 300,
        "a token of a store": new_token(),
        "another version": text(b"\x02" + sealed[1:]),
        "a key of nobody's": text(sealed[:1] + bytes(4) + sealed[5:]),
        "a wrong MAC": text(sealed[:-1] + bytes([sealed[-1] ^ 1])),
        "not a session": ring().seal_cookie(b"\x01" + bytes(60)),
        "another spelling": token + "=",
        "ended": ended,
        "expired": token,
        "expired, of nobody": anonymous,
    }

    def answered(sent: str | None) -> tuple[object, ...]:
        answer = site.ask(sent, lambda: f"{look()} {dict(session)} {session.new} {session.user_id}")
        return answer.status, sorted(answer.response.headers), answer.response.get_data(), answer.value

    answers = {what: answered(sent) for what, sent in refused.items()}

    assert {what for what, answer in answers.items() if answer != answers["none"]} == set()


@pytest.mark.requirement("CR-12")
def test_an_older_cookie_of_a_live_session_is_still_good(site: Site) -> None:
    """The limit of every cookie (RFC 6265bis, 8.3), asserted as such: no counter belongs there."""
    before = site.token(both(login("ann"), put(tries=1)))
    after = site.token(put(tries=2), before)

    assert site.seen(after) == Seen("ann", {"tries": 2})
    assert site.seen(before) == Seen("ann", {"tries": 1})
    site.ask(after, logout)
    assert site.dead(before, after)


@pytest.mark.requirement("CR-15")
@pytest.mark.parametrize(
    "missing", ["cryptography.hazmat.primitives.kdf.hkdf", "cryptography.hazmat.primitives.ciphers.aead"]
)
def test_without_cryptography_nothing_weaker_takes_its_place(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """It is no extra but comes with the library; where it cannot be loaded all the same, every look is an error."""
    with_it = make_site()
    token = with_it.token(login("ann"))
    sealing._aesgcm.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    without = make_site()

    for sent, view in ((None, put(v=1)), (None, login("ann")), (token, look)):
        answer = without.ask(sent, view, status=500)

        assert answer.says_nothing
        assert answer.value in (None, "done")
    sealing._aesgcm.cache_clear()


def test_a_salamander_needs_two_keys_and_one_block() -> None:
    """That the one above is no accident: each of its blocks counts for both keys."""
    keys, nonce = (b"k" * 32, b"l" * 32), bytes(12)
    forged = salamander(keys, nonce, b"bound")

    assert [len(AESGCM(key).decrypt(nonce, forged, b"bound")) for key in keys] == [32, 32]
    for key, (at, other) in product(keys, combinations(range(0, 48, 16), 2)):
        swapped = bytearray(forged)
        swapped[at : at + 16], swapped[other : other + 16] = forged[other : other + 16], forged[at : at + 16]
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(nonce, bytes(swapped), b"bound")
