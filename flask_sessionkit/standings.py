"""What is known of one user's sessions that lie in browsers: which of them count, and why others do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from .beginning import started_at
from .clock import CLOCK_SKEW
from .discreet import DiscreetStruct
from .reasons import Reason

#: Sessions of one user that are known at once, and of those that ended: about 100 KB, since each look reads them. The
#: oldest logins beyond end.
MOST_LIVE: Final = 200


class Entry(DiscreetStruct, frozen=True, array_like=True):
    """One session that counts. Moments in Unix seconds, ``idle`` in seconds.

    :param edition: 16 random bytes; a cookie that holds others was renewed since.
    :param seen_at: the last activity that was noted; a cookie may know of later one.
    :param renewed_at: when it got its ``edition``.
    """

    edition: bytes
    created_at: float
    login_at: float | None
    seen_at: float
    renewed_at: float
    idle: float
    absolute_at: float
    user_agent: str
    address: str

    def __repr__(self) -> str:
        return "<Entry>"  # reporters of errors show the variables of a frame

    @property
    def started_at(self) -> float:
        """The moment from which the session's age counts."""
        return started_at(self.created_at, self.login_at)

    @property
    def expires_at(self) -> float:
        """Return when the session ends if nothing more happens, as far as is known here."""
        return min(self.seen_at + self.idle, self.absolute_at)

    @property
    def until(self) -> float:
        """Return when no cookie of it can be live any more, also where activity could not be noted for a while."""
        return min(self.seen_at + 2 * self.idle, self.absolute_at) + CLOCK_SKEW


class Ended(Struct, frozen=True, array_like=True):
    """One session that is no more.

    :param until: when the last cookie of it ends by itself.
    """

    at: float
    until: float
    reason: Reason


class Standing(DiscreetStruct, frozen=True, array_like=True):
    """What is known of one user's sessions, each by its lineage.

    What is not live here is refused, so a store that was emptied opens nothing.

    :param generation: random; another one refuses all cookies of the one before, whatever they hold.
    :param ended: tells why; for a while.
    :param moved_to: the name of the user under another secret, where all of this goes on.
    :param moves: how often that happened.
    :param moved_at: when it last did.
    """

    generation: bytes
    user: str = ""
    live: dict[bytes, Entry] = field(default_factory=dict)
    ended: dict[bytes, Ended] = field(default_factory=dict)
    moved_to: str | None = None
    moves: int = 0
    moved_at: float | None = None

    def __repr__(self) -> str:
        return f"<Standing of {len(self.live)} live>"

    def with_live(self, lineage: bytes, entry: Entry) -> Standing:
        """Return this with one more session, or with another entry of one."""
        return replace(self, live={**self.live, lineage: entry})

    def without(self, lineages: Mapping[bytes, Reason], *, now: float) -> Standing:
        """Return this with some sessions ended."""
        ended = {
            lineage: Ended(now, self.live[lineage].absolute_at + CLOCK_SKEW, reason)
            for lineage, reason in lineages.items()
            if lineage in self.live
        }
        live = {lineage: entry for lineage, entry in self.live.items() if lineage not in ended}
        return replace(self, live=live, ended={**self.ended, **ended})

    def swept(self, now: float) -> Standing:
        """Return this without what has ended by itself, and with no more sessions than are known at once."""
        live = {lineage: entry for lineage, entry in self.live.items() if now < entry.until}
        kept = replace(self, live=live).trimmed(MOST_LIVE, now=now)
        ended = {lineage: one for lineage, one in kept.ended.items() if now < one.until}
        latest = dict(sorted(ended.items(), key=lambda item: item[1].at)[-MOST_LIVE:])
        return replace(kept, ended=latest)

    def trimmed(self, most: int, *, now: float, without: bytes | None = None) -> Standing:
        """Return this with the oldest logins ended beyond a number of them.

        :param without: the lineage of a session that does not count.
        """
        counted = [lineage for lineage in self.live if lineage != without]
        by_age = sorted(counted, key=lambda one: (self.live[one].started_at, one))
        return self.without(dict.fromkeys(by_age[:-most], Reason.LIMIT), now=now)

    def lasts_until(self, now: float) -> float:
        """Return the moment from which nobody needs this any more."""
        ends = [entry.until for entry in self.live.values()] + [one.until for one in self.ended.values()]
        return max([now, *ends]) + CLOCK_SKEW
