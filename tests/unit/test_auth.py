"""Login and logout, as far as they can be seen without a browser. The rest is in ``flows``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from hypothesis import given
from hypothesis import strategies as st

from flask_sessionkit import (
    Session,
    SessionKit,
    SessionKitError,
    current_user_id,
    fresh_login_required,
    login_required,
    login_user,
    login_view,
    logout_user,
    logout_view,
    passive,
)
from flask_sessionkit.auth import current_session
from flask_sessionkit.detour import _OWN_PATH
from flask_sessionkit.identity import as_user_id
from flask_sessionkit.stores.memory import MemoryStore


def an_app(*, has_secret: bool = True, ours: bool = True) -> Flask:
    app = Flask("unit")
    app.config.update(SECRET_KEY="x" if has_secret else None, TESTING=True)
    if ours:
        SessionKit(app, store=MemoryStore())
    return app


@given(st.text(min_size=1))
def test_a_user_id_stays_as_it_is(user: str) -> None:
    assert as_user_id(user) == user


@given(st.integers())
def test_a_number_is_written_out(user: int) -> None:
    assert as_user_id(user) == str(user)


@pytest.mark.parametrize("wrong", [None, True, False, 1.5, b"1", ["1"], object()])
def test_what_is_neither_text_nor_number_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        as_user_id(wrong)


@pytest.mark.parametrize("wrong", ["", "\ud800", "a\udfff"])
def test_an_empty_id_and_one_that_is_no_unicode_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="A user id must"):
        as_user_id(wrong)


@pytest.mark.parametrize("wrong", ["", None, b"x", "\ud800"])
def test_a_login_of_nobody_changes_nothing(wrong: Any) -> None:
    with an_app().test_request_context():
        with pytest.raises((ValueError, TypeError)):
            login_user(wrong)
        assert current_user_id() is None
        assert not session.modified


def test_remember_makes_the_session_permanent_and_nothing_else_does() -> None:
    with an_app().test_request_context():
        login_user("alice")
        assert session.permanent is False
        login_user("alice", remember=True)
        assert session.permanent is True


def test_the_session_behind_the_proxy_is_ours() -> None:
    with an_app().test_request_context():
        assert type(current_session()) is Session


def test_without_a_secret_flasks_own_error_tells() -> None:
    for call in (lambda: login_user("alice"), logout_user, current_session):
        with (
            an_app(has_secret=False).test_request_context(),
            pytest.raises(RuntimeError, match="no secret key was set"),
        ):
            call()


def test_without_the_extension_the_error_names_it() -> None:
    for call in (lambda: login_user("alice"), logout_user, current_session):
        with an_app(ours=False).test_request_context(), pytest.raises(SessionKitError, match="Call SessionKit"):
            call()


def test_nobody_is_signed_in_where_there_is_no_secret() -> None:
    with an_app(has_secret=False).test_request_context():
        assert current_user_id() is None


def test_who_is_signed_in_is_no_question_for_other_sessions() -> None:
    with an_app(ours=False).test_request_context(), pytest.raises(SessionKitError, match="Call SessionKit"):
        current_user_id()


def test_outside_of_a_request_flasks_own_error_tells() -> None:
    with pytest.raises(RuntimeError, match="outside of request context"):
        login_user("alice")


DECORATORS: list[Callable[[Any], Any]] = [
    login_view,
    logout_view,
    logout_view(allow_get=True),
    login_required,
    fresh_login_required,
    fresh_login_required(60),
    fresh_login_required(),
    passive,
]


@pytest.mark.parametrize("wrong", ["5", b"5", [5], True])
def test_a_login_is_fresh_for_a_duration_or_seconds(wrong: Any) -> None:
    with pytest.raises(TypeError) as raised:
        fresh_login_required(wrong)

    assert str(raised.value) == (
        f"max_age of fresh_login_required() must be seconds or a timedelta, not {type(wrong).__name__}. "
        "Use timedelta(minutes=5)."
    )


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_decorated_view_keeps_its_name_and_its_words(decorator: Callable[[Any], Any]) -> None:
    def view(number: int) -> str:
        """Show a number."""
        return str(number)

    decorated = decorator(view)

    assert (decorated.__name__, decorated.__doc__) == ("view", "Show a number.")


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_decorated_view_is_given_its_arguments(decorator: Callable[[Any], Any]) -> None:
    decorated = decorator(lambda number, *, more: [number, more])
    with an_app().test_request_context():
        login_user("alice")
        session._get_current_object()._kept = _just_signed_in()  # type: ignore[attr-defined]

        assert decorated(1, more=2) == [1, 2]


def _just_signed_in() -> Any:
    import time

    from flask_sessionkit.draft import Kept
    from flask_sessionkit.policy import Times

    now = time.time()
    return Kept(user="alice", times=Times(now, now, now, 1800.0, now + 3600))


@pytest.mark.parametrize("decorator", [login_view, login_required, logout_view])
def test_an_error_of_the_view_goes_through(decorator: Callable[[Any], Any]) -> None:
    def view() -> None:
        raise LookupError("mine")

    with an_app().test_request_context(method="POST"):
        login_user("alice")
        with pytest.raises(LookupError, match="mine"):
            decorator(view)()


@pytest.mark.parametrize(("method", "ends"), [("GET", False), ("HEAD", False), ("OPTIONS", False), ("POST", True)])
def test_only_a_post_logs_out_unless_a_get_may(method: str, ends: bool) -> None:
    for decorator, wanted in ((logout_view, ends), (logout_view(allow_get=True), True)):
        with an_app().test_request_context(method=method):
            current_session()["a"] = 1
            decorator(lambda: None)()
            assert (current_session().draft().ended is not None) is wanted
            assert session["a"] == 1


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_path_of_ours_never_names_a_host(text: str) -> None:
    """Whatever browsers strip or fold: tabs and line ends go, a backslash is a slash."""
    for wanted in (text, f"/{text}", f"//{text}", f"/\\{text}"):
        if _OWN_PATH.fullmatch(wanted):
            seen = wanted.strip().translate({9: None, 10: None, 13: None, 92: "/"})
            assert seen.startswith("/")
            assert not seen.startswith("//")
