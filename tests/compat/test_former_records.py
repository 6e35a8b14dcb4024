"""What Flask-Session stored, as data; a pickle is never read."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from markupsafe import Markup

from flask_sessionkit.compat.flask_session.former_records import items_of, may_be_pickle, packed

ITEMS: dict[str, Any] = {
    "_permanent": True,
    "user": "ann",
    "cart": [1, 2.5, {"é": None}],
    "raw": "text",
    "_flashes": [],
}


@pytest.mark.parametrize(
    "write", [msgspec.msgpack.encode, msgspec.json.encode, lambda items: json.dumps(items).encode()]
)
def test_msgpack_and_json_are_read(write: Any) -> None:
    assert items_of(write(ITEMS)) == ITEMS


def test_what_msgpack_alone_can_say_is_read() -> None:
    items = {"raw": b"\x00\xff", "at": dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)}

    assert items_of(msgspec.msgpack.encode(items)) == items


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("items", [{}, {"user": "ann"}, {"n": 1, "list": [1, 2], "long": "x" * 70_000}])
def test_a_pickle_is_not_read_and_told_as_one(items: dict[str, Any], protocol: int) -> None:
    data = pickle.dumps(items, protocol)

    assert items_of(data) is None
    assert may_be_pickle(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"7",
        b"[1]",
        b"null",
        b'"text"',
        b"\x93\x01\x02\x03",
        b"{",
        b"\xff\xfe",
        b'{"a": 1} x',
        b"\xc1",
        b"[",
    ],
)
def test_what_is_no_data_of_a_session_is_none(data: bytes) -> None:
    assert items_of(data) is None
    assert not may_be_pickle(data)


def test_what_goes_too_deep_is_none() -> None:
    assert items_of(b'{"a":' * 100_000 + b"1" + b"}" * 100_000) is None
    assert items_of(b"\x81\xa1a" * 100_000 + b"\x01") is None


def test_a_key_that_is_no_text_is_no_sessions() -> None:
    assert items_of(msgspec.msgpack.encode({1: 2})) is None


def test_an_extension_of_somebody_elses_is_not_read() -> None:
    assert items_of(msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(99, b"x")})) is None


def test_what_a_pickle_held_comes_back_as_it_was() -> None:
    items = {
        **ITEMS,
        "pair": (1, 2),
        "bag": {1, 2},
        "id": uuid.uuid4(),
        "price": Decimal("2.50"),
        "at": dt.datetime(2026, 3, 1, 12, 30),  # noqa: DTZ001  # as applications keep them
        "shown": Markup("<b>"),
    }

    read = items_of(packed(items))

    assert read == items
    assert {key: type(value) for key, value in read.items()} == {key: type(value) for key, value in items.items()}


def test_what_was_converted_flask_session_reads_too() -> None:
    assert msgspec.msgpack.decode(packed(ITEMS)) == ITEMS
