"""Memory stores with one fault each, for the contract to find."""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict
from itertools import islice

from msgspec.structs import replace as changed

from flask_sessionkit.errors import StoreError
from flask_sessionkit.record import Outcome, Purged, Record, Write
from flask_sessionkit.stores.base import GRACE, Capability, settled
from flask_sessionkit.stores.memory import MemoryStore

WINDOW = 0.0005  # seconds between a look and the act upon it, in which others come by


class WrongStore(MemoryStore):
    def peer(self):
        return self


# Load.


class ClaimsTwoIndexes(WrongStore):
    capabilities = MemoryStore.capabilities | Capability.INDEX_BEST_EFFORT


class RaisesForAbsent(WrongStore):
    def load(self, key, *, now, touch_every=None):
        if key not in self._records:
            raise KeyError(key)
        return super().load(key, now=now, touch_every=touch_every)


class TouchesOnLoad(WrongStore):
    """A right one, whose touch is part of the load."""

    capabilities = MemoryStore.capabilities | Capability.TOUCH_ON_LOAD

    def load(self, key, *, now, touch_every=None, touch_within=math.inf):
        there = self._records.get(key)
        if there is not None and now - settled(there.seen_at, now) >= touch_within:
            touch_every = None
        return super().load(key, now=now, touch_every=touch_every)


class TouchesWhateverTheLimit(TouchesOnLoad):
    def load(self, key, *, now, touch_every=None, touch_within=math.inf):
        return super().load(key, now=now, touch_every=touch_every)


class NeverTouchesWhatIsAhead(TouchesOnLoad):
    def load(self, key, *, now, touch_every=None, touch_within=math.inf):
        there = self._records.get(key)
        if touch_within < math.inf and there is not None and there.seen_at > now:
            touch_every = None
        return super().load(key, now=now, touch_every=touch_every, touch_within=touch_within)


class RoundsTimes(WrongStore):
    def _put(self, record):
        super()._put(changed(record, seen_at=float(round(record.seen_at, 3))))


class CutsAtNul(WrongStore):
    def _put(self, record):
        super()._put(changed(record, payload=record.payload.rstrip(b"\x00\r\n"), info=record.info.strip(b"\x00")))


class CutsAt64KiB(WrongStore):
    def _put(self, record):
        super()._put(changed(record, payload=record.payload[:65535]))


class ForgetsNone(WrongStore):
    def _put(self, record):
        super()._put(changed(record, owner=record.owner or ""))


class ShortensKeys(WrongStore):
    def load(self, key, *, now, touch_every=None):
        return super().load(key[:60], now=now, touch_every=touch_every)

    def create(self, record):
        return super().create(changed(record, key=record.key[:60]))

    def delete(self, key):
        return super().delete(key[:60])


class CachesReads(WrongStore):
    def __init__(self):
        super().__init__()
        self._cache = {}

    def peer(self):
        other = type(self)()
        other._records, other._keys = self._records, self._keys
        return other

    def load(self, key, *, now, touch_every=None):
        if key not in self._cache:
            self._cache[key] = super().load(key, now=now, touch_every=touch_every)
        return self._cache[key]


class LoadHidesEnded(WrongStore):
    def load(self, key, *, now, touch_every=None):
        record = super().load(key, now=now, touch_every=touch_every)
        return record if record is None or record.expires_at > now else None


class LoadDeletesEnded(WrongStore):
    def load(self, key, *, now, touch_every=None):
        record = super().load(key, now=now, touch_every=touch_every)
        if record is not None and record.expires_at < now - GRACE:
            self.delete(key)
            return None
        return record


# Touch.


class Touches(WrongStore):
    """A store whose touch is written out, so that a line of it can be another."""

    def load(self, key, *, now, touch_every=None):
        with self._alone():
            record = self._records.get(key)
            if record is not None and self.is_due(record, now, touch_every):
                record = self.touch(record, now)
                self._put(record)
            return record

    def is_due(self, record, now, touch_every):
        if touch_every is None or record.expires_at <= now:
            return False
        return now - record.seen_at >= touch_every or settled(record.seen_at, now) != record.seen_at

    def touch(self, record, now):
        return changed(record, seen_at=max(settled(record.seen_at, now), now))


