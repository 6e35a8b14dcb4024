"""The shop of the tutorial: it runs after each step, and its tests pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tutorial_shop import added, shop_after

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

STEPS = len(added("shop.py"))


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_the_shop_runs_after_each_step(steps: int) -> None:
    visitor = shop_after(steps, WTF_CSRF_ENABLED=False).test_client()

    visitor.post("/cart/lapsang")

    assert "In the cart: Lapsang souchong" in visitor.get("/").text


def test_there_are_steps() -> None:
    assert STEPS == 4


def test_the_forms_of_the_shop_are_guarded() -> None:
    visitor = shop_after(STEPS).test_client()

    assert {visitor.post(path).status_code for path in ("/cart/assam", "/login", "/sign-up", "/logout")} == {400}


def test_the_tests_that_the_page_shows_pass(tmp_path: Path) -> None:
    for file in ("shop.py", "test_shop.py"):
        (tmp_path / file).write_text("\n".join(added(file)), "utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "test_shop.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines()[-1].startswith("5 passed"), done.stdout
