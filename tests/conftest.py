"""What all tests share: private servers, an ear for logs, and the example, which is no part of the wheel."""

import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_sessionkit.tokens import Token

# Behind all else, so that the wheel itself is tested.
sys.path.append(str(Path(__file__).parent.parent))

pytest_plugins = ["servers.fixtures", "flow_fixtures"]

#: What the sites of tests are sealed with.
SECRETS = ("a secret of the flow tests", "the old secret of", "the new secret of")

_tests_run = 0
_tokens: set[str] = set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that another worker would give to other tests: pytest-xdist cannot share such tests out."""
    drawn = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if drawn:
        raise pytest.UsageError(
            f"The name of a test holds an address, another one in each process: {drawn[0]}. Use ids."
        )


def pytest_runtest_teardown() -> None:
    """Close, now and then, what stores of earlier tests have left open: cycles hold them, and files have a limit."""
    global _tests_run
    _tests_run += 1
    if _tests_run % 50 == 0:
        gc.collect()


def _noted(kind: type[Token], text: str = "") -> Token:
    if len(text) > 20:  # a shorter one is none, and could be a word
        _tokens.add(text)
    return str.__new__(kind, text)


Token.__new__ = _noted  # type: ignore[assignment, method-assign]  # every token that is made or received


class Listener(logging.Handler):
    """Keeps what all loggers say, as people would read it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))


@pytest.fixture(autouse=True)
def listener() -> Iterator[Listener]:
    """LG-01, KE-07: with all loggers at DEBUG no record and no traceback of any test shows a token or a secret."""
    listener, root = Listener(), logging.getLogger()
    level = root.level
    _tokens.clear()
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield listener
    root.setLevel(level)
    root.removeHandler(listener)
    said = "\n".join(listener.heard)
    assert not [secret for secret in SECRETS if secret in said]
    assert not [token for token in _tokens if token in said]
