"""The seal, and the ring of keys that makes and opens it: AES-256-GCM, then HMAC-SHA-256 over all of it.

What lies in a store has its MAC always and is encrypted on request; what lies in a cookie is always both. Layout and
key derivation are written down in the documentation, "Security", and never change under a version byte.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from .tokens import bytes_of, text_of

#: Version, key id, payload, MAC: authenticated and not encrypted.
_AUTHENTICATED: Final = b"\x11"
#: Version, key id, number, ciphertext with GCM's tag, MAC.
_ENCRYPTED: Final = b"\x01"
_HEADER: Final = 5
#: Of the random number of each seal the first half makes its key, and the second is GCM's nonce.
_NUMBER: Final = 24
_TAG: Final = 16
_MAC: Final = 32
_SALT: Final = b"flask_sessionkit/1"
#: Bytes of a block of SHA-256, and what HMAC makes of the key's for its two hashes.
_BLOCK: Final = 64
_IPAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OPAD: Final = bytes(byte ^ 0x5C for byte in range(256))

#: Bytes that a seal adds to a record that it authenticates.
OVERHEAD: Final = _HEADER + _MAC
#: Bytes that a seal adds to what it encrypts.
OVERHEAD_ENCRYPTED: Final = OVERHEAD + _NUMBER + _TAG
_SHORTEST: Final = {_AUTHENTICATED: OVERHEAD, _ENCRYPTED: OVERHEAD_ENCRYPTED}


class _Hmac:
    """HMAC-SHA-256 (RFC 2104) under one key, whose two hashes are started once.

    To start them takes longer than to hash a session, and a copy of ``hmac``'s own object longer than the hashing.
    """

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(block.translate(_IPAD))
        self._outer = hashlib.sha256(block.translate(_OPAD))

    def of(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class _Key:
    """The keys of one purpose under one secret."""

    def __init__(self, kid: bytes, mac_key: bytes, sub_key: bytes) -> None:
        self.kid = kid
        self._mac = _Hmac(mac_key)
        self._sub = _Hmac(sub_key)

    @classmethod
    def derive(cls, secret: bytes, *, purpose: bytes, app_id: str, cookie_name: str = "") -> _Key:
        """Return the keys of one purpose; nothing that shows the variables of a frame shows them."""
        context = _context(purpose, app_id, cookie_name)
        return cls(
            _hkdf(secret, b"kid", context, 4), _hkdf(secret, b"mac", context, 32), _hkdf(secret, b"sub", context, 32)
        )

    def mac(self, message: bytes) -> bytes:
        return self._mac.of(message)

    def cipher(self, number: bytes) -> Any:
        """Return AES-256-GCM under the key of one seal: HKDF-Expand (RFC 5869, 2.3) of a single block.

        A key of its own for each seal: there is no number of messages after which nonces would repeat.
        """
        return _aesgcm()(self._sub.of(b"enc" + number[:12] + b"\x01"))


class Seal:
    """The seal of one purpose: the first key seals, all of them open.

    Where a seal is bound to something, it opens for that alone.
    """

    def __init__(self, keys: Sequence[_Key]) -> None:
        self._keys = keys

    def __repr__(self) -> str:
        return f"<Seal with {len(self._keys)} keys>"

    def authenticate(self, payload: bytes, *, bound: bytes) -> bytes:
        """Return a payload under a MAC, readable for all."""
        current = self._keys[0]
        body = _AUTHENTICATED + current.kid + payload
        return body + current.mac(bound + body)

    def encrypt(self, plaintext: bytes, *, bound: bytes = b"") -> bytes:
        """Return a plaintext encrypted, under a MAC."""
        current = self._keys[0]
        header, number = _ENCRYPTED + current.kid, os.urandom(_NUMBER)
        ciphertext: bytes = current.cipher(number).encrypt(number[12:], plaintext, bound + header)
        body = header + number + ciphertext
        return body + current.mac(bound + body)

    def open(self, sealed: bytes, *, bound: bytes = b"", is_encrypted: bool | None = None) -> tuple[bytes, int] | None:
        """Return what was sealed, and the place in the ring of the key that did it; ``None`` for anything else.

        Nothing is decrypted or taken apart before the MAC holds.

        :param is_encrypted: refuse a seal of the other kind; ``None`` takes both.
        """
        version, kid, body, mac = sealed[:1], sealed[1:_HEADER], sealed[:-_MAC], sealed[-_MAC:]
        least = _SHORTEST.get(version)
        if least is None or len(sealed) < least or is_encrypted is (version != _ENCRYPTED):
            return None
        # Key ids have 32 bits: two secrets may share one, so each that fits is tried.
        for place, key in enumerate(self._keys):
            if key.kid == kid and hmac.compare_digest(key.mac(bound + body), mac):
                if version == _AUTHENTICATED:
                    return body[_HEADER:], place
                plaintext = _decrypted(key, body, bound)
                return None if plaintext is None else (plaintext, place)
        return None


class KeyRing:
    """The keys of one application: the first secret seals, all of them open.

    :param secrets: at least one; checked elsewhere (``secret_keys``).
    :param app_id: keeps two applications apart that share a store and a secret.
    :param cookie_name: keeps two cookies apart. Of sealed cookies only: what lies in a store outlives a change of it,
        and it changes with debug and transport.
    """

    def __init__(self, secrets: Sequence[bytes], *, app_id: str, cookie_name: str = "") -> None:
        def keys(purpose: bytes, name: str = "") -> list[_Key]:
            return [_Key.derive(secret, purpose=purpose, app_id=app_id, cookie_name=name) for secret in secrets]

        self._records = Seal(keys(b"record"))
        self._infos = Seal(keys(b"info"))
        self._revocations = Seal(keys(b"revocation"))
        self._cookies = Seal(keys(b"cookie", cookie_name))
        self._users = keys(b"user")

    def __repr__(self) -> str:
        return "<KeyRing>"  # nothing of it is looked at: it may be half made when an error is reported

    def seal(self, payload: bytes, *, key: str, encrypts: bool = False) -> bytes:
        """Return a payload bound to a record's key under the current secret.

        :param encrypts: nobody can read it either.
        """
        bound = _prefixed(key.encode())
        return (self._records.encrypt if encrypts else self._records.authenticate)(payload, bound=bound)

    def open(self, sealed: bytes, *, key: str) -> bytes | None:
        """Return the payload, or ``None`` for anything that no secret of the ring sealed for this very key.

        Encrypted or not: that can be switched on a live store.
        """
        # SQLite keeps any type in any column.
        opened = self._records.open(sealed, bound=_prefixed(key.encode())) if isinstance(sealed, bytes) else None
        return None if opened is None else opened[0]

    def seal_info(self, info: bytes, *, key: str) -> bytes:
        """Return the info of a record encrypted, for its key alone."""
        return self._infos.encrypt(info, bound=_prefixed(key.encode()))

    def open_info(self, info: bytes, *, key: str) -> bytes:
        """Return what ``seal_info`` was given; anything else as it is, since not every record's info is encrypted."""
        opened = self._infos.open(info, bound=_prefixed(key.encode()), is_encrypted=True)
        return info if opened is None else opened[0]

    def seal_revocations(self, payload: bytes, *, key: str) -> bytes:
        """Return what is known of a user's sessions encrypted, for one key of the revocation store."""
        return self._revocations.encrypt(payload, bound=_prefixed(key.encode()))

    def open_revocations(self, sealed: bytes, *, key: str) -> tuple[bytes, bool] | None:
        """Return what ``seal_revocations`` was given, and whether under the current secret; ``None`` for aught else."""
        if not isinstance(sealed, bytes):
            return None
        opened = self._revocations.open(sealed, bound=_prefixed(key.encode()), is_encrypted=True)
        return None if opened is None else (opened[0], opened[1] == 0)

    def seal_cookie(self, plaintext: bytes) -> str:
        """Return a plaintext encrypted, as the text of a cookie."""
        return text_of(self._cookies.encrypt(plaintext))

    def open_cookie(self, text: str) -> tuple[bytes, bool] | None:
        """Return what ``seal_cookie`` was given, and whether under the current secret; ``None`` for anything else."""
        sealed = bytes_of(text)
        opened = None if sealed is None else self._cookies.open(sealed, is_encrypted=True)
        return None if opened is None else (opened[0], opened[1] == 0)

    def owners(self, user_id: str) -> list[str]:
        """Return the names a store knows a user by, 32 hex characters each: the current secret's first."""
        user = user_id.encode()
        return [key.mac(user)[:16].hex() for key in self._users]


