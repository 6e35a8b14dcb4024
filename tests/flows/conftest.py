"""What the flow tests share: a clock that stands, every kind of store, and a site on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_site import Site
from flow_stores import KINDS, open_store, prepare

from flask_sessionkit.testing import FrozenClock, PausingStore


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where ``open_store`` finds the test's own records of this kind; its server runs."""
    return prepare(kind, tmp_path, request)


@pytest.fixture
def store(kind: str, folder: Path) -> PausingStore:
    """Each kind of store in turn, that can be stopped and counts its calls."""
    return PausingStore(open_store(kind, folder))


@pytest.fixture
def make_site(store: PausingStore, clock: FrozenClock) -> Callable[..., Site]:
    """Make a site on the store, with settings of the test's own."""

    def make(**config: Any) -> Site:
        return Site(config.pop("store", store), config.pop("clock", clock), **config)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
