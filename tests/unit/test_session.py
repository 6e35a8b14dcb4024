"""The session object: what a look costs, what it notices, what it wishes for. What becomes of it is in ``flows``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from markupsafe import Markup

from flask_sessionkit import codec
from flask_sessionkit.changes import Changes
from flask_sessionkit.draft import Kept, Login
from flask_sessionkit.errors import SessionClosed, SessionConflict, SessionKitError, StoreError, UnsupportedType
from flask_sessionkit.names import name_of
from flask_sessionkit.policy import Times
from flask_sessionkit.reasons import Reason
from flask_sessionkit.session import Session

T = TypeVar("T")
TIMES = Times(1_700_000_000.0, None, 1_700_000_000.0, 1800.0, 1_700_043_200.0)


class AVisit:
    """What the lifecycle is to a session, with what it finds given."""

    csrf_key = "csrf_token"
    has_stamp = False
    is_behind = False

    def __init__(self, kept: Kept, identity_keys: tuple[str, ...] = ("_user_id",)) -> None:
        self.kept = kept
        self.identity_keys = identity_keys
        self.finds = 0
        self.forgotten = 0

    def stamp(self, user: str) -> str | None:
        raise AssertionError("nobody registered a stamp")

    def find(self) -> Kept:
        self.finds += 1
        return self.kept

    def forget_csrf(self) -> None:
        self.forgotten += 1

    def atomic(self, session: Session, fn: Callable[[Session], T]) -> T:
        return fn(session.scratch(session.changes().over({})))


def encoded(data: Mapping[Any, Any]) -> dict[str, bytes]:
    return {name_of(key): codec.encode(value) for key, value in data.items()}


def decoded(data: Mapping[str, bytes]) -> dict[str, Any]:
    return {name: codec.decode(value) for name, value in data.items()}


def stored(data: Mapping[Any, Any], *, user: str | None = None, **about: Any) -> AVisit:
    return AVisit(Kept(encoded(data), times=TIMES, user=user, data_of=user, **about))


def opened(visit: AVisit) -> Session:
    return Session(lambda: visit)


def signed_in(user: str = "alice", **data: Any) -> tuple[Session, AVisit]:
    visit = stored({"_user_id": user, **data}, user=user)
    return opened(visit), visit


def put(session: Session) -> dict[str, Any]:
    return decoded(session.draft().changes.put)


# Looking.


def test_nothing_is_loaded_before_the_first_look() -> None:
    visit = stored({"a": 1})
    session = opened(visit)
    _ = session.modified, session.is_opened, session.accessed, session.visit, session.shows_user, repr(session)

    assert visit.finds == 0
    assert repr(session) == "<Session, not looked at>"
    assert not session.accessed


LOOKS: list[Callable[[Session], object]] = [
    lambda s: s.get("a"),
    lambda s: "a" in s,
    len,
    list,
    bool,
    lambda s: s == {},
    lambda s: list(s.items()),
    lambda s: s.copy(),
    lambda s: s | {},
    lambda s: {} | s,
    lambda s: s.setdefault("a", 2),
    lambda s: s.pop("z", None),
    lambda s: s.clear(),
    lambda s: s.update(b=1),
    lambda s: s.new,
    lambda s: s.permanent,
    lambda s: s.user_id,
    lambda s: s.created_at,
    lambda s: s.login_at,
    lambda s: s.seen_at,
    lambda s: s.expires_at,
    lambda s: s.ended_because,
    lambda s: s.regenerate(),
    lambda s: s.invalidate(),
    lambda s: s.changes(),
    lambda s: s.log_in(Login("alice")),
]


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_loads_once(look: Callable[[Session], object]) -> None:
    visit = stored({"a": 1})
    session = opened(visit)
    look(session)
    look(session)

    assert visit.finds == 1
    assert session.accessed
    assert session.is_opened


def test_a_store_that_fails_is_asked_once_and_then_the_session_is_empty() -> None:
    class Failing(AVisit):
        def find(self) -> Kept:
            super().find()
            raise StoreError("down")

    visit = Failing(Kept())
    session = opened(visit)
    with pytest.raises(StoreError):
        session.get("a")

    assert session.get("a") is None
    assert dict(session) == {}
    assert visit.finds == 1


def test_a_value_is_decoded_when_it_is_asked_for_and_no_other_is() -> None:
    visit = AVisit(Kept({"good": codec.encode([1]), "bad": b"\xc1"}, times=TIMES))
    session = opened(visit)

    assert session["good"] == [1]
    assert session["good"] is session["good"]
    assert "bad" in session
    assert list(session) == ["good", "bad"]
    assert not session.draft().changes


def test_what_was_not_looked_at_goes_back_as_it_came() -> None:
    raw = b"\xc1 no msgpack"
    session = opened(AVisit(Kept({"old": raw}, times=TIMES)))
    session["new"] = 1

    assert session.draft().changes.over({"old": raw}) == {"old": raw, "new": codec.encode(1)}


def test_a_repr_shows_names_of_keys_only() -> None:
    session, _ = signed_in("alice", password="hunter2")

    len(session)
    assert repr(session) == "<Session of a user with ['_user_id', 'password']>"
    session.clear()
    assert repr(session) == "<Session of nobody with []>"


# The mapping.


class LikeADict(RuleBasedStateMachine):
    """Any sequence of operations gives what a dict would, and its changes lead from what was loaded to that."""

    keys = st.sampled_from(["a", "b", "c", "d", 7, "\0x", "\ud800"])
    values = st.sampled_from([0, 1, "x", None]) | st.lists(st.integers(0, 2), max_size=2)

    @initialize(data=st.dictionaries(keys, values, max_size=4))
    def load(self, data: dict[Any, Any]) -> None:
        self.before = encoded(data)
        self.dict = {key: codec.decode(codec.encode(value)) for key, value in data.items()}
        self.session: Any = opened(AVisit(Kept(self.before, times=TIMES)))

    @rule(key=keys)
    def read(self, key: Any) -> None:
        assert self.session.get(key, "none") == self.dict.get(key, "none")

    @rule(key=keys, value=values)
    def write(self, key: Any, value: Any) -> None:
        self.session[key] = codec.decode(codec.encode(value))
        self.dict[key] = codec.decode(codec.encode(value))

    @rule(key=keys)
    def remove(self, key: Any) -> None:
        assert self.session.pop(key, "none") == self.dict.pop(key, "none")

    @rule(key=keys)
    def delete(self, key: Any) -> None:
        if key in self.dict:
            del self.session[key]
            del self.dict[key]
        else:
            with pytest.raises(KeyError):
                del self.session[key]

    @rule(key=keys, value=values)
    def default(self, key: Any, value: Any) -> None:
        mine, theirs = codec.decode(codec.encode(value)), codec.decode(codec.encode(value))
        assert self.session.setdefault(key, mine) == self.dict.setdefault(key, theirs)

    @rule(key=keys)
    def change_inside(self, key: Any) -> None:
        for side in (self.session, self.dict):
            if isinstance(side.get(key), list):
                side[key].append(9)

    @rule(key=keys, value=values)
    def merge(self, key: Any, value: Any) -> None:
        self.session |= {key: codec.decode(codec.encode(value))}
        self.dict |= {key: codec.decode(codec.encode(value))}

    @rule()
    def pop_last(self) -> None:
        if self.dict:
            assert self.session.popitem() == self.dict.popitem()
        else:
            with pytest.raises(KeyError, match="empty"):
                self.session.popitem()

    @rule()
    def clear(self) -> None:
        self.session.clear()
        self.dict.clear()

    @invariant()
    def is_the_same(self) -> None:
        if hasattr(self, "dict"):
            assert list(self.session) == list(self.dict)
            assert len(self.session) == len(self.dict)
            assert self.session.draft().changes.over(self.before) == encoded(self.dict)

    def teardown(self) -> None:
        if hasattr(self, "dict"):
            assert self.session == self.dict
            assert self.session | {"z": 1} == self.dict | {"z": 1}
            assert {"a": 1, "z": 1} | self.session == {"a": 1, "z": 1} | self.dict
            assert self.session.copy() == self.dict


TestLikeADict = LikeADict.TestCase


def test_setting_what_is_there_already_changes_nothing() -> None:
    session = opened(stored({"a": [1], "b": "x"}))
    session["a"] = [1]
    session["b"] = "x"

    assert session.modified
    assert not session.draft().changes


def test_reading_changes_nothing() -> None:
    session = opened(stored({"a": [1, {"b": {2}}], "c": "x"}))

    assert session["a"][1]["b"] == {2}
    assert not session.draft().changes
    assert not session.modified


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1], lambda v: v.append(2)),
        ({"a": {"b": []}}, lambda v: v["a"]["b"].append(1)),
        ({1}, lambda v: v.add(2)),
        (([],), lambda v: v[0].append(1)),
        ({"a": 1}, lambda v: v.pop("a")),
    ],
)
def test_a_change_inside_a_value_is_noticed(value: Any, change: Callable[[Any], object]) -> None:
    session = opened(stored({"v": value, "w": value}))
    change(session["v"])

    assert put(session).keys() == {"v"}


@pytest.mark.parametrize("change", [lambda s: s.update({True: [1]}), lambda s: s[1.0].append(1)])
def test_of_equal_keys_the_first_stays_as_in_a_dict(change: Callable[[Any], object]) -> None:
    """Each has a name of its own to be stored under; under both, a later change of the first would be lost."""
    visit = stored({1: []})
    session = opened(visit)
    change(session)

    assert [*put(session)] == [name_of(1)]


def test_a_change_inside_a_value_that_was_set_now_is_noticed() -> None:
    session = opened(stored({}))
    session["v"] = value = [1]
    value.append(2)

    assert put(session) == {"v": [1, 2]}


def test_modified_set_to_false_saves_nothing_and_to_true_saves_and_sends() -> None:
    session = opened(stored({"a": 1}))
    session["b"] = 2
    session.modified = False
    assert not session.draft().changes
    assert not session.draft().forced

    session.modified = True
    assert put(session) == {"b": 2}
    assert session.draft().forced


def test_modified_set_to_false_without_a_look_loads_nothing() -> None:
    visit = stored({"a": 1})
    session = opened(visit)
    session.modified = False

    assert visit.finds == 0


def test_permanent_is_a_key_as_in_flask() -> None:
    session = opened(stored({}))
    assert session.permanent is False
    session.permanent = True

    assert session.permanent is True
    assert put(session) == {"_permanent": True}


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, 1j])
def test_a_value_that_cannot_be_kept_is_named_by_its_key(value: object) -> None:
    session = opened(stored({}))
    session["good"] = 1
    session["bad"] = value

    with pytest.raises(UnsupportedType, match=r"session\['bad'\] cannot be kept: object of type"):
        session.draft()


def test_a_key_that_cannot_be_kept_is_named() -> None:
    session: Any = opened(stored({}))
    session[1j] = 1

    with pytest.raises(UnsupportedType, match=r"session\[1j\]"):
        session.draft()


# Identity.


@pytest.mark.parametrize("user", ["bob", 7, 2**70, UUID(int=1), Markup("bob")])
def test_setting_an_identity_key_is_a_login(user: Any) -> None:
    session = opened(stored({"cart": [1]}))
    session["_user_id"] = user

    assert session.user_id == str(user)
    assert type(session.user_id) is str
    assert session.draft().login == Login(str(user))
    assert session["cart"] == [1]


@pytest.mark.parametrize("nobody", [None, ""])
def test_none_and_empty_are_nobody(nobody: Any) -> None:
    session = opened(stored({}))
    session["_user_id"] = nobody

    assert session.user_id is None
    assert session.draft().login is None


def test_the_same_user_again_is_no_login() -> None:
    session, _ = signed_in("7", cart=[1])
    session["_user_id"] = "7"
    session["_user_id"] = 7

    assert session.draft().login is None
    assert session["cart"] == [1]


@pytest.mark.parametrize("wrong", [True, False, 1.5, b"bob", ["bob"], {"id": 1}, object(), "\ud800", "a\udfff"])
def test_what_can_name_nobody_is_refused_and_changes_nothing(wrong: Any) -> None:
    session, _ = signed_in()
    with pytest.raises(UnsupportedType, match=r"session\['_user_id'\] names the user"):
        session["_user_id"] = wrong

    assert session["_user_id"] == session.user_id == "alice"
    assert not session.draft().changes


def test_another_user_finds_nothing_of_the_one_before_but_what_this_request_set() -> None:
    session, visit = signed_in("alice", secret=1, csrf_token="x")
    session["mine"] = 2
    session["_user_id"] = "bob"

    assert dict(session) == {"mine": 2, "_user_id": "bob"}
    assert session.draft().data_of == "bob"
    assert session.draft().changes.over(visit.kept.data).keys() == {"mine", "_user_id"}


def test_a_login_forgets_the_csrf_token_and_one_made_afterwards_stays() -> None:
    session = opened(visit := stored({"csrf_token": "old", "cart": 1}))
    session.log_in(Login("alice"))
    assert "csrf_token" not in session
    session["csrf_token"] = "new"

    assert visit.forgotten == 1
    assert decoded(session.draft().changes.over(visit.kept.data)) == {"cart": 1, "csrf_token": "new"}


def test_removing_the_identity_key_ends_the_login_and_keeps_the_data() -> None:
    session, _ = signed_in("alice", cart=1)
    del session["_user_id"]
    draft = session.draft()

    assert session.user_id is None
    assert (draft.unbound, draft.user, draft.data_of, draft.login) == (True, None, "alice", None)
    assert session["cart"] == 1


def test_a_login_after_that_by_somebody_else_drops_the_data() -> None:
    session, _ = signed_in("alice", cart=1)
    session.pop("_user_id")
    session["_user_id"] = "bob"

    assert "cart" not in session


def test_of_several_identity_keys_the_first_that_is_set_counts() -> None:
    visit = stored({"second": "alice"}, user="alice")
    visit.identity_keys = ("first", "second")
    session = opened(visit)
    session["second"] = "alice"
    assert session.draft().login is None
    session["first"] = "bob"

    assert session.user_id == "bob"


def test_a_remember_cookie_is_no_fresh_login_until_the_password_is_typed() -> None:
    session = opened(stored({}))
    session["_user_id"] = "alice"
    session["_fresh"] = False
    assert session.draft().login == Login("alice", is_fresh=False)
    assert not session.draft().begins

    later, _ = signed_in("alice", _fresh=False)
    later["_fresh"] = True
    assert later.draft().login == Login("alice")
    assert later.draft().begins


def test_a_fresh_mark_without_a_remembered_user_is_no_login() -> None:
    session, _ = signed_in("alice")
    session["_fresh"] = True

    assert session.draft().login is None


def test_without_identity_keys_no_key_is_a_login() -> None:
    visit = stored({})
    visit.identity_keys = ()
    session = opened(visit)
    session["_user_id"] = "alice"

    assert session.user_id is None
    assert session.draft().login is None


# Wishes.


def test_clear_unbinds_the_user_and_removes_what_others_write() -> None:
    session, _ = signed_in("alice", cart=1)
    session.clear()
    session["after"] = 1
    draft = session.draft()

    assert (draft.user, draft.data_of, draft.unbound) == (None, None, True)
    assert decoded(draft.changes.over(encoded({"written": "by another"}))) == {"after": 1}


def test_invalidate_ends_it_and_what_follows_is_another_session() -> None:
    session, visit = signed_in("alice", cart=1)
    session.invalidate()
    session["after"] = 1
    draft = session.draft()

    assert (draft.ended, draft.user, draft.login) == (Reason.LOGOUT, None, None)
    assert draft.changes == Changes({}, encoded({"after": 1}), own=encoded({"after": 1}))
    assert session.new
    assert session.created_at is None
    assert visit.forgotten == 1


def test_a_login_is_forgotten_by_a_logout_after_it_and_made_by_one_before_it() -> None:
    session, _ = signed_in("alice")
    session.log_in(Login("bob"))
    session.invalidate()
    assert session.draft().login is None
    session.log_in(Login("carol"))

    assert (session.draft().ended, session.draft().login) == (Reason.LOGOUT, Login("carol"))


@pytest.mark.parametrize(
    ("inside", "renews"),
    [
        (lambda s: None, False),
        (lambda s: s.get("cart"), False),
        (lambda s: s.update(_flashes=[("message", "hello")]), False),
        (lambda s: s.update(csrf_token="x"), False),
        (lambda s: s.update(cart=[1]), False),
        (lambda s: s.update(role="admin"), True),
        (lambda s: s["cart"].append(2), True),
        (lambda s: s.pop("cart"), True),
    ],
)
def test_a_login_view_renews_for_any_change_but_a_message(inside: Callable[[Any], object], renews: bool) -> None:
    session = opened(stored({"cart": [1]}))
    with session.login_view():
        inside(session)

    assert session.draft().renew is renews


def test_a_login_view_does_not_renew_for_what_was_changed_before_it() -> None:
    session = opened(stored({"cart": [1]}))
    session["before"] = 1
    with session.login_view():
        pass

    assert not session.draft().renew


def test_a_failed_response_keeps_no_data_and_no_login_but_ends() -> None:
    session, _ = signed_in("alice", cart=1)
    session["cart"] = 2
    session["bad"] = object()
    session.log_in(Login("bob"))
    draft = session.draft(failed=True)
    assert (draft.changes.put, draft.login, draft.user, draft.renew) == ({}, None, "alice", False)

    session.invalidate()
    assert session.draft(failed=True).ended is Reason.LOGOUT


def test_a_failed_response_clears_all_the_same() -> None:
    session, visit = signed_in("alice", cart=1)
    session.clear()
    session["after"] = 1
    draft = session.draft(failed=True)

    assert (draft.unbound, draft.user, draft.data_of) == (True, None, None)
    assert draft.changes.over(visit.kept.data) == {}


def test_a_failed_response_unbinds_all_the_same() -> None:
    session, _ = signed_in("alice", cart=1)
    del session["_user_id"]
    draft = session.draft(failed=True)

    assert (draft.unbound, draft.user) == (True, None)
    assert draft.changes.removed == {"_user_id"}


WRITES: list[Callable[[Any], object]] = [
    lambda s: s.update(a=2),
    lambda s: s.pop("a"),
    lambda s: s.popitem(),
    lambda s: s.clear(),
    lambda s: s.setdefault("z", 1),
    lambda s: s.__ior__({"z": 1}),
    lambda s: s.__delitem__("a"),
    lambda s: setattr(s, "permanent", True),
    lambda s: s.regenerate(),
    lambda s: s.invalidate(),
    lambda s: s.log_in(Login("bob")),
    lambda s: s.atomic(len),
]


@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_changed_while_the_response_is_on_its_way(write: Callable[[Any], object]) -> None:
    session = opened(stored({"a": 1}))
    session.note_sending(True)
    with pytest.raises(SessionClosed, match="before the response began to stream"):
        write(session)
    assert dict(session) == {"a": 1}

    session.note_sending(False)
    write(session)


WITHIN: list[Callable[[Any], object]] = [
    lambda s: s.regenerate(),
    lambda s: s.invalidate(),
    lambda s: s.log_in(Login("bob")),
    lambda s: s.end_at_close(),
    lambda s: s.atomic(len),
    lambda s: s.update(_user_id="bob"),
    lambda s: s.pop("_user_id"),
    lambda s: s.clear(),
]


@pytest.mark.parametrize("wish", WITHIN)
def test_an_atomic_change_takes_no_wishes(wish: Callable[[Any], object]) -> None:
    session, visit = signed_in("alice", cart=1)
    len(session)
    scratch = session.scratch(visit.kept.data)
    scratch["cart"] = 2

    with pytest.raises(SessionKitError, match="may not log in, log out, renew or nest"):
        wish(scratch)
    assert session["cart"] == 1


@pytest.mark.parametrize("end", [lambda s: s.invalidate(), lambda s: s.end_at_close()])
def test_an_ended_session_takes_no_atomic_change(end: Callable[[Any], object]) -> None:
    session, _ = signed_in("alice", n=1)
    end(session)

    with pytest.raises(SessionConflict, match="this one has ended"):
        session.atomic(lambda current: current.update(n=2))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), max_size=4),
    st.dictionaries(st.sampled_from("abcd"), st.integers(4, 6), max_size=2),
    st.dictionaries(st.sampled_from("abcd"), st.integers(7, 9), max_size=2),
    st.sets(st.sampled_from("abcd")),
)
def test_after_an_atomic_change_a_session_shows_what_was_saved_and_its_own(
    loaded: dict[str, int], own: dict[str, int], saved: dict[str, int], removed: set[str]
) -> None:
    """``rebase``: what ``atomic`` saved is there, and what this request changed besides is still to be saved."""
    session = opened(stored(loaded))
    for key in list(session):
        _ = session[key]
    session.update(own)
    changes = Changes(encoded(loaded), encoded(saved), frozenset((removed & loaded.keys()) - saved.keys()))
    after = changes.over(encoded(loaded))
    session.rebase(Kept(after, times=TIMES), changes)

    wanted = {**decoded(after), **{k: v for k, v in own.items() if k not in saved and k not in changes.removed}}
    assert dict(session) == wanted
    assert decoded(session.draft().changes.over(after)) == wanted
