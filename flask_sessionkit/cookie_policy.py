"""Which cookie an application's settings ask for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from flask import request
from flask.sessions import SessionInterface

from .transport import Attributes, Cookie

if TYPE_CHECKING:
    from flask import Flask

_log = logging.getLogger("flask_sessionkit")

#: What a name may begin with so that browsers enforce rules for it (RFC 6265bis, 4.1.3, and its successor's draft).
_OF_ONE_HOST: Final = ("__host-", "__host-http-")
_HIDDEN: Final = ("__http-", "__host-http-")
_PREFIXES: Final = ("__secure-", *_OF_ONE_HOST, *_HIDDEN)

#: All that Flask is told about its cookie.
_cookie_settings = itemgetter(
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_PATH",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_COOKIE_SAMESITE",
    "APPLICATION_ROOT",
    "DEBUG",
    "TESTING",
)


def cookie_faults(config: Mapping[str, Any], *, is_secure: bool) -> list[str]:
    """Return why browsers would drop the cookie that the settings ask for (RFC 6265bis, 4.1.3 and 5.7), a line each.

    :param is_secure: ``SESSIONKIT_SECURE_COOKIE``.
    """
    name, samesite = str(config["SESSION_COOKIE_NAME"]), config["SESSION_COOKIE_SAMESITE"]
    is_hidden = is_secure or bool(config["SESSION_COOKIE_HTTPONLY"])
    is_secure = is_secure or bool(config["SESSION_COOKIE_SECURE"])
    faults = []
    if name.lower().startswith(_OF_ONE_HOST) and (
        config["SESSION_COOKIE_DOMAIN"] or config["SESSION_COOKIE_PATH"] not in (None, "/")
    ):
        faults.append(
            f"SESSION_COOKIE_NAME {name!r} allows no SESSION_COOKIE_DOMAIN and no SESSION_COOKIE_PATH. "
            "Leave the prefix out; the fitting one is added."
        )
    if name.lower().startswith(_PREFIXES) and not is_secure:
        faults.append(f"SESSION_COOKIE_NAME {name!r} needs a secure cookie. Set SESSIONKIT_SECURE_COOKIE = True.")
    if name.lower().startswith(_HIDDEN) and not is_hidden:
        faults.append(f"SESSION_COOKIE_NAME {name!r} needs SESSION_COOKIE_HTTPONLY = True, which is Flask's default.")
    if samesite is not None and str(samesite).lower() not in ("lax", "strict", "none"):
        faults.append(f"SESSION_COOKIE_SAMESITE must be 'Lax', 'Strict' or 'None', not {samesite!r}.")
    if str(samesite or "").lower() == "none" and not is_secure:
        faults.append("SESSION_COOKIE_SAMESITE 'None' needs a secure cookie. Set SESSIONKIT_SECURE_COOKIE = True.")
    if config["SESSION_COOKIE_PARTITIONED"] and not is_secure:
        faults.append("SESSION_COOKIE_PARTITIONED needs a secure cookie. Set SESSIONKIT_SECURE_COOKIE = True.")
    return faults


@lru_cache(maxsize=16)
def _prefixed(name: str, *, is_placed: bool) -> str:
    if name.lower().startswith(_PREFIXES):
        return name
    return ("__Secure-" if is_placed else "__Host-") + name


class CookiePolicy(SessionInterface):
    """Flask's own questions about its cookie, answered for safety.

    In debug and testing, and with ``SESSIONKIT_SECURE_COOKIE`` off, they have Flask's own answers.

    :param is_secure: ``SESSIONKIT_SECURE_COOKIE``.
    """

    def __init__(self, *, is_secure: bool) -> None:
        self._is_secure = is_secure
        self._has_told_of_http = False
        self._sent_under: tuple[object, ...] | None = None

    def get_cookie_name(self, app: Flask) -> str:
        """Return the cookie's name, with the prefix whose rules browsers enforce (RFC 6265bis, 4.1.3)."""
        name = super().get_cookie_name(app)
        return _prefixed(name, is_placed=self._is_placed(app)) if self._is_hardened(app) else name

    def get_cookie_path(self, app: Flask) -> str:
        """Return the cookie's path."""
        if self._is_hardened(app) and not self._is_placed(app):
            return "/"
        return super().get_cookie_path(app)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the cookie is sent over TLS only."""
        return self._is_hardened(app) or super().get_cookie_secure(app)

    def get_cookie_httponly(self, app: Flask) -> bool:
        """Return whether the cookie is hidden from scripts."""
        return self._is_hardened(app) or super().get_cookie_httponly(app)

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """Return which requests of other sites carry the cookie."""
        samesite = super().get_cookie_samesite(app)
        return samesite or ("Lax" if self._is_hardened(app) else None)

    def _is_hardened(self, app: Flask) -> bool:
        # WebKit drops Secure cookies on http://localhost, so not where people develop.
        return self._is_secure and not (app.config["DEBUG"] or app.config["TESTING"])

    def _is_placed(self, app: Flask) -> bool:
        return bool(app.config["SESSION_COOKIE_DOMAIN"] or app.config["SESSION_COOKIE_PATH"])

    def cookie(self, app: Flask) -> Cookie:
        """Return the cookie that carries a token."""
        return Cookie(self, app)

    def get_cookie_attributes(self, app: Flask) -> Attributes:
        """Return all of the cookie but its name, its value and how long it lasts."""
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }

    def cookie_settings(self, app: Flask) -> tuple[object, ...]:
        """Return all that the cookie depends on."""
        settings: tuple[object, ...] = _cookie_settings(app.config)
        return settings

    def note_sent(self, app: Flask) -> None:
        """Remember what the cookie looked like, and advise if browsers will drop it."""
        self._sent_under = self.cookie_settings(app)
        self._tell_of_http(app)

    def is_outdated(self, app: Flask) -> bool:
        """Return whether the settings changed since a cookie was last sent.

        Flask sends its cookie with every change, which carries changed settings to the browser. Ours has nothing else
        to tell, and could arrive after the newer one of a login: it goes only where the settings did change.
        """
        return self._sent_under not in (None, self.cookie_settings(app))

    def _tell_of_http(self, app: Flask) -> None:
        if self._has_told_of_http or not self._is_hardened(app) or not request or request.is_secure:
            return
        self._has_told_of_http = True
        _log.warning(
            "A session cookie with Secure was sent over plain http, where most browsers drop it. Behind a proxy that "
            "speaks TLS use werkzeug's ProxyFix; without TLS set SESSIONKIT_SECURE_COOKIE = False."
        )
