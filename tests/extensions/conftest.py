"""What the tests beside other extensions share: a clock that stands, and settings for each place of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow_stores import open_store, prepare

#: The kinds of ``flow_stores`` that stand for the others, and the browser. A view of another extension sees no more.
PLACES = ["memory", "files", "sqlite", pytest.param("redis", marks=pytest.mark.redis), "cookie"]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Where sessions lie: a kind, or a URL as the setting has it."""
    return str(request.param)


@pytest.fixture
def settings(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of an application whose sessions lie there; those in the browser can be revoked."""
    told = {"TESTING": True, "SECRET_KEY": "a secret of the tests beside others"}
    if ":" in place:
        return told | {"SESSIONKIT_STORE": place}
    if place == "cookie":
        return told | {"SESSIONKIT_STORE": "cookie:", "SESSIONKIT_REVOCATION_STORE": open_store("files", tmp_path)}
    return told | {"SESSIONKIT_STORE": open_store(place, prepare(place, tmp_path, request))}
