"""The laws of merging: what one request changed, laid over what others left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flask_sessionkit.changes import Changes

KEYS = st.sampled_from("abcdef")
DATA = st.dictionaries(KEYS, st.binary(max_size=2), max_size=6)


@st.composite
def changes(draw: st.DrawFn, base: st.SearchStrategy[dict[str, bytes]] = DATA) -> Changes:
    """What a request can have done: it puts what it found otherwise, and removes what it found."""
    found = draw(base)
    put = {key: value for key, value in draw(DATA).items() if found.get(key) != value}
    removed = draw(st.sets(st.sampled_from(sorted(found)))) if found else set()
    return Changes(found, put, frozenset(removed - put.keys()))


def alone(change: Changes) -> dict[str, bytes]:
    """What the request itself sees at its end."""
    kept = {key: value for key, value in change.base.items() if key not in change.removed}
    return kept | dict(change.put)


@given(changes())
def test_over_what_it_loaded_it_gives_what_the_request_sees(change: Changes) -> None:
    assert change.over(change.base) == alone(change)


@given(DATA)
def test_nothing_changed_changes_nothing(current: dict[str, bytes]) -> None:
    assert not Changes(current)
    assert Changes(current).over(current) == current
    assert Changes({}).over(current) == current


@given(changes(), DATA)
def test_to_be_saved_is_to_have_changed_something(change: Changes, current: dict[str, bytes]) -> None:
    if not change:
        assert change.over(current) == current
    assert bool(change) == bool(change.put or change.removed)


@given(changes(), DATA)
def test_what_is_current_is_not_written_to(change: Changes, current: dict[str, bytes]) -> None:
    before = dict(current)
    change.over(current)

    assert current == before


@given(changes(), DATA)
def test_a_removal_of_its_own_wins(change: Changes, current: dict[str, bytes]) -> None:
    assert not change.removed & change.over(current).keys()


@given(changes(), DATA)
def test_a_removal_by_another_wins(change: Changes, current: dict[str, bytes]) -> None:
    removed_by_another = change.base.keys() - current.keys()

    assert not removed_by_another & change.over(current).keys()


@given(changes(), DATA)
def test_a_key_it_did_not_touch_is_as_the_other_left_it(change: Changes, current: dict[str, bytes]) -> None:
    merged = change.over(current)

    for key in {*change.base, *current} - {*change.put, *change.removed}:
        assert merged.get(key) == current.get(key)


@given(changes(), DATA)
def test_a_key_it_put_is_its_own_unless_it_was_removed(change: Changes, current: dict[str, bytes]) -> None:
    merged = change.over(current)

    for key, value in change.put.items():
        if key in current or key not in change.base:
            assert merged[key] == value


@given(st.data(), DATA)
def test_requests_that_changed_different_keys_commute(data: st.DataObject, base: dict[str, bytes]) -> None:
    one = data.draw(changes(st.just(base)))
    other = data.draw(changes(st.just(base)))
    taken = {*one.put, *one.removed}
    other = Changes(base, {key: value for key, value in other.put.items() if key not in taken}, other.removed - taken)

    assert one.over(other.over(base)) == other.over(one.over(base))
    assert one.contested(other.over(base)) == []


@given(changes(), DATA)
def test_saving_it_twice_is_saving_it_once(change: Changes, current: dict[str, bytes]) -> None:
    """Where an answer was lost and the write is made again."""
    once = change.over(current)

    assert change.over(once) == once


@given(changes(), DATA)
def test_contested_is_what_both_changed_and_this_one_wins(change: Changes, current: dict[str, bytes]) -> None:
    merged = change.over(current)

    assert set(change.contested(current)) == {
        key
        for key in change.put
        if key in current and current[key] != change.base.get(key) and current[key] != merged[key]
    }


@given(DATA, DATA)
def test_a_clear_leaves_only_what_came_after_it(current: dict[str, bytes], put: dict[str, bytes]) -> None:
    cleared = Changes({}, put, cleared=True)

    assert cleared
    assert cleared.over(current) == put
