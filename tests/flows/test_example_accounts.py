"""The example shop's accounts: signing up, the password, the end of an account, and the administrator's page."""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from devices_site import FIREFOX
from flask import Flask
from shop_visitor import PASSWORD, Visitor, shop

from example_app import people
from example_app.accounts import SENTENCES
from flask_sessionkit.testing import FrozenClock, race

MINUTES = 60
DAYS = 24 * 60 * MINUTES
NEW = "another kettle"


@pytest.fixture
def app(clock: FrozenClock, tmp_path: Path) -> Flask:
    return shop(clock, tmp_path)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def other(app: Flask) -> Visitor:
    """Another browser."""
    return Visitor(app)


class TestSignUp:
    def test_signs_in_and_keeps_the_cart_under_a_new_cookie(self, visitor: Visitor) -> None:
        visitor.buy("green-room", "2")
        before = visitor.cookie
        answer = visitor.sign_up("Carol")

        assert answer.location == "/cart"
        assert visitor.pieces == 2
        assert visitor.cookie != before
        assert ">Carol</a>" in visitor.read("/")

    def test_lets_one_sign_in_later_however_the_name_is_written(self, visitor: Visitor, other: Visitor) -> None:
        visitor.sign_up("Carol Finch")
        other.log_in(" CAROL finch ", PASSWORD)

        assert other.is_signed_in

    def test_outlives_a_restart(self, visitor: Visitor, clock: FrozenClock, tmp_path: Path) -> None:
        visitor.sign_up("carol")
        later = Visitor(shop(clock, tmp_path))
        later.log_in("carol", PASSWORD)

        assert later.is_signed_in

    @pytest.mark.parametrize("name", ["carol", "CAROL", "alice", "\N{FULLWIDTH LATIN SMALL LETTER A}lice"])
    def test_with_a_name_that_is_taken_says_so_at_the_name(self, visitor: Visitor, other: Visitor, name: str) -> None:
        visitor.sign_up("carol")
        answer = other.sign_up(name)

        assert answer.status_code == 409
        assert re.search(r'id="name-fault">Somebody has that name', answer.text)
        assert not other.is_signed_in

    @pytest.mark.parametrize("name", ["", "x", "x" * 31, "<b>carol</b>", "carol  finch", "carol\nfinch"])
    def test_with_an_odd_name_says_so_at_the_name(self, visitor: Visitor, name: str) -> None:
        answer = visitor.sign_up(name)

        assert 'id="name-fault"' in answer.text
        assert not visitor.is_signed_in

    @pytest.mark.parametrize("password", ["", "short", "x" * 201])
    def test_with_a_bad_password_says_so_at_the_password(self, visitor: Visitor, password: str) -> None:
        assert 'id="password-fault"' in visitor.sign_up("carol", password).text
        assert not visitor.is_signed_in

    def test_with_the_name_for_a_password_is_refused(self, visitor: Visitor) -> None:
        assert "Your name is no password" in visitor.sign_up("Carol Finch", "carol finch").text

    def test_with_two_passwords_is_refused(self, visitor: Visitor) -> None:
        answer = visitor.send("/sign-up", name="carol", password=PASSWORD, repeated=NEW)

        assert "These two are not the same" in answer.text
        assert not visitor.is_signed_in

    def test_leads_on_to_the_page_that_was_wanted(self, visitor: Visitor) -> None:
        page = visitor.read("/account/password")
        link = re.search(r'href="(/sign-up[^"]*)"', page)

        assert link is not None
        assert visitor.sign_up("carol", of=link[1]).location == "/account/password"

    def test_never_leads_to_another_origin(self, visitor: Visitor) -> None:
        assert visitor.sign_up("carol", of="/sign-up?next=//evil.example").location == "/account"

    def test_keeps_the_hash_where_only_its_owner_reads_it(self, visitor: Visitor, tmp_path: Path) -> None:
        visitor.sign_up("carol")
        file = tmp_path / "people.db"

        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert PASSWORD.encode() not in file.read_bytes()

    def test_of_one_name_by_many_at_once_makes_one_account(self, tmp_path: Path) -> None:
        everybody = [people.People(tmp_path / "people.db") for _ in range(3)]
        answers = race(*[lambda number, one=one: one.add(f"carol{number}", PASSWORD) for one in everybody], rounds=2)

        assert [sum(person is not None for person in made) for made in answers] == [1, 1]

    def test_says_what_a_password_manager_wants_to_know(self, visitor: Visitor) -> None:
        assert inputs(visitor.read("/sign-up")) == {
            "name": "username",
            "password": "new-password",
            "repeated": "new-password",
        }