class TouchesOnPureRead(Touches):
    def is_due(self, record, now, touch_every):
        return super().is_due(record, now, touch_every or 0.0) and now > record.seen_at


class MendsOnPureRead(Touches):
    def is_due(self, record, now, touch_every):
        return super().is_due(record, now, touch_every) or settled(record.seen_at, now) != record.seen_at


class ReportsWithoutTouching(Touches):
    def load(self, key, *, now, touch_every=None):
        record = self._records.get(key)
        return self.touch(record, now) if record and self.is_due(record, now, touch_every) else record


class TouchesLate(Touches):
    def is_due(self, record, now, touch_every):
        return super().is_due(record, now, touch_every) and now - record.seen_at != touch_every


class TouchesEachTime(Touches):
    def is_due(self, record, now, touch_every):
        return super().is_due(record, now, touch_every and 0.0)


class TouchMovesVersion(Touches):
    def touch(self, record, now):
        return changed(super().touch(record, now), version=b"touched!")


class TouchMovesAbsoluteEnd(Touches):
    def touch(self, record, now):
        return changed(super().touch(record, now), absolute_at=record.absolute_at + now - record.seen_at)


class TouchRevives(Touches):
    def is_due(self, record, now, touch_every):
        return touch_every is not None and now - record.seen_at >= touch_every


class TouchCreates(Touches):
    def __init__(self):
        super().__init__()
        self._deleted = {}

    def delete(self, key):
        self._deleted[key] = self._records.get(key)
        return super().delete(key)

    def load(self, key, *, now, touch_every=None):
        if touch_every is not None and self._deleted.get(key):
            self._put(self._deleted[key])
        return super().load(key, now=now, touch_every=touch_every)


class TouchMovesBack(Touches):
    def is_due(self, record, now, touch_every):
        return touch_every is not None and record.expires_at > now and abs(now - record.seen_at) >= touch_every

    def touch(self, record, now):
        return changed(record, seen_at=now)


class TouchBelievesAnyClock(Touches):
    def is_due(self, record, now, touch_every):
        return touch_every is not None and record.expires_at > now and now - record.seen_at >= touch_every


class TouchWritesBackWhatItRead(Touches):
    def load(self, key, *, now, touch_every=None):
        record = self._records.get(key)
        if record is None or not self.is_due(record, now, touch_every):
            return record
        record = self.touch(record, now)
        time.sleep(WINDOW)
        with self._alone():
            self._put(record)
        return record


# Create and replace.


class CreateOverwrites(WrongStore):
    def create(self, record):
        self._put(record)
        return True


class CreateOverwritesEnded(WrongStore):
    def create(self, record):
        there = self._records.get(record.key)
        if there is not None and there.expires_at <= record.seen_at:
            self._drop(record.key)
        return super().create(record)


class RepeatedCreateIsTaken(WrongStore):
    def create(self, record):
        return record.key not in self._records and super().create(record)


class CreateChecksThenSets(WrongStore):
    def create(self, record):
        there = self._records.get(record.key)
        if there is not None:
            return there.version == record.version
        time.sleep(WINDOW)
        with self._alone():
            self._put(record)
        return True


class Replaces(WrongStore):
    """A store whose replace is written out, so that a line of it can be another."""

    def replace(self, record, *, expected, now):
        with self._alone():
            there = self._records.get(record.key)
            if there is None or self.has_ended(there, now):
                return self.absent(record, expected)
            if self.is_repeat(there, record):
                return Write(Outcome.OK)
            if not self.is_expected(there, expected):
                return Write(Outcome.CONFLICT, self.current(there))
            self._put(self.merged(there, record, now))
            return Write(Outcome.OK)

    def has_ended(self, there, now):
        return there.expires_at <= now

    def absent(self, record, expected):
        return Write(Outcome.GONE)

    def is_repeat(self, there, record):
        return there.version == record.version

    def is_expected(self, there, expected):
        return expected in (None, there.version)

    def current(self, there):
        return there

    def merged(self, there, record, now):
        return changed(record, seen_at=max(settled(there.seen_at, now), settled(record.seen_at, now)))


