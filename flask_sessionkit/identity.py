"""What is a user id, and which one the keys of a session name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from .errors import UnsupportedType


class Items(Protocol):
    """What is needed of a mapping."""

    def __contains__(self, key: object, /) -> bool: ...
    def __getitem__(self, key: Any, /) -> Any: ...


def user_named_in(items: Items, keys: Sequence[str]) -> str | None:
    """Return the user that the first key names which is there and set. ``None`` and the empty text name nobody.

    :raises UnsupportedType: what is there is no user id.
    """
    for key in keys:
        if key in items and (user := user_id_of(key, items[key])) is not None:
            return user
    return None


def user_id_of(key: str, value: Any) -> str | None:
    """Return the user id that a value under an identity key is, or ``None`` for nobody.

    :raises UnsupportedType: it is none.
    """
    match value:
        case None | "":
            return None
        case str() if _is_unicode(value):
            return str(value)
        case bool():
            pass
        case int() | UUID():
            return str(value)
    raise UnsupportedType(
        f"session[{key!r}] names the user, so it must be an int or a str without lone surrogates, not this "
        f"{type(value).__name__}. Keep the user's id there, or take the key out of SESSIONKIT_IDENTITY_KEYS."
    )


def as_user_id(user_id: str | int) -> str:
    """Return a user id as sessions keep it.

    :raises ValueError: it is empty or no valid Unicode.
    :raises TypeError: it is neither str nor int.
    """
    if isinstance(user_id, bool) or not isinstance(user_id, str | int):
        raise TypeError(f"A user id must be str or int, not {type(user_id).__name__}. Pass the user's id.")
    text = str(user_id)
    if not text:
        raise ValueError("A user id must not be empty. Pass the user's id.")
    if not _is_unicode(text):
        raise ValueError("A user id must be valid Unicode, without lone surrogates. Pass the user's id.")
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
