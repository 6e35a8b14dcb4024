"""What lies under a key in place of a record that is on its way from one store to another."""

from __future__ import annotations

import secrets
from typing import Final

import msgspec
from msgspec.structs import replace

from ..clock import settled
from ..discreet import DiscreetStruct
from ..record import Record, Version

#: No seal begins with a letter, so no session is taken for a mark.
_COMING: Final = b"flask_sessionkit/coming/1"
_MOVED: Final = b"flask_sessionkit/moved/1"
_MOVING: Final = b"flask_sessionkit/moving/1"
#: Seconds. A server whose clock is behind by less, and touches a place, does not shorten the time that it is kept for:
#: who then kept it longer would take it from another one that is moving the record there.
_DAY: Final = 86_400.0


class Move(DiscreetStruct, frozen=True, array_like=True):
    """What a mark of a move says.

    :param over: the version of the place that is kept for the record in the other store. Whoever finishes the move
        swaps that place, and no other: it is there once, so the record can come there once.
    :param record: as it shall lie there.
    """

    over: Version
    record: Record

    def __repr__(self) -> str:
        return "<Move>"


def coming(record: Record, *, now: float) -> Record:
    """Return what keeps a place for a record where nothing lay under its key."""
    return _place(_COMING, record, now)


def moved(record: Record, *, now: float) -> Record:
    """Return what a record leaves behind that has gone to the other store."""
    return _place(_MOVED, record, now)


def moving(record: Record, *, over: Record) -> Record:
    """Return what a record becomes while it goes, from which anybody can finish.

    It stays its owner's, so that a list shows its key, and ends when the record would have. A list gives no payload:
    there ``is_listed_on_its_way`` knows it.

    :param over: the place that is kept for it in the other store.
    """
    # Of what comes back to a store where it lay before, a request that is late knows the version of then.
    version = bytes(record.version) if over.payload == _COMING else secrets.token_bytes(8)
    # What a store gives as a version may be more than its bytes (Memcached's remembers what was read).
    move = Move(bytes(over.version), replace(record, version=version))
    payload = _MOVING + msgspec.msgpack.encode(move)
    return replace(record, payload=payload, info=_MOVING, version=secrets.token_bytes(8))


def kept_longer(place: Record, record: Record, *, now: float) -> Record:
    """Return a place that is kept until the absolute end of what it is kept for."""
    return _place(place.payload, record, now)


def is_place(record: Record) -> bool:
    """Return whether nothing lies here but a place kept, or left behind."""
    return record.payload in (_COMING, _MOVED)


def move_of(record: Record) -> Move | None:
    """Return what a mark of a move says; ``None`` for anything else."""
    if not record.payload.startswith(_MOVING):
        return None
    try:
        move = _decode(memoryview(record.payload)[len(_MOVING) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # no secret opens it either, so it counts as a record that can be ended and no more
    # Who writes to one store writes under no other key of the other one, and over nothing: to Redis no version is any.
    return move if move.record.key == record.key and move.over else None


def is_mark(record: Record) -> bool:
    """Return whether this is no session's record, but tells of where one is."""
    return is_place(record) or move_of(record) is not None


def is_listed_on_its_way(row: Record) -> bool:
    """Return whether what a list gave is the mark of a move."""
    return row.info == _MOVING


_decode = msgspec.msgpack.Decoder(Move).decode


def _place(payload: bytes, record: Record, now: float) -> Record:
    seen_at = min(settled(record.seen_at, now), now)
    return Record(
        key=record.key,
        payload=payload,
        created_at=record.created_at,
        seen_at=seen_at,
        idle=max(record.absolute_at - seen_at, 1.0) + _DAY,
        absolute_at=record.absolute_at,
        owner=None,
        info=b"",
        version=secrets.token_bytes(8),
    )