class TestRemember:
    def test_gives_a_cookie_that_outlives_the_browser(self, visitor: Visitor, other: Visitor) -> None:
        kept, not_kept = visitor.log_in(remember="y"), other.log_in()

        assert "Max-Age=2592000" in kept.headers["Set-Cookie"]
        assert "Max-Age" not in not_kept.headers["Set-Cookie"]

    def test_lasts_for_days_and_is_not_fresh_after_a_quarter_of_an_hour(
        self, visitor: Visitor, clock: FrozenClock
    ) -> None:
        visitor.log_in(remember="y")
        visitor.buy()
        clock.tick(29 * DAYS)

        assert visitor.is_signed_in
        assert "Your password once more" in visitor.read("/till")

    def test_is_shown_on_the_page_of_the_session(self, visitor: Visitor, other: Visitor) -> None:
        visitor.log_in(remember="y")
        other.log_in()

        assert "a cookie that outlives the browser" in visitor.read("/session")
        assert "30 days" in visitor.read("/session")
        assert "until the browser is closed" in other.read("/session")

    def test_is_kept_or_given_up_where_the_password_is_asked_again(self, visitor: Visitor) -> None:
        visitor.log_in(remember="y")
        assert re.search(r'<input checked[^>]* name="remember"', visitor.read("/login"))
        visitor.log_in()

        assert "until the browser is closed" in visitor.read("/session")


class TestPassword:
    def change(self, visitor: Visitor, old: str = PASSWORD, new: str = NEW, again: str | None = None) -> str:
        return visitor.send("/account/password", password=old, new=new, repeated=again or new).text

    @pytest.fixture
    def visitor(self, app: Flask) -> Visitor:
        carol = Visitor(app)
        carol.sign_up("carol")
        return carol

    def test_is_for_those_who_are_signed_in(self, other: Visitor) -> None:
        assert other.client.get("/account/password").location == "/login?next=/account/password"

    def test_ends_the_other_sessions_which_are_told_why(self, visitor: Visitor, other: Visitor) -> None:
        other.log_in("carol", PASSWORD)
        page = self.change(visitor)

        assert "Your session on another device has ended." in page
        assert SENTENCES["stamp"] in other.read("/login")
        assert not other.is_signed_in

    def test_gives_this_session_a_new_cookie_and_kills_the_old_one(self, visitor: Visitor, other: Visitor) -> None:
        visitor.buy()
        before = visitor.cookie
        self.change(visitor)
        other.come_with(before)

        assert visitor.is_signed_in
        assert visitor.pieces == 1
        assert visitor.cookie != before
        assert not other.is_signed_in

    def test_counts_from_now_on(self, visitor: Visitor, other: Visitor) -> None:
        self.change(visitor)

        assert other.log_in("carol", PASSWORD).status_code == 401
        assert other.log_in("carol", NEW).status_code == 302

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ({"old": "not it at all"}, "password-fault"),
            ({"old": ""}, "password-fault"),
            ({"new": "short"}, "new-fault"),
            ({"again": "something else"}, "repeated-fault"),
        ],
        ids=str,
    )
    def test_that_is_refused_ends_nothing_and_says_where(
        self, visitor: Visitor, other: Visitor, given: dict[str, str], fault: str
    ) -> None:
        other.log_in("carol", PASSWORD)

        assert f'id="{fault}"' in self.change(visitor, **given)
        assert other.is_signed_in
        assert Visitor(visitor.client.application).log_in("carol", PASSWORD).status_code == 302

    def test_says_what_a_password_manager_wants_to_know(self, visitor: Visitor) -> None:
        assert inputs(visitor.read("/account/password")) == {
            "name": "username",
            "password": "current-password",
            "new": "new-password",
            "repeated": "new-password",
        }


