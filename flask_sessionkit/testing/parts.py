"""Parts of an application under test, exchanged for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..clock import Clock
from ..interface import interface_of
from ..stores.base import Store

if TYPE_CHECKING:
    from flask import Flask


@contextmanager
def exchanged(app: Flask, *, store: Store | None = None, clock: Clock | None = None) -> Iterator[None]:
    """Let an application's sessions use another store or clock inside of the block.

    :raises SessionKitError: the application has other sessions.
    """
    before = interface_of(app)
    app.session_interface = before.with_parts(store=store, clock=clock)
    try:
        yield
    finally:
        app.session_interface = before
