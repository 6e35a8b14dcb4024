"""What the browser tests share: a real Chromium to which every host below ``.test`` is this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from servers import lacking

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")  # its event loop is in the way of other tests of async views in this thread
def playwright() -> Iterator[Playwright]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("needs Playwright for Python: pip install playwright")
    if not CHROMIUM.exists():
        lacking("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def how_to_launch() -> dict[str, Any]:
    """How Chromium is started: it asks nobody outside, and hosts of different sites are all on loopback."""
    return {
        "executable_path": CHROMIUM,
        "args": [
            *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        ],
        # People's browsers keep the page they leave, and the back button shows it as it was.
        "ignore_default_args": ["--disable-back-forward-cache"],
    }


@pytest.fixture(scope="module")
def browser(playwright: Playwright, how_to_launch: dict[str, Any]) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**how_to_launch)
    yield browser
    browser.close()
