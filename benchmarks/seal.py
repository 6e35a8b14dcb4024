"""What the seal of a cookie costs, and how long it makes the cookie, beside what others seal or sign with.

All are measured in turns, and a ratio is taken inside one round. itsdangerous is built for each call, as Flask builds
it. AES-GCM alone keeps its key, so it may seal 2^32 messages under it (SP 800-38D, 8.3), and is not bound to it.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Sequence
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from flask_sessionkit import codec
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.sealing import KeyRing

from . import peers
from .tables import Cell, Report, Table, arguments
from .timing import Cost, each, in_turns, middle, spread

_OURS = "ours"
_BYTES = 300
_SIZES = (0, 100, 300, 1000)
_NAME = "__Host-session"

Calls = dict[str, Callable[[], object]]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=500, help="calls of each subject in a round")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.calls = 4, 100
    report = Report("seal", options.save, "cryptography", "itsdangerous", "flask", "msgspec")
    for (name, title), calls in _subjects().items():
        costs = in_turns(calls, rounds=options.rounds, calls=options.calls)
        report.add(
            Table(
                name,
                f"{title}, CPU",
                ("us", "ours of it", "middle half"),
                [_row(subject, costs[_OURS], cost) for subject, cost in costs.items()],
                f"Medians of {options.rounds} rounds of {options.calls} calls, ratios inside a round.",
            )
        )
    report.add(_lengths())
    report.add(_cookies())


def _row(subject: str, ours: list[Cost], cost: list[Cost]) -> Sequence[Cell]:
    ratio = each(truediv, ours, cost)
    return subject, middle(cost).cpu, middle(ratio).cpu, spread(ratio)


def _subjects() -> dict[tuple[str, str], Calls]:
    plaintext = secrets.token_urlsafe(_BYTES).encode()[:_BYTES]
    text = plaintext.decode()
    sealing, opening = _seals(plaintext)
    app = Flask("benchmark")
    app.config["SECRET_KEY"] = peers.SECRET
    signed, signed_session = _serializer(app).dumps(text), _serializer(app).dumps(peers.TYPICAL)
    sealing["itsdangerous per call"] = lambda: _serializer(app).dumps(text)
    opening["itsdangerous per call"] = lambda: _serializer(app).loads(signed)
    ring = _ring()
    token = ring.seal_cookie(_encoded())
    return {
        ("seal-sealing", f"Sealing {_BYTES} bytes"): sealing,
        ("seal-opening", f"Opening {_BYTES} bytes"): opening,
        ("seal-to-cookie", "A session of about 300 bytes to a cookie"): {
            _OURS: lambda: ring.seal_cookie(_encoded()),
            "Flask's own": lambda: _serializer(app).dumps(peers.TYPICAL),
        },
        ("seal-from-cookie", "A cookie to a session of about 300 bytes, all values looked at"): {
            _OURS: lambda: _decoded(ring, token),
            "Flask's own": lambda: _serializer(app).loads(signed_session),
        },
    }


def _seals(plaintext: bytes) -> tuple[Calls, Calls]:
    ring, one_of_three = _ring(), _ring(b"another current secret, 32 bytes", b"and one between the two, as long")
    fernet, gcm = Fernet(Fernet.generate_key()), AESGCM(AESGCM.generate_key(256))
    token, fernet_token, nonce = ring.seal_cookie(plaintext), fernet.encrypt(plaintext), os.urandom(12)
    ciphertext = gcm.encrypt(nonce, plaintext, None)

    def encrypt() -> bytes:
        number = os.urandom(12)
        return number + gcm.encrypt(number, plaintext, None)

    return (
        {
            _OURS: lambda: ring.seal_cookie(plaintext),
            "Fernet": lambda: fernet.encrypt(plaintext),
            "AES-GCM alone": encrypt,
        },
        {
            _OURS: lambda: ring.open_cookie(token),
            "ours, by the third secret": lambda: one_of_three.open_cookie(token),
            "Fernet": lambda: fernet.decrypt(fernet_token),
            "AES-GCM alone": lambda: gcm.decrypt(nonce, ciphertext, None),
        },
    )


def _ring(*before: bytes) -> KeyRing:
    return KeyRing([*before, peers.SECRET.encode()], app_id="benchmark", cookie_name=_NAME)


def _serializer(app: Flask) -> URLSafeTimedSerializer:
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    if serializer is None:
        raise AssertionError("Flask has a secret, and found none.")
    return serializer


def _encoded() -> bytes:
    now = time()
    data = {name: codec.encode(value) for name, value in peers.TYPICAL.items()}
    return Contents(Kind.LIVE, 1800.0, now + 43200, now, bytes(16), now, "4711", data=data).encode()


def _decoded(ring: KeyRing, token: str) -> dict[str, object]:
    opened = ring.open_cookie(token)
    contents = Contents.decode(opened[0]) if opened else None
    if contents is None:
        raise AssertionError("What was sealed does not open.")
    return {name: codec.decode(value) for name, value in contents.data.items()}


def _lengths() -> Table:
    ring, fernet, signer = _ring(), Fernet(Fernet.generate_key()), TimestampSigner("benchmark")
    rows: dict[str, Callable[[bytes], int]] = {
        _OURS: lambda data: len(ring.seal_cookie(data)),
        "Fernet": lambda data: len(fernet.encrypt(data)),
        "itsdangerous (signed only)": lambda data: len(signer.sign(base64.urlsafe_b64encode(data).rstrip(b"="))),
        "iron-session 8 (computed)": _iron_session,
    }
    return Table(
        "seal-lengths",
        "Characters for so many bytes, sealed or signed as they are",
        [f"{size:,}" for size in _SIZES],
        [(name, *(length(os.urandom(size)) for size in _SIZES)) for name, length in rows.items()],
    )


def _cookies() -> Table:
    with TemporaryDirectory() as folder:
        rows = [
            (name, *(len(cookie_with(secrets.token_urlsafe(size)[:size])) for size in _SIZES))
            for name, cookie_with in peers.cookies(Path(folder)).items()
        ]
    return Table(
        "seal-cookies",
        "Characters of the cookie of a session whose one value is a random text of so many bytes",
        [f"{size:,}" for size in _SIZES],
        rows,
    )


def _iron_session(data: bytes) -> int:
    """Return the length of ``Fe26.2*1*salt*iv*ciphertext*expires*salt*mac~2``, as iron-webcrypto writes it.

    The id of the secret is "1"; the salts are 32 bytes in hex; base64url has no padding; AES-256-CBC fills its last
    block (PKCS #7); the end is in milliseconds.
    """
    ciphertext = 16 * (len(data) // 16 + 1)
    fields = ("Fe26.2", "1", 64, _base64(16), _base64(ciphertext), 13, 64, _base64(32))
    return sum(field if isinstance(field, int) else len(field) for field in fields) + len(fields) - 1 + len("~2")


def _base64(size: int) -> int:
    return -(-4 * size // 3)


if __name__ == "__main__":
    main()
