"""What stores move: one record, the outcome of a write, the count of a purge."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from .discreet import DiscreetStruct

#: 8 random bytes, drawn by the caller for each write; never a counter.
Version: TypeAlias = bytes


class Record(DiscreetStruct, frozen=True):
    """One session as a store keeps it; ``msgspec.structs.replace`` gives a changed one.

    :param key: 64 lowercase hex characters.
    :param payload: sealed bytes; empty in what ``list_owner`` gives.
    :param created_at: Unix seconds, UTC.
    :param seen_at: Unix seconds, UTC; the last activity that was written down.
    :param idle: seconds without activity after which the session ends.
    :param absolute_at: Unix seconds, UTC; the session ends then whatever happens.
    :param owner: keyed hash of the user id, 32 hex characters; ``None`` for an anonymous session or a tombstone.
    :param info: at most 1 KiB for the list of devices; opaque to stores.
    :param version: drawn anew by the caller for each write.
    """

    key: str
    payload: bytes
    created_at: float
    seen_at: float
    idle: float
    absolute_at: float
    owner: str | None
    info: bytes
    version: Version

    @property
    def expires_at(self) -> float:
        """Return when the record ends by its own limits, in Unix seconds."""
        # In this order: of a ``seen_at`` that is no number nothing is left but the absolute end.
        return min(self.absolute_at, self.seen_at + self.idle)

    def __repr__(self) -> str:
        # Neither key, nor payload, nor info: a repr ends up in logs.
        shown = ("created_at", "seen_at", "idle", "absolute_at", "owner", "version")
        return f"Record({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


class Outcome(Enum):
    """What became of a ``replace``."""

    OK = "ok"
    CONFLICT = "conflict"
    GONE = "gone"


class Write(Struct, frozen=True):
    """The answer to a ``replace``.

    :param current: with ``CONFLICT``: the record as it is now.
    """

    outcome: Outcome
    current: Record | None = None


class Purged(Struct, frozen=True):
    """The answer to a ``purge``.

    :param count: how many records were removed.
    :param more: another call may find more.
    """

    count: int
    more: bool
