"""What is asked of a place where Flask-Session kept sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ...discreet import DiscreetStruct


class Lying(DiscreetStruct, frozen=True):
    """A record of Flask-Session's, as it lies there.

    :param spot: what the place knows it by.
    :param data: of the session, in whatever format.
    :param until: Unix seconds; ``None`` where the place tells of no end.
    """

    spot: str
    data: bytes
    until: float | None = None

    def __repr__(self) -> str:
        return "<Lying>"  # reporters of errors show the variables of a frame, and this holds a session's id and data


class Place(Protocol):
    """Where Flask-Session kept sessions. Safe for threads and after a fork; nothing here reads a pickle."""

    def read(self, name: str, *, now: float) -> Lying | None:
        """Return what lies under a name and has not ended.

        :param name: Flask-Session's: its prefix and the id.
        :raises StoreError: the place cannot answer.
        """
        ...

    def remove(self, name: str) -> bool:
        """Remove what lies under a name; return whether it was this call that did.

        :raises StoreError: the place cannot answer.
        """
        ...

    def walk(self, *, now: float) -> Iterator[Lying]:
        """Yield everything of Flask-Session's that lies there and has not ended, a page at a time.

        :raises StoreError: the place cannot answer, or cannot be walked.
        """
        ...

    def rewrite(self, lying: Lying, data: bytes, *, now: float) -> bool:
        """Put other data in a record's place, which ends when it would have; ``False`` if it is another one by now.

        :raises StoreError: the place cannot answer.
        """
        ...
