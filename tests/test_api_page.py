"""The page of the API, held to the code: every public name is on it, and nothing that is not there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from blinker import NamedSignal

from flask_sessionkit import stores

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "api.rst").read_text("utf-8")
MODULES = [
    "flask_sessionkit",
    "flask_sessionkit.compat.flask_session",
    "flask_sessionkit.devices",
    "flask_sessionkit.testing",
]


def described(page: str) -> dict[str, set[str]]:
    """Return what the page describes by its full name, with the members that it lists; ``*`` is all of them."""
    found: dict[str, set[str]] = {}
    module = ""
    directive = r"^\.\. (\w+):: (\S+?)(?:\(.*\))?$((?:\n   .*|\n(?=\n*   ))*)"
    for kind, name, below in re.findall(directive, page, re.M):
        listed = re.search(r"^   :members:(.*)$", below, re.M)
        members = set(re.findall(r"\w+", listed[1])) or {"*"} if listed else set()
        if kind in ("module", "automodule"):
            module = name
            found |= {f"{module}.{member}": {"*"} for member in members}
        elif kind.startswith("auto"):
            found[name if name.startswith("flask_sessionkit.") else f"{module}.{name}"] = members
    return found


DESCRIBED = described(PAGE)


def public(module: str) -> Iterator[str]:
    """Yield the full names of what a module gives to others."""
    for name, value in vars(importlib.import_module(module)).items():
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations":
            yield f"{module}.{name}"


def resolve(full_name: str) -> Any:
    """Return what a full name stands for."""
    module, _, name = full_name.rpartition(".")
    return getattr(importlib.import_module(module), name)


def home(full_name: str) -> str:
    """Return the full name under which the page has it: a signal is described where it is made."""
    if isinstance(resolve(full_name), NamedSignal):
        return f"flask_sessionkit.signals.{full_name.rpartition('.')[2]}"
    return full_name


def members(owner: type) -> set[str]:
    """Return the public methods and properties that a class adds to those of its parents."""
    inherited = {name for parent in owner.__mro__[1:] for name in vars(parent)}
    added = {name: value for name, value in vars(owner).items() if not name.startswith("_") and name not in inherited}
    own = (FunctionType, property, cached_property, classmethod, staticmethod)
    return {name for name, value in added.items() if isinstance(value, own)}


@pytest.mark.parametrize("name", [name for module in MODULES for name in public(module)])
def test_a_public_name_is_on_the_page(name: str) -> None:
    assert home(name) in DESCRIBED


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_the_page_describes_is_there(name: str) -> None:
    owner = resolve(name)

    assert [member for member in DESCRIBED[name] - {"*"} if not hasattr(owner, member)] == []


@pytest.mark.parametrize("name", ["SessionKit", "devices.DeviceList", "testing.SessionKitClient"])
def test_the_members_of_what_applications_hold_are_on_the_page(name: str) -> None:
    """Not those of ``Session``, which the rooms inside share; ``test_surface.py`` says which of them are a promise."""
    full_name = f"flask_sessionkit.{name}"

    assert members(resolve(full_name)) - DESCRIBED[full_name] == set()


def test_every_store_is_on_the_page() -> None:
    [folder] = stores.__path__
    files = {path.stem: path.read_text("utf-8") for path in Path(folder).glob("*.py")}
    made = {
        f"flask_sessionkit.stores.{file}.{name}"
        for file, text in files.items()
        for name in re.findall(r"^class ([A-Z]\w+Store)\b", text, re.M)
    }

    assert made - DESCRIBED.keys() == set()
    assert len(made) >= 5


def test_the_scan_sees_what_it_should() -> None:
    """The net itself: what it does not see it cannot hold."""
    page = ".. module:: a\n\n.. autoclass:: B()\n   :members: c, d\n\n   More.\n\n.. automodule:: a.e\n   :members: F\n"

    assert described(page) == {"a.B": {"c", "d"}, "a.e.F": {"*"}}
