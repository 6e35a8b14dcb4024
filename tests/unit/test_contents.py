"""What lies inside a seal comes back as it went in; anything else is none, and raises nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.reasons import Reason

MOMENTS = st.floats(allow_nan=False)
USERS = st.none() | st.text()
CONTENTS = st.builds(
    Contents,
    kind=st.sampled_from(Kind),
    idle=MOMENTS,
    absolute_at=MOMENTS,
    created_at=MOMENTS,
    lineage=st.binary(max_size=16),
    login_at=st.none() | MOMENTS,
    user=USERS,
    stamp=USERS,
    data_of=USERS,
    reason=st.none() | st.sampled_from(Reason),
    target=st.none() | st.text(max_size=64),
    data=st.dictionaries(st.text(), st.binary(max_size=40), max_size=4),
)
ONE = Contents(Kind.LIVE, 900.0, 2e9, 1.7e9, b"l" * 16, user="42", data={"cart": b"\x01"})


@given(CONTENTS)
def test_what_is_encoded_comes_back(contents: Contents) -> None:
    back = Contents.decode(contents.encode())

    assert back == contents
    assert back is not None
    assert type(back.kind) is Kind
    assert back.reason is None or type(back.reason) is Reason
    assert list(back.data) == list(contents.data)


@given(CONTENTS)
def test_encoding_it_again_gives_the_same_bytes(contents: Contents) -> None:
    back = Contents.decode(contents.encode())

    assert back is not None
    assert back.encode() == contents.encode()


def test_stored_bytes_never_change_their_form() -> None:
    """A known answer: what an earlier release stored has to be read by every later one."""
    known = bytes.fromhex(
        "019e00cb408c200000000000cb41ddcd6500000000cb41d954fc40000000c4106c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6cc0a23432c0c0c0c0"
        "81a463617274c40101c0c3"
    )

    assert ONE.encode() == known
    assert Contents.decode(known) == ONE


@given(st.binary(max_size=200))
def test_garbage_is_none_and_raises_nothing(garbage: bytes) -> None:
    for payload in (garbage, b"\x01" + garbage, b"\x01\x9e" + garbage):
        back = Contents.decode(payload)
        assert back is None or type(back) is Contents


def test_every_truncation_is_none() -> None:
    whole = ONE.encode()

    assert [length for length in range(len(whole)) if Contents.decode(whole[:length]) is not None] == []


def test_every_single_byte_changed_raises_nothing() -> None:
    whole = ONE.encode()
    for place in range(len(whole)):
        for value in range(256):
            Contents.decode(whole[:place] + bytes([value]) + whole[place + 1 :])


@pytest.mark.parametrize("form", [0, 2, 0x11, 255])
def test_another_format_is_none(form: int) -> None:
    assert Contents.decode(bytes([form]) + ONE.encode()[1:]) is None


@pytest.mark.parametrize("value", [[], 1, {}, "x", None, [0] * 12, [9, 1.0, 1.0, 1.0, b""], [0, "1", 1.0, 1.0, b""]])
def test_other_msgpack_is_none(value: object) -> None:
    assert Contents.decode(b"\x01" + msgspec.msgpack.encode(value)) is None


def test_no_two_share_their_data() -> None:
    one, other = (Contents(Kind.LIVE, 1.0, 1.0, 1.0, b"") for _ in range(2))
    one.data["x"] = b""

    assert other.data == {}
