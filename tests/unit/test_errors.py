"""What this library raises."""

from __future__ import annotations

import pickle

import pytest

from flask_sessionkit import errors
from flask_sessionkit.errors import SessionKitError

ERRORS = [error for error in vars(errors).values() if isinstance(error, type) and error.__module__ == errors.__name__]


@pytest.mark.parametrize("error", ERRORS)
def test_one_except_catches_all(error: type[Exception]) -> None:
    assert issubclass(error, SessionKitError)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigError", ValueError),
        ("SessionTooLarge", ValueError),
        ("UnsupportedType", TypeError),
        ("SessionConflict", RuntimeError),
        ("SessionClosed", RuntimeError),
    ],
)
def test_each_is_also_what_python_would_raise(name: str, builtin: type[Exception]) -> None:
    """Flask raises ``TypeError`` for a value that it cannot keep; code that catches it goes on working."""
    assert issubclass(getattr(errors, name), builtin)


def test_a_failing_store_is_no_error_of_the_callers() -> None:
    assert not issubclass(errors.StoreError, ValueError | TypeError | OSError)


@pytest.mark.parametrize("error", ERRORS)
def test_they_travel_between_processes(error: type[Exception]) -> None:
    back = pickle.loads(pickle.dumps(error("what, where, mend")))  # noqa: S301  # made on the line itself

    assert type(back) is error
    assert str(back) == "what, where, mend"
