"""What the tests of the page of devices share: a clock that stands, and a site on every embedded kind of store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from devices_site import DevicesSite
from flow_stores import KINDS, open_store, prepare

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

#: All but Memcached, whose list may have gaps; what the page says then has tests of its own.
LISTING = [kind for kind in KINDS if "memcached" not in getattr(kind, "values", ())]


@pytest.fixture(params=[*LISTING, "cookie"])
def make_site(request: pytest.FixtureRequest, clock: FrozenClock, tmp_path: Path) -> Callable[..., DevicesSite]:
    in_cookies = request.param == "cookie"
    kind = "memory" if in_cookies else request.param
    store = PausingStore(open_store(kind, prepare(kind, tmp_path, request)))

    def make(**config: Any) -> DevicesSite:
        return DevicesSite(store, clock, in_cookies=in_cookies, **config)

    return make


@pytest.fixture
def site(make_site: Callable[..., DevicesSite]) -> DevicesSite:
    return make_site()


@pytest.fixture
def plain(clock: FrozenClock) -> DevicesSite:
    """For what is the same on every store."""
    return DevicesSite(PausingStore(MemoryStore()), clock)
