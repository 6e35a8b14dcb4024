"""All that people outside may have typed, frozen in ``surface.txt``.

A test that fails here prints what changed. A change on purpose is told in ``CHANGES.md``, and frozen anew by
``python tests/surface.py > tests/surface.txt``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from flask.sessions import SessionMixin
from surface import WITHIN, lines, public

import flask_sessionkit
import flask_sessionkit.compat.flask_session
import flask_sessionkit.devices
import flask_sessionkit.testing

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

FROZEN = (Path(__file__).with_name("surface.txt")).read_text("utf-8").splitlines()
API = (Path(__file__).parent.parent / "docs" / "api.rst").read_text("utf-8")


def test_what_people_have_typed_is_still_there() -> None:
    changed = [line for line in difflib.ndiff(FROZEN, lines()) if line[0] in "+-"]

    assert not changed, "The public surface changed:\n" + "\n".join(changed)


def test_what_the_api_page_tells_of_is_frozen() -> None:
    """Members of a class of Flask's or of a ``dict`` are theirs."""
    told = set(re.findall(r"^\.\. auto(?:class|function|decorator|exception|data):: ([\w.]+)", API, re.M))
    for members in re.findall(r"^   :members: (.+)$", API, re.M):
        told |= set(members.split(", "))
    names = {re.split(r"[(: ]", line.removeprefix("class "))[0].rpartition(".")[2] for line in FROZEN}

    missing = {name for name in told if name.rpartition(".")[2] not in names}
    assert missing <= set(dir(SessionMixin))


def test_what_is_left_out_is_there() -> None:
    """Else the list of what is left out would hide a name that is made later."""
    for place, members in WITHIN.items():
        module, _, name = f"flask_sessionkit.{place}".rpartition(".")
        assert members <= set(dir(getattr(importlib.import_module(module), name))), place


def test_nothing_but_these_names_is_in_the_package() -> None:
    """``__init__.py`` holds re-exports in the form that type checkers honour, their names, and nothing else."""
    lines = inspect.getsource(flask_sessionkit).partition("\n\n# For a star")[0].splitlines()[2:]
    matches = [re.fullmatch(r"from \.(\w+) import (\w+) as \2", line) for line in lines]

    assert [line for line, match in zip(lines, matches, strict=True) if match is None] == []
    assert flask_sessionkit.__all__ == sorted(match[2] for match in matches if match)


def documented() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    owners = (
        flask_sessionkit,
        flask_sessionkit.compat.flask_session,
        flask_sessionkit.devices,
        flask_sessionkit.testing,
    )
    for owner in owners:
        for name, value in public(owner):
            if isinstance(value, type | FunctionType):
                found.append((f"{owner.__name__}.{name}", value))
            if isinstance(value, type) and value.__module__.startswith("flask_sessionkit"):
                found += [
                    (f"{owner.__name__}.{name}.{member}", inner)
                    for member, inner in public(value)
                    if isinstance(inner, FunctionType | property) and member != "__init__"
                ]
    return [(name, value) for name, value in found if ".test_" not in name and not name.endswith("Contract")]


@pytest.mark.parametrize(("name", "value"), documented(), ids=lambda one: one if isinstance(one, str) else "")
def test_every_public_name_has_a_docstring_that_begins_with_a_sentence(name: str, value: Any) -> None:
    """Dataclasses without one get their signature as docstring, which is no sentence."""
    document = value.__doc__ or ""
    first, _, rest = document.partition("\n")

    assert re.fullmatch(r"[A-Z`].*[.:]", first), first
    assert not rest or rest.startswith("\n"), "An empty line comes after the first one."
    assert len(first) < 120
