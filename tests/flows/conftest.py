"""What the flow tests share: a clock that stands, every kind of store, and a site on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flow_site import SECRET, SENT, Site
from flow_stores import KINDS, open_store, prepare

from flask_sessionkit.testing import FrozenClock, PausingStore


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))


@pytest.fixture(autouse=True)
def listener() -> Iterator[_Listener]:
    """LG-01, KE-07: with all loggers at DEBUG no record and no traceback of any test shows a token or a secret."""
    listener, root = _Listener(), logging.getLogger()
    level = root.level
    SENT.clear()
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield listener
    root.setLevel(level)
    root.removeHandler(listener)
    said = "\n".join(listener.heard)
    assert SECRET not in said
    assert not [token for token in SENT if token in said]


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
