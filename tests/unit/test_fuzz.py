"""Whatever bytes somebody sends or stores: ``None`` or an object comes out, and never an error. CR-01, IN-06.

``tests/fuzz_cookie.py`` does the same to cookies for as long as one likes.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from fuzz_cookie import Target
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from flask_sessionkit import client_backend, codec, revocations
from flask_sessionkit.client_backend import ClientBackend, Unsealed
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.device import Device
from flask_sessionkit.reasons import Reason
from flask_sessionkit.record import Record
from flask_sessionkit.revocations import Revocations
from flask_sessionkit.roster import parts_of
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.server_backend import ServerBackend
from flask_sessionkit.standings import Ended, Entry, Standing
from flask_sessionkit.stores import files_packed, memcached_values, redis_values
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.tokens import key_of, new_token, text_of

KEY, OWNER = "a" * 64, "0b" * 16
RING = KeyRing([b"x" * 32, b"y" * 32], app_id="shop", cookie_name="__Host-session")
NOW = FrozenClock().now()

CONTENTS = Contents(
    Kind.LIVE,
    900.0,
    NOW + 3600,
    NOW,
    b"l" * 16,
    NOW,
    "42",
    "stamp",
    "42",
    Reason.IDLE,
    KEY,
    {"cart": b"\x91\x01", "n": b"\x05"},
)
ENTRY = Entry(b"s" * 16, NOW, None, NOW, NOW, 900.0, NOW + 3600, "Firefox", "192.0.2.7")
STANDING = Standing(
    generation=b"g" * 16,
    live={b"l" * 16: ENTRY},
    ended={b"e" * 16: Ended(NOW, NOW + 60, Reason.LOGOUT)},
    moved_to=OWNER,
)
RECORD = Record(KEY, b"payload", NOW, NOW, 900.0, NOW + 3600, OWNER, b"info", b"version8")


@dataclass(frozen=True)
class Parser:
    """One that takes stored bytes apart.

    :param valid: what it is made for.
    :param gives: of what types what comes out may be.
    """

    parse: Callable[[bytes], Any]
    valid: bytes
    gives: tuple[type, ...]


PARSERS = {
    "contents": Parser(Contents.decode, CONTENTS.encode(), (Contents, type(None))),
    "device": Parser(Device.decode, Device(b"l" * 16, NOW, "Firefox", "192.0.2.7").encode(), (Device, type(None))),
    "client_backend": Parser(
        client_backend._layout.decode,
        client_backend._layout.encode(client_backend._Sealed(NOW, b"s" * 16, b"g" * 16, CONTENTS)),
        (client_backend._Sealed, type(None)),
    ),
    "revocations": Parser(revocations._layout.decode, revocations._layout.encode(STANDING), (Standing, type(None))),
    "memcached": Parser(
        lambda value: memcached_values.unpack(KEY, value), memcached_values.pack(RECORD), (Record, type(None))
    ),
    "memcached's index": Parser(
        memcached_values.unpack_entries, memcached_values.ENTRY.pack(bytes(32), NOW) * 3, (dict,)
    ),
    "redis": Parser(lambda value: redis_values.unpack(KEY, value), redis_values.pack(RECORD), (Record, type(None))),
    "files": Parser(lambda data: files_packed.unpack(KEY, data), files_packed.pack(RECORD, NOW), (Record, type(None))),
}
#: Those of msgpack behind a byte that names the format.
PACKED = ("contents", "device", "client_backend", "revocations")

# Bytes.

#: A busy machine is slow at making examples, which is no fault of what they are for.
often = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

NUMBERS = st.floats() | st.sampled_from([0, -1, 2**63, 2**64 - 1, -(2**63), math.nan, math.inf, -math.inf, 1e308])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.binary(max_size=20)
EXTENSIONS = st.builds(Ext, st.integers(-128, 127), st.binary(max_size=12))
VALUES = st.recursive(
    LEAVES | EXTENSIONS,
    lambda inner: (
        st.lists(inner, max_size=13) | st.dictionaries(st.text(max_size=5) | st.binary(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)
MSGPACK = VALUES.map(msgspec.msgpack.encode)


@st.composite
def changed(draw: st.DrawFn, valid: bytes) -> bytes:
    """Return bytes with a few changes: overwritten, inserted, removed, cut."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.sampled_from((at, at + 1, at + 4, at + 8, len(data))))
        data[at:end] = draw(
            st.binary(max_size=9) | st.sampled_from((b"\xff" * 8, bytes(8), struct.pack(">d", math.nan)))
        )
    return bytes(data)


def hostile(valid: bytes) -> st.SearchStrategy[bytes]:
    """Return what resembles a parser's own bytes, more or less."""
    return (
        changed(valid) | st.binary(max_size=200) | st.builds(bytes.__add__, st.just(valid[:1]), MSGPACK | st.binary())
    )


@pytest.mark.parametrize("name", PARSERS)
@often
@given(data=st.data())
def test_stored_bytes_are_an_object_or_none(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]

    assert isinstance(parser.parse(data.draw(hostile(parser.valid))), parser.gives)


