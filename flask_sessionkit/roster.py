"""Who is signed in where: a user's sessions listed and ended."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .beginning import started_at
from .reasons import Reason


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One of a user's sessions. Moments in Unix seconds.

    :param handle: names the session and opens nothing; stays the same when its token is renewed.
    :param login_at: ``None`` where the user came by a remember cookie.
    :param current: it is the session of this request.
    """

    handle: str
    created_at: float
    login_at: float | None
    seen_at: float
    expires_at: float
    user_agent: str
    address: str
    current: bool


class Roster(Protocol):
    """Lists the sessions of users, and ends them."""

    def sessions_of(self, user_id: str, *, current: bytes | None = None) -> list[SessionInfo]:
        """Return a user's live sessions, the latest login first.

        :param current: the lineage of the session of this request.
        :raises SessionKitError: they are not known.
        :raises StoreError: the store cannot answer.
        """
        ...

    def revoke(self, handle: str, *, user_id: str | None = None, reason: Reason = Reason.REVOKED) -> int:
        """End the session that a handle names; return how many that were: 1 or 0.

        :param user_id: end it only if it is this user's.
        :raises SessionKitError: they are not known.
        :raises StoreError: the store cannot answer.
        """
        ...

    def revoke_user(self, user_id: str, *, spared: bytes | None = None, reason: Reason = Reason.REVOKED) -> int:
        """End all of a user's sessions that were signed in by now; return how many that were.

        :param spared: the lineage of a session that stays.
        :raises SessionKitError: they are not known, or not all of them.
        :raises StoreError: the store cannot answer.
        """
        ...

    def revoke_all(self, *, reason: Reason) -> int:
        """End every session of everybody, also of those who are not signed in; return how many that were.

        :raises SessionKitError: not all of them can be found.
        :raises StoreError: the store cannot answer.
        """
        ...

    def end(self, user_id: str, lineage: bytes, reason: Reason) -> int:
        """End one of a user's sessions, whatever its token is by now; return how many that were: 1 or 0.

        :raises SessionKitError: they are not known.
        :raises StoreError: the store cannot answer.
        """
        ...

    def trim(self, user_id: str, *, most: int, without: bytes | None = None) -> int:
        """End a user's oldest logins beyond a number of them; return how many that were.

        Logins at once may all call it: each ends only what is too old by any list.

        :param without: the lineage of a session that is about to end, and counts no more.
        :raises SessionKitError: they are not known.
        :raises StoreError: the store cannot answer.
        """
        ...


def by_login(rows: Iterable[SessionInfo]) -> list[SessionInfo]:
    """Return sessions in the order of a list: the latest login first."""
    return sorted(rows, key=lambda row: started_at(row.created_at, row.login_at), reverse=True)


def handle_of(owner: str, lineage: bytes) -> str:
    """Return what names a session and opens nothing."""
    return base64.urlsafe_b64encode(bytes.fromhex(owner) + lineage).rstrip(b"=").decode()


def parts_of(handle: str) -> tuple[str, bytes]:
    """Return a handle's owner and lineage, both empty for what is no handle."""
    try:
        raw = base64.b64decode(handle + "=" * (-len(handle) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return "", b""
    return (raw[:16].hex(), raw[16:]) if len(raw) == 32 else ("", b"")
