"""What requests cost: the calls of an application's store, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flask import request

from ..interface import interface_of
from ..stores.base import Store
from .around import StoreAround
from .parts import exchanged

if TYPE_CHECKING:
    from flask import Flask, Request

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Trips:
    """The calls of a store that were made inside of a ``round_trips`` block, so far."""

    def __init__(self) -> None:
        """Begin with none; made by ``round_trips``."""
        self._made: list[tuple[Request | None, str]] = []

    @property
    def count(self) -> int:
        """How many calls there were."""
        return len(self._made)

    @property
    def calls(self) -> list[str]:
        """Their names, in the order in which they began: ``["load", "replace"]``."""
        return [call for _, call in self._made]

    def note(self, call: str) -> None:
        """Count a call; the store does this."""
        asker = request._get_current_object() if request else None  # type: ignore[attr-defined]  # the proxy's own
        self._made.append((asker, call))

    def __str__(self) -> str:
        """Tell the calls by the request that made them: ``GET /: load; POST /add: load, replace``."""
        told = []
        for _, made in groupby(list(self._made), lambda one: id(one[0])):
            askers, calls = zip(*made, strict=True)
            where = f"{askers[0].method} {askers[0].path}" if askers[0] else "no request"
            told.append(f"{where}: {', '.join(calls)}")
        return "; ".join(told)


@contextmanager
def round_trips(app: Flask, *, max: int | None = None) -> Iterator[Trips]:
    """Count what an application asks its store inside of the block, in all threads.

    .. code-block:: python

        with round_trips(app, max=1):
            client.get("/account")

    Counted are calls of the store, those that failed too, and not what goes over a wire. On Redis, PostgreSQL and
    MariaDB a ``load``, a ``touch``, a ``create``, a ``replace`` and a ``delete`` are one round trip each, but for the
    first of a connection and for a ``replace`` that another request came before. More than one are: ``list_owner`` on
    Redis and Memcached, ``scan`` everywhere, and on Memcached and a Redis Cluster what writes a signed-in user's
    session in a way that changes the list of them. Files, SQLite and memory have no trips, and the same calls.

    With sessions that lie in browsers it is the calls of ``SESSIONKIT_REVOCATION_STORE``; without one there are none.

    :param max: how many calls there may be; ``None`` only counts.
    :raises AssertionError: at the end of the block: there were more. It names them in order, by request.
    :raises SessionKitError: the application has other sessions.
    """
    trips, store = Trips(), interface_of(app).store
    with nullcontext() if store is None else exchanged(app, store=_CountingStore(store, trips)):
        yield trips
    if max is not None and trips.count > max:
        raise AssertionError(f"The store was called {trips.count} times, more often than max={max}. {trips}.")


class _CountingStore(StoreAround):
    def __init__(self, inner: Store, trips: Trips) -> None:
        super().__init__(inner)
        self._trips = trips

    def _pass_on(self, call: str, method: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        self._trips.note(call)
        return method(*args, **kwargs)
