"""Cookies as Flask signs them, of any moment: what browsers bring that were here before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flow_site import SECRET
from itsdangerous import TimestampSigner


def signed_by_flask(items: Any, *, at: float, secret: str = SECRET, salt: str = "cookie-session") -> str:
    """Return the value of the cookie that Flask would have sent.

    :param at: when it was sent, in Unix seconds.
    """

    class Then(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(at)

    app = Flask("before")
    app.secret_key = secret
    interface = SecureCookieSessionInterface()
    interface.salt = salt
    serializer = interface.get_signing_serializer(app)
    assert serializer is not None
    serializer.signer = Then
    return str(serializer.dumps(items))


def with_login(user: str, **others: Any) -> Mapping[str, Any]:
    """Return the data of a session in which Flask-Login signed somebody in."""
    return {"_user_id": user, "_fresh": True, "_id": "of the browser", **others}
