"""What the codec promises: the same value, of the same type, from the same bytes; anything else refused."""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import TZPATH, ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from flask_sessionkit.codec import MAX_DEPTH, can_change, decode, encode

TEXT = st.text(st.characters(exclude_categories=()))
OFFSETS = st.timedeltas(timedelta(days=-1, microseconds=1), timedelta(days=1, microseconds=-1))
FIXED_ZONES = st.just(UTC) | st.builds(timezone, OFFSETS) | st.builds(timezone, OFFSETS, TEXT)
ZONES = st.none() | FIXED_ZONES | st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]).map(ZoneInfo)
INTS = st.integers() | st.integers(-(2**200), 2**200) | st.sampled_from([-(2**63) - 1, -(2**63), 2**64 - 1, 2**64])
HASHABLE_SCALARS = (
    st.none()
    | st.booleans()
    | INTS
    | st.floats()
    | TEXT
    | st.binary()
    | st.builds(Markup, TEXT)
    | st.uuids()
    | st.decimals().filter(lambda number: not number.is_snan())  # a signaling NaN has no hash
    | st.dates()
    | st.builds(lambda at, fold: at.replace(fold=fold), st.times(timezones=ZONES), st.integers(0, 1))
    | st.builds(lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold), st.datetimes(), ZONES, st.integers(0, 1))
    | st.timedeltas()
)
SCALARS = HASHABLE_SCALARS | st.just(Decimal("sNaN"))
KEYS = st.recursive(
    HASHABLE_SCALARS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """Return a form of a value in which type, order, sign, zone and NaN count, and that can be compared."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [exact(item) for item in value]
    if kind is dict:
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if kind in (set, frozenset):
        return kind, sorted(map(repr, map(exact, value)))
    if kind in (datetime, time):
        zone = value.tzinfo
        plain = value.replace(tzinfo=None)
        name = getattr(zone, "key", None) or (zone and (zone.utcoffset(None), zone.tzname(None)))
        return kind, repr(plain), plain.fold, type(zone), name
    return kind, str(value) if kind is Markup else repr(value)


@given(VALUES)
def test_every_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    assert exact(decode(encode(value))) == exact(value)


@given(VALUES)
def test_a_decoded_value_has_the_same_bytes(value: Any) -> None:
    data = encode(value)

    assert encode(decode(data)) == data


@pytest.mark.parametrize(
    "value",
    [
        [("message", "Saved."), ("error", Markup("<b>no</b>"))],
        {1: "int", "1": "str", None: "none", 1.5: "float", b"1": "bytes"},
        {True: "bool"},
        {1: "int"},
        {1.0: "float"},
        {"\udc80": ["\ud83d\ude00", {"\udfff": "\0"}]},
        {("a", 1): UUID(int=7), date(2030, 1, 1): {frozenset({(1,)}): "\U0001f36a"}},
        {"z": 1, "a": 2, "\udc80": 3, 2**64: 4},
        [2**64, -(2**63) - 1, 10**300],
        Decimal("-0E-7"),
        datetime(2030, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, microseconds=1), "=~/|\n\udc80")),
        time(1, tzinfo=timezone(-timedelta(microseconds=1))),
        timedelta.min,
        timedelta.max,
    ],
    ids=repr,
)
def test_what_is_easily_lost_comes_back(value: Any) -> None:
    assert exact(decode(encode(value))) == exact(value)


def test_the_kinds_of_float_come_back() -> None:
    nan, infinity, zero = decode(encode([math.nan, -math.inf, -0.0]))

    assert math.isnan(nan)
    assert infinity == -math.inf
    assert math.copysign(1, zero) == -1


def test_keys_keep_their_order_and_may_be_equal_nans() -> None:
    value = {math.nan: 1, "b": 2, (float("nan"),): 3, (math.nan,): 4, "a": 5}

    assert list(decode(encode(value)).values()) == [1, 2, 3, 4, 5]


def test_a_value_has_one_spelling_beside_a_lone_surrogate_too() -> None:
    plain = {"a": [1, "b", ("c", b"d")], "e": {2: {"f"}}}

    assert encode([plain, "\udc80"])[1:].startswith(encode(plain))


def test_stored_bytes_keep_their_meaning() -> None:
    """A format that never changes: sessions written by an earlier release are read by this one."""
    value = [
        *("\udc80", 2**64, Markup("<i>"), UUID(int=1), Decimal("1.50"), date(2030, 1, 2), time(1, 2, fold=1)),
        *(datetime(2030, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=1), "X")), datetime(2030, 1, 2, tzinfo=UTC)),
        *(datetime(2030, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")), timedelta(seconds=-1)),
        *((1, "a"), {2, 1}, frozenset({"b", "a"}), {(1,): 2}, {1: 2}, None, True, 1.5, b"x", -1),
    ]
    stored = (
        "dc0015c70301edb280c70902010000000000000000c703033c693ed80400000000000000000000000000000001d605312e35"
        "30c70a06323033302d30312d3032c7090730313a30323a30307ec72708323033302d30312d30325430333a30343a30352e30"
        "30303030363d333630303030303030303d58c71508323033302d30312d30325430303a30303a30303d30c72108323033302d"
        "30312d30325430303a30303a30302f4575726f70652f4265726c696ec70309f0bdc0d6109201a161c70311920102c7051292"
        "a161a162c7061392d510910102810102c0c3cb3ff8000000000000c40178ff"
    )

    assert encode(value).hex() == stored
    assert exact(decode(bytes.fromhex(stored))) == exact(value)


@pytest.mark.parametrize("text", ["0123456789abcdef" * 2, "00" * 64, "7c1b" * 5000])
def test_a_long_text_of_hex_digits_takes_half_the_room(text: str) -> None:
    stored = encode(text)

    assert stored.endswith(bytes.fromhex("14" + text))
    assert len(stored) <= len(text) // 2 + 4
    assert decode(stored) == text


@pytest.mark.parametrize("text", ["ab" * 15, "ab" * 16 + "c", "AB" * 16, "ab " * 16, "\u0661" * 32, "xy" * 16])
def test_any_other_text_is_kept_as_it_is(text: str) -> None:
    assert encode(text).endswith(text.encode())
    assert decode(encode(text)) == text


def test_bytes_are_the_same_in_another_process_with_another_hash_seed() -> None:
    source = "{'words': {'one', 'two', 'three', 'four', b'five', ('six', 7)}, 'more': [frozenset('abcdefgh')]}"
    program = f"import sys; from flask_sessionkit.codec import encode; sys.stdout.write(encode({source}).hex())"

    written = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout.decode()
        for seed in ("0", "1", "2", "3")
    }

    assert written == {encode(eval(source)).hex()}  # noqa: S307  # the same text as in the other processes


def _extension(code: int, content: bytes) -> bytes:
    return b"\xc9" + len(content).to_bytes(4, "big") + bytes([code]) + content


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: int


Pair = collections.namedtuple("Pair", "a b")  # noqa: PYI024  # untyped ones are refused just so
Text, Number, Real, Raw, Many, Table, Few, Day = (
    type(base.__name__.title(), (base,), {}) for base in (str, int, float, bytes, list, dict, set, date)
)


class Zone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(0)


REFUSED = [
    *(object(), bytearray(b"x"), memoryview(b"x"), 1j, range(3), ..., Colour.RED, Level.LOW, Point(1), Pair(1, 2)),
    *(Text("x"), Number(1), Real(1), Raw(b"x"), Many(), Table(), Few(), Day(2030, 1, 1), int, len),
    *(collections.OrderedDict(a=1), collections.defaultdict(int), collections.Counter("a"), collections.deque()),
    *(datetime(2030, 1, 1, tzinfo=Zone()), time(1, tzinfo=Zone()), iter([1]), {}.keys()),
]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_would_not_come_back_is_refused_with_its_type_and_place(value: Any) -> None:
    name = type(value).__name__

    for nested, place in [
        (value, ""),
        ({"cart": [1, 2, value]}, " at ['cart'][2]"),
        ({"cart": (1, {7: value})}, " at ['cart'][1][7]"),
        (["\udc80", {("secret",): value}], " at [1][...]"),
    ]:
        with pytest.raises(TypeError, match=re.escape(f"object of type {name}{place} cannot be kept")):
            encode(nested)


class Lazy:
    def __html__(self) -> str:
        return "<b>now</b>"


def test_a_text_that_is_made_when_it_is_shown_is_kept_as_markup() -> None:
    back = decode(encode([("message", Lazy())]))

    assert exact(back) == exact([("message", Markup("<b>now</b>"))])
    assert can_change(Lazy())


@pytest.mark.parametrize(
    "value", [{Point(1): 1}, {Text("x"): 1}, {Point(1)}, frozenset({Number(5)}), {(1, Level.LOW): 1}]
)
def test_keys_and_members_are_refused_without_being_shown(value: Any) -> None:
    with pytest.raises(TypeError, match=r"object of type \w+ at \['a'\]\[\.\.\.\](\[1\])? cannot be kept"):
        encode({"a": value})


def test_a_refusal_never_shows_the_value() -> None:
    with pytest.raises(TypeError) as caught:
        encode({"cart": [Text("hunter2")]})

    assert "hunter2" not in str(caught.value)


def test_a_zone_that_could_not_be_found_again_is_refused() -> None:
    with open(_zone_file("Europe/Berlin"), "rb") as file:
        nameless = ZoneInfo.from_file(file)
        file.seek(0)
        unknown = ZoneInfo.from_file(file, key="Atlantis/Poseidonis")

    for zone in (nameless, unknown):
        with pytest.raises(TypeError, match=r"type datetime at \['at'\] cannot be kept: its time zone"):
            encode({"at": datetime(2030, 1, 1, tzinfo=zone)})


def _zone_file(key: str) -> str:
    found = [path for folder in TZPATH if os.path.exists(path := os.path.join(folder, key))]
    assert found, "There are no time zone files. Install Debian's tzdata."
    return found[0]


@pytest.mark.parametrize(
    "wrap", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: {UUID(int=1): x}], ids="ltde"
)
def test_nesting_has_a_limit_that_comes_back(wrap: Any) -> None:
    value: Any = wrap(1)
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)

    assert decode(encode(value)) == value
    with pytest.raises(TypeError, match="nested more than 64 deep"):
        encode(wrap(value))


def test_a_value_within_itself_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append({"a": (cycle, cycle)})

    with pytest.raises(TypeError, match="nested more than"):
        encode(cycle)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    _decode_or_refuse(data)


@given(VALUES, st.data())
def test_a_changed_byte_is_a_value_or_a_value_error(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))

    _decode_or_refuse(bytes(encoded))


@given(st.integers(0, 127), st.binary(max_size=30) | VALUES.map(encode))
def test_any_extension_is_a_value_or_a_value_error(code: int, content: bytes) -> None:
    _decode_or_refuse(_extension(code, content))


def _decode_or_refuse(data: bytes) -> None:
    try:
        decode(data)
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017  # either outcome is right


@given(VALUES, st.data())
def test_bytes_cut_short_or_with_more_behind_are_refused(value: Any, data: st.DataObject) -> None:
    encoded = encode(value)
    end = data.draw(st.integers(0, len(encoded) - 1))

    for corrupt in (encoded[:end], encoded + b"\x00", encoded + encoded):
        with pytest.raises(ValueError, match="not an encoded value"):
            decode(corrupt)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xc1", b"\xa1\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc6\xff\xff\xff\xff"),
        *(b"\x91" * 100_000, b"\x81\x80\x01", _extension(127, b"?"), _extension(4, b"short"), _extension(5, b"x")),
        *(_extension(6, b"2030-02-30"), _extension(8, b"2030-01-01T00:00:00/Atlantis/Poseidonis")),
        *(_extension(8, b"2030-01-01T00:00:00/Europe"), _extension(8, b"2030-01-01T00:00:00/../../etc/passwd")),
        *(_extension(8, b"2030-01-01T00:00:00=99999999999999"), _extension(9, b"\x7f" * 32)),
        *(_extension(17, b"\x91\x90"), _extension(19, b"\x92\x90\x01"), _extension(19, b"\x91\x01")),
    ],
)
def test_corrupt_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an encoded value"):
        decode(data)


def test_extensions_within_each_other_do_not_exhaust_the_stack() -> None:
    data = b"\x01"
    for _ in range(2_000):
        data = b"\x91" * 30 + _extension(16, data)

    with pytest.raises(ValueError, match="not an encoded value"):
        decode(data)


@given(SCALARS)
def test_scalars_can_not_change(value: Any) -> None:
    assert not can_change(value)


ODD = [[], {}, set(), (), frozenset(), ([],), Text("x"), bytearray(), object()]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_all_others_can_change(value: Any) -> None:
    assert can_change(value)
