"""Fails the build of a page that would load something from elsewhere: these pages are read without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: What a browser loads by itself; a link that a reader may follow is none.
_LOADED = [
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\ssrc=[\"']?((?:https?:)?//[^\"'\s>]+)",
    r"<link\b(?=[^>]*rel=[\"']?(?:stylesheet|icon|preload|preconnect))[^>]*\shref=[\"']?((?:https?:)?//[^\"'\s>]+)",
    r"@import\s+(?:url\()?[\"']?((?:https?:)?//[^\"'\s)]+)",
    r"url\([\"']?((?:https?:)?//[^\"'\s)]+)",
]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def loaded_from_elsewhere(text: str) -> list[str]:
    """Return what a page or a style sheet would load over the network."""
    return [url for pattern in _LOADED for url in re.findall(pattern, text, re.I)]


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    files = [path for path in Path(app.outdir).rglob("*") if path.suffix in {".html", ".css"}]
    found = {url: path.name for path in files for url in loaded_from_elsewhere(path.read_text("utf-8"))}
    if found:
        raise ExtensionError(f"These pages are to be read offline, and load: {found}")
