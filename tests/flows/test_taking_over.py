"""``SESSIONKIT_TAKE_OVER = "flask"``: sessions from Flask's own cookie go on, and their cookies open nothing more."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from flow_site import NOBODY, Seen, Site, login, logout, look, pausing, put, still, stopped, wipe
from flow_stores import keys_in
from former_cookies import signed_by_flask, with_login
from markupsafe import Markup

from flask_sessionkit import SessionKit, StoreError, session_created
from flask_sessionkit.flask_cookie import FlaskCookie
from flask_sessionkit.testing import FrozenClock

#: Flask's own limit, which a test's clock has to pass.
MONTH = timedelta(days=31).total_seconds()


@pytest.fixture
def before(site: Site) -> Callable[..., str]:
    """Give a cookie that Flask signed an hour ago."""

    def sign(items: Any, *, age: float = 3600.0, **how: Any) -> str:
        return signed_by_flask(items, at=site.clock.now() - age, **how)

    return sign


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(SESSIONKIT_TAKE_OVER="flask")


def taken_over(site: Site, old: str) -> str:
    return site.token(look, old)


# What is taken over.

KEPT = {
    "list": [1, "two", [3.5, None, True]],
    "dict": {"a": {"b": []}},
    "tuple": ("a", ("b",)),
    "bytes": b"\x00\xff",
    "markup": Markup("<b>Hi</b>"),
    "uuid": UUID(int=7),
    "datetime": datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC),
    "text": "ä\u2028",
    "_flashes": [("message", Markup("<i>saved</i>"))],
    "large": 10**30,
}


def test_every_value_comes_over_equal_and_of_the_same_type(site: Site, before: Callable[..., str]) -> None:
    old = before(KEPT)

    seen = site.ask(old, look).value

    assert seen.data == KEPT
    assert {key: type(value) for key, value in seen.data.items()} == {key: type(value) for key, value in KEPT.items()}
    assert type(seen.data["_flashes"][0]) is tuple
    assert type(seen.data["_flashes"][0][1]) is Markup


def test_the_browser_is_given_a_token_of_ours_at_the_first_request_that_looks(site: Site, before: Any) -> None:
    answer = site.ask(before(with_login("ann", cart=[1])), look)

    assert answer.value == Seen("ann", with_login("ann", cart=[1]))
    assert answer.token is not None
    assert len(answer.token) == 43
    assert site.seen(answer.token) == answer.value
    assert answer.response.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.response.headers["Vary"]


def test_a_user_who_was_taken_over_is_listed_and_can_be_signed_out(site: Site, before: Any) -> None:
    new = taken_over(site, before(with_login("ann")))

    if "memcached" not in type(site.store).__name__.lower():
        (info,) = site.outside(site.kit.sessions_of, "ann")
        assert info.login_at is None
    assert site.outside(site.kit.revoke_user, "ann") == 1
    assert site.dead(new)


def test_a_login_that_was_taken_over_is_not_a_fresh_one(site: Site, before: Any) -> None:
    new = taken_over(site, before(with_login("ann")))

    assert site.ask(new, site.kit.is_fresh).value is False


def test_an_application_s_own_identity_keys_bind_the_user(make_site: Callable[..., Site]) -> None:
    site = make_site(SESSIONKIT_TAKE_OVER="flask", SESSIONKIT_IDENTITY_KEYS=["user"])

    assert site.ask(signed_by_flask({"user": 7}, at=site.clock.now()), look).value == Seen("7", {"user": 7})


def test_a_session_of_nobody_comes_over_too(site: Site, before: Any) -> None:
    new = taken_over(site, before({"cart": [1], "csrf_token": "f" * 40}))

    assert site.seen(new) == Seen(None, {"cart": [1], "csrf_token": "f" * 40})


def test_a_permanent_session_stays_one(site: Site, before: Any) -> None:
    answer = site.ask(before(with_login("ann", _permanent=True)), look)

    (set_cookie,) = answer.response.headers.getlist("Set-Cookie")
    assert "Max-Age=" in set_cookie
    site.clock.tick(days=20)
    assert site.seen(answer.token).user == "ann"


def test_an_ordinary_session_idles_out_from_the_take_over_on(site: Site, before: Any) -> None:
    old = before(with_login("ann"))
    new = taken_over(site, old)

    site.clock.tick(minutes=31)

    assert site.dead(new, old)


def test_a_view_that_changes_its_session_at_the_first_request_saves_that(site: Site, before: Any) -> None:
    new = site.token(lambda: session["cart"].append(2), before(with_login("ann", cart=[1])))

    assert site.seen(new) == Seen("ann", with_login("ann", cart=[1, 2]))


def test_who_logs_in_with_a_session_of_before_has_it_under_a_token_of_its_own(site: Site, before: Any) -> None:
    old = before({"cart": [1], "csrf_token": "f" * 40})

    new = site.token(login("ann"), old)

    assert site.seen(new) == Seen("ann", {"cart": [1]})
    assert site.dead(old)


def test_who_logs_out_with_a_session_of_before_is_signed_out(site: Site, before: Any) -> None:
    old = before(with_login("ann"))

    assert site.ask(old, logout).forgets
    assert site.dead(old)


def test_session_created_tells_of_it(site: Site, before: Any) -> None:
    with site.events() as heard:
        taken_over(site, before(with_login("ann")))

    assert heard == [(session_created.name.replace("-", "_"), {"user_id": "ann"})]


def test_an_older_secret_still_opens(make_site: Callable[..., Site]) -> None:
    older = "an older secret of the flow tests"
    site = make_site(SESSIONKIT_TAKE_OVER="flask", SECRET_KEY_FALLBACKS=[older])

    assert site.ask(signed_by_flask(with_login("ann"), at=site.clock.now(), secret=older), look).value.user == "ann"


def test_another_salt_is_the_application_s_to_tell(store: Any, clock: FrozenClock) -> None:
    class Salted(SecureCookieSessionInterface):
        salt = "of our own"

    app = Flask("salted")
    app.session_interface = Salted()
    app.config.update(SECRET_KEY="a secret", TESTING=True, SESSIONKIT_TAKE_OVER="flask")
    SessionKit(app, store=store, clock=clock)
    app.add_url_rule("/", "look", lambda: dict(session))
    cookie = signed_by_flask({"a": 1}, at=clock.now(), secret="a secret", salt="of our own")

    assert app.test_client(use_cookies=False).get("/", headers={"Cookie": f"session={cookie}"}).json == {"a": 1}


# What is not.


def tampered(cookie: str) -> str:
    return ("A" if cookie[0] != "A" else "B") + cookie[1:]


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(tampered, id="changed"),
        pytest.param(lambda cookie: cookie[:-1], id="cut"),
        pytest.param(lambda cookie: cookie.rpartition(".")[0], id="unsigned"),
        pytest.param(lambda cookie: "." + cookie, id="said to be compressed"),
        pytest.param(lambda cookie: cookie * 40, id="long"),
        pytest.param(lambda cookie: cookie.encode().hex(), id="hex"),
        pytest.param(lambda cookie: "..", id="dots"),
        pytest.param(lambda cookie: "\u00e4.b.c", id="no ASCII"),
        pytest.param(lambda cookie: f'"{cookie}', id="quoted"),
    ],
)
def test_what_is_no_cookie_of_flask_s_is_silence_and_asks_no_store(
    site: Site, before: Any, spoiled: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    pausing(site).reset()

    answer = site.ask(spoiled(before(with_login("ann"))), look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert not pausing(site).counts
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("items", "how"),
    [
        (with_login("ann"), {"secret": "another secret altogether"}),
        (with_login("ann"), {"salt": "another salt"}),
        (with_login("ann"), {"age": MONTH + 2}),
        (with_login("ann"), {"age": -3600}),
        ([1, 2], {}),
        ("text", {}),
        ({}, {}),
    ],
    ids=["secret", "salt", "too old", "of tomorrow", "a list", "a text", "empty"],
)
def test_what_flask_would_not_take_is_not_taken_over(site: Site, before: Any, items: Any, how: Any) -> None:
    pausing(site).reset()

    answer = site.ask(before(items, **how), look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert not pausing(site).counts


def test_the_last_second_of_flask_s_limit_still_counts(site: Site, before: Any) -> None:
    assert site.ask(before(with_login("ann"), age=MONTH), look).value.user == "ann"


def test_a_user_who_is_gone_is_not_taken_over(site: Site, before: Any) -> None:
    site.kit.user_stamp(lambda user: None if user == "gone" else "as ever")

    assert site.ask(before(with_login("gone")), look).value == NOBODY
    assert site.ask(before(with_login("ann")), look).value.user == "ann"


def test_a_change_of_credentials_after_the_take_over_ends_it(site: Site, before: Any) -> None:
    stamps = {"ann": "1"}
    site.kit.user_stamp(stamps.get)
    new = taken_over(site, before(with_login("ann")))

    stamps["ann"] = "2"

    assert site.dead(new)


def test_what_names_no_user_is_not_taken_over_and_a_log_line_says_why(
    site: Site, before: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert site.ask(before({"_user_id": 1.5}), look).value == NOBODY
    assert "A session was not taken over, and stays where it was: session['_user_id'] names the user" in caplog.text


def test_a_session_that_is_too_large_stays_where_it_was_and_a_log_line_says_why(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    old = signed_by_flask(with_login("ann", text="x" * 2000), at=make_site().clock.now())
    small = make_site(SESSIONKIT_TAKE_OVER="flask", SESSIONKIT_MAX_SIZE=1024)

    answer = small.ask(old, look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert "A session was not taken over, and stays where it was" in caplog.text
    assert "raise the limit" in caplog.text
    assert make_site(SESSIONKIT_TAKE_OVER="flask").ask(old, look).value.user == "ann"


def test_without_the_setting_nothing_is_taken_over(make_site: Callable[..., Site]) -> None:
    site = make_site()

    assert site.ask(signed_by_flask(with_login("ann"), at=site.clock.now()), look).value == NOBODY


def test_two_cookies_of_which_neither_can_be_told_to_be_the_visitor_s_are_refused(site: Site, before: Any) -> None:
    one, other = before(with_login("ann")), before(with_login("bob"))

    answer = site.ask(f"{one}; session={other}", look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert site.ask(one, look).value.user == "ann"


def test_of_hundreds_of_cookies_only_the_first_few_are_checked(
    site: Site, before: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    real = FlaskCookie.name

    def name(self: FlaskCookie, token: str) -> str | None:
        checked.append(token)
        return real(self, token)

    monkeypatch.setattr(FlaskCookie, "name", name)

    site.ask("; session=".join(f"a.b.{number}" for number in range(500)), look)

    assert len(checked) == 8


# The old cookie afterwards.


def test_requests_of_the_same_moment_share_the_session_and_are_given_no_token(site: Site, before: Any) -> None:
    old = before(with_login("ann"))
    new = taken_over(site, old)

    answer = site.ask(old, put(a=1))

    assert answer.says_nothing
    assert site.seen(new).data == with_login("ann", a=1)


def test_half_a_minute_later_the_old_cookie_ends_the_session_of_whoever_had_shown_the_new_one(
    site: Site, before: Any
) -> None:
    old = before(with_login("ann"))
    new = taken_over(site, old)
    site.ask(new, look)
    site.clock.tick(seconds=31)

    assert site.ask(old, look).value == NOBODY
    assert site.dead(new)


def test_where_nobody_has_shown_the_new_token_the_old_cookie_is_given_another(site: Site, before: Any) -> None:
    """The answer was lost on its way."""
    old = before(with_login("ann"))
    lost = taken_over(site, old)
    site.clock.tick(seconds=31)

    new = site.token(look, old)

    assert new != lost
    assert site.seen(new).user == "ann"
    site.clock.tick(minutes=1)
    assert site.dead(old)


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize("later", [0, 20, 31, 100, 1000, 40_000, 86_400, 20 * 86_400])
def test_a_cookie_from_before_a_logout_opens_nothing_ever_again(
    site: Site, before: Any, later: float, shown: bool
) -> None:
    old = before(with_login("ann"))
    new = taken_over(site, old)
    if shown:
        site.ask(new, look)
    site.ask(new, logout)

    for _ in range(3):  # what is remembered must not be used up
        site.clock.tick(seconds=later)
        site.purge()
        assert site.ask(old, look).value == NOBODY
    assert site.live_records() == []


@pytest.mark.parametrize("end", ["idle", "revoked", "wiped"])
@pytest.mark.parametrize("later", [0, 100, 86_400, 20 * 86_400])
def test_a_cookie_from_before_another_end_opens_nothing_ever_again(
    site: Site, before: Any, end: str, later: float
) -> None:
    old = before(with_login("ann"))
    new = taken_over(site, old)
    site.ask(new, look)
    if end == "idle":
        site.clock.tick(minutes=31)
    elif end == "revoked":
        site.outside(site.kit.revoke_user, "ann")
    else:
        site.ask(new, wipe)

    for _ in range(3):
        site.clock.tick(seconds=later)
        site.purge()
        assert site.ask(old, look).value == NOBODY
    assert site.live_records() == []


def test_what_is_remembered_of_a_cookie_outlives_the_session_and_not_the_cookie(site: Site, before: Any) -> None:
    old = before(with_login("ann"), age=0)
    site.ask(taken_over(site, old), logout)

    site.clock.tick(days=31)
    site.purge()
    assert len(keys_in(site.store)) == 1
    site.clock.tick(minutes=5)
    site.purge()

    assert keys_in(site.store) == []
    assert site.dead(old)


def spelled(cookie: str) -> list[str]:
    """Return other spellings of a signature that decode to the same bytes, as lax decoders take them."""
    head, _, signature = cookie.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [signature[:-1] + letter for letter in letters]
    others += [signature + "=", signature + "==", "!" + signature, signature[:5] + "~" + signature[5:], signature + "A"]
    found = []
    for other in others:
        try:
            if base64.urlsafe_b64decode(other + "=" * (-len(other) % 4)) == raw and other != signature:
                found.append(f"{head}.{other}")
        except ValueError:
            continue
    return found


def test_another_spelling_of_the_signature_is_the_same_cookie(site: Site, before: Any) -> None:
    """The signature of a cookie is not signed itself, and decoders of base64 take many texts for the same bytes."""
    old = before(with_login("ann"))
    others = spelled(old)
    assert len(others) > 3

    site.ask(taken_over(site, old), logout)

    assert all(site.ask(other, look).value == NOBODY for other in others)


def test_a_token_of_ours_goes_before_a_cookie_of_flask_s(site: Site, before: Any) -> None:
    new = site.token(login("bob"))
    pausing(site).reset()

    assert site.ask(f"{new}; session={before(with_login('ann'))}", look).value.user == "bob"
    assert pausing(site).counts == {"load": 1}


def test_a_late_request_after_a_logout_takes_nothing_over(site: Site, before: Any) -> None:
    new = site.token(login("bob"))
    site.ask(new, logout)

    assert site.ask(f"{new}; session={before(with_login('ann'))}", look).value == NOBODY


# Cookies that two visitors hold alike.


def test_of_a_text_that_many_visitors_may_hold_each_has_a_session_of_its_own(site: Site, before: Any) -> None:
    """Flask signs the same for all who came in the same second and chose the same language."""
    same = before({"lang": "de"})
    one = site.token(put(address="Long Road 1"), same)
    other = site.token(look, same)

    assert site.seen(other) == Seen(None, {"lang": "de"})
    site.ask(one, look)
    site.clock.tick(minutes=1)
    assert site.ask(same, look).value == NOBODY
    assert site.seen(one).data == {"lang": "de", "address": "Long Road 1"}
    assert site.seen(other).data == {"lang": "de"}


def test_such_a_text_opens_nothing_more_when_its_first_session_is_over(site: Site, before: Any) -> None:
    same = before({"lang": "de"})
    one = site.token(put(a=1), same)
    site.ask(one, wipe)

    assert site.ask(same, look).value == NOBODY
    site.clock.tick(days=2)
    site.purge()
    assert site.ask(same, look).value == NOBODY


def test_such_a_text_opens_nothing_more_when_another_of_its_sessions_is_over(site: Site, before: Any) -> None:
    """A browser asked twice at once, and kept the second answer's token; so nobody ever shows the first one."""
    same = before({"user of our own": 7, "_permanent": True})
    site.token(look, same)
    kept = site.token(look, same)
    site.ask(kept, look)
    site.clock.tick(minutes=1)
    site.ask(kept, wipe)

    for days in (0, 1, 10):
        site.clock.tick(days=days)
        site.purge()
        assert site.ask(same, look).value == NOBODY


