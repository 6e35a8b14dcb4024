"""The files of the page that teaches, as a reader has them after each step."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tutorial.rst"


def added(file: str) -> list[str]:
    """Return what the page adds to a file, step by step."""
    shown = rf"^\.\. code-block:: python\n   :caption: {re.escape(file)}\n\n((?:   .*\n|\n)+)"
    return [textwrap.dedent(code) for code in re.findall(shown, PAGE.read_text("utf-8"), re.M)]


def shop_after(steps: int, **config: Any) -> Flask:
    """Return the shop with so many of its additions."""
    shop = ModuleType("shop")
    exec("\n".join(added("shop.py")[:steps]), shop.__dict__)  # noqa: S102  # our own page
    app: Flask = shop.__dict__["create_app"](**{"TESTING": True, "SESSIONKIT_STORE": "memory:"} | config)
    return app
