"""Connections to PostgreSQL that wait for no answer longer than they were told."""

from __future__ import annotations

import select
import time
from collections.abc import Generator
from types import BuiltinFunctionType
from typing import Any, TypeVar

import psycopg
from psycopg.waiting import wait_select

T = TypeVar("T")

#: Seconds between two looks at the clock; psycopg's own.
_INTERVAL = 0.1


class NoAnswer(psycopg.OperationalError, TimeoutError):
    """The server did not answer in time; its connection is closed."""


class _Bounded(psycopg.Connection[Any]):
    patience: float

    @classmethod
    def _connect_gen(cls, *args: Any, **kwargs: Any) -> Any:
        # No public name of psycopg limits this below libpq's two seconds. Should this one be renamed, those remain.
        return _within(cls.patience, super()._connect_gen(*args, **kwargs))

    def wait(self, gen: Any, interval: float = _INTERVAL, *args: Any, **kwargs: Any) -> Any:
        steps = _within(self.patience, gen)
        try:
            # psycopg looks for gevent when it is imported. Gunicorn with --preload patches later, in its workers, where
            # one that waits for the server would keep all others waiting.
            if isinstance(select.select, BuiltinFunctionType):
                return super().wait(steps, interval, *args, **kwargs)
            return wait_select(steps, self.pgconn.socket, interval)
        except NoAnswer:
            # Its answer may still come, and must not be taken for another's. Nobody asks the server to cancel: that
            # takes a connection, and an answer, of the same server.
            self.close()
            raise


def bounded(patience: float) -> type[psycopg.Connection[Any]]:
    """Return a class of connections that give up on connecting, and on each answer, after so many seconds.

    It is looked at whenever psycopg wakes up from waiting, which is every 0.1 s. A server's name is resolved outside
    of it. Of several hosts each has the whole time to let us in.
    """
    return type("BoundedConnection", (_Bounded,), {"patience": patience})


def _within(seconds: float, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """Go through the steps of an exchange with the server, and stop when the time is over."""
    deadline = time.monotonic() + seconds
    ready = None
    while True:
        try:
            wanted = steps.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result
        if time.monotonic() >= deadline:
            raise NoAnswer(f"no answer within {seconds:g} s")
        ready = yield wanted
