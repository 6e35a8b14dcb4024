"""What a check says: a mark, and a sentence with the mend of a fault."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Mark(StrEnum):
    """How a point is judged."""

    OK = "ok"
    #: Works, and says what it does not do.
    NOTE = "note"
    #: Unsafe in a deployment.
    FAULT = "fault"


class Finding(Struct, frozen=True):
    """One point of a check.

    :param about: the setting, or what stands behind it.
    :param text: what was found, with the mend of a fault.
    """

    mark: Mark
    about: str
    text: str