@pytest.mark.parametrize("name", PARSERS)
def test_what_was_stored_is_an_object_however_it_is_cut(name: str) -> None:
    parser = PARSERS[name]

    assert isinstance(parser.parse(parser.valid), parser.gives[0])
    for length in range(len(parser.valid)):
        assert isinstance(parser.parse(parser.valid[:length]), parser.gives)


@pytest.mark.parametrize("name", PARSERS)
def test_every_byte_may_be_any_other(name: str) -> None:
    """Where one says how long the rest is, too."""
    parser = PARSERS[name]
    for place in range(min(len(parser.valid), 80)):
        for value in range(256):
            parser.parse(parser.valid[:place] + bytes([value]) + parser.valid[place + 1 :])


@given(st.binary(max_size=100) | MSGPACK | changed(codec.encode([(1, 2.5), {"a": {1, 2}}, "text", 2**70])))
@often
def test_bytes_are_a_value_or_raise_what_is_documented(data: bytes) -> None:
    try:
        codec.decode(data)
    except ValueError as error:
        assert str(error) == "These bytes are not an encoded value."  # noqa: PT017  # most raise nothing


#: What stands for a value and is none: the number of its type, and bytes that somebody else wrote.
NO_VALUES = [
    (1, b"\xff"),
    (3, b"\xff"),
    (4, b"1"),
    (5, b"1e99999999999999999999999"),
    (5, b"one"),
    (6, b"2026-13-01"),
    (7, b"25:00:00"),
    (8, b"0" * 50_000 + b"x"),
    (8, b"2026-01-01T00:00:00=" + b"9" * 5000),
    (8, b"2026-01-01T00:00:00=99999999999999999"),
    (8, b"2026-01-01T00:00:00/../../etc/passwd"),
    (8, b"2026-01-01T00:00:00/Europe"),
    (8, b"2026-01-01T00:00:00/\0"),
    (8, b"2026-01-01T00:00:00/" + b"a" * 5000),
    (9, b"\x7f" * 20),
    (9, b"\x7f" * 2000),
    (16, b"\x01"),
    (17, b"\x91\x90"),
    (18, b"\x91\x81\x01\x01"),
    (19, b"\x91\x01"),
    (19, b"\x92\x90\x01"),
    (99, b""),
    (-1, b"\xff" * 8),
    (-1, b"\xff" * 12),
]


@pytest.mark.parametrize(("number", "data"), NO_VALUES, ids=lambda part: str(part)[:24])
def test_what_is_no_value_raises_what_is_documented(number: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="not an encoded value"):
        codec.decode(msgspec.msgpack.encode([Ext(number, data)]))


#: Bytes of msgpack that nest, or that announce more than there is: what makes decoders run out of stack or memory.
NESTED = {"lists": b"\x91" * 100_000, "maps": b"\x81\xc0" * 100_000, "keys": b"\x81" * 100_000}
ANNOUNCED = {
    "a list": b"\xdd" + b"\xff" * 4,
    "a map": b"\xdf" + b"\xff" * 4,
    "bytes": b"\xc6" + b"\xff" * 4,
    "a text": b"\xdb" + b"\xff" * 4,
    "an extension": b"\xc9" + b"\xff" * 4,
}
BOMBS = NESTED | ANNOUNCED


def longer_by(bomb: bytes, valid: bytes) -> bytes:
    """Return an array of fields with one more, which this version would pass over."""
    assert 0x90 <= valid[1] < 0x9F
    return valid[:1] + bytes([valid[1] + 1]) + valid[2:] + bomb


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("name", PACKED)
def test_no_depth_and_no_length_is_too_much(name: str, bomb: str) -> None:
    """A field that is passed over is nested as deep as one likes, and msgspec does not raise its own error there."""
    parser = PARSERS[name]

    assert parser.parse(b"\x01" + BOMBS[bomb]) is None
    assert parser.parse(longer_by(BOMBS[bomb], parser.valid)) is None
    for place in range(1, 40):
        assert isinstance(parser.parse(parser.valid[:place] + BOMBS[bomb]), parser.gives)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("kind", ["", "tuple", "set", "dict"])
def test_no_depth_and_no_length_of_a_value_is_too_much(kind: str, bomb: str) -> None:
    numbers = {"tuple": 16, "set": 17, "dict": 19}
    data = msgspec.msgpack.encode(Ext(numbers[kind], BOMBS[bomb])) if kind else BOMBS[bomb]

    with pytest.raises(ValueError, match="not an encoded value"):
        codec.decode(data)


def test_values_within_values_without_end_are_none() -> None:
    """Each extension is decoded by a decoder of its own."""
    data = b"\x90"
    for _ in range(2000):
        data = msgspec.msgpack.encode(Ext(16, b"\x91" + data))

    with pytest.raises(ValueError, match="not an encoded value"):
        codec.decode(data)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e308, -1e308, 2**64 - 1, -(2**63)])
