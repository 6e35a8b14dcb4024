"""What lies in Memcached: a session and the index of an owner, as bytes and back, and for how long."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Mapping
from typing import Final

from ..record import Record
from .base import GRACE

#: What stands before info and payload: format, version, ``created_at``, ``seen_at``, ``idle``, ``absolute_at``, whether
#: there is an owner, the owner, and the length of info.
HEADER: Final = struct.Struct(">B8sdddd?16sI")
_FORMAT: Final = 1
#: One session in the index of its owner: its key, and when it ends at the latest.
ENTRY: Final = struct.Struct(">32sd")
#: Memcached reads a longer time to live as a date (protocol.txt, "Expiration times").
_MONTH: Final = 30 * 86_400
#: Memcached takes no later date: 32 bits with a sign.
_LAST_DATE: Final = 2**31 - 1


def pack(record: Record) -> bytes:
    """Return a record as the value of its key."""
    header = HEADER.pack(
        _FORMAT,
        record.version,
        record.created_at,
        record.seen_at,
        record.idle,
        record.absolute_at,
        record.owner is not None,
        bytes.fromhex(record.owner or ""),
        len(record.info),
    )
    return header + record.info + record.payload


def unpack(key: str, value: bytes) -> Record | None:
    """Return the record that a value holds; ``None`` for what somebody else wrote there."""
    if len(value) < HEADER.size:
        return None
    format_, version, created_at, seen_at, idle, absolute_at, has_owner, owner, length = HEADER.unpack_from(value)
    start = HEADER.size + length
    times = (created_at, seen_at, idle, absolute_at)
    if format_ != _FORMAT or start > len(value) or not all(map(math.isfinite, times)):
        return None
    return Record(
        key=key,
        payload=value[start:],
        created_at=created_at,
        seen_at=seen_at,
        idle=idle,
        absolute_at=absolute_at,
        owner=owner.hex() if has_owner else None,
        info=value[HEADER.size : start],
        version=version,
    )


def pack_entries(entries: Mapping[bytes, float]) -> bytes:
    """Return an index, as keys and ends, as a value."""
    return b"".join(ENTRY.pack(*entry) for entry in entries.items())


def unpack_entries(value: bytes | None) -> dict[bytes, float]:
    """Return an index as keys and ends; nothing for what somebody else wrote there."""
    if value is None or len(value) % ENTRY.size:
        return {}
    return dict(ENTRY.iter_unpack(value))


def time_to_live(until: float, now: float) -> int:
    """Return how long Memcached shall keep a value, in its own terms.

    A second is added, since its clock ticks in whole ones. ``now`` is the caller's, who may test with another day: only
    what Memcached would take for a date is given as one, by this machine's clock.
    """
    seconds = math.ceil(min(max(0.0, until - now + GRACE), _LAST_DATE)) + 1
    return seconds if seconds <= _MONTH else min(int(time.time()) + seconds, _LAST_DATE)
