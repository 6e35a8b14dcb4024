"""The seam: a token to what it stands for, which lies in a store or in the token itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from .contents import Contents, Kind
from .discreet import DiscreetStruct
from .errors import SessionTooLarge
from .policy import Times
from .reasons import Reason
from .record import Outcome, Record, Version

#: Seconds that a tombstone is kept: late requests learn that the session ended, and the user learns why.
TOMBSTONE_KEPT = 60.0


class Found(DiscreetStruct, frozen=True):
    """What a token stands for.

    :param token: what the client holds; ``None`` where only the key is known, or where it holds another one yet.
    :param contents: ``None`` if no secret of the ring opens it.
    :param can_wait: the client may do with the token that it holds, for now.
    """

    key: str
    token: str | None
    contents: Contents | None
    record: Record
    can_wait: bool = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # reporters of errors show the variables of a frame, and this holds a token

    @property
    def version(self) -> Version:
        """The version that was read or written."""
        return self.record.version

    def times(self, contents: Contents) -> Times:
        """Return what the session's life is judged by."""
        return Times(contents.created_at, contents.login_at, self.record.seen_at, contents.idle, contents.absolute_at)


class Update(Struct, frozen=True):
    """What became of an update.

    :param found: with ``OK`` what was written, with ``CONFLICT`` what is there now.
    """

    outcome: Outcome
    found: Found | None = None


class Backend(Protocol):
    """What the life of a session needs of the place where it is kept."""

    def could_be(self, text: str) -> bool:
        """Return whether a text could be a token here; anything else is none, and costs nothing more."""
        ...

    def load(self, token: str, *, now: float, touch_every: float | None, touch_within: float) -> Found | None:
        """Return what a token stands for, whatever it is, or ``None``; touched, if that can be done in one trip.

        :param touch_every: see ``Store.load``.
        :param touch_within: see ``TouchesOnLoad.load``.
        :raises StoreError: the store cannot answer.
        """
        ...

    def is_touch_due(self, found: Found, *, now: float, touch_every: float) -> bool:
        """Return whether "last seen" is to be written."""
        ...

    def touch(self, found: Found, *, now: float, touch_every: float) -> Found:
        """Write down that a session was seen, unless it changed meanwhile; return it as it is then.

        :raises StoreError: the store cannot answer.
        """
        ...

    def load_key(self, key: str, *, now: float, token: str | None = None) -> Found | None:
        """Return what lies under a key, whatever it is, or ``None``.

        :raises StoreError: the store cannot answer.
        """
        ...

    def create(
        self, contents: Contents, *, seen_at: float, info: bytes = b"", renewed_from: Found | None = None
    ) -> Found:
        """Keep a session under a new token.

        :param seen_at: Unix seconds.
        :param renewed_from: it is this session, which goes on once this one is retired to it.
        :raises SessionTooLarge: nothing was stored.
        :raises StoreError: the store cannot answer.
        """
        ...

    def update(self, found: Found, contents: Contents, *, now: float, seen_at: float | None = None) -> Update:
        """Overwrite what was found, unless it changed meanwhile.

        :param seen_at: Unix seconds; ``None`` leaves "last seen" as it is.
        :raises SessionTooLarge: nothing was stored.
        :raises StoreError: the store cannot answer.
        """
        ...

    def end(self, found: Found, reason: Reason, *, now: float) -> Update:
        """End a session, whatever is written to it meanwhile, and follow it where its token is renewed meanwhile.

        :return: ``OK`` if it was this call that ended it, ``CONFLICT`` with the tombstone that was there, or ``GONE``.
        :raises StoreError: the store cannot answer.
        """
        ...

    def retire(self, found: Found, reason: Reason, *, now: float, goes_on_as: Found | None = None) -> Update:
        """End what was found, unless it changed or ended meanwhile.

        :param goes_on_as: what the same session is from now on.
        :raises StoreError: the store cannot answer.
        """
        ...

    def successor(self, found: Found, *, now: float) -> Found | None:
        """Return that under which a session goes on whose token was renewed, or ``None``.

        :raises StoreError: the store cannot answer.
        """
        ...

    def delete(self, found: Found) -> bool:
        """Take back what was created and nobody has a token of; return whether it was this call that did.

        :raises StoreError: the store cannot answer.
        """
        ...

    def info_of(self, record: Record) -> bytes:
        """Return a record's info as it was before it was sealed, if it was."""
        ...

    def token_of(self, found: Found) -> str | None:
        """Return the token that the client shall hold from now on."""
        ...


def is_tombstone(found: Found) -> bool:
    """Return whether this is what an end left behind."""
    return found.contents is not None and found.contents.kind is Kind.TOMBSTONE


def is_left(found: Found) -> bool:
    """Return whether this is what a session left behind, which may lead to where it goes on."""
    return found.contents is not None and found.contents.kind is not Kind.LIVE


def tombstone(reason: Reason, found: Found, now: float, target: str | None = None) -> Contents:
    """Return what takes a session's place when it ends: why, and nothing else of it.

    :param target: the key under which the same session goes on.
    """
    return Contents(
        kind=Kind.TOMBSTONE,
        idle=TOMBSTONE_KEPT,
        absolute_at=now + TOMBSTONE_KEPT,
        created_at=now if found.contents is None else found.contents.created_at,
        lineage=b"",
        reason=reason,
        target=target,
    )


def too_large(data: Mapping[str, bytes], fault: str, mend: str) -> SessionTooLarge:
    """Return the error of a session that is too large; it names the largest keys."""
    largest = sorted(data, key=lambda name: len(data[name]), reverse=True)[:3]
    named = ", ".join(f"{name!r} ({len(data[name])} bytes)" for name in largest)
    return SessionTooLarge(f"{fault}; its largest keys: {named}. {mend} Nothing was saved.")
