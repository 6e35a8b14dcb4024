"""An application of Flask-Session's, its one import changed: everybody is signed in still, under a new id."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from flask import session
from former_shops import SECRET, Settings, Shop, cookie_of, former, kept, moved, signed_in

from flask_sessionkit.testing import FrozenClock, in_thread, pausing, race

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(time.time())


def lies_there(shop: Shop, cookie: str) -> bool:
    """Whether the old record is there."""
    site: Any = shop.app.session_interface
    with shop.app.app_context():
        return site.place.read(site.means.prefix + cookie.partition(".")[0], now=time.time()) is not None


@pytest.mark.parametrize("written_as", ["msgpack", "json"])
def test_everybody_is_signed_in_still_under_a_new_id(settings: Settings, written_as: str, clock: FrozenClock) -> None:
    cookie = signed_in(former(settings, SESSION_SERIALIZATION_FORMAT=written_as))
    shop = moved(settings, clock=clock)
    assert lies_there(shop, cookie)

    response = shop.asked_by(cookie)
    new = cookie_of(response)

    assert response.json == kept("ann")
    assert new is not None
    assert new not in ("", cookie)
    assert not lies_there(shop, cookie)
    assert shop.asked_by(new).json == kept("ann")
    clock.tick(31)
    assert shop.asked_by(cookie).json == {}


@pytest.mark.parametrize("kind", ["redis"])
def test_a_signed_id_is_taken_over_and_an_unsigned_one_is_not(
    kind: str, settings_of: Callable[[str], Settings]
) -> None:
    settings = settings_of(kind)
    cookie = signed_in(former(settings, SESSION_USE_SIGNER=True))
    shop = moved(settings, SESSION_USE_SIGNER=True)

    assert shop.asked_by(cookie.partition(".")[0]).json == {}
    assert shop.asked_by(cookie.replace(".", ".A")).json == {}
    assert shop.asked_by(cookie).json == kept("ann")


def test_an_id_that_the_secret_before_signed_is_taken_over(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("redis")
    cookie = signed_in(former(settings, SESSION_USE_SIGNER=True))
    shop = moved(settings, SESSION_USE_SIGNER=True, SECRET_KEY="another", SECRET_KEY_FALLBACKS=[SECRET])

    assert shop.asked_by(cookie).json == kept("ann")


def test_ids_of_another_length_are_taken_over(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("redis")
    cookie = signed_in(former(settings, SESSION_ID_LENGTH=64))
    shop = moved(settings, SESSION_ID_LENGTH=64)

    assert len(cookie) == 86
    assert shop.asked_by(cookie).json == kept("ann")


def test_requests_at_once_lead_to_one_session(settings: Settings) -> None:
    cookie = signed_in(former(settings))
    shop = moved(settings)

    shop.asked_by(cookie)
    late = shop.asked_by(cookie, "/add", "POST")

    assert late.status_code == 200
    with shop.app.app_context():
        assert len(shop.app.extensions["sessionkit"].sessions_of("ann")) == 1


def test_who_signed_out_after_the_move_stays_out(settings: Settings, clock: FrozenClock) -> None:
    cookie = signed_in(former(settings))
    shop = moved(settings, clock=clock)
    new = cookie_of(shop.asked_by(cookie))
    assert new

    shop.asked_by(new, "/logout", "POST")

    assert shop.asked_by(new).json == {}
    assert shop.asked_by(cookie).json == {}


def test_a_record_that_an_old_server_wrote_again_opens_nothing(settings: Settings, clock: FrozenClock) -> None:
    """A slow request of Flask-Session's ends after the take-over, and writes what it had read."""
    old = former(settings)
    cookie = signed_in(old)
    shop = moved(settings, clock=clock, PERMANENT_SESSION_LIFETIME=100 * DAY)
    new = cookie_of(shop.asked_by(cookie))
    assert new
    shop.asked_by(new)
    shop.asked_by(new, "/logout", "POST")
    interface: Any = old.app.session_interface
    with old.app.app_context():
        interface._upsert_session(
            100 * DAY, interface.session_class(kept("ann"), sid=cookie), interface._get_store_id(cookie)
        )
    assert lies_there(shop, cookie)

    clock.tick(90 * DAY)
    with shop.app.app_context():
        shop.kit.purge()

    assert shop.asked_by(cookie).json == {}


