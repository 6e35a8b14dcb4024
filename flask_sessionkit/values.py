"""A session's values: decoded when they are looked at, encoded again to see what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import codec
from .changes import Changes
from .errors import UnsupportedType
from .names import by_key, is_own_name, name_of


class Values:
    """The application's values over what was stored, and what became of them in one request.

    Who only looks pays for what is looked at: the keys are laid out at the first change, or at a look at all of them.

    :param data: one encoded value per name, as it was stored.
    """

    # Defaults stand on the class: most requests change nothing.
    #: All of them in their order, once they are laid out. Each leads to itself: of two that are equal (``1`` and
    #: ``True``) the first stays, as in a dict, and each has a name of its own to be stored under.
    _keys: dict[Any, Any] | None = None
    _encoded: dict[Any, bytes]  # of those that nobody has looked at; there once they are laid out
    _own: set[Any] | frozenset[Any] = frozenset()  # those that this request put there
    _has_removed = False
    _is_cleared = False

    def __init__(self, data: Mapping[str, bytes]) -> None:
        self._base = data
        self._decoded: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        decoded = self._decoded
        if key in decoded:
            return decoded[key]
        if self._keys is None and is_own_name(key):
            value = decoded[key] = codec.decode(self._base[key])
            return value
        key = self._laid_out()[key]
        value = decoded[key] = codec.decode(self._encoded[key])
        del self._encoded[key]
        return value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._laid_out())

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self._laid_out()))

    def __len__(self) -> int:
        return len(self._base if self._keys is None else self._keys)

    def __contains__(self, key: object) -> bool:
        if self._keys is None and is_own_name(key):
            return key in self._base
        return key in self._laid_out()

    @property
    def may_have_changed(self) -> bool:
        """Whether anything was set or removed, or a value looked at that can change in place."""
        return self._keys is not None or any(map(codec.can_change, self._decoded.values()))

    def put(self, key: Any, value: Any) -> None:
        """Set a value."""
        key = self._laid_out().setdefault(key, key)
        self._decoded[key] = value
        self._encoded.pop(key, None)
        if not isinstance(self._own, set):
            self._own = set(self._own)
        self._own.add(key)

    def remove(self, key: Any) -> None:
        """Remove a value.

        :raises KeyError: there is none.
        """
        del self._laid_out()[key]
        self._has_removed = True
        self._decoded.pop(key, None)
        self._encoded.pop(key, None)
        self._own = self._own - {key}

    def clear(self) -> None:
        """Remove everything, also what other requests write meanwhile."""
        self._keys, self._encoded, self._own = {}, {}, frozenset()
        self._decoded.clear()
        self._is_cleared = True

    def keep_own(self) -> None:
        """Remove everything but what this request put there."""
        own = {key: self._decoded[key] for key in self._laid_out() if key in self._own}
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
        for key, value in list(self._decoded.items()):  # to encode a lazy text may look at the session
            if key not in self._own and not codec.can_change(value):
                continue
            name, encoded = _encode(key, value)
            if base.get(name) != encoded:
                put[name] = encoded
            if key in self._own:
                own[name] = encoded
        removed = frozenset(base.keys() - {*map(name_of, self._laid_out())}) if self._has_removed else frozenset()
        return Changes(base, put, removed, self._is_cleared, own)

    def rebased(self, data: Mapping[str, bytes], saved: Changes) -> Values:
        """Return the values over what an atomic change saved, with what this request changed besides.

        :param data: all that is stored now.
        :param saved: what the atomic change put and removed.
        """
        pending, rebased = self.changes(), Values(data)
        rebased._is_cleared = self._is_cleared
        for key, value in self._decoded.items():
            name = name_of(key)
            is_current = name in pending.put or data.get(name) == self._base.get(name)
            if is_current and not saved.reaches(name):
                rebased._adopt(key, value, is_own=key in self._own)
        rebased._drop_removed(pending, saved)
        return rebased

    def _adopt(self, key: Any, value: Any, *, is_own: bool) -> None:
        """Go on with the very object that a request has in its hands."""
        key = self._laid_out().setdefault(key, key)
        self._decoded[key] = value
        self._encoded.pop(key, None)
        if is_own:  # what was only looked at is not: a login of another user drops it
            self._own = self._own | {key}

    def _drop_removed(self, pending: Changes, saved: Changes) -> None:
        """Remove what the request had removed before, and nothing that was saved since."""
        for key in list(self._laid_out()):
            name = name_of(key)
            if name in saved.put:
                if pending.cleared:  # made after the clear(), which must not take it along
                    self.put(key, self[key])
            elif name in pending.removed or (pending.cleared and name not in pending.put):
                self.remove(key)

    def _laid_out(self) -> dict[Any, Any]:
        if self._keys is None:
            self._encoded = by_key(self._base)
            self._keys = {key: key for key in self._encoded}
            for key in self._decoded:
                del self._encoded[key]
        return self._keys


def _encode(key: Any, value: Any) -> tuple[str, bytes]:
    try:
        return name_of(key), codec.encode(value)
    except TypeError as error:
        raise UnsupportedType(
            f"session[{key!r}] cannot be kept: {error}. Keep something simpler, or its id. Nothing was saved."
        ) from error
