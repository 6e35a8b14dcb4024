"""Sessions on their way from one store to another, while both are in use."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple

from msgspec.structs import replace

from ..clock import Clock
from ..errors import ConfigError, StoreError
from ..record import Outcome, Purged, Record, Version, Write
from .base import (
    Capability,
    CountsEnded,
    Judgement,
    Judges,
    LimitsPayload,
    MakesTable,
    Scans,
    Store,
    Touches,
)
from .migrating_marks import coming, is_listed_on_its_way, is_mark, is_place, kept_longer, move_of, moved, moving

#: Looks at one key before it is given up: others move it to and fro faster than it can be read.
_ATTEMPTS: Final = 64
#: Bytes that the mark of a move needs beside a payload: a record's other fields, and at most 1 KiB of info.
_ROOM: Final = 2048
#: Records that a copy moves at a time.
_AT_ONCE: Final = 8


class Copied(Enum):
    """What became of one record of the old store."""

    MOVED = "moved"
    ENDED = "ended"
    THERE = "there"


class MigratingStore:
    """Two stores as one: sessions lie in the new one, and those of the old one come over when they are asked for.

    A key that the new store knows is looked for nowhere else, and costs what it costs there. Any other is looked for
    in the old store too, and a live record that lies there is moved, byte for byte, in four writes, each against the
    version that was read:

    1. the new store keeps a *place* for it,
    2. in the old store it becomes a mark *moving*, which holds it whole and names that place,
    3. the place becomes the record,
    4. the mark becomes *moved*, and holds nothing.

    Who meets the mark of a process that died, or that is slow, finishes the move. A place is there once, so the record
    comes to it once, however many try and however late: what ended in the new store stays ended. Servers whose stores
    are in the other order read the same marks, so a rollout has two phases: first all of them are told of the new store
    as the *old* one, then the two are swapped. See the documentation, "From one store to another".

    :param new: where sessions lie from now on.
    :param old: where they lay before.
    :raises ConfigError: they are one, or one of them is itself of two.
    """

    #: What tells of an end stays until the session's own end: a disk or a replica of the old store that forgets the
    #: last seconds may have the session again.
    remembers_ends: bool = True

    def __init__(self, new: Store, old: Store) -> None:
        if new is old or isinstance(new, MigratingStore) or isinstance(old, MigratingStore):
            raise ConfigError(
                "MigratingStore(new, old) needs two stores, each of them a plain one. Finish one move before the next."
            )
        self.new: Final = new
        self.old: Final = old
        # On the object, as in StoreAround: what one of them cannot do is not there.
        both: tuple[Store, Store] = (new, old)
        if isinstance(new, Touches):
            self.touch: Callable[..., bool] = new.touch
        if all(isinstance(store, Scans) for store in both):
            self.scan: Callable[[], Iterator[Record]] = self._scan
        if any(isinstance(store, CountsEnded) for store in both):
            self.count_ended: Callable[..., int] = self._count_ended
        if any(isinstance(store, Judges) for store in both):
            self.judge: Callable[..., list[Judgement]] = self._judge
        if any(isinstance(store, MakesTable) for store in both):
            self.create_table: Callable[[], None] = self._create_table
        limits = [store.max_payload for store in both if isinstance(store, LimitsPayload)]
        if limits:
            self.max_payload: int = min(limits) - _ROOM

    @property
    def capabilities(self) -> Capability:
        """What both can do; what expires in one of them needs a purge."""
        new, old = self.new.capabilities, self.old.capabilities
        either = Capability.PURGE & (new | old)
        both = (Capability.INDEX | Capability.SHARED | Capability.DURABLE) & new & old
        indexes = Capability.INDEX | Capability.INDEX_BEST_EFFORT
        if new & indexes and old & indexes and Capability.INDEX not in both:
            both |= Capability.INDEX_BEST_EFFORT
        return either | both | (Capability.TOUCH_ON_LOAD & new)

    def load(
        self, key: str, *, now: float, touch_every: float | None = None, touch_within: float = math.inf
    ) -> Record | None:
        """Return the record of a key, which lies in the new store then; see ``TouchesOnLoad.load``.

        One of the old store that has ended is returned as it is, and stays there.
        """
        touch = {} if touch_every is None else {"touch_every": touch_every}
        if touch_within < math.inf:
            touch["touch_within"] = touch_within
        found = self._found(key, now, touch)
        return None if found is None else found.record

    def create(self, record: Record) -> bool:
        """Insert a record into the new store, unless its key is taken in either; see ``Store.create``.

        Of two servers with the stores in different orders that create under one key, at most one succeeds. No two draw
        the same token; but what is known of a user, or of a cookie of before, lies under a key that both can reckon.
        """
        if not self.new.create(record):
            there = self.new.load(record.key, now=record.seen_at)
            found = self._found(record.key, _ANY_TIME)
            if found is not None or there is None or not is_place(there):
                return found is not None and found.record.version == record.version
            at = min(record.seen_at, there.expires_at - 1)
            if self.new.replace(record, expected=there.version, now=at).outcome is not Outcome.OK:
                return False
        other = self.old.load(record.key, now=record.seen_at)
        if other is None or is_mark(other):
            return True
        left = moved(record, now=record.seen_at)
        self.new.replace(left, expected=record.version, now=record.seen_at)
        return False

    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``."""
        for _ in range(_ATTEMPTS):
            version = expected
            if expected is None:
                # Without a version the new store would overwrite a mark as well.
                found = self._found(record.key, now)
                if found is None or found.record.expires_at <= now:
                    return Write(Outcome.GONE)
                version = found.record.version
            write = self.new.replace(record, expected=version, now=now)
            if write.outcome is Outcome.OK:
                return write
            if expected is None:
                continue
            # SQL tells what is there by a second look, by which time the record may have come that is expected.
            if write.current is not None and not is_mark(write.current) and write.current.version != expected:
                return write
            found = self._found(record.key, now)
            if found is None or found.record.expires_at <= now:
                return Write(Outcome.GONE)
        raise _restless()

    def delete(self, key: str) -> bool:
        """Remove a record from where it lies; see ``Store.delete``.

        It leaves a mark "moved": who is about to move it, or has read that it is there, finds another version.
        """
        for _ in range(_ATTEMPTS):
            found = self._found(key, _ANY_TIME)
            if found is None:
                return False
            at = found.record.expires_at - 1
            left = moved(found.record, now=at)
            if found.store.replace(left, expected=found.record.version, now=at).outcome is Outcome.OK:
                return True
        raise _restless()

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records of both stores, without payload, in key order; see ``Store.list_owner``."""
        return list(islice(self._rows(owner, now, limit, after), limit))

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Remove what has ended from both stores, about ``limit`` records of each; see ``Store.purge``."""
        old, new = self.old.purge(now=now, limit=limit), self.new.purge(now=now, limit=limit)
        return Purged(old.count + new.count, more=old.more or new.more)

    def copy(self, clock: Clock) -> Iterator[Copied]:
        """Move all that lies in the old store to the new one, and yield what became of each record.

        May be stopped at any moment, and begun again. Requests may come meanwhile, if all servers know both stores.

        :raises ConfigError: the old store cannot be walked.
        :raises StoreError: a store cannot answer.
        """
        if not isinstance(self.old, Scans):
            raise ConfigError(
                f"{type(self.old).__name__} cannot be walked from end to end. Its sessions come over as they are asked "
                "for; keep it as the old store until the last of them has ended."
            )
        # What a copy does most is to wait for disks, and several that wait for one wait no longer than the first.
        under_way: deque[Future[Copied]] = deque()
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for record in self.old.scan():
                # In the caller's context: an application's own database may be found by it alone.
                under_way.append(pool.submit(copy_context().run, self._copied, record, clock.now()))
                if len(under_way) > 2 * _AT_ONCE:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    # Where a record is.

    def _found(self, key: str, now: float, touch: dict[str, float] | None = None) -> _Found | None:
        """Return where a key's record lies: in the new store, or ended in the old one."""
        for _ in range(_ATTEMPTS):
            here = self.new.load(key, now=now, **(touch or {}))
            if here is not None and not is_mark(here):
                return _Found(self.new, here)
            if here is not None and not is_place(here):
                _finish(here, self.new, self.old, now)
                continue
            there = self.old.load(key, now=now)
            if there is None:
                return None
            if is_place(there):
                # What left the old store may have come to the new one between the two looks.
                if _is_same(here, self.new.load(key, now=now)):
                    return None
            elif is_mark(there):
                _finish(there, self.old, self.new, now)
            elif there.expires_at <= now:
                return _Found(self.old, there)
            else:
                self._take_over(there, here, now)
        raise _restless()

    def _rows(self, owner: str, now: float, limit: int, after: str | None) -> Iterator[Record]:
        # The old store first, since records go from there to the new one; and again, since those of a server that has
        # the stores in the other order go the other way.
        while True:
            lists = [
                store.list_owner(owner, now=now, limit=limit, after=after) for store in (self.old, self.new, self.old)
            ]
            rows = {row.key: row for listed in (lists[2], lists[0], lists[1]) for row in listed}
            keys = sorted(rows)[:limit]
            for key in keys:
                row = self._settled(rows[key], now)
                if row is not None and row.owner == owner:
                    yield row
            if len(keys) < limit:
                return
            after = keys[-1]

    def _settled(self, row: Record, now: float) -> Record | None:
        """Return what a list shall say of a record; of one that is on its way, what it has become."""
        if not is_listed_on_its_way(row):
            return row
        found = self._found(row.key, now)
        if found is None or found.record.expires_at <= now:
            return None
        return replace(found.record, payload=b"")

    # How it moves.

    def _take_over(self, record: Record, here: Record | None, now: float) -> bool:
        """Move a live record of the old store; return whether it was this call that did, with no other between.

        :param here: the place that is kept in the new store, if there is one.
        """
        most = self.new.max_payload if isinstance(self.new, LimitsPayload) else math.inf
        if len(record.payload) > most:
            raise StoreError(
                f"A session of {len(record.payload)} bytes lies in {type(self.old).__name__}, and "
                f"{type(self.new).__name__} takes {most} at most, so it stays there. Swap the two stores."
            )
        place = self._place_for(record, here, now)
        if place is None:
            return False
        mark = moving(record, over=place)
        if self.old.replace(mark, expected=record.version, now=now).outcome is not Outcome.OK:
            return False
        # Read once more: it may have been touched since the record was read, and shall not seem to be idle for longer.
        there = self.old.load(record.key, now=now)
        return there is not None and there.version == mark.version and _finish(there, self.old, self.new, now)

    def _place_for(self, record: Record, here: Record | None, now: float) -> Record | None:
        """Return the place of a record in the new store, kept until its absolute end; ``None`` if none can be had now.

        It has to be seen after the record was seen in the old store: while that is there, nobody else takes the place.
        """
        if here is None:
            place = coming(record, now=now)
            if self.new.create(place):
                return place
        here = self.new.load(record.key, now=now)
        if here is None or not is_place(here):
            return None
        if here.expires_at > record.absolute_at - 1:
            return here
        at = min(now, here.expires_at - 1)
        place = kept_longer(here, record, now=at)
        return place if self.new.replace(place, expected=here.version, now=at).outcome is Outcome.OK else None

    def _copied(self, record: Record, now: float) -> Copied:
        """Move one record that a walk gave, and say what became of it."""
        if is_place(record):
            return Copied.MOVED if self._is_brought_back(record.key, now) else Copied.THERE
        if record.expires_at <= now:
            return Copied.ENDED
        is_brought = _finish(record, self.old, self.new, now) if is_mark(record) else self._take_over(record, None, now)
        if is_brought:
            return Copied.MOVED
        # It was changed, moved or ended since it was read.
        found = self._found(record.key, now)
        return Copied.THERE if found is not None and found.store is self.new else Copied.ENDED

    def _is_brought_back(self, key: str, now: float) -> bool:
        """Let a record come back that a server of the other order was taking to the old store when it died.

        Its mark lies in the new store, where nobody could read it without the old one.
        """
        here = self.new.load(key, now=now)
        return here is not None and move_of(here) is not None and self._found(key, now) is not None

    # What not every store can do.

    def _scan(self) -> Iterator[Record]:
        for store, other in ((self.old, self.new), (self.new, self.old)):
            for record in store.scan():  # type: ignore[attr-defined]  # only then is there a scan
                move = move_of(record)
                if move is None and not is_place(record):
                    yield record
                elif move is not None:
                    place = other.load(record.key, now=record.seen_at)
                    if place is not None and place.version == move.over:
                        yield replace(move.record, seen_at=record.seen_at)

    def _count_ended(self, *, now: float) -> int:
        return sum(store.count_ended(now=now) for store in (self.new, self.old) if isinstance(store, CountsEnded))

    def _judge(self, *, now: float, largest: int) -> list[Judgement]:
        said = self.new.judge(now=now, largest=largest) if isinstance(self.new, Judges) else []
        of_old = self.old.judge(now=now, largest=largest) if isinstance(self.old, Judges) else []
        return said + [(mark, f"The old store: {text}") for mark, text in of_old]

    def _create_table(self) -> None:
        for store in (self.new, self.old):
            if isinstance(store, MakesTable):
                store.create_table()


class _Found(NamedTuple):
    store: Store
    record: Record


#: For calls that are told no time: by then every record has ended, so none is moved because of it.
_ANY_TIME: Final = math.inf


def _finish(mark: Record, source: Store, target: Store, now: float) -> bool:
    """Put the record of a mark in its place, and empty the mark; return whether it was this call that put it there.

    Where the place is no more, the record was there, and what lies there now has come of it.
    """
    move = move_of(mark)
    if move is None:
        return False
    at = min(now, mark.expires_at - 1)
    record = replace(move.record, seen_at=mark.seen_at)
    write = target.replace(record, expected=move.over, now=at)
    source.replace(moved(record, now=at), expected=mark.version, now=at)
    return write.outcome is Outcome.OK


def _is_same(one: Record | None, other: Record | None) -> bool:
    return one is other if one is None or other is None else one.version == other.version


def _restless() -> StoreError:
    return StoreError(
        "A session was moved between its two stores so fast that it could not be read. Try again; let all servers have "
        "the two stores in one order."
    )
