"""A store around another one, which can do what that one can."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from ..record import Purged, Record, Version, Write
from ..stores.base import Capability, LimitsPayload, RemembersEnds, Store

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Methods of the protocols beside ``Store``: ``Touches``, ``CountsEnded``, ``Scans``, ``Judges``, ``MakesTable``.
_BESIDE = ("touch", "count_ended", "scan", "judge", "create_table")


class StoreAround:
    """A store around another one; a subclass says what comes with a call.

    What the store inside can do besides can be done here, and nothing else: ``isinstance(store, Touches)`` and its like
    give the same answer.

    :ivar inner: the store inside.
    """

    def __init__(self, inner: Store) -> None:
        """Wrap a store.

        :param inner: any store.
        """
        self.inner = inner
        # On the object: of __getattr__ the protocols take no notice since Python 3.12.
        for name in _BESIDE:
            if callable(method := getattr(inner, name, None)):
                setattr(self, name, partial(self._pass_on, name, method))
        if isinstance(inner, LimitsPayload):
            self.max_payload: int = inner.max_payload
        if isinstance(inner, RemembersEnds):
            self.remembers_ends: bool = inner.remembers_ends

    @property
    def capabilities(self) -> Capability:
        """What the store inside can do."""
        return self.inner.capabilities

    def load(self, key: str, *, now: float, touch_every: float | None = None, **within: float) -> Record | None:
        """Pass on a ``load``, and ``touch_within`` to a store that knows it."""
        return self._pass_on("load", self.inner.load, key, now=now, touch_every=touch_every, **within)

    def create(self, record: Record) -> bool:
        """Pass on a ``create``."""
        return self._pass_on("create", self.inner.create, record)

    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Pass on a ``replace``."""
        return self._pass_on("replace", self.inner.replace, record, expected=expected, now=now)

    def delete(self, key: str) -> bool:
        """Pass on a ``delete``."""
        return self._pass_on("delete", self.inner.delete, key)

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Pass on a ``list_owner``."""
        return self._pass_on("list_owner", self.inner.list_owner, owner, now=now, limit=limit, after=after)

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Pass on a ``purge``."""
        return self._pass_on("purge", self.inner.purge, now=now, limit=limit)

    def _pass_on(self, call: str, method: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        raise NotImplementedError
