"""Draw the diagrams of these pages: ``python docs/diagrams [FOLDER]`` writes them to ``docs/pictures/diagrams``."""

from __future__ import annotations

import sys
from pathlib import Path

import ends
import mark
import merging
import moving
import request
import rotation
import timeouts
import tokens

PICTURES = Path(__file__).parent.parent / "pictures" / "diagrams"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in (tokens, request, merging, timeouts, ends, rotation, moving):
        sheet = drawing.draw()
        _write(folder / f"{sheet.name}.svg", sheet.written())
    _write(folder / "mark.svg", mark.MARK)


def _write(path: Path, svg: str) -> None:
    path.write_text(svg, "utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else PICTURES)
