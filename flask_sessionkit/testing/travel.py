"""Time travel: the clock of an application under test, in a test's hand for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..interface import interface_of
from .clock import FrozenClock
from .parts import exchanged

if TYPE_CHECKING:
    from flask import Flask


@contextmanager
def time_travel(app: Flask) -> Iterator[FrozenClock]:
    """Stop an application's clock inside of the block, and give it to the test to move.

    .. code-block:: python

        with time_travel(app) as clock:
            client.login("ann")
            clock.tick(minutes=31)
            assert client.get("/account").status_code == 401

    It begins at the application's own time and moves everything that sessions are judged by: timeouts, "last seen",
    how fresh a login is, ``kit.purge()``. It moves no other clock: ``time.time()`` goes on, and with it what other
    extensions ask, such as the age of Flask-WTF's tokens. Afterwards the application has its own clock again, and
    sessions that were seen in between keep the times that were written.

    :raises SessionKitError: the application has other sessions.
    """
    clock = FrozenClock(interface_of(app).clock.now())
    with exchanged(app, clock=clock):
        yield clock
