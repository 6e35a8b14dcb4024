"""Why a session is no more."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a session ended; ``session.ended_because`` and the signal ``session_ended`` give it."""

    LOGOUT = "logout"
    IDLE = "idle"
    ABSOLUTE = "absolute"
    REVOKED = "revoked"
    REPLACED = "replaced"
    LIMIT = "limit"
    STAMP = "stamp"

    @property
    def is_known_to_browser(self) -> bool:
        """Return whether the browser was sent a newer or a deleting cookie when the session ended so."""
        return self in (Reason.LOGOUT, Reason.REPLACED)
