"""Tokens, which clients hold, and the keys that stores file them under."""

from __future__ import annotations

import hashlib
import re
import secrets

#: 32 bytes in base64url: 42 free characters, and a last one whose two spare bits are zero (RFC 4648, 3.5).
_TOKEN = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_LABEL = b"flask_sessionkit/id/1\x00"


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
    application = app_id.encode()
    return hashlib.sha256(_LABEL + len(application).to_bytes(2, "big") + application + token.encode()).hexdigest()
