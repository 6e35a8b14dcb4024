"""What the tests of the security requirements share: a site on every kind of store, and in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_site import Site
from flow_stores import KINDS, open_store, prepare

from flask_sessionkit.testing import FrozenClock, PausingStore

#: Kinds that are no store of their own; they are tried over memory.
KINDS_OVER_MEMORY = {
    "encrypted": {"SESSIONKIT_ENCRYPT_RECORDS": True},
    "cookie": {"in_cookies": True},
    "header": {"by_header": True},
    "sealed header": {"by_header": True, "in_cookies": True},
}


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=[*KINDS, *KINDS_OVER_MEMORY])
def kind(request: pytest.FixtureRequest) -> str:
    """Where sessions lie. ``cookie`` and ``sealed``: in the browser, and the store knows which of them count.

    ``header``: there the token travels.
    """
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return prepare(kind, tmp_path, request)


@pytest.fixture
def store(kind: str, folder: Path) -> PausingStore:
    return PausingStore(open_store("memory" if kind in KINDS_OVER_MEMORY else kind, folder))


@pytest.fixture
def make_site(kind: str, store: PausingStore, clock: FrozenClock) -> Callable[..., Site]:
    """Make a site on the store, with settings of the test's own; a second one is another server."""

    def make(**config: Any) -> Site:
        given = {**KINDS_OVER_MEMORY.get(kind, {}), **config}
        return Site(given.pop("store", store), given.pop("clock", clock), **given)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
