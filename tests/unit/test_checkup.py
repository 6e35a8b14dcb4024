"""``flask sessions check`` and ``generate-key``: what is unsafe is told with its mend."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_sessionkit import SessionKit
from flask_sessionkit.secret_keys import weaknesses
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import PausingStore

GOOD = "5f0c2a9e7b314d68a1f2c3e4d5b6a798"


class Shared(PausingStore):
    """A store that says of itself what a test wants."""

    able = Capability.INDEX | Capability.SHARED | Capability.DURABLE

    @property
    def capabilities(self) -> Capability:
        return self.able


def shop(name: str = "shop", *, store: Any = None, **config: Any) -> Flask:
    app = Flask(name)
    app.config.update(SECRET_KEY=GOOD)
    app.config.update(config)
    SessionKit(app, store=store)
    return app


def checked(app: Flask, *options: str) -> Result:
    return app.test_cli_runner().invoke(args=["sessions", "check", *options])


def test_a_deployment_as_it_should_be_has_no_fault() -> None:
    told = checked(shop(store=Shared(MemoryStore()), SESSIONKIT_ENCRYPT_RECORDS=True))

    assert told.exit_code == 0
    assert [line.split()[0] for line in told.output.splitlines()] == ["ok"] * 4


def test_how_tokens_travel_is_told() -> None:
    odd = {"SESSION_COOKIE_SAMESITE": "None", "SESSIONKIT_SECURE_COOKIE": False, "TESTING": True}
    by_header = checked(shop(SESSIONKIT_TRANSPORT="header", SESSIONKIT_HEADER_NAME="Shop-Session", **odd)).output
    by_both = checked(shop(SESSIONKIT_TRANSPORT="both", **odd)).output

    assert "ok    SESSIONKIT_TRANSPORT: Tokens travel in Shop-Session; no cookie is set." in by_header
    assert "COOKIE" not in by_header.replace("SESSIONKIT_STORE", "")
    assert "note  SESSIONKIT_TRANSPORT: A request without X-Session-Token goes by its cookie" in by_both
    assert "fault SESSIONKIT_SECURE_COOKIE" in by_both


def test_cookies_that_are_not_sent_have_no_faults() -> None:
    shop(SESSIONKIT_TRANSPORT="header", SESSION_COOKIE_NAME="__Host-session", SESSION_COOKIE_DOMAIN="example.com")


def test_readable_records_are_told() -> None:
    assert "note  SESSIONKIT_ENCRYPT_RECORDS: Off" in checked(shop(store=Shared(MemoryStore()))).output


@pytest.mark.requirement("KE-02", "TR-02")
@pytest.mark.parametrize(
    ("app", "fault"),
    [
        (
            lambda: shop(SECRET_KEY="weak", SESSIONKIT_ALLOW_WEAK_SECRET=True),
            "SECRET_KEY: must have at least",
        ),
        (lambda: shop(TESTING=True, SECRET_KEY="weak"), "SECRET_KEY: must have at least"),
        (lambda: shop(SECRET_KEY=None), "SECRET_KEY: Not set"),
        (lambda: shop("app"), "SESSIONKIT_APP_ID: It is 'app' by default"),
        (lambda: shop("wsgi"), "SESSIONKIT_APP_ID: It is 'wsgi' by default"),
        (lambda: shop(SESSIONKIT_SECURE_COOKIE=False), "SESSIONKIT_SECURE_COOKIE: Off"),
        (
            lambda: shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=None),
            "SESSIONKIT_REVOCATION_STORE: None: a logout clears one browser only",
        ),
    ],
)
def test_what_is_unsafe_is_a_fault(app: Any, fault: str) -> None:
    """TR-02, KE-02."""
    told = checked(app())

    assert told.exit_code == 1
    assert [line for line in told.output.splitlines() if line.startswith("fault")] != []
    assert f"fault {fault}" in told.output


def test_an_id_of_ones_own_is_none() -> None:
    assert "fault SESSIONKIT_APP_ID" not in checked(shop("app", SESSIONKIT_APP_ID="tea shop")).output


def test_a_store_that_cannot_answer_is_a_fault() -> None:
    store = Shared(MemoryStore())
    store.fail("load")

    told = checked(shop(store=store))

    assert told.exit_code == 1
    assert "fault SESSIONKIT_STORE: Shared cannot answer: The load failed" in told.output


def test_what_a_store_does_not_do_is_told() -> None:
    told = checked(shop(SESSIONKIT_STORE="memory:")).output

    assert "note  SESSIONKIT_STORE: MemoryStore forgets" in told
    assert "note  SESSIONKIT_STORE: MemoryStore is for one machine" in told


def test_a_list_that_may_miss_some_wants_a_stamp() -> None:
    store = Shared(MemoryStore())
    store.able = Capability.INDEX_BEST_EFFORT | Capability.SHARED
    app = shop(store=store)

    assert "fault SESSIONKIT_STORE: Shared may forget which sessions a user has" in checked(app).output
    app.extensions["sessionkit"].user_stamp(lambda user: "1")
    assert checked(app).exit_code == 0


def test_sessions_in_browsers_are_told_what_they_are_not_for() -> None:
    told = checked(shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=Shared(MemoryStore())))

    assert told.exit_code == 0
    assert "note  SESSIONKIT_STORE: cookie: keeps sessions in the browser" in told.output
    assert "ok    SESSIONKIT_REVOCATION_STORE: Shared answers a read; a write was not tried." in told.output


def test_what_a_deployment_would_not_start_with_is_a_fault_in_testing_too() -> None:
    told = checked(shop(TESTING=True, SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE="memory:"))

    assert "fault SESSIONKIT_REVOCATION_STORE: MemoryStore forgets" in told.output


def test_it_can_be_read_by_programs() -> None:
    app = shop("app", store=Shared(MemoryStore()))

    told = checked(app, "--format", "json")

    assert told.exit_code == 1
    rows = json.loads(told.output)
    assert [row["about"] for row in rows if row["mark"] == "fault"] == ["SESSIONKIT_APP_ID"]
    assert {"mark", "about", "text"} == set(rows[0])


@pytest.mark.requirement("KE-07")
def test_it_shows_no_secret() -> None:
    """KE-07."""
    fallback = "an older secret, quite long enough"
    told = checked(shop("app", SECRET_KEY_FALLBACKS=[fallback], SESSIONKIT_STORE="memory:")).output

    assert "fallbacks that open: 1." in told
    assert not any(secret in told for secret in (GOOD, fallback))


def test_a_generated_key_is_fit_and_another_each_time() -> None:
    run = shop(SESSIONKIT_STORE="memory:").test_cli_runner().invoke
    keys = [run(args=["sessions", "generate-key"]).output.strip() for _ in range(2)]

    assert len(set(keys)) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)
    assert weaknesses([key.encode() for key in keys]) == []
