"""The page of devices: what it shows, whom it ends, and what it says of that."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from devices_site import CHROME, DevicesSite, open_list, press, send, user_of

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

OTHERS = "Sign out all other devices"

# The list.


def test_it_shows_this_device_first_and_the_others_by_when_they_were_seen(site: DevicesSite) -> None:
    for agent, address in [("curl/8.5.0", "192.0.2.3"), (CHROME, "192.0.2.2")]:
        site.browser("ann", agent, address)
        site.clock.tick(600)
    here = site.browser("ann")

    page = open_list(here)

    assert [form.button for form in page.forms] == [
        "Sign out Firefox on Windows, 192.0.2.1",
        "Sign out Chrome on Android, 192.0.2.2",
        "Sign out curl, 192.0.2.3",
        "Sign out all other devices",
    ]
    words = " ".join(page.words.split())
    assert "Firefox on Windows This device 192.0.2.1 Last seen just now Signed in just now Sign out" in words
    assert "Chrome on Android 192.0.2.2 Last seen 10 minutes ago Signed in 10 minutes ago Sign out" in words


def test_moments_are_given_to_machines_in_utc(plain: DevicesSite) -> None:
    text = plain.browser().get("/devices/").text

    [seen, signed_in] = re.findall(r'<time datetime="([^"]+)">just now</time>', text)
    assert seen == signed_in
    assert seen.endswith("Z")
    assert datetime.fromisoformat(seen).timestamp() == int(plain.clock.now())


def test_it_shows_nobody_elses(site: DevicesSite) -> None:
    site.browser("ben", CHROME, "198.51.100.9")

    page = open_list(site.browser("ann"))

    assert len(page.forms) == 1
    assert "198.51.100.9" not in page.words
    assert "You are signed in on this device only." in page.words


def test_who_is_not_signed_in_is_sent_to_the_login_or_answered_with_401(make_site: Callable[..., DevicesSite]) -> None:
    assert make_site().browser(None).get("/devices/").status_code == 401
    site = make_site(SESSIONKIT_LOGIN_VIEW="ask")
    answer = site.browser(None).get("/devices/")

    assert (answer.status_code, answer.location) == (302, "/login?next=/devices/")
    for path in ("/devices/end", "/devices/end-others"):
        assert site.browser(None).post(path).location == "/login"


def test_it_is_kept_out_of_caches_and_frames(site: DevicesSite) -> None:
    answer = site.browser().get("/devices/")

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_it_costs_two_reads_and_no_write(plain: DevicesSite) -> None:
    client = plain.browser()
    assert plain.store is not None
    plain.store.reset()
    client.get("/devices/")

    assert dict(plain.store.counts) == {"load": 1, "list_owner": 2}  # the second asks whether there is more


# Ending.


def test_another_device_is_ended_and_reads_why(site: DevicesSite) -> None:
    here, there = site.browser("ann"), site.browser("ann", CHROME, "192.0.2.2")

    page = press(here, "Sign out Chrome on Android, 192.0.2.2")

    assert page.told == [("status", "Chrome on Android was signed out.")]
    assert len(page.forms) == 1
    assert user_of(here) == "ann"
    assert there.get("/who").get_json() == {"user": None, "ended": "revoked"}


def test_all_others_are_ended_and_this_one_goes_on_under_a_new_token(site: DevicesSite) -> None:
    """Who holds a copy of this browser's cookie is one of the others, and on no list."""
    here, others = site.browser("ann"), [site.browser("ann", agent) for agent in (CHROME, "curl/8.5.0")]
    cookie = here.get_cookie("session")
    assert cookie is not None
    thief = site.browser(None)
    thief.set_cookie("session", cookie.value)
    bystander = site.browser("ben")

    page = press(here, "Sign out all other devices")

    assert page.told == [("status", "2 devices were signed out.")]
    assert [user_of(other) for other in others] == [None, None]
    assert user_of(here) == "ann"
    assert user_of(thief) is None
    assert user_of(bystander) == "ben"


def test_the_current_one_survives_that_just_after_its_token_was_renewed(site: DevicesSite) -> None:
    here = site.browser("ann")
    site.browser("ann", CHROME)
    form = open_list(here).form("Sign out all other devices")
    here.post("/renew")

    answer = send(here, form)

    assert open_list(here, answer.location).told == [("status", "1 device was signed out.")]


