"""What the tests of the security requirements run on: every kind of store, the browser, and either way of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow_fixtures import each_of
from flow_stores import KINDS, open_store

from flask_sessionkit.testing import PausingStore

#: Kinds that are no store of their own; they are tried over memory. ``header``: there the token travels.
KINDS_OVER_MEMORY = {
    "encrypted": {"SESSIONKIT_ENCRYPT_RECORDS": True},
    "cookie": {"in_cookies": True},
    "header": {"by_header": True},
    "sealed header": {"by_header": True, "in_cookies": True},
}

kind = each_of([*KINDS, *KINDS_OVER_MEMORY])


@pytest.fixture
def store(kind: str, folder: Path) -> PausingStore:
    return PausingStore(open_store("memory" if kind in KINDS_OVER_MEMORY else kind, folder))


@pytest.fixture
def site_settings(kind: str) -> dict[str, Any]:
    return dict(KINDS_OVER_MEMORY.get(kind, {}))