def test_times_that_are_none_are_judged_without_an_error(odd: float) -> None:
    """Only our own seal could bear them; what they say is then believed, but nothing is computed that raises."""
    contents = Contents(Kind.LIVE, odd, odd, odd, b"l" * 16, login_at=odd)
    token = RING.seal_cookie(client_backend._layout.encode(client_backend._Sealed(odd, b"s" * 16, None, contents)))

    found = ClientBackend(RING, None, room=3000).load(token, now=NOW, touch_every=60.0, touch_within=900.0)

    assert found is not None
    assert found.contents is not None
    found.times(found.contents).verdict(NOW)
    assert isinstance(found.record.expires_at, float | int)


# Behind the seal, and before it.


def client_side() -> tuple[ClientBackend, PausingStore]:
    store = PausingStore(MemoryStore())
    return ClientBackend(RING, Revocations(store, RING, FrozenClock()), room=3000), store


@given(st.binary(max_size=300))
def test_a_seal_around_anything_is_no_session(plaintext: bytes) -> None:
    backend, store = client_side()

    found = backend.load(RING.seal_cookie(plaintext), now=NOW, touch_every=60.0, touch_within=900.0)

    assert isinstance(found, Unsealed)
    assert found.contents is None
    assert store.counts == {}


@given(hostile(PARSERS["client_backend"].valid))
@often
def test_a_seal_around_what_resembles_a_session_raises_nothing(plaintext: bytes) -> None:
    backend, _ = client_side()

    found = backend.load(RING.seal_cookie(plaintext), now=NOW, touch_every=60.0, touch_within=900.0)

    assert isinstance(found, Unsealed)


VALID_TOKEN = RING.seal_cookie(PARSERS["client_backend"].valid)


@pytest.mark.requirement("CR-01")
@given(changed(VALID_TOKEN.encode()))
@often
def test_a_token_that_was_changed_is_no_session_and_no_reason_to_ask(raw: bytes) -> None:
    backend, store = client_side()
    text = raw.decode("latin-1")
    assume(text != VALID_TOKEN)

    found = backend.load(text, now=NOW, touch_every=60.0, touch_within=900.0)

    assert isinstance(found, Unsealed)
    assert found.contents is None
    assert store.counts == {}


@given(st.text(max_size=300) | changed(text_of(bytes(200)).encode()).map(lambda raw: raw.decode("latin-1")))
@often
def test_any_text_of_a_cookie_is_none(text: str) -> None:
    assert RING.open_cookie(text) is None


@given(st.text(max_size=60) | st.binary(max_size=70).map(text_of))
@often
def test_any_text_of_a_handle_names_nothing_or_something(text: str) -> None:
    owner, lineage = parts_of(text)

    assert (len(owner), len(lineage)) in {(0, 0), (32, 16)}


@given(hostile(CONTENTS.encode()), st.booleans())
@often
def test_a_record_that_holds_anything_raises_nothing(payload: bytes, encrypts: bool) -> None:
    store, token = MemoryStore(), new_token()
    key = key_of(token, "shop")
    backend = ServerBackend(store, RING, app_id="shop", max_size=65536)
    sealed = RING.seal(payload, key=key, encrypts=encrypts)
    store.create(Record(key, sealed, NOW, NOW, 900.0, NOW + 3600, OWNER, payload, b"version8"))

    found = backend.load(token, now=NOW, touch_every=60.0, touch_within=900.0)

    assert found is not None
    assert isinstance(found.contents, Contents | None)
    assert isinstance(Device.decode(backend.info_of(found.record)), Device | None)


@given(hostile(PARSERS["revocations"].valid), st.booleans())
@often
def test_what_is_known_of_a_user_may_be_anything(payload: bytes, is_sealed: bool) -> None:
    store, clock = MemoryStore(), FrozenClock()
    known = Revocations(store, RING, clock)
    key = revocations._key_of(RING.owners("42")[0])
    kept = RING.seal_revocations(payload, key=key) if is_sealed else payload
    store.create(Record(key, kept, NOW, NOW, 900.0, NOW + 3600, None, b"", b"version8"))

    held = known._load(RING.owners("42")[0])

    assert held is not None
    assert isinstance(held.standing, Standing | None)
    assert is_sealed or held.standing is None


@pytest.mark.requirement("CR-01")
@pytest.mark.parametrize("runs", [3000, pytest.param(200_000, marks=pytest.mark.thorough)])
def test_of_so_many_changed_tokens_none_opens(runs: int) -> None:
    """CR-01."""
    target, source = Target(), random.Random()

    assert [text for _ in range(runs) if target.is_accepted(text := target.mutation(source))] == []


def test_the_fuzzer_tells_what_it_looks_for() -> None:
    target = Target()
    unknown = target.ring.seal_cookie(b"sealed after the others")

    assert target.is_accepted(unknown)
    assert not any(map(target.is_accepted, target.valid))
    assert all(target.ring.open_cookie(token) for token in target.valid)
