"""The way of a visitor to the login, and back."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from flask import abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import BuildError

from .errors import ConfigError

#: One slash, then neither a slash nor a backslash, and no character that browsers drop or fold on the way.
_OWN_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]*")

#: What may stand in a path beside letters and digits (RFC 3986, 3.3).
_UNQUOTED = "/:@!$&'()*+,;="


def next_url(default: str = "/") -> str:
    """Return where the visitor wanted to go before the login, if that stays on this origin.

    Read from ``next`` of the query or the form.

    :param default: given for anything that could lead elsewhere.
    """
    wanted = request.values.get("next", "")
    return wanted if _OWN_PATH.fullmatch(wanted) else default


def send_to_login(endpoint: str | None) -> ResponseReturnValue:
    """Send who is not signed in to the page for that, or answer 401 where no page was asked for, or there is none.

    :param endpoint: of the page.
    :raises ConfigError: there is no such endpoint.
    """
    if endpoint is None or not _wants_page():
        abort(401)
    try:
        if request.method not in ("GET", "HEAD"):
            return redirect(url_for(endpoint), 303)
        return redirect(url_for(endpoint, next=_asked_for()))
    except BuildError as error:
        raise ConfigError(
            f"SESSIONKIT_LOGIN_VIEW is {endpoint!r}, and there is no such endpoint. That of a view in a blueprint "
            'begins with the blueprint\'s name: "accounts.login".'
        ) from error


def _asked_for() -> str:
    # Werkzeug gives the path decoded, so a "?" in it would begin a query; and its full_path raises for odd bytes.
    path = quote(request.script_root + request.path, safe=_UNQUOTED)
    query = quote(request.query_string, safe=f"{_UNQUOTED}?%")
    return f"{path}?{query}" if query else path


def _wants_page() -> bool:
    site: Any = current_app.session_interface
    if site.is_by_header(request):
        return False
    # Browsers say what a request is for (Fetch Metadata); older ones and other clients say what they accept.
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    if request.is_json or request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return False
    accepts = request.accept_mimetypes
    return not accepts or accepts.best_match(["text/html", "application/json"]) == "text/html"
