"""What clients hold, as text: random tokens, the keys that stores file them under, and sealed bytes."""

from __future__ import annotations

import binascii
import hashlib
import re
import secrets
from functools import lru_cache
from typing import Any, Final

#: 32 bytes in base64url: 42 free characters, and a last one whose two spare bits are zero (RFC 4648, 3.5).
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
#: What could be sealed bytes: not longer than what a browser keeps under one name (RFC 6265bis, 5.6).
_SEALED: Final = re.compile(r"[A-Za-z0-9_-]{100,4096}")
_LABEL: Final = b"flask_sessionkit/id/1\x00"
_FORMER_LABEL: Final = b"flask_sessionkit/taken-over/1\x00"

#: base64url as base64; what is base64's alone becomes what neither has.
_AS_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
#: Last characters whose spare bits are zero, by how many characters the last group of four has.
_LAST: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


class Token(str):
    """A token; it shows nothing of itself where a reporter of errors shows the variables of a frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<token>"


def new_token() -> Token:
    """Return 256 random bits as 43 characters of base64url (OWASP ASVS 5.0, 7.2.3)."""
    return Token(secrets.token_urlsafe(32))


def is_token(text: str) -> bool:
    """Return whether a text could be a token. One token has one spelling; nothing else reaches a store."""
    return _TOKEN.fullmatch(text) is not None


def key_of(token: str, app_id: str) -> str:
    """Return the key of a token: 64 hex characters of SHA-256, all that a store ever sees of it.

    A token has 256 random bits, so its hash needs neither salt nor cost.
    """
    digest = _begun(app_id).copy()
    digest.update(token.encode())
    key: str = digest.hexdigest()
    return key


def key_of_former(name: str, app_id: str) -> str:
    """Return the key under which is remembered what became of a session that was kept in another way.

    :param name: see ``Predecessor.name``.
    """
    application = app_id.encode()
    named = _FORMER_LABEL + len(application).to_bytes(2, "big") + application + name.encode()
    return hashlib.sha256(named).hexdigest()


@lru_cache(maxsize=16)
def _begun(app_id: str) -> Any:
    application = app_id.encode()
    return hashlib.sha256(_LABEL + len(application).to_bytes(2, "big") + application)


def is_sealed(text: str) -> bool:
    """Return whether a text could be sealed bytes; they are not looked at."""
    return _SEALED.fullmatch(text) is not None


def text_of(sealed: bytes) -> Token:
    """Return bytes as base64url without padding (RFC 4648, 5)."""
    text = binascii.b2a_base64(sealed, newline=False).rstrip(b"=").translate(_AS_BASE64URL)
    return Token(text.decode())


def bytes_of(text: str) -> bytes | None:
    """Return what ``text_of`` was given; ``None`` for any other spelling, of which the usual decoders take many."""
    rest = len(text) % 4
    if rest == 1 or not text.isascii() or (rest and text[-1] not in _LAST[rest]):
        return None
    try:
        return binascii.a2b_base64(text.encode().translate(_AS_BASE64) + b"=" * (-rest % 4), strict_mode=True)
    except binascii.Error:
        return None


_AS_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")
