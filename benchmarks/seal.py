"""What the seal of a cookie costs, and how long it makes the cookie, beside what others seal or sign with.

All are measured in turns, and a ratio is taken inside one round. itsdangerous is built for each call, as Flask builds
it. AES-GCM alone keeps its key, so it may seal 2^32 messages under it (SP 800-38D, 8.3), and is not bound to it.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
from collections.abc import Callable
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
from .timing import Cost, each, in_turns, machine, middle, spread

_OURS = "ours"
_BYTES = 300
_SIZES = (0, 100, 300, 1000)
_NAME = "__Host-session"

Calls = dict[str, Callable[[], object]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=500, help="calls of each subject in a round")
    options = parser.parse_args()
    print(machine("cryptography", "itsdangerous", "flask", "msgspec"))
    print(f"{options.rounds} rounds of {options.calls} calls each; medians of CPU time, ratios inside a round")
    for title, calls in _tables().items():
        costs = in_turns(calls, rounds=options.rounds, calls=options.calls)
        print(f"\n{title}")
        _print(costs)
    _print_lengths()


def _tables() -> dict[str, Calls]:
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
        f"Sealing {_BYTES} bytes": sealing,
        f"Opening {_BYTES} bytes": opening,
        "A session of about 300 bytes to a cookie": {
            _OURS: lambda: ring.seal_cookie(_encoded()),
            "Flask's own": lambda: _serializer(app).dumps(peers.TYPICAL),
        },
        "A cookie to a session of about 300 bytes, all values looked at": {
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


def _print(costs: dict[str, list[Cost]]) -> None:
    print(f"  {'':28}{'us':>8}{'ours of it':>13}{'(mid half)':>15}")
    for name, cost in costs.items():
        ratio = each(truediv, costs[_OURS], cost)
        print(f"  {name:28}{middle(cost).cpu:>8.2f}{middle(ratio).cpu:>13.2f}{spread(ratio):>15}")


def _print_lengths() -> None:
    print("\nCharacters for so many bytes, sealed or signed as they are")
    ring, fernet, signer = _ring(), Fernet(Fernet.generate_key()), TimestampSigner("benchmark")
    rows: dict[str, Callable[[bytes], int]] = {
        _OURS: lambda data: len(ring.seal_cookie(data)),
        "Fernet": lambda data: len(fernet.encrypt(data)),
        "itsdangerous (signed only)": lambda data: len(signer.sign(base64.urlsafe_b64encode(data).rstrip(b"="))),
        "iron-session 8 (computed)": _iron_session,
    }
    print(f"  {'':28}" + "".join(f"{size:>8,}" for size in _SIZES))
    for name, length in rows.items():
        print(f"  {name:28}" + "".join(f"{length(os.urandom(size)):>8,}" for size in _SIZES))
    print("\nCharacters of the cookie of a session whose one value is a random text of so many bytes")
    with TemporaryDirectory() as folder:
        for name, cookie_with in peers.cookies(Path(folder)).items():
            lengths = [len(cookie_with(secrets.token_urlsafe(size)[:size])) for size in _SIZES]
            print(f"  {name:28}" + "".join(f"{length:>8,}" for length in lengths))


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
