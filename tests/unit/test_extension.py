"""SessionKit on an application: what it gives, counts and refuses. Settings are in ``flows``."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
import redis
from flask import Flask, current_app

from flask_sessionkit import ConfigError, SessionKit, SessionKitError, StoreError, extension
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.testing.contract import NOW, a_record


def an_app(store: Any = None) -> tuple[Flask, SessionKit, PausingStore]:
    app = Flask("unit")
    app.config.update(SECRET_KEY="x", TESTING=True, PROPAGATE_EXCEPTIONS=False)
    store = PausingStore(store or MemoryStore())
    return app, SessionKit(app, store=store, clock=FrozenClock(NOW)), store


def test_its_example_runs() -> None:
    assert doctest.testmod(extension).failed == 0


@pytest.mark.parametrize("wrong", ["app", 7, Flask])
def test_it_is_put_on_an_application(wrong: Any) -> None:
    for put in (SessionKit, SessionKit().init_app):
        with pytest.raises(TypeError) as raised:
            put(wrong)
        assert str(raised.value) == (
            f"app of SessionKit must be a Flask application, not {type(wrong).__name__}. Use SessionKit(Flask(...))."
        )


def test_it_takes_an_application_behind_a_proxy() -> None:
    app = Flask("unit")
    with app.app_context():
        kit = SessionKit(current_app)

    assert app.extensions["sessionkit"] is kit


@pytest.mark.parametrize("call", ["sessions_of", "revoke", "revoke_user", "revoke_others"])
def test_what_lists_and_ends_needs_an_application(call: str) -> None:
    with pytest.raises(RuntimeError, match="outside of application context"):
        getattr(SessionKit(), call)("x")


def test_an_application_with_other_sessions_is_told_so() -> None:
    with (
        Flask("other").app_context(),
        pytest.raises(SessionKitError, match=r"other has other sessions. Call SessionKit"),
    ):
        SessionKit().sessions_of("alice")


@pytest.mark.requirement("TR-11")
def test_a_second_kit_is_refused() -> None:
    """It would ask its own ``user_stamp``, and who is barred by the first one's would be let in."""
    app, first, _ = an_app()

    with pytest.raises(ConfigError, match="has a SessionKit already"):
        SessionKit(app, store=MemoryStore())
    assert app.extensions["sessionkit"] is first


def test_the_same_kit_may_read_the_settings_again() -> None:
    app, kit, _ = an_app()
    kit.init_app(app)

    assert app.extensions["sessionkit"] is kit


def test_a_form_without_a_handle_ends_nothing() -> None:
    app, kit, _ = an_app()
    with app.app_context():
        assert kit.revoke(None, user_id="alice") == 0


@pytest.mark.parametrize("wrong", [None, True, 1.5, b"1"])
@pytest.mark.parametrize("call", ["sessions_of", "revoke_user", "revoke_others"])
def test_a_user_id_is_checked(call: str, wrong: Any) -> None:
    app, kit, store = an_app()
    with app.app_context(), pytest.raises(TypeError, match="A user id must be"):
        getattr(kit, call)(wrong)

    assert store.counts == {}


def test_an_empty_user_id_is_refused_and_ends_nobody() -> None:
    """``revoke(handle, user_id="")``: an id that a session does not have must not mean "anybody"."""
    app, kit, store = an_app()
    with app.app_context(), pytest.raises(ValueError, match="must not be empty"):
        kit.revoke("x" * 43, user_id="")

    assert store.counts == {}


def test_purge_goes_on_until_there_is_no_more_and_tells_each_batch() -> None:
    app, kit, store = an_app()
    for number in range(5):
        store.inner.create(a_record(number, created_at=0.0, seen_at=0.0, absolute_at=10.0))
    batches: list[int] = []

    with app.app_context():
        assert kit.purge(batch=2, on_batch=batches.append) == 5
    assert batches == [2, 2, 1]


def test_purge_passes_the_stores_failure_on() -> None:
    app, kit, store = an_app()
    store.fail("purge")

    with app.app_context(), pytest.raises(StoreError):
        kit.purge()


def test_user_stamp_gives_the_function_back() -> None:
    def stamp(user: str) -> str | None:
        return user

    assert SessionKit().user_stamp(stamp) is stamp


def test_a_stamp_that_is_registered_after_the_start_counts() -> None:
    app, kit, _ = an_app()
    asked: list[str] = []

    @app.get("/in")
    def sign_in() -> str:
        from flask_sessionkit import login_user

        login_user("alice")
        return "in"

    @kit.user_stamp
    def stamp(user: str) -> str:
        asked.append(user)
        return "1"

    app.test_client().get("/in")

    assert asked == ["alice"]


def test_a_failing_store_is_answered_by_the_applications_own_page() -> None:
    app, kit, store = an_app()
    app.add_url_rule("/list", "list", lambda: str(kit.sessions_of("alice")))
    app.register_error_handler(503, lambda error: ("our own page", 503))
    store.fail("list_owner")
    answer = app.test_client().get("/list")

    assert (answer.status_code, answer.get_data(as_text=True)) == (503, "our own page")


def test_a_failing_store_is_a_503_that_says_when_to_come_back() -> None:
    app, kit, store = an_app()
    app.add_url_rule("/list", "list", lambda: str(kit.sessions_of("alice")))
    store.fail("list_owner")
    answer = app.test_client().get("/list")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "as the test wanted" not in answer.get_data(as_text=True)


def test_a_store_without_an_index_cannot_list() -> None:
    class Unlisted(MemoryStore):
        capabilities = Capability.PURGE

    app, kit, _ = an_app(Unlisted())

    with app.app_context(), pytest.raises(SessionKitError, match="cannot list"):
        kit.sessions_of("alice")


def test_a_client_of_redis_is_taken_as_it_is() -> None:
    app = Flask("unit")
    client = redis.Redis(port=1)
    app.config.update(SECRET_KEY="x", TESTING=True, SESSIONKIT_STORE=client, SESSIONKIT_KEY_PREFIX="ours:")

    kit = SessionKit(app)

    with app.app_context():
        assert isinstance(kit.store, RedisStore)
        assert kit.store._key("0") == "ours:0"


@pytest.mark.parametrize("make", [lambda redis: redis.asyncio.Redis(), lambda redis: redis.Redis().pipeline()])
def test_a_client_that_is_none_is_refused(make: Any) -> None:
    app = Flask("unit")
    app.config.update(SECRET_KEY="x", TESTING=True)

    with pytest.raises(ConfigError, match="Give it a Redis"):
        SessionKit(app, store=make(redis))
