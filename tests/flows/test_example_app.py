"""The example shop: what it promises to a visitor, by way of its pages."""

from __future__ import annotations

import doctest
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from shop_visitor import SECRET, Visitor, shop

from example_app import create_app, goods, inside, people
from example_app.accounts import SENTENCES
from flask_sessionkit.reasons import Reason
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

MINUTES = 60


@pytest.fixture(params=["memory:", "file:", "sqlite:///sessions.db", "cookie:"])
def app(request: pytest.FixtureRequest, clock: FrozenClock, tmp_path: Path) -> Flask:
    known = {"SESSIONKIT_REVOCATION_STORE": "memory:"} if request.param == "cookie:" else {}
    return shop(clock, tmp_path, SESSIONKIT_STORE=request.param, **known)


@pytest.fixture
def is_in_browser(app: Flask) -> bool:
    return bool(app.config["SESSIONKIT_STORE"] == "cookie:")


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


class TestCart:
    def test_survives_the_login(self, visitor: Visitor) -> None:
        visitor.buy("green-room", "2")
        visitor.log_in()

        assert visitor.pieces == 2

    def test_adds_up(self, visitor: Visitor) -> None:
        visitor.buy("green-room", "2")
        visitor.buy("quiet-hour")
        visitor.buy("green-room")

        assert visitor.pieces == 4
        assert "€47.80" in visitor.read("/cart")

    def test_takes_over_quantities_deep_inside(self, visitor: Visitor) -> None:
        visitor.buy("green-room")
        visitor.buy("quiet-hour")
        visitor.send("/cart", **{"quantity-green-room": "5", "quantity-quiet-hour": "0"})

        assert visitor.pieces == 5
        assert "Quiet Hour" not in visitor.read("/cart")

    def test_removes_by_button(self, visitor: Visitor) -> None:
        visitor.buy("green-room")
        visitor.send("/cart", remove="green-room", **{"quantity-green-room": "1"})

        assert visitor.pieces == 0

    def test_takes_quantities_over_on_the_way_to_the_till(self, visitor: Visitor) -> None:
        visitor.buy("green-room")
        visitor.log_in()
        answer = visitor.send("/cart", then="till", **{"quantity-green-room": "5"})

        assert answer.request.path == "/till"
        assert visitor.pieces == 5

    def test_has_no_link_to_the_till_that_would_lose_quantities(self, visitor: Visitor) -> None:
        visitor.buy("green-room")

        assert 'href="/till"' not in visitor.read("/cart")

    def test_emptied_on_the_way_to_the_till_stays_where_it_is(self, visitor: Visitor) -> None:
        visitor.buy("green-room")
        answer = visitor.send("/cart", follow=False, then="till", **{"quantity-green-room": "0"})

        assert answer.location == "/cart"

    def test_speaks_of_its_quantities_only_if_it_has_some(self, visitor: Visitor) -> None:
        assert "session.modified" not in visitor.read("/cart")
        visitor.buy()
        assert "session.modified" in visitor.read("/cart")

    @pytest.mark.parametrize(("asked", "got"), [("99999", 12), ("-3", 0), ("many", 1)])
    def test_stays_within_reason(self, visitor: Visitor, asked: str, got: int) -> None:
        visitor.buy("green-room", asked)

        assert visitor.pieces == got

    def test_of_an_unknown_thing_is_not_found(self, visitor: Visitor) -> None:
        answer = visitor.client.get("/goods/coffee")

        assert answer.status_code == 404
        assert "Not on our shelf" in answer.text