def test_tokens_that_are_renewed_by_age_change_nothing_of_it(clock: FrozenClock) -> None:
    """A form of before the renewal is this session's yet, and a row names a device under whatever token it goes on."""
    site = DevicesSite(PausingStore(MemoryStore()), clock, SESSIONKIT_ROTATE_EVERY=300)
    here, there = site.browser("ann"), site.browser("ann", CHROME)
    end_there, others = (open_list(here).form(button) for button in ("Sign out Chrome on Android, 192.0.2.1", OTHERS))
    clock.tick(301)
    assert user_of(there) == "ann"

    assert len(open_list(here).forms) == 3
    assert open_list(here, send(here, end_there).location).told == [("status", "Chrome on Android was signed out.")]
    assert user_of(there) is None
    site.browser("ann", CHROME)
    clock.tick(301)
    assert open_list(here, send(here, others).location).told == [("status", "1 device was signed out.")]
    clock.tick(301)
    assert len(open_list(here).forms) == 1


def test_there_may_be_no_other_any_more(site: DevicesSite) -> None:
    here = site.browser("ann")
    there = site.browser("ann", CHROME)
    form = open_list(here).form("Sign out all other devices")
    send(there, open_list(there).form("Sign out Chrome on Android, 192.0.2.1"))

    assert open_list(here, send(here, form).location).told == [("status", "No other device was signed in.")]
    assert user_of(there) is None


def test_this_one_is_ended_as_by_a_logout(make_site: Callable[..., DevicesSite]) -> None:
    site = make_site(SESSIONKIT_LOGIN_VIEW="ask")
    here, there = site.browser("ann"), site.browser("ann", CHROME)
    cookie = here.get_cookie("session")
    assert cookie is not None

    answer = send(here, open_list(here).form("Sign out Firefox on Windows, 192.0.2.1"))

    assert (answer.status_code, answer.location) == (303, "/login")
    assert "You have signed out of this device." in here.get("/login").text
    assert user_of(here) is None
    assert user_of(there) == "ann"
    copied = site.browser(None)
    copied.set_cookie("session", cookie.value)
    assert copied.get("/who").get_json() == {"user": None, "ended": "logout"}


def test_without_a_login_view_that_leads_to_the_root(plain: DevicesSite) -> None:
    here = plain.browser()

    assert send(here, open_list(here).forms[0]).location == "/"


@pytest.mark.parametrize("handle", ["", "x", "this", "A" * 43, "é", "\x00", "../" * 9])
def test_a_wrong_handle_ends_nothing_and_says_so(site: DevicesSite, handle: str) -> None:
    here, there = site.browser("ann"), site.browser("ann", CHROME)
    form = open_list(here).forms[0]

    page = open_list(here, send(here, form, handle=handle).location)

    assert page.told == [("alert", "That device is not signed in any more. Nothing was done.")]
    assert user_of(here) == user_of(there) == "ann"


def test_the_handle_of_somebody_else_ends_nothing_and_says_so(site: DevicesSite) -> None:
    here, ben = site.browser("ann"), site.browser("ben")
    theirs = open_list(ben).forms[0].fields["handle"]

    page = open_list(here, send(here, open_list(here).forms[0], handle=theirs).location)

    assert page.told == [("alert", "That device is not signed in any more. Nothing was done.")]
    assert (user_of(here), user_of(ben)) == ("ann", "ben")


def test_a_device_that_is_gone_already_is_no_error(site: DevicesSite) -> None:
    here = site.browser("ann")
    site.browser("ann", CHROME)
    form = open_list(here).form("Sign out Chrome on Android, 192.0.2.1")
    open_list(here, send(here, form).location)

    page = open_list(here, send(here, form).location)

    assert page.told == [("alert", "That device is not signed in any more. Nothing was done.")]


@pytest.mark.parametrize("path", ["/devices/end", "/devices/end-others"])
def test_a_get_ends_nothing(plain: DevicesSite, path: str) -> None:
    here, there = plain.browser(), plain.browser()

    assert here.get(path).status_code == 405
    assert user_of(there) == "ann"


def test_all_others_are_ended_also_by_a_token_that_age_has_just_renewed(clock: FrozenClock) -> None:
    """The answer with the new one was lost: there is nothing to renew, and no reason for an error."""
    site = DevicesSite(PausingStore(MemoryStore()), clock, SESSIONKIT_ROTATE_EVERY=600)
    here, other = site.browser("ann"), site.browser("ann", CHROME, "192.0.2.2")
    behind = site.browser(None)
    old = here.get_cookie("session")
    assert old is not None
    behind.set_cookie("session", old.value)
    clock.tick(600)
    open_list(here)  # which renews the token

    page = press(behind, OTHERS)

    assert [words for _, words in page.told if "signed out" in words]
    assert (user_of(behind), user_of(here), user_of(other)) == ("ann", "ann", None)
