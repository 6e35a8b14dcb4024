"""Which sealed sessions count: one record per user in a store, since a cookie cannot be called back."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from .clock import Clock
from .errors import StoreError
from .layout import Layout
from .record import Outcome, Record
from .sealing import KeyRing
from .standings import Standing
from .stores.base import Scans, Store

T = TypeVar("T")

_LABEL: Final = b"flask_sessionkit/revocations/1\x00"
#: Attempts at a compare-and-swap. Each that fails is another's success, so this many logins of one user at once.
_ATTEMPTS: Final = 64
_LONGEST_PAUSE: Final = 0.02
#: Seconds that a standing stays where it was moved to. Servers that seal with different secrets, as they do while a new
#: one is brought out, would else each move it to themselves.
_MOVED_FOR: Final = 3600.0


class Held(Struct, frozen=True):
    """A standing as it was read; ``None`` for a record that no secret of the ring opens."""

    owner: str
    standing: Standing | None
    record: Record
    is_current: bool


class Revocations:
    """The standings of all users, in a store that every server of the application reaches.

    A user's lies under the name that the current secret gives to the user. After a change of secrets it is moved there
    when it is used: what is left under the old name leads to the new one, also for servers that do not seal with the
    new secret yet.
    """

    def __init__(self, store: Store, ring: KeyRing, clock: Clock) -> None:
        self.store = store
        self._ring = ring
        self._clock = clock

    def look(self, user: str) -> Held | None:
        """Return what is known of a user's sessions; one trip.

        :raises StoreError: the store cannot answer.
        """
        return self._find(self._ring.owners(user))

    def change(self, user: str, fn: Callable[[Standing], tuple[Standing | None, T]], *, held: Held | None = None) -> T:
        """Change what is known of a user's sessions, at once; see ``change_at``."""
        return self.change_at(self._ring.owners(user), fn, user=user, held=held)

    def scan(self) -> Iterator[Standing | None] | None:
        """Return what is known of all users; ``None`` if the store cannot be walked.

        A record that no secret of the ring opens is ``None``. The walk raises ``StoreError``; see ``Scans.scan``.
        """
        if not isinstance(self.store, Scans):
            return None
        return (self._opened(record) for record in self.store.scan())

    def note(self, held: Held, standing: Standing) -> Held:
        """Write what is known if nobody came between; return what was read last. For what may as well be left.

        :raises StoreError: the store cannot answer.
        """
        now = self._clock.now()
        return self._replace(held, standing.swept(now), now) or held

    def change_at(
        self,
        owners: list[str],
        fn: Callable[[Standing], tuple[Standing | None, T]],
        *,
        user: str = "",
        stays: bool = False,
        held: Held | None = None,
    ) -> T:
        """Change what is known of a user's sessions, at once, and return what ``fn`` does.

        :param owners: the user's names, the current secret's first.
        :param user: for a standing that is not there yet.
        :param stays: leave it where it lies, since the first name may be an old one.
        :param held: what was read a moment ago; spares a trip where nobody came between.
        :param fn: takes what is known, and returns what shall be (``None`` to leave it) and an answer. It runs again
            where others came between.
        :raises StoreError: the store cannot answer, or others kept coming between.
        """
        for attempt in range(_ATTEMPTS):
            if attempt > 1:
                self._clock.pause(random.uniform(0, min(_LONGEST_PAUSE, 0.001 * attempt)))  # noqa: S311  # no secret
            now = self._clock.now()
            if held is None or attempt:
                held = self._find(owners, stays=stays)
            known = (held and held.standing) or Standing(secrets.token_bytes(16), user)
            standing, answer = fn(known)
            if standing is None:
                return answer
            standing = standing.swept(now)
            if held is None:
                is_written = self.store.create(self._record(owners[0], standing, now)) and self._is_alone(owners)
            else:
                is_written = self._replace(held, standing, now) is not None
            if is_written:
                return answer
        raise _too_contested()

    def _is_alone(self, owners: list[str]) -> bool:
        """Return whether a user's first standing, which was just made, is the only one.

        Another server that seals with another secret may have made one at the same moment, and sessions may count by it
        already, so this one leads there.
        """
        for owner in owners[1:]:
            other = self._load(owner)
            if other is not None and other.standing is not None and other.standing.moved_to is None:
                mine = self._load(owners[0])
                while mine is not None and mine.standing is not None and mine.standing.moved_to is None:
                    led = Standing(secrets.token_bytes(16), moved_to=owner, moves=other.standing.moves)
                    mine = self._replace(mine, led, self._clock.now()) or self._load(owners[0])
                return False
        return True

    def _find(self, owners: list[str], *, stays: bool = False) -> Held | None:
        held = next((found for owner in owners if (found := self._load(owner))), None)
        for _ in range(_ATTEMPTS):
            if held is None or held.standing is None:
                return held
            standing = held.standing
            if standing.moved_to is not None:
                held = self._followed(held, standing, standing.moved_to)
            elif stays or held.owner == owners[0] or self._is_settled(standing):
                # Sealed anew, if it was with a secret that is about to be dropped.
                return held if held.is_current else self._tried(held, standing) or held
            else:
                now = self._clock.now()
                moved = replace(standing, moved_to=owners[0], moves=standing.moves + 1, moved_at=now)
                if (left := self._tried(held, moved)) is None:
                    left = self._load(held.owner)
                    if left is not None and left.record.version == held.record.version:
                        return held  # which takes no writes, and counts where it is
                held = left
        raise _too_contested()

    def _followed(self, left: Held, standing: Standing, owner: str) -> Held | None:
        """Return what lies where a standing was moved to, and finish the move if nobody has.

        Between its steps, or if a process dies there, whoever comes does the next one. What is left behind is emptied
        at the end: it would else be a backup of which nobody knows.
        """
        there = self._load(owner)
        back = there.standing if there is not None else None
        is_empty = not standing.live and not standing.ended
        if there is not None and back is not None and is_empty and (back.moved_to, back.live) == (left.owner, {}):
            # Two first ones were made at once, and each leads to the other. Nothing counts by either of them yet.
            place = min(left, there, key=lambda held: held.owner)
            begun = Standing(secrets.token_bytes(16), standing.user, moves=standing.moves)
            return Held(place.owner, begun, place.record, is_current=True)
        if there is not None and (back is None or back.moved_to is None or back.moves >= standing.moves):
            return there
        if there is None and is_empty:
            self.store.delete(left.record.key)  # what it led to is gone, so nothing is known, and a login begins anew
            return None
        # Nothing, or what an earlier move left behind on its way back.
        arrived = replace(standing, moved_to=None)
        if there is None:
            self.store.create(self._record(owner, arrived, self._clock.now()))
        else:
            self._replace(there, arrived, self._clock.now())
        there = self._load(owner)
        if there is not None:
            self._tried(left, replace(standing, live={}, ended={}))
        return there

    def _tried(self, held: Held, standing: Standing) -> Held | None:
        """Write what a reader can do without; ``None`` if it was not written."""
        with suppress(StoreError):
            return self._replace(held, standing, self._clock.now())
        return None

    def _is_settled(self, standing: Standing) -> bool:
        return standing.moved_at is not None and self._clock.now() - standing.moved_at < _MOVED_FOR

    def _opened(self, record: Record) -> Standing | None:
        opened = self._ring.open_revocations(record.payload, key=record.key)
        return None if opened is None else _layout.decode(opened[0])

    def _load(self, owner: str) -> Held | None:
        key = _key_of(owner)
        record = self.store.load(key, now=self._clock.now())
        if record is None:
            return None
        opened = self._ring.open_revocations(record.payload, key=key)
        if opened is None:
            return Held(owner, None, record, is_current=False)
        return Held(owner, _layout.decode(opened[0]), record, is_current=opened[1])

    def _replace(self, held: Held, standing: Standing, now: float) -> Held | None:
        """Write a standing in the place of the one that was read, and return it; ``None`` if others came between."""
        record = self._record(held.owner, standing, now)
        expected = None if held.standing is None else held.record.version
        # A store lets nothing be written to a record that is past its end, and none be created there.
        at = min(now, held.record.expires_at - 1)
        is_written = self.store.replace(record, expected=expected, now=at).outcome is Outcome.OK
        return Held(held.owner, standing, record, is_current=True) if is_written else None

    def _record(self, owner: str, standing: Standing, now: float) -> Record:
        key = _key_of(owner)
        absolute_at = standing.lasts_until(now)
        return Record(
            key=key,
            payload=self._ring.seal_revocations(_layout.encode(standing), key=key),
            created_at=now,
            seen_at=now,
            idle=absolute_at - now,
            absolute_at=absolute_at,
            owner=None,
            info=b"",
            version=secrets.token_bytes(8),
        )


def _key_of(owner: str) -> str:
    """Return the key under which a user's standing lies; the owner is a keyed hash already."""
    return hashlib.sha256(_LABEL + owner.encode()).hexdigest()


def _too_contested() -> StoreError:
    return StoreError("Others kept changing what is known of a user's sessions. Send the request again.")


_layout = Layout(Standing, version=b"\x01")