class TestLogin:
    def test_changes_the_cookie(self, visitor: Visitor) -> None:
        visitor.buy()
        before = visitor.cookie

        visitor.log_in()

        assert visitor.cookie not in (before, None)

    def test_kills_the_cookie_from_before(self, visitor: Visitor, is_in_browser: bool) -> None:
        """In the browser it is a stranger's ever after: nothing is kept of those who are nobody."""
        visitor.buy()
        before = visitor.cookie
        visitor.log_in()

        visitor.come_with(before)

        assert "Alice" not in visitor.read("/session")
        assert visitor.pieces == (1 if is_in_browser else 0)

    @pytest.mark.parametrize(("name", "password"), [("alice", "coffee-time"), ("alice", ""), ("carol", "tea-time")])
    def test_wrong_lets_nobody_in(self, visitor: Visitor, name: str, password: str) -> None:
        answer = visitor.log_in(name, password)

        assert "Sign in" in answer.text
        assert "Sign out" not in visitor.read("/")

    def test_wrong_says_so_in_one_way(self, visitor: Visitor) -> None:
        answers = [visitor.log_in("alice", "coffee-time"), visitor.log_in("carol", "tea-time")]

        assert [answer.status_code for answer in answers] == [401, 401]
        assert all("do not belong together" in answer.text for answer in answers)

    def test_wrong_says_so_at_both_fields(self, visitor: Visitor) -> None:
        page = visitor.log_in("alice", "coffee-time").text

        assert page.index("<form") < page.index('id="form-fault"') < page.index('<label for="name"')
        assert page.count('aria-describedby="form-fault"') == page.count('aria-invalid="true"') == 2

    def test_without_a_name_says_so_at_that_field(self, visitor: Visitor) -> None:
        page = visitor.log_in("", "tea-time").text

        assert page.count('aria-invalid="true"') == page.count('aria-describedby="name-fault"') == 1

    def test_without_the_forms_token_is_refused(self, visitor: Visitor) -> None:
        visitor.read("/login")
        answer = visitor.client.post("/login", data={"name": "alice", "password": people.DEMO_PASSWORD})

        assert answer.status_code == 400
        assert "Sign out" not in visitor.read("/")

    def test_lets_both_people_in(self, visitor: Visitor) -> None:
        visitor.log_in("bob")

        assert "Bob Okafor" in visitor.read("/session")

    def test_of_another_drops_the_cart_of_the_one_before(self, visitor: Visitor) -> None:
        visitor.log_in("alice")
        visitor.buy()
        visitor.sign_up("carol")

        assert visitor.pieces == 0

    def test_leads_on_to_the_page_that_was_wanted(self, visitor: Visitor) -> None:
        sent = visitor.client.get("/till")
        answer = visitor.log_in(at=sent.location)

        assert answer.location == "/till"

    @pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "till"])
    def test_never_leads_to_another_origin(self, visitor: Visitor, elsewhere: str) -> None:
        answer = visitor.log_in(at=f"/login?next={elsewhere}")

        assert answer.location == "/"

    def test_asks_the_hash_for_unknown_names_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        monkeypatch.setattr(people, "check_password_hash", lambda *given: asked.append(given))
        people.People(tmp_path / "people.db").with_password("carol", "tea-time")

        assert len(asked) == 1

    def test_tells_the_password_in_debug_mode_only(self, visitor: Visitor, app: Flask) -> None:
        told = "For trying out"
        assert told not in visitor.read("/login")
        app.debug = True

        assert told in visitor.read("/login")


class TestLogout:
    def test_kills_the_cookie(self, visitor: Visitor) -> None:
        visitor.log_in()
        before = visitor.cookie
        visitor.log_out()

        visitor.come_with(before)

        assert "Alice" not in visitor.read("/session")

    def test_takes_the_cart_along_and_says_goodbye(self, visitor: Visitor) -> None:
        visitor.log_in()
        visitor.buy()

        assert "You have signed out" in visitor.log_out().text
        assert visitor.pieces == 0

    def test_is_no_link(self, visitor: Visitor) -> None:
        visitor.log_in()

        assert visitor.client.get("/logout").status_code == 405
        assert "Sign out" in visitor.read("/")

    def test_needs_the_forms_token(self, visitor: Visitor) -> None:
        visitor.log_in()

        assert visitor.client.post("/logout").status_code == 400
        assert "Sign out" in visitor.read("/")


