"""The diagrams of the pages: as they are drawn, and on a page, and told to who does not see them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

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
