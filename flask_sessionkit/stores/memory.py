"""Sessions in the memory of one process, for tests and for trying things out."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator

from msgspec.structs import replace as changed

from ..errors import ConfigError
from ..record import Outcome, Purged, Record, Version, Write
from .base import GRACE, Capability, settled, touch_is_due


class MemoryStore:
    """Records in a dict; they end with the process, and other processes do not see them.

    When it is full, the anonymous session that was written longest ago makes room for a new one, so that a flood of
    visitors signs nobody out.
    """

    capabilities: Capability = Capability.INDEX | Capability.PURGE

    def __init__(self, max_records: int = 100_000) -> None:
        """Make an empty store.

        :param max_records: how many are held at most, ended ones included.
        :raises ConfigError: it is less than 1.
        """
        if max_records < 1:
            raise ConfigError(f"MemoryStore(max_records=...) must be 1 or more, not {max_records}. Leave it out.")
        self._max_records = max_records
        self._records: OrderedDict[str, Record] = OrderedDict()  # the oldest write first
        self._keys: defaultdict[str | None, OrderedDict[str, None]] = defaultdict(OrderedDict)  # by owner
        self._creates_until_sweep = 0
        self._pid = os.getpid()
        self._locks = {self._pid: threading.Lock()}

    def load(self, key: str, *, now: float, touch_every: float | None = None) -> Record | None:
        """Return the record of a key, touched if that is due."""
        with self._alone():
            record = self._records.get(key)
            if record is None or touch_every is None or record.expires_at <= now:
                return record
            if touch_is_due(record.seen_at, now, touch_every):
                record = changed(record, seen_at=now)
                self._put(record)
            return record

    def create(self, record: Record) -> bool:
        """Insert a record, and drop another if the store is full."""
        with self._alone():
            there = self._records.get(record.key)
            if there is not None:
                return there.version == record.version
            if len(self._records) >= self._max_records:
                self._make_room(record.seen_at)
            self._put(record)
            return True

    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read."""
        with self._alone():
            there = self._records.get(record.key)
            if there is None or there.expires_at <= now:
                return Write(Outcome.GONE)
            if there.version != record.version:  # else a repeat of this very write
                if expected not in (None, there.version):
                    return Write(Outcome.CONFLICT, there)
                seen_at = max(settled(there.seen_at, now), settled(record.seen_at, now))
                self._put(record if seen_at == record.seen_at else changed(record, seen_at=seen_at))
            return Write(Outcome.OK)

    def delete(self, key: str) -> bool:
        """Remove a record; true for the one caller that did."""
        with self._alone():
            return self._drop(key)

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records without payload, in key order."""
        with self._alone():
            keys = sorted(key for key in self._keys.get(owner, ()) if after is None or key > after)
            live = (record for key in keys if (record := self._records[key]).expires_at > now)
            return [changed(record, payload=b"") for record, _ in zip(live, range(limit), strict=False)]

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Remove what ended more than ``GRACE`` seconds ago."""
        with self._alone():
            keys = self._ended(now)
            for key in keys[:limit]:
                self._drop(key)
            return Purged(len(keys[:limit]), more=len(keys) > limit)

    def count_ended(self, *, now: float) -> int:
        """Return how many records a purge would remove."""
        with self._alone():
            return len(self._ended(now))

    def scan(self) -> Iterator[Record]:
        """Yield the records that were there when this began; see ``Scans.scan``."""
        with self._alone():
            records = list(self._records.values())
        yield from records

    def _alone(self) -> threading.Lock:
        # A lock for each process, because a fork may copy one that another thread holds and will never release here.
        pid = os.getpid()
        return self._locks[pid] if pid == self._pid else self._settle_in(pid)

    def _settle_in(self, pid: int) -> threading.Lock:
        lock = self._locks.setdefault(pid, threading.Lock())
        with lock:
            if pid != self._pid:
                # Whoever held the parent's lock may have been between two steps: the records are whole at each, what is
                # built on them is not.
                self._keys.clear()
                for key, record in self._records.items():
                    self._keys[record.owner][key] = None
                self._pid = pid
        return lock

    def _put(self, record: Record) -> None:
        there = self._records.get(record.key)
        if there is not None and there.owner != record.owner:
            self._drop(record.key)
        keys = self._keys[record.owner]
        self._records[record.key], keys[record.key] = record, None
        self._records.move_to_end(record.key)
        keys.move_to_end(record.key)

    def _drop(self, key: str) -> bool:
        record = self._records.pop(key, None)
        if record is None:
            return False
        keys = self._keys[record.owner]
        del keys[key]
        if not keys:
            del self._keys[record.owner]
        return True

    def _make_room(self, now: float) -> None:
        # A sweep reads every record, so it is made once for so many creates that each pays for a few.
        self._creates_until_sweep -= 1
        if self._creates_until_sweep < 0:
            self._creates_until_sweep = self._max_records // 10
            for key in self._ended(now):
                self._drop(key)
        if len(self._records) >= self._max_records:
            self._drop(next(iter(self._keys.get(None) or self._records)))

    def _ended(self, now: float) -> list[str]:
        return [key for key, record in self._records.items() if record.expires_at < now - GRACE]
