"""What tests of whole requests are arranged with: a clock that stands, a store of each kind, and a site on it.

A folder or a file says by ``kind = each_of(...)`` which kinds there are, and by a fixture of its own what else differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from flow_site import Site
from flow_stores import PATIENCE, open_store, prepare

from flask_sessionkit.testing import FrozenClock, PausingStore


def each_of(kinds: Iterable[Any]) -> Any:
    """Return the fixture ``kind``, by which each test runs once for every kind of store."""

    @pytest.fixture(params=list(kinds))
    def kind(request: pytest.FixtureRequest) -> str:
        return str(request.param)

    return kind


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def folder(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where ``open_store`` finds the test's own records of this kind; its server runs."""
    return prepare(kind, tmp_path, request)


@pytest.fixture
def patience() -> float:
    """Seconds that the store waits for its server."""
    return PATIENCE


@pytest.fixture
def store(kind: str, folder: Path, patience: float) -> PausingStore:
    """Each kind of store in turn, that can be stopped and counts its calls."""
    return PausingStore(open_store(kind, folder, timeout=patience))


@pytest.fixture
def site_settings() -> dict[str, Any]:
    """What every site of a test is made with."""
    return {}


@pytest.fixture
def make_site(store: PausingStore, clock: FrozenClock, site_settings: dict[str, Any]) -> Callable[..., Site]:
    """Make a site on the store, with settings of the test's own; a second one is another server."""

    def make(**config: Any) -> Site:
        given = {**site_settings, **config}
        return Site(given.pop("store", store), given.pop("clock", clock), **given)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
