"""Sessions that are kept by the browser: the token is the session, sealed."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from .backends import TOMBSTONE_KEPT, Found, Update, too_large
from .clock import settled, touch_is_due
from .contents import Contents, Kind
from .device import Device
from .discreet import DiscreetStruct
from .errors import SessionKitError, StoreError
from .layout import Layout
from .reasons import Reason
from .record import Outcome, Record
from .revocations import Held, Revocations
from .sealing import OVERHEAD_ENCRYPTED, KeyRing
from .standings import Entry, Standing
from .tokens import is_sealed

#: Characters that nobody's session leaves free, so that a full cart keeps nobody from signing in: for a user id and a
#: stamp of 64 bytes each, times and ids.
_FOR_A_LOGIN: Final = 360
#: Stands in for a generation that is not known yet, when a session is measured.
_GENERATION: Final = bytes(16)


class _Sealed(DiscreetStruct, frozen=True, array_like=True):
    """What lies inside of a token.

    :param edition: 16 random bytes, others after each login and renewal.
    :param generation: of the user's standing; ``None`` where nobody is bound or nothing is kept of users.
    """

    seen_at: float
    edition: bytes
    generation: bytes | None
    contents: Contents

    def __repr__(self) -> str:
        return "<_Sealed>"


class Unsealed(Found, frozen=True):
    """What a token holds, or is to hold.

    :param held: what was known of the user's sessions when it was loaded.
    """

    edition: bytes = b""
    generation: bytes | None = None
    held: Held | None = None


class ClientBackend:
    """Sessions that lie in the browser. The last writer wins: there is nothing to merge with.

    :param revocations: knows which sessions of users count; ``None``: all do that are not past their end.
    :param room: how many characters a token may have, so that browsers and servers take the cookie.
    """

    def __init__(self, ring: KeyRing, revocations: Revocations | None, *, room: int) -> None:
        self.revocations = revocations
        self._ring = ring
        self._room = room

    def could_be(self, text: str) -> bool:
        """Return whether a text could be a token."""
        return is_sealed(text)

    def opened(self, token: str) -> Unsealed:
        """Return what a token holds, without a look at whether it counts."""
        # Here alone a variable holds what can be read, and nothing that can fail is called beside it.
        opened = self._ring.open_cookie(token)
        sealed = None if opened is None else _layout.decode(opened[0])
        if opened is None or sealed is None:
            return Unsealed("", token, None, _NOTHING)
        # What an older secret sealed is sealed again, and sent.
        return _unsealed(sealed, sealed.generation, token=token if opened[1] else None)

    def load(self, token: str, *, now: float, touch_every: float | None, touch_within: float) -> Found | None:
        """Return what a token holds; where it is a user's, after a look at whether it counts.

        :raises StoreError: it is a user's, and the revocation store cannot answer.
        """
        found = self.opened(token)
        if found.contents is None or found.contents.user is None:
            return found
        if self.revocations is None:
            # One that was noted where nobody can look any more may have ended there.
            return found if found.generation is None else replace(found, contents=_buried(None, 0.0))
        held = self.revocations.look(found.contents.user)
        refused = _refusal(held.standing if held else None, found, found.contents)
        return replace(found, held=held) if refused is None else replace(found, contents=refused)

    def is_touch_due(self, found: Found, *, now: float, touch_every: float) -> bool:
        """Return whether "last seen" is to be written, into the cookie or to where the user's sessions are known."""
        entry = _entry_of(found)
        if touch_is_due(found.record.seen_at, now, touch_every):
            return True
        if entry is None or found.contents is None:
            return False
        return touch_is_due(entry.seen_at, now, touch_every) or entry != _limited(entry, found.contents)

    def touch(self, found: Found, *, now: float, touch_every: float) -> Found:
        """Return a session as seen now, which the browser has to be told; as it is, if only its entry was due."""
        entry, held = _entry_of(found), _own(found).held
        if self.revocations and held and held.standing and entry and found.contents:
            entry = _limited(replace(entry, seen_at=max(settled(entry.seen_at, now), now)), found.contents)
            seen = held.standing.with_live(found.contents.lineage, entry)
            # The cookie says when it was seen; the list of devices does without, where the store takes no writes.
            with suppress(StoreError):
                held = self.revocations.note(held, seen)
        if not touch_is_due(found.record.seen_at, now, touch_every):
            return replace(found, held=held)
        # A slow response may arrive after that of a login, and would put the old cookie back in its place.
        can_wait = found.token is not None and now - found.record.seen_at < found.record.idle / 2
        return replace(found, token=None, record=replace(found.record, seen_at=now), can_wait=can_wait, held=held)

    def load_key(self, key: str, *, now: float, token: str | None = None) -> Found | None:
        """Return nothing: no session can be had without its token."""
        return None

    def create(
        self, contents: Contents, *, seen_at: float, info: bytes = b"", renewed_from: Found | None = None
    ) -> Found:
        """Seal a session into a new token; note it, if it is a user's and no renewal.

        :raises SessionTooLarge: it does not fit into a cookie. Nothing was noted.
        :raises StoreError: it is a user's, and the revocation store cannot answer.
        """
        edition = secrets.token_bytes(16)
        generation = _GENERATION if contents.user is not None and self.revocations is not None else None
        if isinstance(renewed_from, Unsealed):
            generation = renewed_from.generation
        sealed = _Sealed(seen_at, edition, generation, contents)
        self._check_size(sealed)
        if renewed_from is None and contents.user is not None and self.revocations is not None:
            entry = _entry(edition, contents, seen_at, info)

            def sign_in(standing: Standing) -> tuple[Standing, bytes]:
                return standing.with_live(contents.lineage, entry), standing.generation

            generation = self.revocations.change(contents.user, sign_in)
        return _unsealed(sealed, generation)

    def update(self, found: Found, contents: Contents, *, now: float, seen_at: float | None = None) -> Update:
        """Seal what was found with other contents, under the same id.

        :raises SessionTooLarge: it does not fit into a cookie. The one that the browser has stays.
        """
        own = _own(found)
        seen = found.record.seen_at if seen_at is None else max(seen_at, found.record.seen_at)
        sealed = _Sealed(seen, own.edition, own.generation, contents)
        self._check_size(sealed)
        before = found.contents
        if before and (contents.idle, contents.absolute_at) != (before.idle, before.absolute_at):
            self._note_limits(own, contents)
        return Update(Outcome.OK, _unsealed(sealed, own.generation))

    def end(self, found: Found, reason: Reason, *, now: float) -> Update:
        """End a session wherever a copy of it lies; see ``Backend.end``. Of nobody's only this browser's is forgotten.

        :raises StoreError: it is a user's, and the revocation store cannot answer.
        """
        contents = found.contents
        if contents is None:
            return Update(Outcome.GONE)
        if contents.user is None or self.revocations is None:
            # Nothing is remembered. A cookie that ran out of time is brought again and again, and is news only once.
            return Update(Outcome.OK if reason.is_known_to_browser else Outcome.GONE)

        def sign_out(standing: Standing) -> tuple[Standing | None, Contents | None]:
            if contents.lineage in standing.live:
                return standing.without({contents.lineage: reason}, now=now), None
            return None, _dead(standing, contents.lineage)

        dead = self.revocations.change(contents.user, sign_out, held=_own(found).held)
        return Update(Outcome.OK) if dead is None else Update(Outcome.CONFLICT, replace(found, contents=dead))

    def retire(self, found: Found, reason: Reason, *, now: float, goes_on_as: Found | None = None) -> Update:
        """End a session, or let its tokens of now count no longer where it goes on under another; see ``Backend``.

        :raises StoreError: it is a user's, and the revocation store cannot answer.
        """
        contents = found.contents
        later = goes_on_as.contents if goes_on_as else None
        if goes_on_as is None or later is None or contents is None or contents.user is None or self.revocations is None:
            return self.end(found, reason, now=now)
        edition = _own(goes_on_as).edition

        def renew(standing: Standing) -> tuple[Standing | None, Contents | None]:
            refused = _refusal(standing, found, contents)
            if refused is not None:
                return None, refused
            entry = _limited(standing.live[contents.lineage], later)
            return standing.with_live(contents.lineage, replace(entry, edition=edition, renewed_at=now)), None

        dead = self.revocations.change(contents.user, renew, held=_own(found).held)
        return Update(Outcome.OK) if dead is None else Update(Outcome.CONFLICT, replace(found, contents=dead))

    def successor(self, found: Found, *, now: float) -> Found | None:
        """Return nothing: who holds the newer token is not known."""
        return None

    def delete(self, found: Found) -> bool:
        """Take back a login that nobody was told of; of a renewal nothing was noted yet."""
        contents, own = found.contents, _own(found)
        if contents is None or contents.user is None or self.revocations is None:
            return False

        def take_back(standing: Standing) -> tuple[Standing | None, bool]:
            entry = standing.live.get(contents.lineage)
            if entry is None or entry.edition != own.edition:
                return None, False
            return standing.without({contents.lineage: Reason.REPLACED}, now=found.record.seen_at), True

        return self.revocations.change(contents.user, take_back)

    def info_of(self, record: Record) -> bytes:
        """Return nothing: what a device says of itself stands in the user's record."""
        return b""

    def token_of(self, found: Found) -> str | None:
        """Return the token that the browser shall hold, sealed if it does not hold it yet."""
        if found.token is not None or not isinstance(found, Unsealed) or found.contents is None:
            return found.token
        return self._ring.seal_cookie(
            _layout.encode(_Sealed(found.record.seen_at, found.edition, found.generation, found.contents))
        )

    def _note_limits(self, own: Unsealed, contents: Contents) -> None:
        """Tell where the user's sessions are known that this one may live for another time than before."""
        if contents.user is None or self.revocations is None:
            return

        def relimit(standing: Standing) -> tuple[Standing | None, None]:
            entry = standing.live.get(contents.lineage)
            if entry is None:
                return None, None
            return standing.with_live(contents.lineage, _limited(entry, contents)), None

        self.revocations.change(contents.user, relimit, held=own.held)

    def _check_size(self, sealed: _Sealed) -> None:
        size = -(-4 * (len(_layout.encode(sealed)) + OVERHEAD_ENCRYPTED) // 3)
        room = self._room - (_FOR_A_LOGIN if sealed.contents.user is None else 0)
        if size > room:
            raise too_large(
                sealed.contents.data,
                f"The session would have {size} characters in its cookie, more than the {room} that browsers and "
                "servers are sure to take",
                "Keep large things elsewhere and their ids here, or choose a store on the server.",
            )


def _entry(edition: bytes, contents: Contents, seen_at: float, info: bytes) -> Entry:
    device = Device.of(info)
    return Entry(
        edition=edition,
        created_at=contents.created_at,
        login_at=contents.login_at,
        seen_at=seen_at,
        renewed_at=seen_at,
        idle=contents.idle,
        absolute_at=contents.absolute_at,
        user_agent=device.user_agent,
        address=device.address,
    )


def _limited(entry: Entry, contents: Contents) -> Entry:
    """Return an entry that is kept as long as any cookie of its session may live: older ones may have longer limits."""
    idle, absolute_at = max(entry.idle, contents.idle), max(entry.absolute_at, contents.absolute_at)
    return replace(entry, idle=idle, absolute_at=absolute_at)


def _entry_of(found: Found) -> Entry | None:
    held = _own(found).held
    return held.standing.live.get(found.contents.lineage) if held and held.standing and found.contents else None


def _unsealed(sealed: _Sealed, generation: bytes | None, *, token: str | None = None) -> Unsealed:
    key, contents = sealed.edition.hex(), sealed.contents
    record = _record(key, contents, sealed.seen_at)
    return Unsealed(key, token, contents, record, edition=sealed.edition, generation=generation)


def _record(key: str, contents: Contents, seen_at: float) -> Record:
    return Record(
        key=key,
        payload=b"",
        created_at=contents.created_at,
        seen_at=seen_at,
        idle=contents.idle,
        absolute_at=contents.absolute_at,
        owner=None,
        info=b"",
        version=b"",
    )


def _own(found: Found) -> Unsealed:
    if not isinstance(found, Unsealed):
        raise SessionKitError("A session of another kind was taken for a sealed one. Please report this.")
    return found


def _refusal(standing: Standing | None, found: Found, contents: Contents) -> Contents | None:
    """Return what takes the place of a session that does not count, or ``None`` if it does."""
    own = _own(found)
    if standing is None or standing.generation != own.generation:
        if standing is not None and contents.lineage in standing.ended:
            return _dead(standing, contents.lineage)
        return _buried(None, 0.0)
    entry = standing.live.get(contents.lineage)
    if entry is None:
        return _dead(standing, contents.lineage)
    return None if entry.edition == own.edition else _buried(Reason.REPLACED, entry.renewed_at)


def _dead(standing: Standing, lineage: bytes) -> Contents:
    ended = standing.ended.get(lineage)
    return _buried(None, 0.0) if ended is None else _buried(ended.reason, ended.at)


def _buried(reason: Reason | None, at: float) -> Contents:
    return Contents(
        kind=Kind.TOMBSTONE,
        idle=TOMBSTONE_KEPT,
        absolute_at=at + TOMBSTONE_KEPT,
        created_at=at,
        lineage=b"",
        reason=reason,
    )


_NOTHING: Final = Record("", b"", 0.0, 0.0, 0.0, 0.0, None, b"", b"")
_layout = Layout(_Sealed, version=b"\x01")
