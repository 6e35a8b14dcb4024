"""The diagrams of the pages: as they are drawn, and on a page, and told to who does not see them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flask_sessionkit.backends import TOMBSTONE_KEPT
from flask_sessionkit.config import read_settings
from flask_sessionkit.reasons import Reason
from flask_sessionkit.rotation import ALIAS_LASTS

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

DOCS = Path(__file__).resolve().parent.parent / "docs"
DRAWN = sorted((DOCS / "pictures" / "diagrams").glob("*.svg"))
PAGES = "\n".join(path.read_text("utf-8") for path in DOCS.rglob("*.rst") if "_build" not in path.parts)
SVG = "{http://www.w3.org/2000/svg}"


def test_the_diagrams_are_those_that_the_script_draws(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "diagrams"), str(tmp_path)], check=True)

    assert {path.name: path.read_bytes() for path in DRAWN} == {
        path.name: path.read_bytes() for path in tmp_path.iterdir()
    }, "Draw them again: python docs/diagrams"


@pytest.mark.parametrize("path", [path for path in DRAWN if path.stem != "mark"], ids=lambda path: path.stem)
def test_a_diagram_is_on_a_page_with_a_text_in_its_place(path: Path) -> None:
    assert re.search(rf"image:: .*pictures/diagrams/{path.name}\n +:alt: .{{40}}", PAGES)


@pytest.mark.parametrize("path", [path for path in DRAWN if path.stem != "mark"], ids=lambda path: path.stem)
def test_a_diagram_keeps_its_words_as_text_and_tells_itself(path: Path) -> None:
    drawing = ElementTree.parse(path).getroot()  # noqa: S314  # our own picture

    assert len(list(drawing.iter(f"{SVG}text"))) > 10
    assert [len(told.text or "") > 100 for told in drawing.iter(f"{SVG}desc")] == [True]


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_a_diagram_loads_nothing(path: Path) -> None:
    assert re.findall(r"(?:href|src|url\()", path.read_text("utf-8")) == []


def words(name: str) -> str:
    drawing = ElementTree.parse(DOCS / "pictures" / "diagrams" / f"{name}.svg").getroot()  # noqa: S314  # our own picture
    return "\n".join(text.text or "" for text in drawing.iter(f"{SVG}text"))


def test_the_drawing_of_ends_has_every_reason() -> None:
    assert set(Reason) <= set(words("ends").splitlines())
    assert TOMBSTONE_KEPT == 60
    assert "stays for a minute" in words("ends")


def test_the_drawing_of_timeouts_has_the_defaults() -> None:
    settings, _ = read_settings({}, app_name="shop")
    limits = settings.timeouts

    assert (limits.idle, limits.absolute, limits.remember) == (30 * 60, 12 * 3600, 30 * 86_400)
    assert (limits.fresh, limits.touch_interval) == (15 * 60, 60)
    for limit in ("30 min after the last request", "12 h: ends", "30 days", "15 min:", "60 s"):
        assert limit in words("timeouts")


def test_the_drawing_of_rotation_has_the_half_minute() -> None:
    assert ALIAS_LASTS == 30
    assert words("rotation").count("leads on for 30 s") == 2
