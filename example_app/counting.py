"""What a request costs: its calls of the store, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import g, has_app_context

from flask_sessionkit.stores.base import Store

P = ParamSpec("P")
R = TypeVar("R")

#: The methods that ask a store for something, each once: on a server a round trip.
_CALLS = ("load", "touch", "create", "replace", "delete", "list_owner", "purge")

_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


def count(store: Store | None) -> None:
    """Note the calls of a store from now on. It stays the same store: all else that it can do is left as it is.

    :param store: ``None``: there is nothing to count.
    """
    for name in _CALLS:
        if hasattr(store, name):
            setattr(store, name, _noted(name, getattr(store, name)))


def calls() -> list[str]:
    """Return the calls of this request so far, in their order. The list goes on until the session is saved."""
    noted: list[str] = g.setdefault("store_calls", [])
    return noted


def _noted(name: str, method: Callable[P, R]) -> Callable[P, R]:
    @wraps(method)
    def noting(*args: P.args, **kwargs: P.kwargs) -> R:
        if _is_inside.get() or not has_app_context():
            return method(*args, **kwargs)
        calls().append(name)
        token = _is_inside.set(True)  # a call that a store makes of itself is no second one
        try:
            return method(*args, **kwargs)
        finally:
            _is_inside.reset(token)

    return noting
