"""What the failure tests share: a site with the library's own timeout, behind a wire that can be broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flow_fixtures import each_of
from flow_site import Site, login, look
from flow_stores import SERVED_KINDS, prepare
from servers import Proxy

#: Seconds: the default of SESSIONKIT_STORE_TIMEOUT.
TIMEOUT = 0.5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a server does when it fails is the same under every version of Python: tried once."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.thorough)


kind = each_of(SERVED_KINDS)


@pytest.fixture
def folder(kind: str, tmp_path: Path, wire: Proxy, request: pytest.FixtureRequest) -> Path:
    return prepare(kind, tmp_path, request, wire=wire)


@pytest.fixture
def patience() -> float:
    return TIMEOUT


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site that was in use: its store has connections, its table and its scripts."""
    site = make_site()
    site.ask(site.token(login("warm")), look)
    return site
