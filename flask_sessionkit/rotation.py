"""Old tokens of a session whose token is renewed by age: where they lead, and when one that comes again was stolen."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, runtime_checkable

from msgspec import Struct

from .backends import TOMBSTONE_KEPT, Backend, Found, Update
from .contents import Contents, Kind

#: Seconds for which requests that were sent with the old token are served.
ALIAS_LASTS = 30.0
#: Tokens that one leads through: only crashes and clocks make more than one.
_MOST_HOPS = 4


@runtime_checkable
class LeadsOn(Protocol):
    """A backend that lets an old token lead to the new one for a while."""

    def lead_on(self, found: Found, to: Found, *, now: float) -> Update:
        """Let what was found lead to another record, unless it changed or ended meanwhile.

        :raises StoreError: the store cannot answer.
        """
        ...


class Claim(Enum):
    """What an old token may do."""

    #: It reads and writes, and is given no token.
    FOLLOW = auto()
    #: No client has shown the new token: its answer was lost. The old one is renewed again.
    RENEW = auto()
    #: A client has long shown the new token, so there are two clients.
    STOLEN = auto()


class Trail(Struct, frozen=True):
    """Where an old token leads.

    :param head: what the session is now, live or as its end left it; ``None`` if that cannot be told.
    :param renewed_at: since when a newer token is known to the client; until one is, when the newest was made.
    :param is_shown: a client came with a newer token.
    """

    head: Found | None
    renewed_at: float
    is_shown: bool

    def claim(self, opened_at: float) -> Claim:
        """Return what the old token may do in a request.

        :param opened_at: when the request began, in Unix seconds: one that is slow is no thief.
        """
        if opened_at < self.renewed_at + ALIAS_LASTS:
            return Claim.FOLLOW
        return Claim.STOLEN if self.is_shown else Claim.RENEW


def is_alias(found: Found) -> bool:
    """Return whether this is what a rotation left behind."""
    return found.contents is not None and found.contents.kind is Kind.ALIAS


def trail_of(backend: Backend, alias: Found, *, now: float) -> Trail:
    """Return where an old token leads.

    :raises StoreError: the store cannot answer.
    """
    renewed_at, is_shown, found = 0.0, False, alias
    for _ in range(_MOST_HOPS):
        later = backend.successor(found, now=now)
        if later is None or later.contents is None or not _is_same(alias.contents, later.contents):
            # What the new token led to is gone, so it was shown, and ended or was renewed again.
            return Trail(None, renewed_at, is_shown=True)
        if not is_shown:
            renewed_at, is_shown = _news_of(later.contents)
        if later.contents.kind is not Kind.ALIAS:
            return Trail(later, renewed_at, is_shown)
        found = later
    return Trail(None, renewed_at, is_shown)


def followed(backend: Backend, found: Found | None, *, now: float) -> Found | None:
    """Return the live session that something found is, or leads to as the same session; ``None`` if it is over.

    :raises StoreError: the store cannot answer.
    """
    if found is not None and is_alias(found):
        found = trail_of(backend, found, now=now).head
    return found if found and found.contents and found.contents.kind is Kind.LIVE else None


def _news_of(later: Contents) -> tuple[float, bool]:
    """Return since when a newer token is out, and whether a client came with it."""
    if later.kind is Kind.TOMBSTONE:
        # Where the session goes on, it was renewed by a client that had the newer token; elsewhere it is over.
        return later.absolute_at - TOMBSTONE_KEPT, True
    return later.token_made_at, later.is_shown


def _is_same(one: Contents | None, other: Contents) -> bool:
    return other.kind is Kind.TOMBSTONE or (one is not None and _names(one) == _names(other))


def _names(one: Contents) -> tuple[object, ...]:
    return one.user, one.created_at, one.login_at, one.lineage
