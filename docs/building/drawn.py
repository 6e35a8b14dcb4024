"""Puts the diagrams into the pages instead of beside them, so that they follow the page's switch from light to dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_FOLDER = "pictures/diagrams/"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", _draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _draw(app: Sphinx, page: nodes.document, _: str) -> None:
    if app.builder.format != "html":
        return
    for image in list(page.findall(nodes.image)):
        if image["uri"].startswith(_FOLDER):
            svg = Path(app.srcdir, image["uri"]).read_text("utf-8")
            image.replace_self(nodes.raw("", f'<div class="drawn" tabindex="0">{svg}</div>', format="html"))
