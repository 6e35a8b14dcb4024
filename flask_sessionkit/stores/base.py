"""What a store is: six methods that move records."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Flag, auto
from typing import Protocol, TypeAlias, runtime_checkable

from ..clock import CLOCK_SKEW as CLOCK_SKEW
from ..clock import settled as settled
from ..clock import touch_is_due as touch_is_due
from ..findings import Mark as Mark
from ..record import Purged, Record, Version, Write

#: Seconds that a record is kept past its end, for a request that was under way (protocol clauses 1 and 6).
GRACE = 120.0


class Capability(Flag):
    """What a store can do beyond moving records."""

    NONE = 0
    #: ``list_owner`` shows every live session of a user.
    INDEX = auto()
    #: ``list_owner`` may miss some.
    INDEX_BEST_EFFORT = auto()
    #: Expired records stay until ``purge`` removes them; without it the store expires them by itself.
    PURGE = auto()
    #: A due touch costs no call of its own: the store is a ``TouchesOnLoad``.
    TOUCH_ON_LOAD = auto()
    #: Several machines see the same records.
    SHARED = auto()
    #: What was acknowledged outlives the process.
    DURABLE = auto()


class Store(Protocol):
    """Where records lie. Safe for threads and after a fork; raises nothing but ``StoreError``."""

    @property
    def capabilities(self) -> Capability:
        """What this store can do beyond moving records."""
        ...

    def load(self, key: str, *, now: float, touch_every: float | None = None) -> Record | None:
        """Return the record of a key, or ``None``; one past its end comes back unchanged.

        :param touch_every: seconds; when the record lives and was last seen this long ago or longer, its ``seen_at``
            becomes ``now`` in the store, without moving its version or its ``absolute_at``. ``None`` is a pure read.
        :raises StoreError: the store cannot answer. The driver's error is ``__cause__``.
        """
        ...

    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken (by another version than its own).

        :raises StoreError: the store cannot answer.
        """
        ...

    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read, keeping the later ``seen_at`` of both.

        Must not create: a session ended by another request has to stay ended.

        :param expected: the version that the load gave; ``None`` only for a record whose seal cannot be opened.
        :raises StoreError: the store cannot answer.
        """
        ...

    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it.

        :raises StoreError: the store cannot answer.
        """
        ...

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order.

        :param after: the last key of the page before.
        :raises StoreError: the store cannot answer.
        """
        ...

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Remove records that ended more than ``GRACE`` seconds ago, about ``limit`` of them.

        :raises StoreError: the store cannot answer.
        """
        ...


class TouchesOnLoad(Protocol):
    """A store that touches while it loads, in one trip; it has ``TOUCH_ON_LOAD`` among its capabilities.

    Such a touch comes before the verdict of the floors above, so it has to be told where today's limit lies.
    """

    def load(
        self, key: str, *, now: float, touch_every: float | None = None, touch_within: float = math.inf
    ) -> Record | None:
        """Return the record of a key, or ``None``; see ``Store.load``.

        :param touch_within: seconds; a record that was seen this long ago or longer is not touched. A timeout that was
            lowered has ended it, though its own ``idle`` says otherwise, and a touch would revive it.
        :raises StoreError: the store cannot answer.
        """
        ...


@runtime_checkable
class Touches(Protocol):
    """A store that can touch what a ``load`` gave without loading it again."""

    def touch(self, record: Record, *, now: float) -> bool:
        """Set ``seen_at`` to ``now`` in the store if the record is still the version that was read, and lives.

        :return: ``False`` if nothing was written.
        :raises StoreError: the store cannot answer.
        """
        ...


@runtime_checkable
class LimitsPayload(Protocol):
    """A store whose server takes values of a certain size and no larger ones."""

    #: Bytes that a record's payload may have.
    max_payload: int


@runtime_checkable
class RemembersEnds(Protocol):
    """A store where what tells of an end lasts until the ended session would have been over by its absolute limit.

    Elsewhere it lasts for a minute: what a store has removed cannot come back. One that takes sessions over from
    another store needs to know for longer, since that store may forget that it gave a session away.
    """

    #: Whether it does.
    remembers_ends: bool


@runtime_checkable
class CountsEnded(Protocol):
    """A store that can say how many records a purge would remove (``flask sessions purge --dry-run``)."""

    def count_ended(self, *, now: float) -> int:
        """Return how many records ended more than ``GRACE`` seconds ago.

        :raises StoreError: the store cannot answer.
        """
        ...


@runtime_checkable
class Scans(Protocol):
    """A store that can be walked from end to end (``flask sessions stats`` and ``revoke --all``)."""

    def scan(self) -> Iterator[Record]:
        """Yield every record that is there, whole and untouched, in no order; also one that is past its end.

        Reads a page at a time, so that no more than a page is in memory. A record that is written or removed meanwhile
        may be told as it was, as it is, or not at all; any may be told twice.

        :raises StoreError: the store cannot answer.
        """
        ...


#: One point of a check: its mark, and a sentence with the mend of a fault.
Judgement: TypeAlias = tuple[Mark, str]


@runtime_checkable
class Judges(Protocol):
    """A store that knows what can be wrong with its server, folder or file (``flask sessions check``)."""

    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is well and what is not, as for a deployment. Reads only, and makes nothing.

        :param now: Unix seconds, by the clock of this machine.
        :param largest: bytes of the largest payload that will be stored.
        :raises StoreError: the store cannot answer.
        """
        ...


def judged_clock(theirs: float, ours: float) -> Judgement:
    """Return what is to be said of a server's clock beside ours, both in Unix seconds."""
    ahead = theirs - ours
    if abs(ahead) <= CLOCK_SKEW:
        return Mark.OK, "Its clock agrees with ours."
    return (
        Mark.FAULT,
        f"Its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours. Where clocks differ by more "
        f"than {CLOCK_SKEW:g} s, sessions end early or late. Run NTP on all machines.",
    )


@runtime_checkable
class MakesTable(Protocol):
    """A store whose table can be made ahead of its first use (``flask sessions create-table``)."""

    def create_table(self) -> None:
        """Make the table unless it is there.

        :raises StoreError: the store cannot answer.
        """
        ...
