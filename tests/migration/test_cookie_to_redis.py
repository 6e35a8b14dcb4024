"""Sessions from browsers to Redis under load, with servers that are killed between the steps of a take-over."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from crowd import Browser, Crowd, Errand, Mortal, add_views
from flask import Flask
from movers import Death
from servers import RedisServer

from flask_sessionkit import SessionKit
from flask_sessionkit.stores.redis import RedisStore

pytestmark = [pytest.mark.redis, pytest.mark.thorough]

BROWSERS = 600
#: Writes of each; those of the browsers that sign out count only until then.
WRITES = 22
LOGOUTS = 200

#: Every step of a take-over, before and after it.
DEATHS = [
    Death(at_new, call, nth, after)
    for at_new, call, nth in [
        (True, "load", 1),
        (False, "load", 1),
        (True, "create", 1),
        (True, "create", 2),
        (False, "load", 2),
        (False, "replace", 1),
    ]
    for after in (False, True)
]


def make_before(url: str) -> Flask:
    """Return an application whose sessions lie in browsers."""
    app = Flask("migrated")
    app.config.update(SECRET_KEY="a secret of the migration tests", TESTING=True, SESSIONKIT_STORE="cookie:")
    app.config["SESSIONKIT_REVOCATION_STORE"] = RedisStore.from_url(url, prefix="known:", timeout=10.0)
    SessionKit(app)
    return add_views(app)


def make_now(url: str) -> tuple[Flask, list[Mortal]]:
    """Return the same application with its sessions in Redis, and its stores."""
    app = Flask("migrated")
    new = Mortal(RedisStore.from_url(url, prefix="new:", timeout=10.0), at_new=True)
    known = Mortal(RedisStore.from_url(url, prefix="known:", timeout=10.0), at_new=False)
    app.config.update(SECRET_KEY="a secret of the migration tests", TESTING=True)
    app.config.update(SESSIONKIT_TAKE_OVER="cookie:", SESSIONKIT_REVOCATION_STORE=known)
    SessionKit(app, store=new)
    return add_views(app), [new, known]


def signed_in(app: Flask, user: str) -> Browser:
    client = app.test_client()
    client.get(f"/login/{user}")
    client.get("/put/first")
    cookie = client.get_cookie("session")
    assert cookie is not None
    return Browser(user, cookie.value, held={cookie.value}, answered={"first"})


def errands(browsers: list[Browser]) -> Iterator[Errand]:
    """A burst of each browser at first, as of a page and what it asks for, and the rest mixed."""
    leaving, rest = set(random.sample(range(BROWSERS), LOGOUTS)), []
    for number, browser in enumerate(browsers):
        writes = [Errand(browser, f"/put/key-{key}") for key in range(WRITES)]
        dying = number // 24 if number % 24 == 7 else None
        if dying is not None:
            writes[0] = Errand(browser, writes[0].path, DEATHS[dying % len(DEATHS)])
        # The first of each kind of death come alone, so that it is their request that takes over and dies of it.
        is_alone = number % 2 == 0 or (dying is not None and dying < len(DEATHS))
        burst = 1 if is_alone else 3
        yield from writes[:burst]
        rest += writes[burst:]
        if number in leaving:
            rest.append(Errand(browser, "/logout"))
    random.shuffle(rest)
    yield from rest


def test_nobody_is_signed_out_nothing_is_lost_and_nobody_comes_back(redis_server: RedisServer) -> None:
    before = make_before(redis_server.url)
    browsers = [signed_in(before, f"user-{number}") for number in range(BROWSERS)]
    crowd = Crowd(make_now, redis_server.url)

    crowd.run(errands(browsers))

    assert crowd.wrong == []
    assert crowd.killed >= len(DEATHS)
    now, _ = make_now(redis_server.url)
    staying = [browser for browser in browsers if not browser.asked_out]
    assert sum(len(browser.answered) for browser in browsers) >= 10_000
    assert len(staying) == BROWSERS - LOGOUTS
    for browser in staying:
        seen = look(now, browser.cookie)
        assert seen["user"] == browser.user
        assert browser.answered - seen["data"].keys() == set()
    for browser in browsers:
        if browser.asked_out:
            assert browser.is_out
            # What a late write of the same browser began is nobody's, and holds that write alone.
            for app in (before, now):
                seen = [look(app, cookie) for cookie in browser.held if cookie]
                assert [one for one in seen if one["user"] or "first" in one["data"]] == []


def look(app: Flask, cookie: str) -> dict:
    return app.test_client(use_cookies=False).get("/", headers={"Cookie": f"session={cookie}"}).get_json()
