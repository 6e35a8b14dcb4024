"""What the list of devices shows: short, printable, and never a reason to fail. LG-03."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sessionkit.device import Device

TEXTS = st.text(st.characters(exclude_categories=()), max_size=300)
LINEAGE = bytes(range(16))


@pytest.mark.requirement("LG-03")
@given(st.none() | st.floats(allow_nan=False), TEXTS, TEXTS)
def test_it_comes_back_short_and_printable(login_at: float | None, user_agent: str, address: str) -> None:
    back = Device.decode(Device(LINEAGE, login_at, user_agent, address).encode())

    assert back is not None
    assert (back.lineage, back.login_at) == (LINEAGE, login_at)
    assert len(back.user_agent) == min(len(user_agent), 200)
    assert (back.user_agent + back.address).isprintable()


def test_plain_text_stays_as_it_is() -> None:
    device = Device(LINEAGE, 1.7e9, "Mozilla/5.0 (X11; Linux x86_64) é✓", "2001:db8::1")

    assert Device.decode(device.encode()) == device


def test_the_longest_address_that_there_is_stays_whole() -> None:
    longest = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"
    back = Device.decode(Device(LINEAGE, None, "", longest).encode())

    assert back is not None
    assert back.address == longest


@pytest.mark.parametrize("letter", ["x", "é", "✓", "\U0001f600", "\n", "\ud800"])
def test_it_has_at_most_1_kib(letter: str) -> None:
    assert len(Device(LINEAGE, 1.7e9, letter * 10_000, letter * 10_000).encode()) <= 1024


@pytest.mark.requirement("LG-03")
@pytest.mark.parametrize("nasty", ["\r\nSet-Cookie: x", "\x1b[2J", "\0", "\u202egpj", "\u2028", "\x85", "\ud800"])
def test_what_could_move_a_terminal_or_split_a_line_is_a_question_mark(nasty: str) -> None:
    back = Device.decode(Device(LINEAGE, None, f"agent{nasty}", nasty).encode())

    assert back is not None
    assert back.user_agent.startswith("agent?")
    assert back.address.startswith("?")


@given(st.binary(max_size=120))
def test_garbage_is_none_and_raises_nothing(garbage: bytes) -> None:
    for info in (garbage, b"\x01" + garbage, b"\x01\x94" + garbage):
        back = Device.decode(info)
        assert back is None or type(back) is Device


def test_every_single_byte_changed_raises_nothing() -> None:
    whole = Device(LINEAGE, 1.7e9, "agent é", "::1").encode()
    for place in range(len(whole)):
        for value in range(256):
            Device.decode(whole[:place] + bytes([value]) + whole[place + 1 :])


@pytest.mark.parametrize("form", [0, 2, 255])
def test_another_format_is_none(form: int) -> None:
    assert Device.decode(bytes([form]) + Device(LINEAGE, 1.7e9, "agent", "::1").encode()[1:]) is None


@pytest.mark.parametrize("row", [["l", 1.0, "", ""], [b"", "1", "", ""], [b"", 1.0, b"", ""], [b"", 1.0, ""], {}, 7])
def test_another_type_is_none(row: object) -> None:
    """It lies beside the seal: a list of devices must not fail for what somebody wrote there."""
    assert Device.decode(b"\x01" + msgspec.msgpack.encode(row)) is None
