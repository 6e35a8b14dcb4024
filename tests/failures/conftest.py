"""What the failure tests share: a site with the library's own timeout, behind a wire that can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_site import Site, login, look
from flow_stores import SERVED_KINDS, open_store, prepare
from servers import Proxy

from flask_sessionkit.testing import FrozenClock, PausingStore

#: Seconds: the default of SESSIONKIT_STORE_TIMEOUT.
TIMEOUT = 0.5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a server does when it fails is the same under every version of Python: tried once."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(params=SERVED_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path, wire: Proxy, request: pytest.FixtureRequest) -> Path:
    return prepare(kind, tmp_path, request, wire=wire)


@pytest.fixture
def store(kind: str, folder: Path) -> PausingStore:
    return PausingStore(open_store(kind, folder, timeout=TIMEOUT))


@pytest.fixture
def site(store: PausingStore) -> Site:
    """A site that was in use: its store has connections, its table and its scripts."""
    site = Site(store, FrozenClock())
    site.ask(site.token(login("warm")), look)
    return site
