"""What becomes of a response: how caches take it, how it streams, and the 503 in its place."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from werkzeug.exceptions import ServiceUnavailable

from .session import Session

if TYPE_CHECKING:
    from flask import Flask, Response

_log = logging.getLogger("flask_sessionkit")

#: Seconds until a client may ask again when the store could not answer.
RETRY_AFTER = 5


def vary_by(response: Response, names: Sequence[str]) -> None:
    """Tell caches that the response depends on these headers of the request."""
    if not has_header(response, "vary"):
        # What werkzeug's vary.update() comes to, in a fifth of the time; a set of names costs as much as a load.
        response.headers.add("Vary", ", ".join(names))
    elif "*" not in response.vary:
        response.vary.update(names)


def has_header(response: Response, name: str) -> bool:
    """Return whether a response has a header.

    :param name: in lower case.
    """
    # To be asked for what is absent makes werkzeug raise an error of its own, which takes longer than all of this.
    for present, _ in response.headers:  # noqa: SIM110  # a generator takes twice as long
        if present.lower() == name:
            return True
    return False


def watch(response: Response, session: Session) -> None:
    """Let a session take no changes from the first chunk of a streamed response to the last."""
    response.response = _Watched(response.response, session)  # type: ignore[assignment]  # all bytes or all str


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


class _Watched:
    """The chunks of a streamed response. From the first to the last of them the session takes no changes.

    No generator: one that was never started (the answer to a HEAD) would leave its chunks open when it is closed.
    """

    def __init__(self, chunks: Iterable[bytes | str], session: Session) -> None:
        self._chunks = chunks
        self._session = session

    def __iter__(self) -> Iterator[bytes | str]:
        self._session.note_sending(True)
        try:
            yield from self._chunks
        finally:
            self._session.note_sending(False)

    def close(self) -> None:
        if hasattr(self._chunks, "close"):
            self._chunks.close()
