"""A response that is sent chunk by chunk, long after its session was saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .session import Session

if TYPE_CHECKING:
    from flask import Response


def watch(response: Response, session: Session) -> None:
    """Let a session take no changes from the first chunk of a streamed response to the last."""
    response.response = _Watched(response.response, session)  # type: ignore[assignment]  # all bytes or all str


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
