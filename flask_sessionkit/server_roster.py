"""The sessions of users that a store keeps, listed and ended by its index."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from .backends import Found
from .beginning import started_at
from .clock import Clock
from .device import Device
from .errors import SessionKitError
from .reasons import Reason
from .record import Outcome, Record
from .roster import SessionInfo, by_login, handle_of, parts_of
from .server_backend import ServerBackend
from .stores.base import Capability


class ServerRoster:
    """The sessions of users, by the index of a store.

    :param tell: called with each user's session that was ended: the reason and the user id.
    :param has_stamp: a user's sessions have to agree with ``user_stamp``, so that one which no list shows ends too.
    :param page: records a call of the store's ``list_owner``.
    """

    def __init__(
        self,
        backend: ServerBackend,
        clock: Clock,
        tell: Callable[[Reason, str | None], None],
        *,
        has_stamp: bool = False,
        page: int = 100,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._tell = tell
        self._has_stamp = has_stamp
        self._page = page

    def sessions_of(self, user_id: str, *, current: bytes | None = None) -> list[SessionInfo]:
        """Return a user's live sessions, the latest login first.

        :param current: the lineage of the session of this request.
        :raises SessionKitError: the store keeps no index.
        :raises StoreError: the store cannot answer.
        """
        rows: dict[object, SessionInfo] = {}
        for record, device in self._entries(self._backend.owners(user_id)):
            row = SessionInfo(
                handle=handle_of(record.owner or "", device.lineage),
                created_at=record.created_at,
                login_at=device.login_at,
                seen_at=record.seen_at,
                expires_at=record.expires_at,
                user_agent=device.user_agent,
                address=device.address,
                current=device.lineage == current,
            )
            # A process that died while it renewed a token left two records of one session.
            name = _name_of(record, device)
            rows[name] = max(rows.get(name, row), row, key=lambda one: one.seen_at)
        return by_login(rows.values())

    def revoke(self, handle: str, *, user_id: str | None = None, reason: Reason = Reason.REVOKED) -> int:
        """End the session that a handle names; return how many that were: 1 or 0.

        :param user_id: end it only if it is this user's.
        :raises SessionKitError: the store keeps no index.
        :raises StoreError: the store cannot answer.
        """
        owner, lineage = parts_of(handle)
        if not owner or (user_id is not None and owner not in self._backend.owners(user_id)):
            return 0
        return self._end_lineage([owner], lineage, reason)

    def revoke_user(self, user_id: str, *, spared: bytes | None = None, reason: Reason = Reason.REVOKED) -> int:
        """End all of a user's sessions that were signed in by now; return how many that were.

        One that is made while this runs stays, or ends with the others.

        :param spared: the lineage of a session that stays.
        :raises SessionKitError: the store keeps no index, or one that may miss a session while no stamp ends that.
        :raises StoreError: the store cannot answer.
        """
        if Capability.INDEX_BEST_EFFORT in self._backend.store.capabilities and not self._has_stamp:
            raise SessionKitError(
                "This store may forget which sessions a user has, so ending those it lists could leave others alive. "
                "Register @kit.user_stamp and change what it returns, or choose a store with a full list."
            )
        owners, called_at = self._backend.owners(user_id), self._clock.now()
        return self._end_all(owners, lambda lineage: lineage != spared, reason, since=called_at)

    def revoke_all(self, *, reason: Reason) -> int:
        """End every session that was there by now; return how many that were. Walks through the whole store.

        :raises SessionKitError: the store cannot be walked.
        :raises StoreError: the store cannot answer.
        """
        called_at, latest, count, goes_on = self._clock.now(), math.inf, 0, True
        while goes_on:
            goes_on = False
            walk = self._backend.scan()
            if walk is None:
                raise SessionKitError(
                    "This store cannot be walked from end to end, so not all sessions can be found. Change SECRET_KEY, "
                    "and leave the old one out of SECRET_KEY_FALLBACKS: that ends all of them."
                )
            for found in walk:
                # What no secret opens is no session here. What leads on is followed, as its session may go on under a
                # key that the walk has passed already.
                contents = found.contents
                if contents is None or contents.started_at > latest or found.record.expires_at <= self._clock.now():
                    continue
                if self._bury(found, reason):
                    count, goes_on = count + 1, True
            # A walk may take longer than what leads on is kept, so another one looks for what was renewed meanwhile.
            latest = called_at
        return count

    def end(self, user_id: str, lineage: bytes, reason: Reason) -> int:
        """End one of a user's sessions, whatever its token is by now; see ``Roster``."""
        return self._end_lineage(self._backend.owners(user_id), lineage, reason)

    def trim(self, user_id: str, *, most: int, without: bytes | None = None) -> int:
        """End a user's oldest logins beyond a number of them; see ``Roster``."""
        ended: set[object] = set()
        # Once more from the start where something was ended: a token may have been renewed behind the cursor.
        while ended_now := self._end_oldest(self._backend.owners(user_id), most, without):
            ended |= ended_now
        return len(ended)

    def _end_oldest(self, owners: list[str], most: int, without: bytes | None) -> set[object]:
        """End what a list shows beyond the latest logins; return the names of what was ended by this call."""
        logins: dict[object, tuple[float, bytes]] = {}
        keys: dict[object, list[str]] = {}
        for record, device in self._entries(owners):
            name = _name_of(record, device)
            if name != without:
                logins[name] = (_started_at(record, device), device.lineage)
                keys.setdefault(name, []).append(record.key)
        oldest = sorted(logins, key=lambda name: logins[name], reverse=True)[most:]
        return {name for name in oldest for key in keys[name] if self._end(key, Reason.LIMIT)}

    def _end_lineage(self, owners: list[str], lineage: bytes, reason: Reason) -> int:
        return self._end_all(owners, lambda other: other == lineage, reason)

    def _end_all(
        self, owners: list[str], is_meant: Callable[[bytes], bool], reason: Reason, *, since: float = math.inf
    ) -> int:
        """List again from the start until a pass finds nothing: a token may be renewed behind the cursor meanwhile.

        :param is_meant: tells by the lineage.
        :param since: logins that are later are none of a second pass. In the first they are: what is there by then
            was there before the call, whatever the clock of the server says that made it.
        """
        ended: set[bytes] = set()
        tried: set[str] = set()
        latest, goes_on = math.inf, True
        while goes_on:
            goes_on = False
            for record, device in self._entries(owners):
                if not is_meant(device.lineage) or _started_at(record, device) > latest:
                    continue
                if self._end(record.key, reason):
                    ended.add(device.lineage)
                    goes_on = True
                elif record.key not in tried:
                    goes_on = True
                tried.add(record.key)
            latest = since
        return len(ended)

    def _end(self, key: str, reason: Reason) -> bool:
        found = self._backend.load_key(key, now=self._clock.now())
        return found is not None and self._bury(found, reason)

    def _bury(self, found: Found, reason: Reason) -> bool:
        # One whose token was renewed since it was listed leads to the record under which it goes on.
        if self._backend.end(found, reason, now=self._clock.now()).outcome is not Outcome.OK:
            return False
        self._tell(reason, found.contents.user if found.contents else None)
        return True

    def _entries(self, owners: list[str]) -> Iterator[tuple[Record, Device]]:
        if not self._backend.store.capabilities & (Capability.INDEX | Capability.INDEX_BEST_EFFORT):
            raise SessionKitError(
                "This store cannot list a user's sessions. Choose one that can; the documentation has a table."
            )
        for owner in owners:
            now, after = self._clock.now(), None
            while records := self._backend.store.list_owner(owner, now=now, limit=self._page, after=after):
                for record in records:
                    yield record, Device.of(self._backend.info_of(record))
                after = records[-1].key


def _started_at(record: Record, device: Device) -> float:
    return started_at(record.created_at, device.login_at)


def _name_of(record: Record, device: Device) -> object:
    """Return what stays of a session when its token is renewed."""
    return device.lineage or record.key
