"""What all tests share: private servers, and the example application, which is no part of the wheel."""

import gc
import sys
from pathlib import Path

# Behind all else, so that the wheel itself is tested.
sys.path.append(str(Path(__file__).parent.parent))

pytest_plugins = ["servers.fixtures"]

_tests_run = 0


def pytest_runtest_teardown() -> None:
    """Close, now and then, what stores of earlier tests have left open: cycles hold them, and files have a limit."""
    global _tests_run
    _tests_run += 1
    if _tests_run % 50 == 0:
        gc.collect()
