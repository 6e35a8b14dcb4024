"""Flask's doors to sessions, with the one that Flask-Session has besides."""

from __future__ import annotations

from flask.sessions import SessionMixin

from ...interface import SessionKitInterface
from .places import Place
from .session import FormerSession
from .translation import Translation


class FormerInterface(SessionKitInterface):
    """The interface that an application of Flask-Session finds as ``app.session_interface``.

    :ivar means: what the settings of Flask-Session mean here.
    :ivar place: where Flask-Session kept sessions.
    """

    means: Translation = Translation("null", "")
    place: Place | None = None

    def regenerate(self, session: SessionMixin) -> None:
        """Go on under a new token, as ``session.regenerate()`` does."""
        if isinstance(session, FormerSession) and session:
            session.regenerate()