def test_what_ended_before_the_move_is_not_taken_over(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("sqlite")
    cookie = signed_in(former(settings, PERMANENT_SESSION_LIFETIME=timedelta(days=3)))
    shop = moved(settings, clock=FrozenClock(time.time() + 3 * 86_400 + 60))

    assert shop.asked_by(cookie).json == {}


def test_a_session_that_was_not_permanent_is_not(settings: Settings) -> None:
    cookie = signed_in(former(settings, SESSION_PERMANENT=False))
    shop = moved(settings)

    response = shop.asked_by(cookie)

    assert response.json == kept("ann")
    assert "Max-Age" not in response.headers["Set-Cookie"]


def test_what_nobody_can_keep_is_left_where_it_is(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("redis")
    cookie = signed_in(former(settings))
    client = settings(None)["SESSION_REDIS"]  # type: ignore[arg-type]  # it needs none
    (name,) = client.scan_iter(match=f"*{cookie}")
    client.set(name, msgspec.msgpack.encode({"a": {"large": "x" * 100_000}}))
    shop = moved(settings)

    assert shop.asked_by(cookie).json == {}
    assert client.exists(name)


def test_in_production_the_old_cookie_is_deleted(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("redis")
    cookie = signed_in(former(settings))
    shop = moved(settings, TESTING=False, SECRET_KEY=secrets.token_hex())
    client = shop.app.test_client(use_cookies=False)

    response = client.get("/me", headers={"Cookie": f"session={cookie}"}, base_url="https://shop.example")
    first, second = sorted(response.headers.getlist("Set-Cookie"))

    assert response.json == kept("ann")
    assert first.startswith("__Host-session=")
    assert second.startswith("session=;")
    assert "Max-Age=0" in second


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"])
def test_in_tests_with_a_database_in_memory_nobody_was_there_before(url: str) -> None:
    shop = moved(
        lambda app: {"SESSION_TYPE": "sqlalchemy", "SQLALCHEMY_DATABASE_URI": url, "SESSIONKIT_STORE": "memory:"}
    )

    assert shop.asked_by(secrets.token_urlsafe(32)).json == {}


# What Flask-Session did with its sessions, and ours do.


def test_a_new_session_is_permanent_as_there(memory_cache: object) -> None:
    settings = {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": memory_cache}
    permanent = moved(lambda app: settings).browser().post("/login", data={"name": "ann"})
    passing = moved(lambda app: settings, SESSION_PERMANENT=False).browser().post("/login", data={"name": "ann"})

    assert "Max-Age" in permanent.headers["Set-Cookie"]
    assert "Max-Age" not in passing.headers["Set-Cookie"]


class Visitor:
    """A browser whose views are functions."""

    def __init__(self, **settings: Any) -> None:
        self.shop = moved(lambda app: {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": _memory(), **settings})
        self.views: list[Callable[[], Any]] = []
        self.answers: list[Any] = []
        self.shop.app.add_url_rule("/do", "do", self._do)
        self.client = self.shop.browser()

    def does(self, view: Callable[[], Any]) -> Any:
        self.views.append(view)
        self.response = self.client.get("/do")
        assert self.response.status_code == 200
        return self.answers[-1]

    def _do(self) -> str:
        self.answers.append(self.views[-1]())
        return "done"


def _memory() -> Any:
    from cachelib import SimpleCache

    return SimpleCache()


def put(**items: Any) -> Callable[[], Any]:
    return lambda: session.update(items)


def sid() -> str:
    name: str = session.sid  # type: ignore[attr-defined]  # Flask-Session's has one
    return name


def test_sid_is_the_same_in_each_request() -> None:
    visitor = Visitor()
    visitor.does(put(cart=1))

    assert len({visitor.does(sid) for _ in range(3)}) == 1


def test_sid_of_a_session_that_begins_is_kept() -> None:
    visitor = Visitor()

    first = visitor.does(lambda: (sid(), session.update(cart=1))[0])

    assert visitor.does(sid) == first


def test_sid_stays_at_a_login() -> None:
    visitor = Visitor()
    first = visitor.does(lambda: (sid(), session.update(cart=1))[0])

    visitor.does(put(_user_id="ann"))

    assert visitor.does(sid) == first


def test_sid_alone_keeps_no_session() -> None:
    visitor = Visitor()

    first = visitor.does(sid)

    assert "Set-Cookie" not in visitor.response.headers
    assert visitor.does(sid) != first


def test_sid_opens_nothing() -> None:
    visitor = Visitor()
    visitor.does(put(_user_id="ann"))
    name = visitor.does(sid)
    cookie = visitor.client.get_cookie("session")
    assert cookie is not None

    assert name != cookie.value
    assert visitor.shop.asked_by(name).json == {}


def test_sid_of_what_was_taken_over_is_not_the_old_id(settings_of: Callable[[str], Settings]) -> None:
    settings = settings_of("redis")
    cookie = signed_in(former(settings))
    shop = moved(settings)
    shop.app.add_url_rule("/sid", "sid", sid)
    new = cookie_of(shop.asked_by(cookie)) or ""

    named = [shop.asked_by(new, "/sid").text for _ in range(2)]

    assert len({*named, cookie, new}) == 3


def test_what_was_taken_over_has_its_sid_from_the_start(settings_of: Callable[[str], Settings]) -> None:
    """A page's first requests come at once, and each would draw one."""
    settings = settings_of("redis")
    cookie = signed_in(former(settings))
    shop = moved(settings)
    shop.app.add_url_rule("/has", "has", lambda: str("_sid" in session))

    assert shop.asked_by(cookie, "/has").text == "True"


def test_the_interface_renews_a_session() -> None:
    visitor = Visitor()
    visitor.does(put(cart=1))
    before, first = visitor.client.get_cookie("session"), visitor.does(sid)

    visitor.does(lambda: visitor.shop.app.session_interface.regenerate(session))  # type: ignore[attr-defined]  # ours
    after = visitor.client.get_cookie("session")

    assert before is not None
    assert after is not None
    assert after.value != before.value
    assert visitor.shop.asked_by(before.value).json == {}
    assert visitor.shop.asked_by(after.value).json == {"cart": 1}
    assert visitor.does(sid) != first


def test_an_empty_session_is_false_and_kept_nowhere() -> None:
    visitor = Visitor()

    assert visitor.does(lambda: (setattr(session, "permanent", True), bool(session))[1]) is False
    assert "Set-Cookie" not in visitor.response.headers


def test_a_session_in_which_nothing_is_left_ends() -> None:
    visitor = Visitor()
    visitor.does(put(cart=1))

    assert visitor.does(lambda: (session.pop("cart"), bool(session))[1]) is False
    assert "Max-Age=0" in visitor.response.headers["Set-Cookie"]


def test_clear_leaves_a_session_as_permanent_as_it_was() -> None:
    visitor = Visitor()
    visitor.does(lambda: (session.update(cart=1), setattr(session, "permanent", False)))

    visitor.does(lambda: (session.clear(), session.update(cart=2)))

    assert visitor.does(lambda: session.permanent) is False


def test_permanent_is_true_before_it_is_set() -> None:
    assert Visitor().does(lambda: session.permanent) is True
    assert Visitor(SESSION_PERMANENT=False).does(lambda: session.permanent) is False


def test_an_atomic_change_begins_a_session_as_any_does() -> None:
    visitor = Visitor()

    visitor.does(lambda: session.atomic(lambda own: own.update(cart=1)))  # type: ignore[attr-defined]  # ours

    assert "Max-Age" in visitor.response.headers["Set-Cookie"]
    assert visitor.does(sid) == visitor.does(sid)


def test_an_atomic_look_begins_none() -> None:
    visitor = Visitor()

    visitor.does(lambda: session.atomic(len))  # type: ignore[attr-defined]  # ours

    assert "Set-Cookie" not in visitor.response.headers


def test_a_request_that_reads_writes_nothing() -> None:
    visitor = Visitor()
    visitor.does(put(cart=1))
    store: Any = visitor.shop.app.session_interface.store  # type: ignore[attr-defined]  # ours has one
    before = {key: record.version for key, record in store._records.items()}

    visitor.does(lambda: (session["cart"], sid(), session.permanent))

    assert {key: record.version for key, record in store._records.items()} == before


def test_the_command_of_flask_session_goes_on_working(settings_of: Callable[[str], Settings]) -> None:
    shop = moved(settings_of("sqlite"))

    result = shop.app.test_cli_runner().invoke(args=["session_cleanup"])

    assert result.output == "0 removed.\n"


def test_a_second_request_does_not_sign_out_the_first(settings_of: Callable[[str], Settings]) -> None:
    """It comes between the step that remembers the take-over and the one that removes the old record."""
    settings = settings_of("redis")
    cookie = signed_in(former(settings))
    shop = moved(settings)

    with pausing(shop.app) as store:
        pause = store.pause_after("create", nth=2)
        first = in_thread(shop.asked_by, cookie)
        pause.wait()
        second = shop.asked_by(cookie)
        pause.release()
        new = cookie_of(first.result()) or ""

    assert second.json == kept("ann")
    assert shop.asked_by(new).json == kept("ann")
    assert not lies_there(shop, cookie)


@pytest.mark.parametrize("kind", ["redis", "postgresql", "json-files"])
def test_a_pages_requests_that_come_at_once_are_all_signed_in(
    kind: str, settings_of: Callable[[str], Settings]
) -> None:
    settings = settings_of(kind)
    cookie = signed_in(former(settings))
    shop = moved(settings, SESSIONKIT_STORE_TIMEOUT=10)

    seen = race(*[lambda lane: shop.asked_by(cookie).json] * 6)

    assert seen == [[kept("ann")] * 6]
    with shop.app.app_context():
        assert len(shop.kit.sessions_of("ann")) == 1
    assert not lies_there(shop, cookie)