def test_nor_does_it_when_two_began_between_the_same_steps(site: Site, before: Any) -> None:
    same = before({"user of our own": 7, "_permanent": True})
    with stopped(site, same, look, "load", after=True) as slow:
        site.token(look, same)
    kept = slow.result().token
    assert kept is not None
    site.ask(kept, look)
    site.clock.tick(minutes=1)
    site.ask(kept, wipe)

    assert site.ask(same, look).value == NOBODY


def test_where_the_answer_was_lost_such_a_text_is_good_for_one_more(site: Site, before: Any) -> None:
    same = before({"cart": [1]})
    site.token(look, same)
    site.clock.tick(minutes=1)
    new = site.token(look, same)

    assert site.seen(new).data == {"cart": [1]}
    assert site.ask(same, look).value == NOBODY


# What it costs.


def test_a_view_that_does_not_look_takes_nothing_over_and_asks_nothing(site: Site, before: Any) -> None:
    old = before(with_login("ann"))
    pausing(site).reset()

    answer = site.ask(old, still)

    assert answer.says_nothing
    assert not pausing(site).counts


def test_a_take_over_is_three_calls_and_the_next_request_is_what_it_always_is(site: Site, before: Any) -> None:
    old = before(with_login("ann"))
    pausing(site).reset()

    new = taken_over(site, old)

    assert pausing(site).counts == {"load": 1, "create": 2}
    site.ask(new, look)  # notes that the token was shown, as after every renewal by age
    pausing(site).reset()
    site.ask(new, look)
    assert pausing(site).counts == {"load": 1}