class LastWriteWins(Replaces):
    def is_expected(self, there, expected):
        return True


class LastSlowWriteWins(LastWriteWins):
    """Leaves others time between what they read and what they write; without it they may not meet in a busy hour."""

    def load(self, key, *, now, touch_every=None):
        record = super().load(key, now=now, touch_every=touch_every)
        time.sleep(WINDOW)
        return record


class Upserts(Replaces):
    def absent(self, record, expected):
        self._put(record)
        return Write(Outcome.OK)


class UpsertsByForce(Replaces):
    def absent(self, record, expected):
        if expected is not None:
            return Write(Outcome.GONE)
        self._put(record)
        return Write(Outcome.OK)


class ReplaceIgnoresTheEnd(Replaces):
    def has_ended(self, there, now):
        return False


class KnowsOnlyTheFirstEnd(Replaces):
    """An end that is written by ``create`` and by nothing else."""

    def __init__(self):
        super().__init__()
        self._ends = {}

    def create(self, record):
        self._ends.setdefault(record.key, record.expires_at)
        return super().create(record)

    def has_ended(self, there, now):
        return self._ends[there.key] <= now

    def _ended(self, now):
        return [key for key in self._records if self._ends[key] < now - GRACE]


class ReplaceUndoesTheTouch(Replaces):
    def merged(self, there, record, now):
        return changed(record, seen_at=settled(record.seen_at, now))


class ReplaceBelievesAnyClock(Replaces):
    def merged(self, there, record, now):
        return changed(record, seen_at=max(there.seen_at, record.seen_at))


class ReplaceWritesThePayloadOnly(Replaces):
    def merged(self, there, record, now):
        return changed(there, payload=record.payload, version=record.version)


class ReplaceKeepsTheOwner(Replaces):
    def merged(self, there, record, now):
        return changed(super().merged(there, record, now), owner=record.owner or there.owner)


class ConflictTellsNothing(Replaces):
    def current(self, there):
        return None


class NeedsAVersion(Replaces):
    def is_expected(self, there, expected):
        return there.version == expected


class RepeatedReplaceConflicts(Replaces):
    def is_repeat(self, there, record):
        return False


class VersionsAsText(Replaces):
    def is_expected(self, there, expected):
        return expected is None or self._text(there.version) == self._text(expected)

    def _text(self, version):
        return version.decode("latin-1").casefold().strip(" \x00")


class VersionsWithoutNul(Replaces):
    def _put(self, record):
        super()._put(changed(record, version=record.version.rstrip(b"\x00 ")))


class ReplaceChecksThenSets(WrongStore):
    def replace(self, record, *, expected, now):
        there = self._records.get(record.key)
        if there is None or there.expires_at <= now:
            return Write(Outcome.GONE)
        if there.version != expected:
            return Write(Outcome.CONFLICT, there)
        time.sleep(WINDOW)
        with self._alone():
            self._put(record)
        return Write(Outcome.OK)


# Delete and list.


class DeleteIsAlwaysTrue(WrongStore):
    def delete(self, key):
        super().delete(key)
        return True


class DeleteOverlooksEnded(WrongStore):
    def delete(self, key):
        record = self._records.get(key)
        return record is not None and record.seen_at + record.idle > 1_700_000_000.0 and super().delete(key)


class DeleteChecksThenDeletes(WrongStore):
    def delete(self, key):
        there = key in self._records
        time.sleep(WINDOW)
        super().delete(key)
        return there


