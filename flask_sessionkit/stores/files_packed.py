"""A record as the bytes of a file, and back."""

from __future__ import annotations

import struct
from typing import Final

from ..record import Record

# Format 1, created_at, seen_at, idle, absolute_at, version, has an owner, owner, sizes of info and payload.
_HEADER: Final = struct.Struct(">B4d8s?16sHI")
_FORMAT: Final = 1
_NO_OWNER: Final = bytes(16)


def pack(record: Record, seen_at: float) -> bytes:
    """Return a record, seen at another moment than it says."""
    owner = _NO_OWNER if record.owner is None else bytes.fromhex(record.owner)
    header = _HEADER.pack(
        _FORMAT,
        record.created_at,
        seen_at,
        record.idle,
        record.absolute_at,
        record.version,
        record.owner is not None,
        owner,
        len(record.info),
        len(record.payload),
    )
    return b"".join((header, record.info, record.payload))


def unpack(key: str, data: bytes) -> Record | None:
    """Return the record, or ``None`` if this is not one: cut off, of another format, of another program."""
    if len(data) < _HEADER.size:
        return None
    form, created_at, seen_at, idle, absolute_at, version, owned, owner, info, payload = _HEADER.unpack_from(data)
    start = _HEADER.size + info
    if form != _FORMAT or len(data) != start + payload:
        return None
    return Record(
        key=key,
        payload=data[start:],
        created_at=created_at,
        seen_at=seen_at,
        idle=idle,
        absolute_at=absolute_at,
        owner=owner.hex() if owned else None,
        info=data[_HEADER.size : start],
        version=version,
    )
