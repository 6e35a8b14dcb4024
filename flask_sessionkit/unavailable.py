"""The 503 in the place of a response, where the session store could not answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from werkzeug.exceptions import ServiceUnavailable

if TYPE_CHECKING:
    from flask import Flask, Response

_log = logging.getLogger("flask_sessionkit")

#: Seconds until a client may ask again when the store could not answer.
RETRY_AFTER = 5


def become_unavailable(app: Flask, response: Response) -> None:
    """Turn a response into a 503: what it says may rest on a session that was not saved."""
    error = ServiceUnavailable("The session store could not answer.", retry_after=RETRY_AFTER)
    try:
        answer = app.make_response(app.handle_http_exception(error))
    except Exception:  # noqa: BLE001  # the application's own page may fail in any way; it is no reason to answer 200
        _log.exception("The page for a 503 failed.")
        answer = app.make_response(error)
    response.close()
    response.direct_passthrough = False
    response.status = answer.status if answer.status_code >= 500 else "503 SERVICE UNAVAILABLE"
    response.set_data(answer.get_data())
    # A login that was not made leaves no remember cookie behind; what logs out may go on doing so.
    deleting = [cookie for cookie in response.headers.getlist("Set-Cookie") if "; Max-Age=0" in cookie]
    response.headers.setlist("Set-Cookie", deleting)
    for name in ("Location", "Content-Encoding", "Content-Disposition", "Content-Range", "ETag", "Last-Modified"):
        response.headers.pop(name, None)
    response.headers["Content-Type"] = answer.headers["Content-Type"]
    response.headers["Retry-After"] = answer.headers.get("Retry-After", str(RETRY_AFTER))
    response.headers["Cache-Control"] = "no-store"