class TestTill:
    def test_is_closed_to_strangers(self, visitor: Visitor) -> None:
        visitor.buy()

        assert visitor.client.get("/till").location == "/login?next=/till"

    def test_asks_again_after_a_quarter_of_an_hour(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.buy()
        visitor.log_in()

        clock.tick(15 * MINUTES - 1)
        assert "Place the order" in visitor.read("/till")
        clock.tick(1)
        assert "Your password once more" in visitor.read("/till")
        visitor.log_in()
        assert "Place the order" in visitor.read("/till")

    def test_turns_the_cart_into_an_order(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.buy("green-room", "3")
        visitor.log_in()
        page = visitor.send("/till").text

        assert "Thank you, Alice." in page
        assert "€39.60" in page
        assert inside.moment(clock.now()) in page
        assert visitor.pieces == 0

    def test_with_an_empty_cart_leads_back(self, visitor: Visitor) -> None:
        visitor.log_in()

        assert visitor.client.get("/till").location == "/cart"
        assert visitor.client.get("/order").location == "/"


class TestEnding:
    def test_after_a_pause_is_explained(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.log_in()
        clock.tick(30 * MINUTES)

        assert SENTENCES["idle"] in visitor.read("/till")

    def test_is_not_explained_to_who_signed_in_again(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.log_in()
        clock.tick(30 * MINUTES)
        visitor.log_in()

        assert SENTENCES["idle"] not in visitor.read("/")

    def test_after_a_long_day_is_explained(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.log_in()
        for _ in range(36):
            assert "Sign out" in visitor.read("/")
            clock.tick(20 * MINUTES)

        assert SENTENCES["absolute"] in visitor.read("/")

    def test_from_elsewhere_is_explained(self, visitor: Visitor, app: Flask) -> None:
        visitor.log_in()
        with app.app_context():
            ended = app.extensions["sessionkit"].revoke_user("1")

        assert ended == 1
        assert SENTENCES["revoked"] in visitor.read("/")

    def test_by_a_new_password_is_explained(self, visitor: Visitor, app: Flask) -> None:
        visitor.log_in()
        app.extensions["people"].change_password("1", "a kettle for two")

        assert SENTENCES["stamp"] in visitor.read("/")

    def test_by_logout_and_login_is_explained_to_a_late_cookie(self, visitor: Visitor, is_in_browser: bool) -> None:
        visitor.buy()
        stranger = visitor.cookie
        visitor.log_in()
        alice = visitor.cookie
        visitor.log_out()

        visitor.come_with(stranger)
        assert (SENTENCES["replaced"] in visitor.read("/")) is not is_in_browser
        visitor.come_with(alice)
        assert SENTENCES["logout"] in visitor.read("/")

    def test_by_logout_promises_a_late_cookie_only_what_it_can_do(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.log_in()
        before = visitor.cookie
        visitor.log_out()
        visitor.come_with(before)
        promise = "good for signing in and for nothing else"

        assert promise in visitor.read("/session")
        assert "That session is over" in visitor.buy().text
        assert visitor.pieces == 0
        clock.tick(60)
        assert promise not in visitor.read("/session")
        visitor.buy()
        assert visitor.pieces == 1

    def test_after_a_pause_promises_a_new_cart_and_keeps_the_promise(
        self, visitor: Visitor, clock: FrozenClock
    ) -> None:
        visitor.buy()
        clock.tick(30 * MINUTES)

        assert "The next thing you put into the cart begins a new one" in visitor.read("/session")
        visitor.buy()
        assert visitor.pieces == 1

    def test_lets_one_sign_in_again_at_once(self, visitor: Visitor) -> None:
        visitor.log_in()
        before = visitor.cookie
        visitor.log_out()
        visitor.come_with(before)

        assert visitor.log_in().status_code == 302
        assert "Sign out" in visitor.read("/")

    def test_has_a_sentence_for_every_reason(self) -> None:
        assert SENTENCES.keys() == {*Reason}


class TestSessionPage:
    def test_tells_a_stranger_that_there_is_none(self, visitor: Visitor) -> None:
        assert "You have none" in visitor.read("/session")
        assert visitor.cookie is None

    def test_tells_of_a_cookie_that_opens_nothing(self, visitor: Visitor) -> None:
        visitor.come_with("A" * 43)

        assert "no session that it opens" in visitor.read("/session")

    def test_explains_last_seen_only_if_it_shows_it(self, visitor: Visitor) -> None:
        assert "Last seen" not in visitor.read("/session")
        visitor.log_in()
        assert "“Last seen”" in visitor.read("/session")

    def test_counts_down(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.log_in()
        clock.tick(40)
        page = visitor.read("/session")

        assert dials(page) == {"idle": "29:20", "absolute": "11:59:20", "age": "0:40"}

    def test_begins_anew_where_somebody_is_seen(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.log_in()
        clock.tick(10 * MINUTES)

        assert dials(visitor.read("/session")) == {"idle": "30:00", "absolute": "11:50:00", "age": "10:00"}

    def test_follows_the_settings(self, clock: FrozenClock, tmp_path: Path) -> None:
        limits = {"SESSIONKIT_IDLE_TIMEOUT": timedelta(minutes=5), "SESSIONKIT_ABSOLUTE_TIMEOUT": 3600}
        visitor = Visitor(shop(clock, tmp_path, **limits))
        visitor.log_in()

        assert dials(visitor.read("/session")) == {"idle": "5:00", "absolute": "1:00:00", "age": "0:00"}

    def test_names_the_keys_and_no_token(self, visitor: Visitor) -> None:
        visitor.buy()
        visitor.log_in()
        page = visitor.read("/session")

        assert "<code>cart</code>" in page
        assert visitor.cookie not in page

    def test_says_what_kind_of_store_it_is(self, visitor: Visitor, app: Flask) -> None:
        visitor.log_in()
        words = {
            "memory:": "the memory of",
            "file:": "files on this server",
            "sqlite:": "a SQLite file",
            "cookie:": "your browser",
        }
        kind = app.config["SESSIONKIT_STORE"].partition(":")[0] + ":"

        assert f"In {words[kind]}" in visitor.read("/session")


class TestCost:
    @pytest.fixture
    def store(self) -> PausingStore:
        return PausingStore(MemoryStore())

    @pytest.fixture
    def visitor(self, store: PausingStore, clock: FrozenClock, tmp_path: Path) -> Visitor:
        return Visitor(shop(clock, tmp_path, SESSIONKIT_STORE=store))

    def test_of_static_files_is_none(self, visitor: Visitor, store: PausingStore) -> None:
        visitor.log_in()
        store.reset()
        with visitor.client.get("/static/shop.css") as answer:
            assert answer.status_code == 200
            assert "Cookie" not in answer.vary

        assert not store.counts

    def test_of_looking_around_without_a_cookie_is_none(self, visitor: Visitor, store: PausingStore) -> None:
        for path in ("/", "/cart", "/session", "/nowhere"):
            visitor.read(path)

        assert not store.counts
        assert visitor.cookie is None

    def test_of_reading_a_page_is_one_load(self, visitor: Visitor, store: PausingStore) -> None:
        visitor.log_in()
        visitor.read("/")
        store.reset()
        visitor.read("/")

        assert store.counts == {"load": 1}

    def test_of_a_broken_store_is_a_page(self, visitor: Visitor, store: PausingStore) -> None:
        visitor.log_in()
        store.fail("load")
        answer = visitor.client.get("/")

        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "Steep Street" in answer.text


class TestInstallation:
    def test_makes_a_secret_of_its_own_and_keeps_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "instance"
        secrets = {create_app(instance_path=str(folder)).secret_key for _ in range(2)}

        assert len(secrets) == 1
        assert len(secrets.pop()) == 64
        assert [path.name for path in folder.iterdir()] == ["secret_key"]
        assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600

    def test_takes_the_secret_of_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_SECRET_KEY", SECRET)
        app = create_app(instance_path=str(tmp_path))

        assert app.secret_key == SECRET
        assert not list(tmp_path.iterdir())

    def test_takes_the_store_of_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_SESSIONKIT_STORE", "memory:")
        app = create_app(instance_path=str(tmp_path))

        with app.app_context():
            assert isinstance(app.extensions["sessionkit"].store, MemoryStore)

    @pytest.mark.parametrize("module", [goods, inside, people])
    def test_shows_what_its_docstrings_say(self, module: object) -> None:
        assert doctest.testmod(module).failed == 0


def dials(page: str) -> dict[str, str]:
    return dict(re.findall(r'aria-labelledby="(\w+)"[^>]*>([\d:]+)<', page))
