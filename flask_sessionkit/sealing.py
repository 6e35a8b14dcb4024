"""The seal of a record, and the ring of keys that makes and opens it.

Layout and key derivation are written down in the documentation, "Security", and never change under a version byte.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

#: A record that is authenticated and not encrypted: version, key id, payload, MAC.
_AUTHENTICATED = b"\x11"
_HEADER = 5
_MAC = 32
#: Bytes that the seal of a record adds to it.
OVERHEAD = _HEADER + _MAC
_SALT = b"flask_sessionkit/1"


class _Key:
    """A key for MACs. Started once and copied for each: to start one takes longer than to hash a session."""

    def __init__(self, kid: bytes, secret: bytes) -> None:
        self.kid = kid
        self._started = hmac.new(secret, digestmod="sha256")

    @classmethod
    def derive(cls, secret: bytes, *, purpose: bytes, app_id: str) -> _Key:
        """Return the key of one purpose; nothing that shows the variables of a frame shows it."""
        # The cookie's name, third of the context, is empty for records: it changes with debug and transport.
        context = _prefixed(purpose) + _prefixed(app_id.encode()) + _prefixed(b"")
        return cls(_hkdf(secret, b"kid", context, 4), _hkdf(secret, b"mac", context, 32))

    def mac(self, message: bytes) -> bytes:
        mac = self._started.copy()
        mac.update(message)
        return mac.digest()


class KeyRing:
    """The keys of one application: the first secret seals, all of them open.

    :param secrets: at least one; checked elsewhere (``secret_keys``).
    :param app_id: keeps two applications apart that share a store and a secret.
    """

    def __init__(self, secrets: Sequence[bytes], *, app_id: str) -> None:
        self._records = [_Key.derive(secret, purpose=b"record", app_id=app_id) for secret in secrets]
        self._users = [_Key.derive(secret, purpose=b"user", app_id=app_id) for secret in secrets]

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self._records)}>"

    def seal(self, payload: bytes, *, key: str) -> bytes:
        """Return a payload bound to a record's key by a MAC under the current secret."""
        current = self._records[0]
        body = _AUTHENTICATED + current.kid + payload
        return body + current.mac(_bound(key, body))

    def open(self, sealed: bytes, *, key: str) -> bytes | None:
        """Return the payload, or ``None`` for anything that no secret of the ring sealed for this very key."""
        # SQLite keeps any type in any column.
        if not isinstance(sealed, bytes) or len(sealed) < _HEADER + _MAC or sealed[:1] != _AUTHENTICATED:
            return None
        kid, body, mac = sealed[1:_HEADER], sealed[:-_MAC], sealed[-_MAC:]
        # Key ids have 32 bits: two secrets may share one, so each that fits is tried.
        for candidate in self._records:
            if candidate.kid == kid and hmac.compare_digest(candidate.mac(_bound(key, body)), mac):
                return body[_HEADER:]
        return None

    def owners(self, user_id: str) -> list[str]:
        """Return the names a store knows a user by, 32 hex characters each: the current secret's first."""
        user = user_id.encode()
        return [key.mac(user)[:16].hex() for key in self._users]


def _bound(record_key: str, body: bytes) -> bytes:
    return _prefixed(record_key.encode()) + body


def _hkdf(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    # Brought in at the first look: it is a third of what importing this package takes, and most commands seal nothing.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=_prefixed(label) + context).derive(secret)


def _prefixed(field: bytes) -> bytes:
    # A length in front, so that no two lists of fields make the same bytes (CVE-2019-10911 was a missing separator).
    return len(field).to_bytes(2, "big") + field
