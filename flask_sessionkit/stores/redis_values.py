"""What lies in Redis: a session's string and the entries of an index, as bytes and back."""

from __future__ import annotations

import struct
from typing import Final

from ..record import Record

#: Version, created, seen, idle, absolute, length of the info, whether there is an owner. Behind it lie the owner's 16
#: bytes, the info and the payload.
HEAD: Final = struct.Struct(">8sddddHB")


def pack(record: Record) -> bytes:
    """Return a record as the string of its key."""
    times = (record.created_at, record.seen_at, record.idle, record.absolute_at)
    head = HEAD.pack(record.version, *times, len(record.info), record.owner is not None)
    return b"".join((head, bytes.fromhex(record.owner or ""), record.info, record.payload))


def unpack(key: str, packed: bytes) -> Record | None:
    """Return the record, or ``None`` for what was not written by us."""
    start = payload_at(packed)
    if not HEAD.size <= start <= len(packed):
        return None
    version, created_at, seen_at, idle, absolute_at, _, is_owned = HEAD.unpack_from(packed)
    info_at = HEAD.size + 16 * is_owned
    owner = packed[HEAD.size : info_at].hex() if is_owned else None
    info, payload = packed[info_at:start], packed[start:]
    return Record(key, payload, created_at, seen_at, idle, absolute_at, owner, info, version)


def payload_at(packed: bytes) -> int:
    """Return where a record's payload begins, 0 for what was not written by us."""
    if len(packed) < HEAD.size:
        return 0
    *_, size, is_owned = HEAD.unpack_from(packed)
    return HEAD.size + 16 * is_owned + size if is_owned <= 1 else 0


def entry_of(record: Record) -> bytes:
    """Return a record's entry in its owner's index: the key, and the end after which it cannot live."""
    return bytes.fromhex(record.key) + struct.pack(">d", record.absolute_at)


def behind(key: str) -> bytes:
    """Return where the entries of the next key begin."""
    return b"(" + bytes.fromhex(key) + b"\xff" * 8
