"""What Flask-Session stored of a session, as bytes: msgpack, JSON, or a pickle, which is never read here."""

from __future__ import annotations

from typing import Any

import msgspec

from ... import codec


def items_of(data: bytes) -> dict[str, Any] | None:
    """Return a session's data; ``None`` for a pickle, which can do anything when it is read, and for what is neither.

    Of msgpack also what ``packed`` wrote: it has words for what Flask-Session turns into something else.
    """
    for read in (codec.decode, msgspec.json.decode):
        try:
            items = read(data)
        except (ValueError, RecursionError):  # msgspec's DecodeError is a ValueError
            continue
        if type(items) is dict and all(type(name) is str for name in items):
            return items
    return None


def packed(items: dict[str, Any]) -> bytes:
    """Return a session's data as bytes that ``items_of`` reads, and that Flask-Session 0.7 and 0.8 can read too.

    :raises TypeError: something in it cannot be kept.
    """
    return codec.encode(items)


def may_be_pickle(data: bytes) -> bool:
    """Return whether bytes begin and end as a pickle does. Reads nothing of it.

    Each ends with STOP; protocols 2 to 5 begin with PROTO and their number, and 0 and 1 with what makes a dict:
    MARK or EMPTY_DICT (Python's ``pickletools``).
    """
    begins = data[:1] in (b"(", b"}") or (data[:1] == b"\x80" and b"\x02" <= data[1:2] <= b"\x05")
    return begins and data[-1:] == b"." and items_of(data) is None
