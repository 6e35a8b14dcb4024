"""A session's values: decoded when they are looked at, encoded again to see what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import codec
from .changes import Changes
from .errors import UnsupportedType
from .names import by_key, name_of


class Values:
    """The application's values over what was stored, and what became of them in one request.

    :param data: one encoded value per name, as it was stored.
    """

    def __init__(self, data: Mapping[str, bytes]) -> None:
        self._base = data
        self._items: dict[Any, Any] = by_key(data)
        self._encoded = set(self._items)  # those that nobody has looked at
        self._own: set[Any] = set()  # those that this request put there
        self._has_removed = False
        self._is_cleared = False

    def __getitem__(self, key: Any) -> Any:
        value = self._items[key]
        if key in self._encoded:
            value = self._items[key] = codec.decode(value)
            self._encoded.discard(key)
        return value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def put(self, key: Any, value: Any) -> None:
        """Set a value."""
        self._items[key] = value
        self._own.add(key)
        self._encoded.discard(key)

    def remove(self, key: Any) -> None:
        """Remove a value.

        :raises KeyError: there is none.
        """
        del self._items[key]
        self._has_removed = True
        self._own.discard(key)
        self._encoded.discard(key)

    def clear(self) -> None:
        """Remove everything, also what other requests write meanwhile."""
        self._items.clear()
        self._own.clear()
        self._encoded.clear()
        self._is_cleared = True

    def keep_own(self) -> None:
        """Remove everything but what this request put there."""
        own = {key: self._items[key] for key in self._items if key in self._own}
        self.clear()
        for key, value in own.items():
            self.put(key, value)

    def has_put_any(self, keys: tuple[Any, ...]) -> bool:
        """Return whether this request put one of these there."""
        return not self._own.isdisjoint(keys)

    def changes(self) -> Changes:
        """Return what this request changed so far, encoded.

        :raises UnsupportedType: a value cannot come back as it went in.
        """
        base = {} if self._is_cleared else self._base
        put, own = {}, {}
        for key, value in self._items.items():
            if key in self._encoded or (key not in self._own and not codec.can_change(value)):
                continue
            name, encoded = _encode(key, value)
            if base.get(name) != encoded:
                put[name] = encoded
            if key in self._own:
                own[name] = encoded
        removed = frozenset(base.keys() - {*map(name_of, self._items)}) if self._has_removed else frozenset()
        return Changes(base, put, removed, self._is_cleared, own)

    def rebased(self, data: Mapping[str, bytes], saved: Changes) -> Values:
        """Return the values over what an atomic change saved, with what this request changed besides.

        :param data: all that is stored now.
        :param saved: what the atomic change put and removed.
        """
        pending, rebased = self.changes(), Values(data)
        rebased._is_cleared = self._is_cleared
        for key in [key for key in self._items if key not in self._encoded]:
            name = name_of(key)
            if saved.cleared or name in saved.put or name in saved.removed:
                continue
            if name in pending.put or data.get(name) == self._base.get(name):
                rebased._items[key] = self._items[key]
                rebased._encoded.discard(key)
                # What was only looked at is not this request's own: a login of another user drops it.
                if key in self._own:
                    rebased._own.add(key)
        for key in list(rebased._items):
            name = name_of(key)
            if name in saved.put:
                if pending.cleared:  # made after the clear(), which must not take it along
                    rebased.put(key, rebased[key])
            elif name in pending.removed or (pending.cleared and name not in pending.put):
                rebased.remove(key)
        return rebased


def _encode(key: Any, value: Any) -> tuple[str, bytes]:
    try:
        return name_of(key), codec.encode(value)
    except TypeError as error:
        raise UnsupportedType(
            f"session[{key!r}] cannot be kept: {error}. Keep something simpler, or its id. Nothing was saved."
        ) from error
