"""Flask-Session's sessions as what ours take over from."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from ...cookie_policy import CookiePolicy
from ...predecessors import Former
from ...secret_keys import secrets_of
from ...transport import Cookie
from .former_ids import id_in
from .former_records import items_of
from .places import Place
from .session import NAME

_log = logging.getLogger("flask_sessionkit")

#: Flask's own answers about a cookie, which Flask-Session goes by.
_TERMS = CookiePolicy(is_secure=False)


class FormerSessions:
    """The sessions that Flask-Session kept for an application.

    :param place: where they lie.
    :param prefix: what their names begin with.
    :param id_length: bytes of randomness in their ids.
    """

    #: Ids are; before 0.8 one that a client had made up was kept too, and nobody can tell which.
    has_random_tokens: bool = True

    def __init__(self, app: Any, place: Place, *, prefix: str, id_length: int, is_signed: bool) -> None:
        self._app = app
        self._place = place
        self._prefix = prefix
        self._id_length = id_length
        self._is_signed = is_signed

    @property
    def cookie(self) -> Cookie:
        """The cookie of Flask-Session, under the name that Flask gives to its own."""
        return Cookie(_TERMS, self._app)

    def name(self, token: str) -> str | None:
        """Return what the store of Flask-Session knows a cookie's session by, or ``None``; see ``Predecessor.name``."""
        former_id = id_in(token, length=self._id_length, secrets=self._secrets() if self._is_signed else None)
        return None if former_id is None else self._prefix + former_id

    def load(self, token: str, *, now: float) -> Former | None:
        """Return the session that a cookie names; see ``Predecessor.load``. One that is pickled is none."""
        name = self.name(token)
        lying = None if name is None else self._place.read(name, now=now)
        items = None if lying is None else items_of(lying.data)
        if lying is not None and items is None:
            _tell_of_unreadable()
        if lying is None or not items:
            return None
        # A server of Flask-Session that still answers a slow request writes the record again, to last for so long.
        lifetime: timedelta = self._app.permanent_session_lifetime
        until = max(lying.until or now, now + lifetime.total_seconds())
        return Former(until, items={**items, NAME: secrets.token_urlsafe(32)})

    def retire(self, token: str, *, now: float) -> bool:
        """Remove the session that a cookie named; see ``Predecessor.retire``."""
        name = self.name(token)
        return name is not None and self._place.remove(name)

    def _secrets(self) -> Sequence[bytes]:
        return secrets_of(self._app.secret_key, self._app.config.get("SECRET_KEY_FALLBACKS"))[0][::-1]


@cache
def _tell_of_unreadable() -> None:
    """Say it once in a process: any visitor with such a cookie causes it."""
    _log.warning(
        "A session of Flask-Session is a pickle, which no request reads, or no session. Its visitor has to sign in "
        "again, unless you run flask sessions import-flask-session."
    )
