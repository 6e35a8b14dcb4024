"""The ids of Flask-Session: what it drew or signed, and nothing that somebody made up."""

from __future__ import annotations

import secrets
import uuid

import pytest
from former_shops import SECRET, former, signed_in
from itsdangerous import Signer

from flask_sessionkit.compat.flask_session.former_ids import id_in

#: Each worker of xdist has to name its tests alike, so nothing is drawn.
ID = "mEVxnsoBSSBBZ2dzgPVjBHNZtQoT4IGJ5ylULO8qYdw"


def unsigned(text: str, length: int = 32) -> str | None:
    return id_in(text, length=length, secrets=None)


def signed(text: str, *keys: bytes) -> str | None:
    return id_in(text, length=32, secrets=keys)


def sign(text: str, key: bytes, salt: str = "flask-session") -> str:
    return Signer(key, salt=salt, key_derivation="hmac").sign(text).decode()


@pytest.mark.parametrize("length", [8, 16, 24, 32, 33, 64])
def test_an_id_of_the_length_that_is_set_is_one(length: int) -> None:
    text = secrets.token_urlsafe(length)

    assert unsigned(text, length) == text


def test_an_id_of_the_usual_length_is_one_after_the_setting_changed() -> None:
    assert unsigned(ID, 64) == ID


def test_an_id_of_versions_before_0_6_is_one() -> None:
    text = str(uuid.uuid4())

    assert unsigned(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID[:-1],
        ID + "A",
        ID + "\n",
        ID[:-1] + "\n",
        ID[:-1] + " ",
        ID[:-1] + ":",
        ID[:-1] + "é",
        "../" + ID[3:],
        "F21813B9-26C5-49C1-819F-56F30CB914D8",
        "c803fe68-e553-11f1-a2fb-02fc00000001",
        "sessionkit:" + "a" * 64,
        "a" * 64,
    ],
)
def test_what_flask_session_does_not_draw_is_none(text: str) -> None:
    assert unsigned(text) is None


def test_a_signed_id_is_what_was_signed() -> None:
    assert signed(sign(ID, b"key"), b"key") == ID


def test_an_id_that_was_signed_with_the_secret_before_is_one() -> None:
    assert signed(sign(ID, b"old"), b"old", b"new") == ID


@pytest.mark.parametrize(
    "text", [ID, sign(ID, b"other"), sign(ID, b"key", salt="cookie-session"), sign(ID, b"key")[:-1], sign("x", b"key")]
)
def test_where_ids_are_signed_no_other_is_one(text: str) -> None:
    assert signed(text, b"key") is None


def test_where_ids_are_signed_none_is_one_without_a_secret() -> None:
    assert signed(sign(ID, b""), *[]) is None


@pytest.mark.parametrize("is_signed", [False, True])
def test_what_flask_session_sends_is_one(is_signed: bool, memory_cache: object) -> None:
    settings = {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": memory_cache, "SESSION_USE_SIGNER": is_signed}
    cookie = signed_in(former(lambda app: settings))

    assert id_in(cookie, length=32, secrets=[SECRET.encode()] if is_signed else None) == cookie.partition(".")[0]