def test_a_cookie_that_is_brought_again_and_again_costs_a_load(site: Site, before: Any) -> None:
    old = before(with_login("ann"))
    site.ask(taken_over(site, old), logout)
    site.clock.tick(hours=13)
    site.purge()
    site.ask(old, look)
    pausing(site).reset()

    assert site.ask(old, look).value == NOBODY
    assert pausing(site).counts == {"load": 1}


def test_who_has_no_cookie_costs_nothing(site: Site) -> None:
    pausing(site).reset()

    site.ask(None, look)

    assert not pausing(site).counts


# A store that fails.


@pytest.mark.parametrize(("call", "nth"), [("load", 1), ("create", 1), ("create", 2)])
@pytest.mark.parametrize("is_carried_out", [False, True])
def test_a_store_that_is_down_is_a_503_and_nothing_is_lost(
    site: Site, before: Any, call: Any, nth: int, is_carried_out: bool
) -> None:
    old = before(with_login("ann"))
    pausing(site).fail(call, nth=nth, before=not is_carried_out)

    answer = site.ask(old, look, status=503)

    assert answer.says_nothing
    assert site.ask(old, look).value.user == "ann"
    site.clock.tick(seconds=31)
    assert site.ask(old, look).value.user == "ann"


def test_the_error_of_a_store_is_one_that_a_view_can_meet(site: Site, before: Any) -> None:
    pausing(site).fail("create")

    def view() -> str:
        try:
            return str(session.get("a"))
        except StoreError:
            return "without"

    assert site.ask(before({"a": 1}), view).value == "without"


# Other ways to travel.


def test_a_header_s_request_takes_no_cookie_over(make_site: Callable[..., Site]) -> None:
    site = make_site(SESSIONKIT_TAKE_OVER="flask", SESSIONKIT_TRANSPORT="both")
    old = signed_by_flask(with_login("ann"), at=site.clock.now())

    assert site.ask(old, look, headers={"X-Session-Token": ""}).value == NOBODY
    assert site.ask(old, look).value.user == "ann"


def test_a_passive_request_takes_over_too(site: Site, before: Any) -> None:
    assert site.ask(before(with_login("ann")), look, path="/passive").token is not None
