"""Which secrets are fit to seal with. KE-01, KE-02, KE-07, KE-08."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any

import pytest

from flask_sessionkit.secret_keys import secrets_of, weaknesses

GOOD, OLD = (sha256(name).hexdigest() for name in (b"good", b"old"))  # the same in every process of xdist
SUPERSET = "\2\1thisismyscretkey\1\2\\e\\y\\y\\h"


def test_the_current_secret_comes_first_and_text_becomes_bytes() -> None:
    assert secrets_of(GOOD, [OLD, b"\xff"]) == ([GOOD.encode(), OLD.encode(), b"\xff"], [])
    assert secrets_of(GOOD, None) == secrets_of(GOOD, []) == secrets_of(GOOD, ()) == ([GOOD.encode()], [])


def test_a_text_that_is_no_utf_8_is_a_secret_too() -> None:
    """An environment variable with odd bytes comes in as lone surrogates; Flask takes it."""
    assert secrets_of("\udcff" * 40, None) == (["\udcff".encode("utf-8", "surrogatepass") * 40], [])


@pytest.mark.requirement("KE-08")
@pytest.mark.parametrize("fallbacks", [OLD, OLD.encode(), bytearray(b"x"), 7, True, {"old": OLD}, object()])
def test_fallbacks_that_are_no_list_are_refused(fallbacks: Any) -> None:
    """KE-08: of one text each letter would be a key. Flask itself takes it."""
    found, problems = secrets_of(GOOD, fallbacks)

    assert len(problems) == 1
    assert problems[0].startswith("SECRET_KEY_FALLBACKS must be a list of secrets")
    assert "[old_secret]" in problems[0]
    assert OLD.encode() not in found


@pytest.mark.parametrize("wrong", [7, 1.5, True, ["x"], bytearray(b"x" * 40), object()])
def test_a_secret_that_is_neither_text_nor_bytes_is_refused(wrong: Any) -> None:
    assert "SECRET_KEY must be str or bytes" in secrets_of(wrong, None)[1][0]
    assert "SECRET_KEY_FALLBACKS must be str or bytes" in secrets_of(GOOD, [wrong])[1][0]


@pytest.mark.parametrize("empty", ["", b""])
def test_an_empty_fallback_is_refused(empty: Any) -> None:
    assert "SECRET_KEY_FALLBACKS holds an empty secret" in secrets_of(GOOD, [empty])[1][0]


def test_none_among_the_fallbacks_is_refused() -> None:
    """What ``os.environ.get("OLD_SECRET")`` gives when it is not set."""
    assert "NoneType" in secrets_of(GOOD, [None])[1][0]


@pytest.mark.requirement("KE-08")
@pytest.mark.parametrize("fallbacks", [[GOOD], [OLD, OLD], [GOOD.encode()]])
def test_the_same_secret_twice_is_refused(fallbacks: Any) -> None:
    assert "holds the same secret twice" in secrets_of(GOOD, fallbacks)[1][0]


def test_all_that_is_wrong_is_told() -> None:
    assert len(secrets_of(7, ["", 8])[1]) == 3


@pytest.mark.requirement("KE-02")
@pytest.mark.parametrize(
    "weak",
    [
        "dev",
        "secret",
        "changeme",
        "x",
        "abcdefghijklmnopqrstuvwxyz01234",
        "a" * 64,
        "0123456789" * 7,
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        b'_5#y2L"F4Q8z\n\xec]/',
        SUPERSET,
        r"\2\1thisismyscretkey\1\2\e\y\y\h",
        "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
        "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
        "temporary_key",
    ],
)
def test_a_weak_secret_is_told_with_a_mend_and_not_named(weak: str | bytes) -> None:
    found, problems = secrets_of(weak, None)
    [said] = problems + weaknesses(found)

    assert said.startswith("SECRET_KEY ")
    assert "secrets.token_hex()" in said
    assert weak in ("dev", "secret", "x") or repr(weak)[2:-1] not in said


@pytest.mark.requirement("KE-02")
def test_a_weak_fallback_is_told_as_one() -> None:
    [said] = weaknesses([GOOD.encode(), b"dev"])

    assert said.startswith("SECRET_KEY_FALLBACKS must have at least 32 bytes, not 3.")


@pytest.mark.requirement("KE-02")
@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe, secrets.token_bytes])
def test_what_the_standard_library_draws_is_fit(make: Any) -> None:
    for _ in range(500):
        found, problems = secrets_of(make(), [make(), make()])
        assert problems + weaknesses(found) == []


@pytest.mark.requirement("KE-02")
def test_the_limits_are_32_bytes_and_12_different_ones() -> None:
    twelve = bytes(range(12))

    assert weaknesses([twelve + bytes(20)]) == []
    assert "not 31" in weaknesses([twelve + bytes(19)])[0]
    assert "12 different bytes, not 11" in weaknesses([bytes(range(11)) + bytes(21)])[0]