class TestOnceMore:
    @pytest.fixture
    def visitor(self, app: Flask) -> Visitor:
        alice = Visitor(app)
        alice.log_in()
        return alice

    def test_asks_for_the_password_of_who_is_signed_in_and_of_nobody_else(self, visitor: Visitor) -> None:
        page = visitor.read("/login")
        visitor.log_in("bob")

        assert inputs(page) == {"": "username", "password": "current-password"}
        assert "<button>Confirm</button>" in page
        assert ">Alice</a>" in visitor.read("/")

    def test_takes_no_other_password(self, visitor: Visitor) -> None:
        answer = visitor.log_in("alice", "coffee-time")

        assert answer.status_code == 401
        assert "That is not your password." in answer.text


class TestClosing:
    def test_asks_for_the_password_and_comes_back(self, visitor: Visitor, clock: FrozenClock) -> None:
        visitor.sign_up("carol")
        clock.tick(15 * MINUTES)
        sent = visitor.client.get("/account/close")

        assert "Your password once more" in visitor.read(sent.location)
        assert visitor.log_in("carol", PASSWORD, at=sent.location).location == "/account/close"
        assert "There is no way back" in visitor.read("/account/close")

    def test_is_not_carried_out_by_a_form_that_lay_there_for_too_long(
        self, visitor: Visitor, clock: FrozenClock
    ) -> None:
        visitor.sign_up("carol")
        page = visitor.read("/account/close")
        clock.tick(15 * MINUTES)
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
        answer = visitor.client.post("/account/close", data={"csrf_token": token[1]})

        assert answer.location == "/login"
        assert ">carol</a>" in visitor.read("/")

    def test_ends_all_sessions_and_the_account(self, visitor: Visitor, other: Visitor) -> None:
        visitor.sign_up("carol")
        other.log_in("carol", PASSWORD)
        page = visitor.send("/account/close").text

        assert "Your account is closed" in page
        assert not visitor.is_signed_in
        assert not other.is_signed_in
        assert other.log_in("carol", PASSWORD).status_code == 401

    def test_gives_the_number_of_the_account_to_nobody_else(self, visitor: Visitor, app: Flask) -> None:
        visitor.sign_up("carol")
        gone = app.extensions["people"].called("carol")[0].id
        visitor.send("/account/close")
        visitor.sign_up("dave")

        assert app.extensions["people"].called("dave")[0].id != gone


