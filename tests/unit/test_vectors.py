"""What the seal is built of gives the answers that others published: AES-GCM, HMAC and HKDF. CR-14.

The vectors are those that ``cryptography`` is tested with (package ``cryptography-vectors``): NIST's for AES-GCM, of
RFC 4231 for HMAC, of RFC 5869 and others for HKDF. Each goes the way that the seal goes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography_vectors import open_vector_file

from flask_sessionkit import sealing

Vector = dict[str, str]


def vectors_in(name: str, *, first: str) -> Iterator[Vector]:
    """Read a file of ``name = value`` lines, in which each vector begins with the same name.

    :param first: that name. What stands in brackets holds for all vectors below it.
    """
    section: Vector = {}
    vector: Vector = {}
    with open_vector_file(name, "r") as lines:
        for line in lines:
            field, equals, value = line.strip().strip("[]").partition("=")
            field = field.strip().lower()
            if line.startswith("["):
                section[field] = value.strip()
            elif field == first and vector:
                yield vector
                vector = section | {field: value.strip()}
            elif equals and not line.startswith("#"):
                vector = (vector or dict(section)) | {field: value.strip()}
            elif field == "fail":
                vector["fail"] = "yes"
    yield vector


def gcm_vectors(name: str) -> list[Vector]:
    """Return those with numbers of 96 bits, which are all that the seal uses."""
    found = list(vectors_in(f"ciphers/AES/GCM/{name}.rsp", first="count"))
    return [vector for vector in found if len(vector["iv"]) == 24]


def of(vector: Vector, *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


@pytest.mark.requirement("CR-14")
def test_every_published_plaintext_is_encrypted_as_published() -> None:
    tried = 0
    for vector in gcm_vectors("gcmEncryptExtIV256"):
        key, number, plaintext, associated, ciphertext, tag = of(vector, "key", "iv", "pt", "aad", "ct", "tag")

        sealed = sealing._aesgcm()(key).encrypt(number, plaintext, associated)

        # A published tag may be cut; ours never is.
        assert sealed[: len(ciphertext)] == ciphertext
        assert sealed[len(ciphertext) :][: len(tag)] == tag
        tried += 1

    assert tried > 2000


@pytest.mark.requirement("CR-14")
def test_every_published_ciphertext_opens_or_is_refused_as_published() -> None:
    opened, refused = 0, 0
    for vector in gcm_vectors("gcmDecrypt256"):
        key, number, associated, ciphertext, tag = of(vector, "key", "iv", "aad", "ct", "tag")
        if len(tag) < 16:
            continue  # The seal takes no other.
        cipher = sealing._aesgcm()(key)
        if "fail" in vector:
            with pytest.raises(InvalidTag):
                cipher.decrypt(number, ciphertext + tag, associated)
            refused += 1
        else:
            assert cipher.decrypt(number, ciphertext + tag, associated) == bytes.fromhex(vector["pt"])
            opened += 1

    assert opened > 100
    assert refused > 100


@pytest.mark.requirement("CR-14")
def test_every_published_mac_is_ours() -> None:
    found = list(vectors_in("HMAC/rfc-4231-sha256.txt", first="len"))
    for vector in found:
        key, message, mac = of(vector, "key", "msg", "md")
        keys = sealing._Key(b"", key, b"")

        assert keys.mac(message)[: len(mac)] == mac
        assert keys.mac(message)[: len(mac)] == mac, "what is started once can be used again"

    assert len(found) >= 6


@pytest.mark.requirement("CR-14")
@pytest.mark.parametrize("name", ["rfc-5869-HKDF-SHA256", "hkdf-generated"])
def test_every_published_key_is_derived(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_prefixed", bytes)  # the published ones have no length in front
    tried = 0
    for vector in vectors_in(f"KDF/{name}.txt", first="count"):
        secret, salt, info, key = of(vector, "ikm", "salt", "info", "okm")
        if vector["hash"] == "SHA-256":
            monkeypatch.setattr(sealing, "_SALT", salt)

            assert sealing._hkdf(secret, b"", info, int(vector["l"])) == key
            tried += 1

    assert tried > 0


@pytest.mark.requirement("CR-14")
def test_the_key_of_a_seal_is_one_block_of_hkdf_expand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by hand for speed: ``HKDFExpand`` costs more than the seal's other parts together."""
    monkeypatch.setattr(sealing, "_aesgcm", lambda: bytes)
    source = random.Random(4711)
    keys = []
    for _ in range(500):
        sub_key, number = source.randbytes(32), source.randbytes(24)

        keys.append(sealing._Key(b"", b"", sub_key).cipher(number))

        expanded = HKDFExpand(algorithm=SHA256(), length=32, info=b"enc" + number[:12])
        assert keys[-1] == expanded.derive(sub_key)

    assert all(one != other for one, other in pairwise(keys))
