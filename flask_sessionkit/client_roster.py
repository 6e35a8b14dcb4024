"""Who is signed in where, with sessions that lie in browsers: by the standing of each user."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from msgspec.structs import replace

from .clock import Clock
from .errors import SessionKitError
from .reasons import Reason
from .revocations import Revocations
from .roster import SessionInfo, by_login, handle_of, parts_of
from .sealing import KeyRing
from .standings import Standing


class ClientRoster:
    """The sessions of users, as the revocation store knows them.

    :param revocations: ``None``: nothing is known.
    :param tell: called with each user's session that was ended: the reason and the user id.
    """

    def __init__(
        self,
        ring: KeyRing,
        revocations: Revocations | None,
        clock: Clock,
        tell: Callable[[Reason, str | None], None],
    ) -> None:
        self._ring = ring
        self._known = revocations
        self._clock = clock
        self._tell = tell

    def sessions_of(self, user_id: str, *, current: bytes | None = None) -> list[SessionInfo]:
        """Return a user's live sessions, the latest login first; see ``Roster``."""
        held, now = self._revocations().look(user_id), self._clock.now()
        owner = self._ring.owners(user_id)[0]
        rows = [
            SessionInfo(
                handle=handle_of(owner, lineage),
                created_at=entry.created_at,
                login_at=entry.login_at,
                seen_at=entry.seen_at,
                expires_at=entry.expires_at,
                user_agent=entry.user_agent,
                address=entry.address,
                current=lineage == current,
            )
            for lineage, entry in (held.standing.live.items() if held and held.standing else ())
            if now < entry.expires_at
        ]
        return by_login(rows)

    def revoke(self, handle: str, *, user_id: str | None = None, reason: Reason = Reason.REVOKED) -> int:
        """End the session that a handle names; see ``Roster``."""
        known = self._revocations()
        owner, lineage = parts_of(handle)
        if not owner or (user_id is not None and owner not in self._ring.owners(user_id)):
            return 0

        def end_one(standing: Standing) -> tuple[Standing | None, str | None]:
            if lineage not in standing.live:
                return None, None
            return standing.without({lineage: reason}, now=self._clock.now()), standing.user

        user = known.change_at([owner], end_one, stays=True)
        return 0 if user is None else self._told(1, reason, user)

    def revoke_user(self, user_id: str, *, spared: bytes | None = None, reason: Reason = Reason.REVOKED) -> int:
        """End all of a user's sessions that were signed in by now; see ``Roster``. One that is made after it stays."""

        def end_all(standing: Standing) -> tuple[Standing | None, int]:
            ended = {lineage: reason for lineage in standing.live if lineage != spared}
            if not ended:
                return None, 0
            left = standing.without(ended, now=self._clock.now())
            return left if left.live else replace(left, generation=secrets.token_bytes(16)), len(ended)

        return self._told(self._revocations().change(user_id, end_all), reason, user_id)

    def revoke_all(self, *, reason: Reason) -> int:
        """Refuse: sessions of nobody are known nowhere."""
        raise SessionKitError(
            "Sessions lie in browsers here, so no store has all of them. Change SECRET_KEY, and leave the old one out "
            "of SECRET_KEY_FALLBACKS: that ends all of them."
        )

    def end(self, user_id: str, lineage: bytes, reason: Reason) -> int:
        """End one of a user's sessions; see ``Roster``."""

        def end_one(standing: Standing) -> tuple[Standing | None, int]:
            if lineage not in standing.live:
                return None, 0
            return standing.without({lineage: reason}, now=self._clock.now()), 1

        return self._told(self._revocations().change(user_id, end_one), reason, user_id)

    def trim(self, user_id: str, *, most: int, without: bytes | None = None) -> int:
        """End a user's oldest logins beyond a number of them; see ``Roster``."""

        def end_oldest(standing: Standing) -> tuple[Standing | None, int]:
            now = self._clock.now()
            left = standing.swept(now).trimmed(most, now=now, without=without)
            count = len(standing.swept(now).live) - len(left.live)
            return (left, count) if count else (None, 0)

        return self._told(self._revocations().change(user_id, end_oldest), Reason.LIMIT, user_id)

    def _told(self, count: int, reason: Reason, user_id: str) -> int:
        for _ in range(count):
            self._tell(reason, user_id)
        return count

    def _revocations(self) -> Revocations:
        if self._known is None:
            raise SessionKitError(
                "Sessions lie in browsers here, and SESSIONKIT_REVOCATION_STORE is None, so nobody knows which there "
                "are. Set it to the URL of a store on the server."
            )
        return self._known
