"""Flask's own sessions, which lie signed in the browser, as predecessors of ours."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadData, BadSignature

from .cookie_policy import CookiePolicy
from .predecessors import Former
from .transport import Cookie

if TYPE_CHECKING:
    from flask import Flask


class FlaskCookie:
    """The sessions that Flask signs into its cookie (``flask.sessions.SecureCookieSessionInterface``).

    :param interface: the application's sessions of before; another salt or serializer is theirs to tell.
    """

    #: They are signed and not drawn: two visitors whose data is the same in the same second hold the same text.
    has_random_tokens = False

    def __init__(self, app: Flask, interface: SecureCookieSessionInterface | None = None) -> None:
        self._app = app
        self._interface = interface or SecureCookieSessionInterface()
        #: By the token: what was signed, and when, in Unix seconds.
        self._signed: dict[str, tuple[bytes, float]] = {}

    @property
    def cookie(self) -> Cookie:
        """Flask's cookie, under its plain name and with the attributes that Flask gives it."""
        return CookiePolicy(is_secure=False).cookie(self._app)

    def name(self, token: str) -> str | None:
        """Return what was signed, and when; ``None`` where no secret of the application's did."""
        serializer = self._interface.get_signing_serializer(self._app)
        if serializer is None:
            return None
        for signer in serializer.iter_unsigners():
            try:
                payload, signed_at = signer.unsign(token, return_timestamp=True)
            except BadSignature:
                continue
            self._signed[token] = payload, signed_at.timestamp()
            # A digest, as what was signed can be read, and variables of a frame end up in logs.
            return f"flask:{int(signed_at.timestamp())}:{sha256(payload).hexdigest()}"
        return None

    def load(self, token: str, *, now: float) -> Former | None:
        """Return what a cookie holds, for as long as Flask would take it: ``PERMANENT_SESSION_LIFETIME``."""
        serializer = self._interface.get_signing_serializer(self._app)
        if serializer is None or (token not in self._signed and self.name(token) is None):
            return None
        payload, signed_at = self._signed[token]
        lasts = int(self._app.permanent_session_lifetime.total_seconds())
        # In whole seconds, as itsdangerous counts, which gives the last one too.
        if not 0 <= int(now) - signed_at <= lasts:
            return None
        try:
            items: Any = serializer.load_payload(payload)
        except BadData:
            return None
        return Former(until=signed_at + lasts + 1, items=items) if isinstance(items, dict) and items else None

    def retire(self, token: str, *, now: float) -> bool:
        """Do nothing: Flask keeps no list of its cookies, so that this one is valid until it ends by itself."""
        return True
