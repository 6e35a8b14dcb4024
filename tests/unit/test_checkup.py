"""``flask sessions check`` and ``generate-key``: what is unsafe is told with its mend."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from werkzeug.middleware.profiler import ProfilerMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_sessionkit import SessionKit
from flask_sessionkit.errors import StoreError
from flask_sessionkit.findings import Mark
from flask_sessionkit.secret_keys import weaknesses
from flask_sessionkit.stores.base import Capability, judged_clock
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
    app = shop(store=Shared(MemoryStore()), SESSIONKIT_ENCRYPT_RECORDS=True, SESSIONKIT_LOGIN_VIEW="login")
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]  # as werkzeug says
    app.add_url_rule("/login", "login")
    told = checked(app)

    assert told.exit_code == 0
    assert [line.split()[0] for line in told.output.splitlines()] == ["ok"] * 6


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


def test_that_sessions_of_before_are_taken_over_is_told_and_until_when() -> None:
    told = checked(shop(SESSIONKIT_TAKE_OVER="flask", SESSIONKIT_STORE="memory:")).output
    durable = checked(shop(SESSIONKIT_TAKE_OVER="flask", store=Shared(MemoryStore()))).output

    assert "note  SESSIONKIT_TAKE_OVER: 'flask': a cookie that Flask signed opens a session here" in told
    assert "31 days, 0:00:00 (PERMANENT_SESSION_LIFETIME)" in told
    assert "note  SESSIONKIT_TAKE_OVER: MemoryStore forgets what was taken over" in told
    assert "forgets what was taken over" not in durable
    assert "SESSIONKIT_TAKE_OVER" not in checked(shop()).output


def test_that_sealed_cookies_are_taken_over_is_told_and_until_when() -> None:
    config = {"SESSIONKIT_TAKE_OVER": ["cookie:"], "SESSIONKIT_REVOCATION_STORE": None}
    told = checked(shop(store=Shared(MemoryStore()), **config)).output

    assert "note  SESSIONKIT_TAKE_OVER: 'cookie:': a session that lies in a browser is brought here once" in told
    assert "SESSIONKIT_REVOCATION_STORE, 30 days, 0:00:00 (the longer of" in told


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


# Cookies and times.


@pytest.mark.parametrize(
    ("config", "note"),
    [
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "SESSION_COOKIE_DOMAIN: 'shop.example': every host below it"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "SESSION_COOKIE_SAMESITE: 'None': what other sites send"),
        ({"SESSIONKIT_IDLE_TIMEOUT": 3601}, "SESSIONKIT_IDLE_TIMEOUT: 1:00:01: NIST SP 800-63B-4 asks for an hour"),
        ({"SESSIONKIT_ABSOLUTE_TIMEOUT": 86_401}, "SESSIONKIT_ABSOLUTE_TIMEOUT: 1 day, 0:00:01: NIST"),
    ],
    ids=str,
)
def test_what_is_wider_than_it_need_be_is_noted(config: dict[str, Any], note: str) -> None:
    told = checked(shop(store=Shared(MemoryStore()), **config))

    assert told.exit_code == 0
    assert f"note  {note}" in told.output
    assert note.partition(":")[0] not in "".join(
        line for line in checked(shop(store=Shared(MemoryStore()))).output.splitlines() if line.startswith("note")
    )


def test_times_that_are_short_enough_are_told() -> None:
    told = checked(shop(store=Shared(MemoryStore()), SESSIONKIT_IDLE_TIMEOUT=3600, SESSIONKIT_ABSOLUTE_TIMEOUT=86_400))

    assert "ok    SESSIONKIT_IDLE_TIMEOUT: Sessions end after 1:00:00 without activity, and 1 day," in told.output


def test_how_often_tokens_are_renewed_is_told() -> None:
    def told(**config: Any) -> list[str]:
        output = checked(shop(store=Shared(MemoryStore()), **config)).output
        return [line for line in output.splitlines() if "SESSIONKIT_ROTATE_EVERY" in line]

    day = 86_400
    assert told() == []
    assert told(SESSIONKIT_ROTATE_EVERY=3600) == [
        "ok    SESSIONKIT_ROTATE_EVERY: A live session's token is renewed after 1:00:00."
    ]
    assert told(SESSIONKIT_ROTATE_EVERY=30 * day - 1)[0].startswith("ok ")
    assert told(SESSIONKIT_ROTATE_EVERY=30 * day)[0].startswith(
        "note  SESSIONKIT_ROTATE_EVERY: 30 days, 0:00:00: no session lives that long"
    )


def test_a_limit_that_may_be_missed_is_told() -> None:
    def told(able: Capability, **config: Any) -> list[str]:
        store = Shared(MemoryStore())
        store.able = able
        app = shop(store=store, **config)
        return [line for line in checked(app).output.splitlines() if "SESSIONKIT_MAX_SESSIONS_PER_USER" in line]

    assert told(Capability.INDEX) == []
    assert told(Capability.INDEX, SESSIONKIT_MAX_SESSIONS_PER_USER=3) == [
        "ok    SESSIONKIT_MAX_SESSIONS_PER_USER: 3: older logins end."
    ]
    assert told(Capability.INDEX_BEST_EFFORT, SESSIONKIT_MAX_SESSIONS_PER_USER=3) == [
        "note  SESSIONKIT_MAX_SESSIONS_PER_USER: 3, of those that the store lists: it may forget some, which then live "
        "beside the others."
    ]


def test_a_limit_above_what_is_known_of_a_user_is_told() -> None:
    def told(most: int) -> list[str]:
        sealed = {"SESSIONKIT_STORE": "cookie:", "SESSIONKIT_REVOCATION_STORE": Shared(MemoryStore())}
        output = checked(shop(SESSIONKIT_MAX_SESSIONS_PER_USER=most, **sealed)).output
        return [line for line in output.splitlines() if "SESSIONKIT_MAX_SESSIONS_PER_USER" in line]

    assert told(200) == ["ok    SESSIONKIT_MAX_SESSIONS_PER_USER: 200: older logins end."]
    assert told(201) == [
        "note  SESSIONKIT_MAX_SESSIONS_PER_USER: 201: 200 at most with cookie:, whatever the setting; older logins "
        "than these end."
    ]
    on_the_server = checked(shop(store=Shared(MemoryStore()), SESSIONKIT_MAX_SESSIONS_PER_USER=201)).output
    assert "ok    SESSIONKIT_MAX_SESSIONS_PER_USER: 201: older logins end." in on_the_server


# Where users sign in.


def told_of_login(app: Flask) -> list[str]:
    return [line for line in checked(app).output.splitlines() if "SESSIONKIT_LOGIN_VIEW" in line]


def test_a_login_view_that_does_not_exist_is_a_fault() -> None:
    app = shop(store=Shared(MemoryStore()), SESSIONKIT_LOGIN_VIEW="lgoin")
    app.add_url_rule("/login", "login")

    [line] = told_of_login(app)
    assert line.startswith("fault SESSIONKIT_LOGIN_VIEW: 'lgoin' is no endpoint")
    assert checked(app).exit_code == 1
    app.add_url_rule("/lgoin", "lgoin")
    assert told_of_login(app) == []


def test_that_pages_answer_401_without_a_login_view_is_told() -> None:
    said = "note  SESSIONKIT_LOGIN_VIEW: Not set, so pages for users answer 401. Set it to the endpoint of your login."

    assert told_of_login(shop(store=Shared(MemoryStore()))) == [said]
    assert told_of_login(shop(store=Shared(MemoryStore()), SESSIONKIT_TRANSPORT="both")) == [said]
    assert told_of_login(shop(store=Shared(MemoryStore()), SESSIONKIT_TRANSPORT="header")) == []


# Proxies.


def proxied(**options: int) -> Flask:
    app = shop(store=Shared(MemoryStore()))
    app.wsgi_app = ProfilerMiddleware(ProxyFix(app.wsgi_app, **options))  # type: ignore[method-assign]
    return app


def test_whether_a_proxy_is_believed_is_told() -> None:
    assert "note  ProxyFix: Not there, which is right where" in checked(shop(store=Shared(MemoryStore()))).output
    assert "ok    ProxyFix: It believes 1 proxies for the address and 1 for the scheme." in checked(proxied()).output
    assert "ok    ProxyFix: It believes 2 proxies" in checked(proxied(x_for=2)).output


def test_a_proxy_that_is_believed_by_half_is_told() -> None:
    assert "note  ProxyFix: It believes the proxy's word for the address and not" in checked(proxied(x_proto=0)).output


def test_middleware_without_end_is_looked_through_no_further() -> None:
    class Ring:
        app: Any

    app = shop(store=Shared(MemoryStore()))
    ring = Ring()
    ring.app = ring
    app.wsgi_app = ring  # type: ignore[method-assign, assignment]

    assert "note  ProxyFix: Not there" in checked(app).output


# What a store knows of itself.


class Judging(Shared):
    said: Any = ()

    def __init__(self, *said: Any) -> None:
        super().__init__(MemoryStore())
        self.said = said

    def judge(self, *, now: float, largest: int) -> Any:
        for one in self.said:
            if isinstance(one, Exception):
                raise one
        return [*self.said, (Mark.NOTE, f"largest {largest}")]


def test_a_store_says_what_it_knows() -> None:
    told = checked(shop(store=Judging((Mark.FAULT, "It leaks. Mend it."), (Mark.OK, "It is dry."))))

    assert told.exit_code == 1
    assert "fault SESSIONKIT_STORE: It leaks. Mend it." in told.output
    assert "ok    SESSIONKIT_STORE: It is dry." in told.output


def test_a_store_is_told_how_large_a_session_may_be() -> None:
    told = checked(shop(store=Judging(), SESSIONKIT_MAX_SIZE=1_000_000))
    assert "note  SESSIONKIT_STORE: largest 1000077" in told.output

    told = checked(shop(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=Judging()))
    assert "note  SESSIONKIT_REVOCATION_STORE: largest 131072" in told.output


def test_a_store_that_fails_while_it_is_judged_is_a_fault() -> None:
    told = checked(shop(store=Judging(StoreError("No answer."))))

    assert told.exit_code == 1
    assert "fault SESSIONKIT_STORE: Judging cannot be judged: No answer." in told.output


@pytest.mark.parametrize(
    ("ahead", "mark", "said"),
    [
        (0.0, Mark.OK, "agrees"),
        (60.0, Mark.OK, "agrees"),
        (-60.0, Mark.OK, "agrees"),
        (61.0, Mark.FAULT, "Its clock is 61 s ahead of ours."),
        (-3600.0, Mark.FAULT, "Its clock is 3600 s behind ours."),
    ],
)
def test_clocks_may_differ_by_a_minute(ahead: float, mark: Mark, said: str) -> None:
    told = judged_clock(1_700_000_000.0 + ahead, 1_700_000_000.0)

    assert told[0] is mark
    assert said in told[1]


@pytest.mark.requirement("ST-03")
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o700, "ok    SESSIONKIT_STORE: {} is its owner's alone."),
        (0o750, "note  SESSIONKIT_STORE: Others can look into {} (mode 750)"),
        (0o705, "note  SESSIONKIT_STORE: Others can look into {} (mode 705)"),
        (0o770, "{} can be written to by others (mode 770). Run chmod 700 on it."),
    ],
)
def test_the_rights_of_a_folder_are_judged(tmp_path: Path, mode: int, told: str) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir(mode=0o700)
    app = shop(SESSIONKIT_STORE=f"file://{folder}")
    folder.chmod(mode)
    found = checked(app)

    assert told.format(folder) in found.output
    assert found.exit_code == (mode == 0o770)


def test_a_folder_that_is_not_there_yet_is_told_and_not_made(tmp_path: Path) -> None:
    told = checked(shop(SESSIONKIT_STORE=f"file://{tmp_path}/sessions"))

    assert f"note  SESSIONKIT_STORE: {tmp_path}/sessions is not there yet; the first write makes it." in told.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "word"), [(0o600, "ok"), (0o660, "ok"), (0o644, "fault"), (0o602, "fault")])
def test_the_rights_of_a_database_file_are_judged(tmp_path: Path, mode: int, word: str) -> None:
    app = shop(SESSIONKIT_STORE=f"sqlite:///{tmp_path}/sessions.db")
    app.test_cli_runner().invoke(args=["sessions", "create-table"])
    (tmp_path / "sessions.db").chmod(mode)
    told = checked(app)

    [line] = [line for line in told.output.splitlines() if f"(mode {mode:o})" in line]
    assert line.split()[0] == word
    assert told.exit_code == (word == "fault")
    assert "There is no table" not in told.output


def test_a_database_that_is_not_there_yet_is_told_and_not_made(tmp_path: Path) -> None:
    told = checked(shop(SESSIONKIT_STORE=f"sqlite:///{tmp_path}/sessions.db"))

    assert told.exit_code == 0
    assert "note  SESSIONKIT_STORE: There is no table sessionkit_records yet" in told.output
    assert list(tmp_path.iterdir()) == []
