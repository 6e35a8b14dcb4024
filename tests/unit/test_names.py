"""What a session's keys are stored as: every key comes back, with its type, and no two share a name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flask_sessionkit.names import by_key, name_of

TEXTS = st.text(st.characters(exclude_categories=()))
KEYS = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none() | st.binary() | st.uuids(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=3,
)


@given(KEYS)
def test_a_key_comes_back_with_its_type(key: Any) -> None:
    [back] = by_key({name_of(key): b""})

    assert back == key
    assert type(back) is type(key)


@given(KEYS)
def test_a_name_is_text_that_any_store_can_write(key: Any) -> None:
    name_of(key).encode()


@given(KEYS, KEYS)
def test_two_keys_have_two_names(one: Any, other: Any) -> None:
    assume(one != other)

    assert name_of(one) != name_of(other)


@given(st.dictionaries(KEYS, st.binary(max_size=3), max_size=5))
def test_data_comes_back_by_its_keys_in_their_order(data: dict[Any, bytes]) -> None:
    named = {name_of(key): value for key, value in data.items()}

    assert list(by_key(named).items()) == list(data.items())


@given(st.text().filter(lambda text: not text.startswith("\0")))
def test_an_ordinary_key_is_its_own_name(key: str) -> None:
    assert name_of(key) == key


@pytest.mark.parametrize("key", ["\0", "\0AQ==", name_of(7), name_of("\ud800"), "\ud800", 7, None, b"x", UUID(int=1)])
def test_an_odd_key_hides_behind_a_mark_and_cannot_be_passed_off_as_another(key: Any) -> None:
    assert name_of(key).startswith("\0")
    assert by_key({name_of(key): b""}) == {key: b""}


@pytest.mark.parametrize("key", [object(), len, 1 + 2j])
def test_a_key_that_cannot_be_kept_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        name_of(key)


def test_a_text_of_another_type_is_the_text() -> None:
    """As with Flask's own session: an enumeration's member is a common key."""

    class Name(str): ...

    assert type(name_of(Name("x"))) is str
    assert name_of(Name("x")) == "x"
