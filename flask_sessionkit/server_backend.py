"""Sessions that are kept by a store: a random token leads to a record."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import cast

from msgspec import structs
from msgspec.structs import replace

from .backends import TOMBSTONE_KEPT, Found, Update, is_left, is_tombstone, tombstone, too_large
from .clock import settled, touch_is_due
from .contents import Contents, Kind
from .errors import StoreError
from .reasons import Reason
from .record import Outcome, Record
from .sealing import OVERHEAD, OVERHEAD_ENCRYPTED, KeyRing
from .stores.base import Capability, LimitsPayload, RemembersEnds, Scans, Store, Touches, TouchesOnLoad
from .tokens import is_token, key_of, key_of_former, new_token

#: Attempts at a compare-and-swap before an end simply deletes: a logout has to win against any number of writers.
_ATTEMPTS = 16
#: Sessions of which a process knows when they were seen: some 2 MB.
_MOST_SEEN = 10_000


class ServerBackend:
    """Sessions that lie in a store, sealed and filed under the hash of their token.

    :param max_size: bytes of one encoded session.
    :param encrypts: what is written can be read by nobody who has the store alone. What is there is read either way.
    """

    def __init__(self, store: Store, ring: KeyRing, *, app_id: str, max_size: int, encrypts: bool = False) -> None:
        self.store = store
        # Told once: looking into a flag takes a microsecond.
        self._touching = cast(TouchesOnLoad, store) if Capability.TOUCH_ON_LOAD in store.capabilities else None
        self._remembers_ends = isinstance(store, RemembersEnds) and store.remembers_ends
        self._seen = _Seen()
        self._ring = ring
        self._app_id = app_id
        self._encrypts = encrypts
        self._max_size = max_size
        if isinstance(store, LimitsPayload):
            self._max_size = min(max_size, store.max_payload - (OVERHEAD_ENCRYPTED if encrypts else OVERHEAD))

    def could_be(self, text: str) -> bool:
        """Return whether a text could be a token; nothing else reaches the store."""
        return is_token(text)

    def load(self, token: str, *, now: float, touch_every: float | None, touch_within: float) -> Found | None:
        """Return what lies under a token, whatever it is, or ``None``; touched, if the store can do that in one trip.

        :param touch_every: see ``Store.load``.
        :param touch_within: see ``TouchesOnLoad.load``.
        :raises StoreError: the store cannot answer.
        """
        key = key_of(token, self._app_id)
        if self._touching is None or touch_every is None or self._seen.is_no_touch_due(key, now, touch_every):
            record = self.store.load(key, now=now)
        else:
            record = self._touching.load(key, now=now, touch_every=touch_every, touch_within=touch_within)
        if record is None:
            return None
        if self._touching is not None:
            self._seen.note(key, record.seen_at)
        return self._opened(key, record, token)

    def is_touch_due(self, found: Found, *, now: float, touch_every: float) -> bool:
        """Return whether "last seen" is to be written."""
        return touch_is_due(found.record.seen_at, now, touch_every)

    def touch(self, found: Found, *, now: float, touch_every: float) -> Found:
        """Write down that a session was seen, unless it changed meanwhile; return it as it is then.

        :raises StoreError: the store cannot answer.
        """
        record: Record | None
        if isinstance(self.store, Touches):
            record = replace(found.record, seen_at=now) if self.store.touch(found.record, now=now) else None
        else:
            record = self.store.load(found.key, now=now, touch_every=touch_every)
        is_same = record is not None and record.version == found.version
        return Found(found.key, found.token, found.contents, record) if record is not None and is_same else found

    def load_key(self, key: str, *, now: float, token: str | None = None) -> Found | None:
        """Return what lies under a key, whatever it is, or ``None``.

        :raises StoreError: the store cannot answer.
        """
        record = self.store.load(key, now=now)
        return None if record is None else self._opened(key, record, token)

    def create(
        self, contents: Contents, *, seen_at: float, info: bytes = b"", renewed_from: Found | None = None
    ) -> Found:
        """Store a session under a new token.

        :param seen_at: Unix seconds.
        :param renewed_from: without effect here: to retire it is another step.
        :raises SessionTooLarge: nothing was stored.
        :raises StoreError: the store cannot answer.
        """
        token = new_token()
        record = self._record(key_of(token, self._app_id), contents, seen_at=seen_at, info=info)
        if not self.store.create(record):
            raise StoreError("A key drawn from 256 random bits is taken. Check the machine's source of randomness.")
        return Found(record.key, token, contents, record)

    def update(self, found: Found, contents: Contents, *, now: float, seen_at: float | None = None) -> Update:
        """Overwrite what was found, unless it changed meanwhile.

        :param seen_at: Unix seconds; ``None`` leaves "last seen" as it is.
        :raises SessionTooLarge: nothing was stored.
        :raises StoreError: the store cannot answer.
        """
        seen = found.record.seen_at if seen_at is None else max(seen_at, found.record.seen_at)
        info = self.info_of(found.record) if self._encrypts else found.record.info
        record = self._lasting(found, self._record(found.key, contents, seen_at=seen, info=info), contents)
        expected = None if found.contents is None else found.version
        write = self.store.replace(record, expected=expected, now=now)
        if write.outcome is Outcome.OK:
            return Update(Outcome.OK, Found(found.key, found.token, contents, record))
        if write.outcome is Outcome.GONE:
            return Update(Outcome.GONE)
        current = None if write.current is None else self._opened(found.key, write.current, found.token)
        current = current or self.load_key(found.key, token=found.token, now=now)
        return Update(Outcome.CONFLICT if current else Outcome.GONE, current)

    def end(self, found: Found, reason: Reason, *, now: float) -> Update:
        """End a session, whatever is written to it meanwhile, and follow it where its token is renewed meanwhile.

        :return: ``OK`` if it was this call that ended it, ``CONFLICT`` with the tombstone that was there, or ``GONE``.
        :raises StoreError: the store cannot answer.
        """
        attempts = 0
        while is_left(found) or attempts < _ATTEMPTS:
            if is_left(found):
                successor = self.successor(found, now=now)
                if successor is None:
                    return Update(Outcome.CONFLICT, found) if is_tombstone(found) else Update(Outcome.GONE)
                found = successor
            else:
                attempts += 1
                # A store lets nothing be written to what has ended, so this is written as of a second before that. To
                # delete and create instead would let two requests that met the same end both tell of it.
                at = min(now, found.record.expires_at - 1)
                update = self._bury(found, tombstone(reason, found, now), now=now, at=at)
                if update.outcome is Outcome.OK or update.found is None:
                    return update
                found = update.found
        if not self.store.delete(found.key):
            return Update(Outcome.GONE)
        left = tombstone(reason, found, now)
        self.store.create(self._lasting(found, self._record(found.key, left, seen_at=now, info=b""), left))
        return Update(Outcome.OK)

    def retire(self, found: Found, reason: Reason, *, now: float, goes_on_as: Found | None = None) -> Update:
        """Swap what was found to a tombstone, unless it changed or ended meanwhile.

        :param goes_on_as: what the same session is from now on.
        :raises StoreError: the store cannot answer.
        """
        target = None if goes_on_as is None else goes_on_as.key
        return self._bury(found, tombstone(reason, found, now, target), now=now, at=now)

    def lead_on(self, found: Found, to: Found, *, now: float) -> Update:
        """Let what was found lead to the record under which the session goes on, unless it changed or ended meanwhile.

        It does so until the session's absolute end: who comes with the old token long after the new one was shown
        shall be noticed.

        :raises StoreError: the store cannot answer.
        """
        old = found.contents
        if old is None:
            return Update(Outcome.GONE)
        return self.update(found, _alias(old, to, until=old.absolute_at, now=now), now=now, seen_at=now)

    def load_former(self, name: str, *, now: float) -> Found | None:
        """Return what is remembered of a session that was kept in another way, or ``None``.

        :raises StoreError: the store cannot answer.
        """
        return self.load_key(key_of_former(name, self._app_id), now=now)

    def lead_former(self, name: str, to: Found, *, until: float, now: float) -> bool:
        """Let a session that was kept in another way lead to the one that it became; false if it leads anywhere yet.

        :param until: how long to remember it at least, in Unix seconds.
        :raises StoreError: the store cannot answer.
        """
        if to.contents is None:
            return False
        alias = _alias(to.contents, to, until=max(until, to.contents.absolute_at), now=now)
        return self.store.create(self._record(key_of_former(name, self._app_id), alias, seen_at=now, info=b""))

    def successor(self, found: Found, *, now: float) -> Found | None:
        """Return the record under which a session goes on whose token was renewed, or ``None``.

        :raises StoreError: the store cannot answer.
        """
        target = found.contents.target if found.contents else None
        return self.load_key(target, now=now) if target else None

    def delete(self, found: Found) -> bool:
        """Remove a record; return whether it was this call that removed it.

        :raises StoreError: the store cannot answer.
        """
        return self.store.delete(found.key)

    def token_of(self, found: Found) -> str | None:
        """Return the token that the client holds, or shall hold from now on."""
        return found.token

    def info_of(self, record: Record) -> bytes:
        """Return a record's info as it was before it was sealed, if it was."""
        return self._ring.open_info(record.info, key=record.key)

    def scan(self) -> Iterator[Found] | None:
        """Return all that lies in the store, whatever it is; ``None`` if the store cannot be walked.

        The walk raises ``StoreError`` where the store cannot answer; see ``Scans.scan``.
        """
        if not isinstance(self.store, Scans):
            return None
        return (self._opened(record.key, record, None) for record in self.store.scan())

    def owners(self, user_id: str) -> list[str]:
        """Return the names that the store may know a user by, the current secret's first."""
        return self._ring.owners(user_id)

    def _bury(self, found: Found, contents: Contents, *, now: float, at: float) -> Update:
        kept_from = max(at, settled(found.record.seen_at, now))
        contents = structs.replace(contents, idle=now + TOMBSTONE_KEPT - kept_from)
        update = self.update(found, contents, now=at, seen_at=kept_from)
        if update.outcome is not Outcome.GONE:
            return update
        # The clock of a server that renewed the token may be behind: its tombstone has ended for us, and leads on yet.
        left = self.load_key(found.key, now=now)
        leads_on = left is not None and left.contents is not None and left.contents.target is not None
        return Update(Outcome.CONFLICT, left) if leads_on else update

    def _lasting(self, found: Found, record: Record, contents: Contents) -> Record:
        """Return what tells of an end, kept for as long as its store has to know; why, it tells for a minute."""
        if not self._remembers_ends or contents.kind is not Kind.TOMBSTONE:
            return record
        absolute_at = max(record.absolute_at, found.record.absolute_at)
        return replace(record, idle=max(record.idle, absolute_at - record.seen_at), absolute_at=absolute_at)

    def _opened(self, key: str, record: Record, token: str | None) -> Found:
        # By the key that was asked for: of an answer to somebody else's question the seal then does not fit.
        payload = self._ring.open(record.payload, key=key)
        return Found(key, token, None if payload is None else Contents.decode(payload), record)

    def _record(self, key: str, contents: Contents, *, seen_at: float, info: bytes) -> Record:
        payload = contents.encode()
        if len(payload) > self._max_size:
            raise too_large(
                contents.data,
                f"The session has {len(payload)} bytes, more than the {self._max_size} that SESSIONKIT_MAX_SIZE and "
                "the store allow",
                "Keep large things elsewhere and their ids here, or raise the limit.",
            )
        listed_user = contents.user if contents.kind is Kind.LIVE else None
        if self._encrypts and info and listed_user is not None:
            info = self._ring.seal_info(info, key=key)
        return Record(
            key=key,
            payload=self._ring.seal(payload, key=key, encrypts=self._encrypts),
            created_at=contents.created_at,
            seen_at=seen_at,
            idle=contents.idle,
            absolute_at=contents.absolute_at,
            owner=None if listed_user is None else self._ring.owners(listed_user)[0],
            info=b"" if listed_user is None else info,
            version=secrets.token_bytes(8),
        )


def _alias(old: Contents, to: Found, *, until: float, now: float) -> Contents:
    """Return what leads to the record under which a session goes on."""
    return Contents(
        kind=Kind.ALIAS,
        idle=max(until - now, 1.0),
        absolute_at=until,
        created_at=old.created_at,
        lineage=old.lineage,
        login_at=old.login_at,
        user=old.user,
        target=to.key,
        renewed_at=old.renewed_at,
        is_shown=old.is_shown,
    )


class _Seen:
    """When sessions were seen that this process has loaded, as their records said; nothing else is known of them.

    It tells when no touch can be due, since nobody moves "last seen" back: the load is a pure read then, which costs
    PostgreSQL and Redis less. It is a hint: a load that finds a touch due all the same is followed by one.
    """

    def __init__(self) -> None:
        self._seen_at: dict[str, float] = {}

    def is_no_touch_due(self, key: str, now: float, every: float) -> bool:
        seen_at = self._seen_at.get(key)
        return seen_at is not None and not touch_is_due(seen_at, now, every)

    def note(self, key: str, seen_at: float) -> None:
        if len(self._seen_at) >= _MOST_SEEN and key not in self._seen_at:
            self._seen_at.clear()
        self._seen_at[key] = seen_at
