"""Values to bytes and back: msgpack, with numbered extensions for what it has no word for."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup
from msgspec import DecodeError
from msgspec.msgpack import Decoder, Encoder, Ext

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: How deep lists, dicts, tuples and sets may lie within each other: far from Python's recursion limit; ends a cycle.
MAX_DEPTH = 64


def encode(value: Any) -> bytes:
    """Return a value as bytes, the same ones in every process.

    Kept are ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``list``, ``dict``, ``tuple``, ``set``,
    ``frozenset``, ``Markup``, ``UUID``, ``Decimal``, ``date``, ``time``, ``datetime``, ``timedelta``, with a time zone
    that is a ``timezone`` or a ``ZoneInfo`` with a key. No subclass of these: it would come back as something else.
    A text that is made when it is shown (Flask-Babel's lazy ones: whatever has ``__html__``) is kept as the ``Markup``
    that it is now, by Flask's own rule (``flask.json.tag.TagMarkup``): people flash it.

    :raises TypeError: something in it would not come back equal and of the same type. The message tells the type and
        the place, in which ``[...]`` is a key or a member of a set, and never the value.
    """
    if type(value) is str and len(value) >= _LONG_HEX and value.isalnum() and (digits := _digits(value)) is not None:
        return _pack(Ext(_HEX, digits))
    try:
        return _pack(_plain(value, _LEAVES, ()))
    except (UnicodeEncodeError, OverflowError):  # lone surrogates and large ints are rare: only now look at each one
        return _pack(_plain(value, _SAFE_LEAVES, ()))


def decode(data: bytes) -> Any:
    """Return the value that ``encode`` was given.

    :raises ValueError: the bytes are no such value, or name a time zone that this machine does not know.
    """
    try:
        return _unpack(data)
    except (ValueError, TypeError, LookupError, ArithmeticError, OSError, RecursionError, DecodeError) as error:
        raise ValueError("These bytes are not an encoded value.") from error


def can_change(value: Any) -> bool:
    """Return whether a value could change in place, so that only encoding it again can tell whether it did."""
    return type(value) not in _FIXED


def _digits(text: str) -> bytes | None:
    """Return the bytes of a text of lowercase hex digits, ``None`` for any other text."""
    try:
        digits = bytes.fromhex(text)
    except ValueError:
        return None
    return digits if digits.hex() == text else None


def _plain(value: Any, leaves: frozenset[type], place: tuple[object, ...]) -> Any:
    """Return what msgpack can write for a value: the value itself wherever it can, as most need no copy."""
    kind = type(value)
    if kind in leaves or (kind in _LEAVES and _is_native(value)):
        return value
    if kind not in _CONTAINERS:
        return _scalar(value, place)
    if len(place) >= MAX_DEPTH:
        raise TypeError(f"A value that is nested more than {MAX_DEPTH} deep, or in itself, cannot be kept")
    if kind is dict:
        return _mapping(value, leaves, place)
    items = _items(value, leaves, place)
    return items if kind is list else _extension(kind, items)


def _mapping(value: dict[Any, Any], leaves: frozenset[type], place: tuple[object, ...]) -> Any:
    is_plain = leaves.issuperset(map(type, value))
    if is_plain and leaves.issuperset(map(type, value.values())):
        return value
    keys = value if is_plain else _items(value, leaves, place)
    items = [x if type(x) in leaves else _plain(x, leaves, (*place, key)) for key, x in value.items()]
    if is_plain or _LEAVES.issuperset(map(type, keys)):
        return dict(zip(keys, items, strict=True))
    return _extension(dict, [half for pair in zip(keys, items, strict=True) for half in pair])


def _items(values: Collection[Any], leaves: frozenset[type], place: tuple[object, ...]) -> Collection[Any]:
    if leaves.issuperset(map(type, values)):
        return values
    if type(values) in (list, tuple):
        return [x if type(x) in leaves else _plain(x, leaves, (*place, at)) for at, x in enumerate(values)]
    return [_plain(x, leaves, (*place, ...)) for x in values]


def _scalar(value: Any, place: tuple[object, ...]) -> Any:
    try:
        code, write = _WRITERS[type(value)]
        return Ext(code, write(value))
    except KeyError:
        if callable(getattr(type(value), "__html__", None)):
            return _extension(Markup, str(value.__html__()))
        raise _refusal(value, place) from None
    except TypeError as error:
        raise _refusal(value, place, f": {error}") from error


def _is_native(value: str | int) -> bool:
    try:
        _pack(value)
    except (UnicodeEncodeError, OverflowError):
        return False
    return True


def _extension(kind: type, content: Any) -> Ext:
    code, write = _WRITERS[kind]
    return Ext(code, write(content))


def _refusal(value: Any, place: tuple[object, ...], reason: str = "") -> TypeError:
    steps = "".join(f"[{step!r:.40}]" if type(step) in {str, int} else "[...]" for step in place)
    return TypeError(f"object of type {type(value).__name__}{steps and f' at {steps}'} cannot be kept{reason}")


def _from_text(value: object) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


def _from_int(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _from_moment(moment: datetime | time) -> bytes:
    iso, fold = moment.replace(tzinfo=None).isoformat(), "~" if moment.fold else ""
    return _from_text(f"{iso}{fold}{_from_zone(moment.tzinfo)}")


def _from_zone(zone: tzinfo | None) -> str:
    if zone is None:
        return ""
    if type(zone) is timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        return f"={offset // timedelta.resolution}{'' if name == timezone(offset).tzname(None) else f'={name}'}"
    if type(zone) is ZoneInfo and _is_known(zone.key):
        return f"/{zone.key}"
    raise TypeError("its time zone is neither a timezone nor a ZoneInfo with a known key")


def _is_known(key: str | None) -> bool:
    try:
        return key is not None and bool(ZoneInfo(key))
    except (LookupError, ValueError, OSError):  # a name that ZoneInfo.from_file was given
        return False


def _to_text(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


def _to_int(data: memoryview) -> int:
    return int.from_bytes(data, "big", signed=True)


def _to_moment(from_iso: Callable[[str], Any], data: memoryview) -> Any:
    parts = _MOMENT.fullmatch(_to_text(data))
    if parts is None:
        raise ValueError("not a date and time")
    iso, fold, offset, name, key = parts.groups()
    zone: tzinfo | None = None if key is None else ZoneInfo(key)
    if offset is not None:
        zone = timezone(timedelta(microseconds=int(offset)), *([] if name is None else [name]))
    return from_iso(iso).replace(fold=len(fold), tzinfo=zone)


def _to_dict(halves: list[Any]) -> dict[Any, Any]:
    return dict(zip(halves[::2], halves[1::2], strict=True))


def _read(code: int, data: memoryview) -> Any:
    return _READERS[code](data)


_pack = Encoder().encode
_unpack = Decoder(ext_hook=_read).decode

#: ISO 8601 without a zone; "~" for the second of two equal times (fold, PEP 495); then the zone: "=" and the offset in
#: microseconds, for a named one "=" and the name; or "/" and the key in the time zone database.
_MOMENT = re.compile(r"([0-9T:.-]+)(~?)(?:=(-?[0-9]+)(?:=(.*))?|/(.*))?", re.DOTALL)

#: What msgpack has no word for: number, type, how it is written and read. Text is UTF-8 in which lone surrogates pass,
#: an int is two's complement, big-endian. Sessions are stored so: never change a line, never use a number again.
_EXTENSIONS: tuple[tuple[int, type, Callable[[Any], bytes], Callable[[memoryview], Any]], ...] = (
    (1, str, _from_text, _to_text),  # only with a lone surrogate
    (2, int, _from_int, _to_int),  # only beyond 64 bits
    (3, Markup, _from_text, lambda data: Markup(_to_text(data))),  # noqa: S704  # it was one when it was kept
    (4, UUID, lambda uuid: uuid.bytes, lambda data: UUID(bytes=bytes(data))),
    (5, Decimal, _from_text, lambda data: Decimal(_to_text(data))),
    (6, date, _from_text, lambda data: date.fromisoformat(_to_text(data))),
    (7, time, _from_moment, partial(_to_moment, time.fromisoformat)),
    (8, datetime, _from_moment, partial(_to_moment, datetime.fromisoformat)),
    (9, timedelta, lambda span: _from_int(span // timedelta.resolution), lambda d: timedelta(microseconds=_to_int(d))),
    # Each an array of msgpack.
    (16, tuple, _pack, lambda data: tuple(_unpack(data))),
    # The order of a set changes with the hash seed, that of its encoded members does not.
    (17, set, lambda items: _pack(sorted(items, key=_pack)), lambda data: set(_unpack(data))),
    (18, frozenset, lambda items: _pack(sorted(items, key=_pack)), lambda data: frozenset(_unpack(data))),
    # Only where a key is an extension: key, value, key, value.
    (19, dict, _pack, lambda data: _to_dict(_unpack(data))),
)
_WRITERS = {kind: (code, write) for code, kind, write, _ in _EXTENSIONS}
#: A long text of hex digits takes half the room: a token against CSRF, what Flask-Login knows a browser by. Only one
#: that is a value by itself, since others are seldom so long.
_HEX, _LONG_HEX = 20, 32
_READERS = {code: read for code, _, _, read in _EXTENSIONS} | {_HEX: memoryview.hex}

#: What msgpack writes by itself: always, and but for the values that need the numbers 1 and 2.
_SAFE_LEAVES = frozenset({type(None), bool, float, bytes})
_LEAVES = _SAFE_LEAVES | {str, int}
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})
_FIXED = _SAFE_LEAVES | set(_WRITERS) - _CONTAINERS
