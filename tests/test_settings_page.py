"""The page about the settings, held to the code: ours, and those of Flask's that matter here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import flask_sessionkit
from flask_sessionkit import SessionKit
from flask_sessionkit.config import read_settings

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "settings.rst").read_text("utf-8")
OURS, _, FLASKS = PAGE.partition("\nFlask's own\n")


class Asked(dict[str, Any]):
    """A configuration that notes which names it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def documented() -> Mapping[str, Any]:
    described = re.findall(r"^\.\. confval:: (\S+)\n   :type: .+\n   :default: ``(.+)``$", OURS, re.M)
    assert len(described) == OURS.count(".. confval::"), "each has a type and a default"
    known = {"timedelta": timedelta, "app": Flask("shop")}
    return {name: eval(default, known) for name, default in described}  # noqa: S307  # our own page


def test_the_page_names_every_setting_that_is_read() -> None:
    asked = Asked()
    read_settings(asked, app_name="shop")

    assert set(documented()) == asked.names


def test_the_page_names_the_defaults() -> None:
    written = documented()
    settings, problems = read_settings(
        {name: value for name, value in written.items() if value is not None and name != "SESSIONKIT_STORE"},
        app_name="other",
    )
    defaults, _ = read_settings({}, app_name="shop")

    assert problems == []
    assert settings == defaults
    without = [
        "SESSIONKIT_REVOCATION_STORE",
        "SESSIONKIT_TAKE_OVER",
        "SESSIONKIT_ROTATE_EVERY",
        "SESSIONKIT_MAX_SESSIONS_PER_USER",
        "SESSIONKIT_LOGIN_VIEW",
    ]
    assert [name for name, value in written.items() if value is None] == without
    assert defaults.login_view is defaults.revocation_store is None


def test_the_page_names_the_default_store(tmp_path: Path) -> None:
    folders = []
    for config in ({}, {"SESSIONKIT_STORE": documented()["SESSIONKIT_STORE"]}):
        app = Flask("shop", instance_path=str(tmp_path))
        app.config.update(config, TESTING=True)
        kit = SessionKit(app)
        with app.app_context():
            folders.append(vars(kit.store)["folder"])

    assert folders == [tmp_path / "sessions"] * 2


def test_each_setting_says_what_happens_at_the_edges() -> None:
    sections = re.split(r"^\.\. confval:: ", OURS, flags=re.M)[1:]

    assert [section.split()[0] for section in sections if "*At the edges.*" not in section] == []


def test_the_list_at_the_head_has_them_all() -> None:
    listed = re.findall(r"^\* :confval:`(\S+)`: ``(.+)``$", OURS, re.M)

    assert listed == re.findall(r"^\.\. confval:: (\S+)\n   :type: .+\n   :default: ``(.+)``$", OURS, re.M)


# Flask's own.


def of_flask() -> dict[str, Any]:
    found = re.findall(r"^``(\w+)``: .+, by default ``(.+)``$", FLASKS, re.M)
    return {name: eval(default, {"timedelta": timedelta}) for name, default in found}  # noqa: S307  # our own page


def read_of_flask() -> Iterator[str]:
    """Yield the names of Flask's that the package takes out of the configuration."""
    for path in Path(flask_sessionkit.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("config"):
                keys = [node.slice]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("config.get"):
                keys = node.args[:1]
            else:
                keys = []
            yield from (
                str(key.value) for key in keys if isinstance(key, ast.Constant) and key.value in Flask.default_config
            )


def test_the_page_names_the_defaults_of_flask() -> None:
    assert of_flask() == {name: Flask.default_config[name] for name in of_flask()}
    assert len(of_flask()) == len(re.findall(r"^``", FLASKS, re.M)) > 10


def test_the_page_names_what_is_read_of_flask() -> None:
    read = set(read_of_flask())

    assert read - of_flask().keys() - {"DEBUG"} == set()  # DEBUG is told of beside TESTING
    assert "``DEBUG``" in FLASKS
    assert len(read) > 5