class TestAdministration:
    @pytest.fixture
    def administrator(self, app: Flask) -> Visitor:
        carol = Visitor(app)
        carol.sign_up("carol")
        return carol

    def handles(self, administrator: Visitor, of: str = "1") -> list[str]:
        return re.findall(r'name="handle" value="([^"]+)"', administrator.read(f"/administration/{of}"))

    def end(self, administrator: Visitor, of: str = "1", **fields: str) -> str:
        return administrator.send(f"/administration/{of}/end", of=f"/administration/{of}", **fields).text

    def test_is_for_the_first_who_signed_up(self, administrator: Visitor, visitor: Visitor, other: Visitor) -> None:
        visitor.sign_up("dave")
        other.log_in("alice")

        assert administrator.client.get("/administration").status_code == 200
        for one in (visitor, other):
            assert "Administration" not in one.read("/account")
            for path in ("/administration", "/administration/1"):
                assert one.client.get(path).status_code == 403
            assert one.send("/administration/1/end", of="/account", follow=False).status_code == 403
        assert other.is_signed_in

    def test_sends_strangers_to_the_login(self, visitor: Visitor) -> None:
        assert visitor.client.get("/administration").location == "/login?next=/administration"

    def test_asks_for_the_password_after_a_quarter_of_an_hour(
        self, administrator: Visitor, clock: FrozenClock, visitor: Visitor
    ) -> None:
        visitor.log_in("alice", remember="y")
        page = administrator.read("/administration/1")
        clock.tick(15 * MINUTES)
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
        answer = administrator.client.post("/administration/1/end", data={"csrf_token": token[1]})

        assert answer.location == "/login"
        assert visitor.is_signed_in

    def test_finds_people_by_a_part_of_their_name(self, administrator: Visitor) -> None:
        page = administrator.read("/administration?name=LIC")

        assert "Alice Marsh" in page
        assert "Bob Okafor" not in page
        assert "Nobody here is called that" in administrator.read("/administration?name=%25")

    def test_shows_what_was_searched_as_text(self, administrator: Visitor) -> None:
        assert "<script>x" not in administrator.read("/administration?name=%22%3E%3Cscript%3Ex")

    def test_shows_the_device_in_words(self, administrator: Visitor, app: Flask) -> None:
        Visitor(app, FIREFOX).log_in()

        assert '<p class="name" id="device-1">Firefox on Windows</p>' in administrator.read("/administration/1")

    def test_shows_the_device_as_text(self, administrator: Visitor, app: Flask) -> None:
        Visitor(app, "<script>x").log_in()

        assert "<script>x" not in administrator.read("/administration/1")

    def test_ends_one_session_which_is_told_by_whom(
        self, administrator: Visitor, visitor: Visitor, other: Visitor, clock: FrozenClock
    ) -> None:
        visitor.log_in()
        clock.tick(1)
        other.log_in()
        latest, _ = self.handles(administrator)
        page = self.end(administrator, handle=latest)

        assert "1 session of Alice Marsh ended." in page
        assert SENTENCES["administrator"] in other.read("/login")
        assert visitor.is_signed_in

    def test_ends_all_sessions(self, administrator: Visitor, visitor: Visitor, other: Visitor) -> None:
        visitor.log_in()
        other.log_in()

        assert "2 sessions of Alice Marsh ended." in self.end(administrator)
        assert "Signed in nowhere" in administrator.read("/administration/1")
        assert SENTENCES["administrator"] in visitor.read("/login")
        assert SENTENCES["administrator"] in other.read("/login")

    def test_ends_nothing_by_a_handle_of_somebody_else(self, administrator: Visitor, visitor: Visitor) -> None:
        visitor.log_in("bob")
        [handle] = self.handles(administrator, "2")

        assert "0 sessions of Alice Marsh ended." in self.end(administrator, handle=handle)
        assert visitor.is_signed_in

    def test_needs_the_forms_token(self, administrator: Visitor, visitor: Visitor) -> None:
        visitor.log_in()

        assert administrator.client.post("/administration/1/end").status_code == 400
        assert visitor.is_signed_in

    def test_of_nobody_is_not_found(self, administrator: Visitor) -> None:
        assert administrator.client.get("/administration/99").status_code == 404


class TestAccount:
    def test_is_what_the_name_in_the_header_leads_to(self, visitor: Visitor) -> None:
        visitor.log_in()

        assert re.search(r'<a class="who-name" href="/account"[^>]*>Alice</a>', visitor.read("/"))

    def test_has_doors_that_open(self, visitor: Visitor) -> None:
        visitor.sign_up("carol")
        doors = re.findall(r'<li><a href="([^"]+)"', visitor.read("/account"))

        assert len(doors) >= 4
        assert {visitor.client.get(door).status_code for door in doors} == {200}

    def test_is_for_those_who_are_signed_in(self, visitor: Visitor) -> None:
        assert visitor.client.get("/account").location == "/login?next=/account"


class TestPeople:
    def test_are_made_by_one_of_many_who_ask_at_once(self, tmp_path: Path) -> None:
        everybody = [people.People(tmp_path / "people.db") for _ in range(4)]
        [answers] = race(*[lambda _, one=one: one.by_id("1") for one in everybody])

        assert {person and person.name for person in answers} == {"alice"}

    def test_who_left_do_not_come_back_with_a_restart(self, tmp_path: Path) -> None:
        people.People(tmp_path / "people.db").remove("1")

        assert people.People(tmp_path / "people.db").by_id("1") is None

    def test_have_distinct_salts(self, tmp_path: Path) -> None:
        everybody = people.People(tmp_path / "people.db")
        for name in ("carol", "dave"):
            everybody.add(name, PASSWORD)
        with closing(sqlite3.connect(tmp_path / "people.db")) as file:
            hashes = [row[0] for row in file.execute("SELECT password_hash FROM people")]

        assert len(set(hashes)) == 4


def inputs(page: str) -> dict[str, str]:
    """Return the autocomplete of each field of a page, by name; each must have a label or be hidden from readers."""
    found = re.findall(r"<input [^>]*autocomplete=[^>]*>", page)
    names = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in found]
    for one in names:
        assert one.get("aria-hidden") == "true" or f'<label for="{one["id"]}">' in page
    return {one.get("name", ""): one["autocomplete"] for one in names}
