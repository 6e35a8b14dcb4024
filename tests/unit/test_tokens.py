"""What tokens promise: random, one spelling, and a key that tells nothing of them.

Held here: ID-01, ID-05, IN-01, CK-07, CR-04.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import string
import warnings
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_sessionkit.tokens import Token, bytes_of, is_sealed, is_token, key_of, key_of_former, new_token, text_of

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def as_bytes(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=")


@pytest.mark.requirement("CK-07", "ID-01")
def test_a_token_is_32_random_bytes_in_base64url() -> None:
    tokens = [new_token() for _ in range(40_000)]
    columns = zip(*map(as_bytes, tokens), strict=True)

    assert len(set(tokens)) == 40_000
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", token) for token in tokens)
    for column in map(Counter, columns):
        for bit in range(8):
            share = sum(count for value, count in column.items() if value >> bit & 1) / 40_000
            assert abs(share - 0.5) < 0.02


@pytest.mark.requirement("ID-01")
def test_no_seed_decides_what_comes() -> None:
    random.seed(0)
    first = new_token()
    random.seed(0)

    assert new_token() != first


@pytest.mark.requirement("ID-01")
def test_two_forked_workers_share_no_token() -> None:
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads of other tests may be about
        children = [os.fork() or _tell_tokens(writer) for _ in range(2)]
    os.close(writer)
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        tokens = pipe.read().split()

    assert len(tokens) == len(set(tokens)) == 40


def _tell_tokens(writer: int) -> int:
    os.write(writer, "".join(f"{new_token()}\n" for _ in range(20)).encode())
    os._exit(0)


def test_what_is_drawn_is_a_token() -> None:
    assert all(is_token(new_token()) for _ in range(1000))


@pytest.mark.requirement("IN-01")
@given(st.binary(min_size=32, max_size=32))
def test_32_bytes_have_one_spelling(raw: bytes) -> None:
    token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    spellings = [token[:-1] + last for last in ALPHABET if as_bytes(token[:-1] + last) == raw]

    assert len(spellings) == 4
    assert [spelling for spelling in spellings if is_token(spelling)] == [token]


@pytest.mark.requirement("IN-01")
def test_spare_bits_in_the_last_character_are_refused() -> None:
    assert sum(is_token("A" * 42 + last) for last in ALPHABET) == 16


@pytest.mark.parametrize("length", [0, 1, 32, 42, 44, 64, 86, 300, 8000])
def test_another_length_is_no_token(length: int) -> None:
    assert not is_token("A" * length)


@pytest.mark.parametrize("place", [0, 21, 42])
@pytest.mark.parametrize("letter", [*"+/=. \t\n\r\0%~;,\"'\\", "é", "\u0661", "\uff21", "\u2000", "\ud800", "\xff"])
def test_another_character_is_no_token(letter: str, place: int) -> None:
    assert not is_token("A" * place + letter + "A" * (42 - place))


@pytest.mark.parametrize("tail", ["=", "\n", " ", "\0"])
def test_nothing_may_follow_a_token(tail: str) -> None:
    assert not is_token("A" * 43 + tail)


@pytest.mark.requirement("ID-05", "ST-12")
def test_the_key_is_the_hash_that_the_documents_give() -> None:
    token = "A" * 43
    wanted = hashlib.sha256(b"flask_sessionkit/id/1\x00" + b"\x00\x04shop" + token.encode())

    assert key_of(token, "shop") == wanted.hexdigest()


def test_the_key_of_what_was_taken_over_is_the_hash_that_the_documents_give() -> None:
    wanted = hashlib.sha256(b"flask_sessionkit/taken-over/1\x00" + b"\x00\x04shop" + b"flask:1:ab")

    assert key_of_former("flask:1:ab", "shop") == wanted.hexdigest()


def test_the_length_goes_before_the_application() -> None:
    """Without it ``shopA`` with a token and ``shop`` with ``A`` before it would be one (CVE-2019-10911)."""
    token = "A" * 43

    assert key_of(token, "shopA") != key_of("A" + token, "shop")
    assert key_of(token, "é" * 100) != key_of(token, "é" * 101)


# Sealed bytes.


def strictly_decoded(text: str) -> bytes | None:
    """RFC 4648, 5, without padding: what the standard library decodes and encodes to the same text again."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=") == text.encode() else None


@given(st.binary(max_size=400))
def test_bytes_have_one_spelling(raw: bytes) -> None:
    text = text_of(raw)

    assert text == base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert bytes_of(text) == raw
    assert [text[:-1] + last for last in ALPHABET if raw and bytes_of(text[:-1] + last) == raw] == [text][: len(raw)]


def test_every_text_of_up_to_two_characters_is_what_the_definition_says() -> None:
    letters = [chr(code) for code in range(256)]
    texts = ["", *letters, *(one + other for one in letters for other in letters)]

    assert [text for text in texts if bytes_of(text) != strictly_decoded(text)] == []


@given(st.text(ALPHABET + "=+/. \n\0é", max_size=12) | st.text(max_size=12))
@settings(max_examples=500, deadline=None)
def test_every_text_is_what_the_definition_says(text: str) -> None:
    assert bytes_of(text) == strictly_decoded(text)


@pytest.mark.parametrize("odd", [*"+/=. \t\n\r\0%~;,\"'\\", "é", "\u0661", "\uff21", "\u2000", "\ud800", "\xff"])
def test_an_odd_character_decodes_to_nothing(odd: str) -> None:
    """The usual decoder passes over most of them, so that one token had many spellings."""
    text = text_of(bytes(range(60)))
    spellings = [text[:place] + odd + text[place:] for place in range(len(text) + 1)]
    spellings += [text[:place] + odd + text[place + 1 :] for place in range(len(text))]
    spellings += [text[:place] + odd * 4 + text[place:] for place in range(len(text) + 1)]

    assert [spelling for spelling in spellings if bytes_of(spelling) is not None] == []
    assert [spelling for spelling in spellings if is_sealed(spelling)] == []


@pytest.mark.parametrize(("length", "could_be"), [(0, 0), (43, 0), (99, 0), (100, 1), (4096, 1), (4097, 0), (10**6, 0)])
def test_only_what_fits_into_a_cookie_could_be_sealed(length: int, could_be: int) -> None:
    """The shortest holds 77 bytes of the seal itself (``docs/formats.rst``), so a token of a store is never one."""
    assert is_sealed("A" * length) is bool(could_be)


@pytest.mark.requirement("LG-01")
def test_no_text_of_a_token_shows() -> None:
    """LG-01: reporters of errors show the variables of a frame."""
    tokens = new_token(), text_of(bytes(100))

    assert [type(token) for token in tokens] == [Token, Token]
    assert repr([*tokens, {"token": tokens[0]}]) == "[<token>, <token>, {'token': <token>}]"