def mac_key(secret: bytes, *, purpose: bytes, app_id: str) -> bytes:
    """Return the 32 bytes that authenticate for a purpose which seals nothing."""
    return _hkdf(secret, b"mac", _context(purpose, app_id), 32)


def _decrypted(key: _Key, body: bytes, bound: bytes) -> bytes | None:
    header, number = body[:_HEADER], body[_HEADER : _HEADER + _NUMBER]
    try:
        plaintext: bytes = key.cipher(number).decrypt(number[12:], body[_HEADER + _NUMBER :], bound + header)
    except _invalid_tag():
        return None  # whoever holds the key of the MAC may have made it; GCM alone has no say over which key fits
    return plaintext


# Brought in at the first look: cryptography is a third of what importing this package takes, and most commands seal
# nothing.


@cache
def _aesgcm() -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM


@cache
def _invalid_tag() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _hkdf(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=_prefixed(label) + context).derive(secret)


def _context(purpose: bytes, app_id: str, cookie_name: str = "") -> bytes:
    return _prefixed(purpose) + _prefixed(app_id.encode()) + _prefixed(cookie_name.encode())


def _prefixed(field: bytes) -> bytes:
    # A length in front, so that no two lists of fields make the same bytes (CVE-2019-10911 was a missing separator).
    return len(field).to_bytes(2, "big") + field
