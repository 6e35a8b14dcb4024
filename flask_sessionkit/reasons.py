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
    #: By somebody who is not the user.
    ADMINISTRATOR = "administrator"
    #: A token came again long after its browser was given the next one, so that somebody may have copied it.
    ROTATED = "rotated"

    @property
    def is_known_to_browser(self) -> bool:
        """Return whether the browser was sent a newer or a deleting cookie when the session ended so."""
        return self in (Reason.LOGOUT, Reason.REPLACED)

    @property
    def can_be_given(self) -> bool:
        """Return whether who ends a session from outside of it may say that it ended so."""
        return self in (Reason.REVOKED, Reason.ADMINISTRATOR, Reason.STAMP, Reason.LIMIT)
