"""What a session's keys are stored as."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from . import codec

_ODD = "\x00"


def name_of(key: Any) -> str:
    """Return the name of a key: itself, but for the odd ones (a number, a text that is no UTF-8).

    :raises TypeError: the key's type cannot be kept.
    """
    if isinstance(key, str) and not key.startswith(_ODD):
        text = str.__str__(key)  # an enumeration's member, as Flask's own session keeps it
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _ODD + base64.urlsafe_b64encode(codec.encode(key)).decode()


def is_own_name(key: Any) -> bool:
    """Return whether a key is surely stored under itself; most are."""
    return type(key) is str and key.isascii() and key[:1] != _ODD


def by_key(data: Mapping[str, bytes]) -> dict[Any, bytes]:
    """Return data by the keys that the application knows. Quick where all names are their keys."""
    if _ODD not in "".join(data):
        return dict(data)
    return {_key_of(name): encoded for name, encoded in data.items()}


def _key_of(name: str) -> Any:
    return codec.decode(base64.urlsafe_b64decode(name[1:])) if name.startswith(_ODD) else name