class Lists(WrongStore):
    """A store whose list is written out, so that a line of it can be another."""

    def list_owner(self, owner, *, now, limit=100, after=None):
        with self._alone():
            keys = [key for key in sorted(self.keys_of(owner)) if after is None or key > after]
            rows = [self.row(key) for key in keys]
            return [row for row in rows if row is not None and self.lives(row, now)][:limit]

    def keys_of(self, owner):
        return list(self._keys.get(owner, ()))

    def row(self, key):
        record = self._records.get(key)
        return record and changed(record, payload=b"")

    def lives(self, row, now):
        return row.expires_at > now


class ListInOrderOfWrites(WrongStore):
    def list_owner(self, owner, *, now, limit=100, after=None):
        rows = super().list_owner(owner, now=now, limit=limit, after=after)
        return sorted(rows, key=lambda row: int(row.info[5:] or b"0"))


class ListGivesPayloads(Lists):
    def row(self, key):
        return self._records[key]


class ListMatchesPrefixes(Lists):
    def keys_of(self, owner):
        return [key for other in self._keys if (other or "")[:31] == owner[:31] for key in self._keys[other]]


class ListIgnoresAfter(WrongStore):
    def list_owner(self, owner, *, now, limit=100, after=None):
        return super().list_owner(owner, now=now, limit=limit)


class ListLooksForTheKeyBefore(WrongStore):
    def list_owner(self, owner, *, now, limit=100, after=None):
        if after is not None and after not in self._records:
            return []
        return super().list_owner(owner, now=now, limit=limit, after=after)


class ListCutsBeforeItFilters(WrongStore):
    def list_owner(self, owner, *, now, limit=100, after=None):
        page = super().list_owner(owner, now=0.0, limit=limit, after=after)
        return [row for row in page if row.expires_at > now]


class ListShowsEnded(Lists):
    def lives(self, row, now):
        return True


class Indexed(Lists):
    """A store with an index of its own, apart from the records."""

    def __init__(self):
        super().__init__()
        self._index = {}

    def create(self, record):
        if record.key not in self._records:
            self.enter(record)
        return super().create(record)

    def replace(self, record, *, expected, now):
        write = super().replace(record, expected=expected, now=now)
        if write.outcome is Outcome.OK:
            self.enter(record)
        return write

    def delete(self, key):
        self._index.pop(key, None)
        return super().delete(key)

    def enter(self, record):
        self._index[record.key] = record

    def keys_of(self, owner):
        return [key for key, record in list(self._index.items()) if record.owner == owner]


class IndexKeepsDeleted(Indexed):
    def delete(self, key):
        return MemoryStore.delete(self, key)

    def row(self, key):
        return changed(self._index[key], payload=b"")


class IndexKeepsTombstones(Indexed):
    def enter(self, record):
        if record.owner is not None:
            super().enter(record)


class IndexKeepsTheFirstOwner(Indexed):
    def enter(self, record):
        self._index.setdefault(record.key, record)


class IndexKeepsTheFirstInfo(Indexed):
    def row(self, key):
        return changed(super().row(key), info=b"info 0")


class IndexKnowsOnlyTheFirstEnd(Indexed):
    def list_owner(self, owner, *, now, limit=100, after=None):
        rows = super().list_owner(owner, now=now, limit=limit, after=after)
        return [row for row in rows if self._index[row.key].expires_at > now]


class IndexEndsWithItsLastWrite(Indexed):
    def __init__(self):
        super().__init__()
        self._ends = {}

    def enter(self, record):
        super().enter(record)
        self._ends[record.owner] = record.absolute_at

    def keys_of(self, owner):
        return super().keys_of(owner) if self._now < self._ends.get(owner, 0) else []

    def list_owner(self, owner, *, now, limit=100, after=None):
        self._now = now
        return super().list_owner(owner, now=now, limit=limit, after=after)


class ListSweepsEnded(Indexed):
    def list_owner(self, owner, *, now, limit=100, after=None):
        for key in self.keys_of(owner):
            if self._records[key].expires_at <= now:
                del self._index[key]
        return super().list_owner(owner, now=now, limit=limit, after=after)


