"""What the flow tests share: a clock that stands, three stores, and a site on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_site import STORES, Site, open_store

from flask_sessionkit.testing import FrozenClock, PausingStore


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, tmp_path: Path) -> PausingStore:
    """Each of the three stores in turn, that can be stopped and counts its calls."""
    return PausingStore(open_store(kind, tmp_path))


@pytest.fixture
def make_site(store: PausingStore, clock: FrozenClock) -> Callable[..., Site]:
    """Make a site on the store, with settings of the test's own."""

    def make(**config: Any) -> Site:
        return Site(config.pop("store", store), config.pop("clock", clock), **config)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