class ListSweepsAbsent(Indexed):
    def create(self, record):
        self.enter(record)
        time.sleep(WINDOW)
        return MemoryStore.create(self, record)

    def list_owner(self, owner, *, now, limit=100, after=None):
        for key in self.keys_of(owner):
            if key not in self._records:
                self._index.pop(key, None)
        return super().list_owner(owner, now=now, limit=limit, after=after)


# Purge.


class PurgeIgnoresTheGrace(WrongStore):
    def _ended(self, now):
        return super()._ended(now + GRACE)


class PurgeIgnoresTheLimit(WrongStore):
    def purge(self, *, now, limit=1000):
        return super().purge(now=now, limit=10**6)


class PurgeSaysThereIsNoMore(WrongStore):
    def purge(self, *, now, limit=1000):
        return Purged(super().purge(now=now, limit=limit).count, more=False)


class PurgeCountsWhatItLooksAt(WrongStore):
    def purge(self, *, now, limit=1000):
        return Purged(len(self._records), super().purge(now=now, limit=limit).more)


class PurgeDoesNotLookAgain(WrongStore):
    def purge(self, *, now, limit=1000):
        keys = self._ended(now)[:limit]
        time.sleep(WINDOW)
        return Purged(sum(self.delete(key) for key in keys), more=False)

    def _ended(self, now):
        records = OrderedDict(self._records)
        return [key for key, record in records.items() if record.expires_at < now - GRACE]


class CountsWithoutTheGrace(WrongStore):
    def count_ended(self, *, now):
        return super().count_ended(now=now + GRACE)


# Scan.


class ScanLeavesThePayloadOut(WrongStore):
    def scan(self):
        return (changed(record, payload=b"") for record in super().scan())


class ScanKnowsUsersOnly(WrongStore):
    def scan(self):
        return (record for record in super().scan() if record.owner)


class ScanHasOnePage(WrongStore):
    def scan(self):
        return islice(super().scan(), 200)


class ScanHidesEnded(WrongStore):
    def scan(self):
        return (record for record in super().scan() if record.expires_at > 1_700_000_000)


class ScanTouches(WrongStore):
    def scan(self):
        for record in super().scan():
            self._put(changed(record, seen_at=record.seen_at + 1))
            yield record


class ScanRemembers(WrongStore):
    def scan(self):
        if not hasattr(self, "_scanned"):
            self._scanned = list(super().scan())
        return iter(self._scanned)


class ScanCountsItsWay(WrongStore):
    """By pages of which each skips as many records as came before, as with OFFSET."""

    def scan(self):
        start = 0
        while page := sorted(self._records)[start : start + 20]:
            start += 20
            yield from [record for key in page if (record := self._records.get(key))]


class ScanHasOneCursor(WrongStore):
    def scan(self):
        self._after = ""
        while keys := sorted(key for key in self._records if key > self._after):
            self._after = keys[0]
            yield self._records[keys[0]]


# Forks and failures.


class DiesInTheChild(WrongStore):
    def load(self, key, *, now, touch_every=None):
        if os.getpid() != self._pid:
            raise StoreError("The connection belongs to the parent.")
        return super().load(key, now=now, touch_every=touch_every)


class Broken(MemoryStore):
    """A store that can not answer, and says so as it should."""

    def _alone(self):
        error = OSError("No route to host")
        raise StoreError("The store does not answer. Is its server up?") from error


class LetsTheDriversErrorOut(MemoryStore):
    def _alone(self):
        raise OSError("No route to host")


class LosesTheCause(MemoryStore):
    def _alone(self):
        raise StoreError("The store does not answer. Is its server up?")


class TellsTheKey(MemoryStore):
    def load(self, key, *, now, touch_every=None) -> Record | None:
        raise StoreError(f"There is no answer for {key}. Is the server up?") from OSError()
