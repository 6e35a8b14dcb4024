"""An application's settings, as it starts and as it runs. KE-01, KE-02, KE-05, KE-07, KE-08, TO-05."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flow_site import NOBODY, Seen, Site, both, login, put

from flask_sessionkit import ConfigError, SessionKit
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

GOOD, OLD = (sha256(name).hexdigest() for name in (b"good", b"old"))  # the same in every process of xdist


def made(**config: Any) -> Flask:
    """An application outside of debug and testing."""
    app = Flask("shop")
    app.config.update({"SECRET_KEY": GOOD, "SESSIONKIT_STORE": "memory:", "PROPAGATE_EXCEPTIONS": True, **config})
    SessionKit(app)
    app.add_url_rule("/put", "put", lambda: session.update(v=1) or "put")
    app.add_url_rule("/still", "still", lambda: "still")
    return app


def refused(**config: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        made(**config)
    return str(caught.value)


# At the start.


def test_it_starts_with_nothing_but_a_secret(tmp_path: Path) -> None:
    app = Flask("shop", instance_path=str(tmp_path / "instance"))
    app.secret_key = GOOD
    kit = SessionKit(app)

    assert app.extensions["sessionkit"] is kit
    with app.app_context():
        assert isinstance(kit.store, FileStore)
        assert kit.store.folder == tmp_path / "instance" / "sessions"
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_told_in_one_error() -> None:
    said = refused(
        SECRET_KEY="dev",
        SECRET_KEY_FALLBACKS=[""],
        SESSIONKIT_STORE="reddis://:hunter2@host/0",
        SESSIONKIT_IDLE_TIMEOUT=-30,
        SESSIONKIT_ABSOLUTE_TIMEOUT="12h",
        SESSIONKIT_SECURE_COOKIE="no",
        SESSIONKIT_IDEL_TIMEOUT=1,
    )

    for part in (
        "SESSIONKIT_IDLE_TIMEOUT must be a positive duration: seconds, or timedelta(minutes=30), not -30.",
        "SESSIONKIT_ABSOLUTE_TIMEOUT must be a positive duration: seconds, or timedelta(hours=12), not '12h'.",
        "SESSIONKIT_SECURE_COOKIE must be True or False, not 'no'.",
        "SESSIONKIT_IDEL_TIMEOUT is no setting. Did you mean SESSIONKIT_IDLE_TIMEOUT?",
        "SECRET_KEY must have at least 32 bytes, not 3.",
        "SECRET_KEY_FALLBACKS holds an empty secret.",
        "SESSIONKIT_STORE names no store that is known",
    ):
        assert part in said
    assert len(said.splitlines()) == 7
    assert "hunter2" not in said


def test_an_application_that_was_refused_keeps_flasks_own_sessions() -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY=GOOD, SESSIONKIT_IDLE_TIMEOUT=0)
    before = app.session_interface
    with pytest.raises(ConfigError):
        SessionKit(app)

    assert app.session_interface is before
    assert "sessionkit" not in app.extensions


@pytest.mark.parametrize("scheme", ["foo://x", "postgres://x/y", "cookie", "reddis:", "http://x"])
def test_a_store_that_is_unknown_is_told_with_the_known(scheme: str) -> None:
    said = refused(SESSIONKIT_STORE=scheme)

    assert "SESSIONKIT_STORE names no store that is known" in said
    assert ("write SESSIONKIT_STORE = 'cookie:'" if scheme == "cookie" else "memory:, file:, sqlite:") in said


@pytest.mark.requirement("TR-02")
@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"STORE": "cookie:"}, "outlives every logout"),
        ({"STORE": "cookie:", "REVOCATION_STORE": "memory:"}, "must outlive its processes"),
        ({"STORE": "cookie:", "REVOCATION_STORE": "memcached://127.0.0.1:1"}, "must outlive its processes"),
        ({"STORE": "cookie:", "REVOCATION_STORE": "cookie:"}, "must be a store on the server, not a cookie"),
        ({"STORE": "cookie:", "REVOCATION_STORE": "foo:"}, "SESSIONKIT_REVOCATION_STORE names no store that is known"),
        ({"STORE": "cookie:", "REVOCATION_STORE": "foo:"}, "redis+sentinel:, redis+cluster:."),
        ({"STORE": "cookie:", "REVOCATION_STORE": ""}, "null in the environment"),
        ({"STORE": "cookie:", "REVOCATION_STORE": "None"}, "null in the environment"),
        ({"STORE": "memory:", "REVOCATION_STORE": "file:"}, "is for SESSIONKIT_STORE = 'cookie:' alone"),
        ({"STORE": "memory:", "REVOCATION_STORE": None}, "is for SESSIONKIT_STORE = 'cookie:' alone"),
        ({"STORE": "cookie://x", "REVOCATION_STORE": "file:"}, "and nothing behind it"),
        ({"STORE": "cookie", "REVOCATION_STORE": None}, "and nothing behind it"),
    ],
    ids=str,
)
def test_a_revocation_store_is_one_on_the_server_or_none_on_purpose(config: dict[str, Any], fault: str) -> None:
    """TR-02."""
    said = refused(**{f"SESSIONKIT_{name}": value for name, value in config.items()})

    assert fault in said


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"TAKE_OVER": "flask", "STORE": "cookie:", "REVOCATION_STORE": "file:"}, "needs a store on the server"),
        ({"TAKE_OVER": "flask", "TRANSPORT": "header"}, "SESSIONKIT_TRANSPORT is 'header'"),
        ({"TAKE_OVER": "flusk"}, "takes nothing over from"),
        ({"TAKE_OVER": 7}, "takes nothing over from int"),
        ({"TAKE_OVER": ["flask", None]}, "SESSIONKIT_TAKE_OVER must be"),
        ({"TAKE_OVER": ""}, "SESSIONKIT_TAKE_OVER must be"),
    ],
    ids=str,
)
def test_what_cannot_be_taken_over_is_told(config: dict[str, Any], fault: str) -> None:
    said = refused(**{f"SESSIONKIT_{name}": value for name, value in config.items()})

    assert fault in said


@pytest.mark.parametrize("store", ["file:", "memory:", None])
def test_in_testing_a_revocation_store_may_forget(store: str | None) -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY="x", TESTING=True, SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=store)

    SessionKit(app)


def test_a_driver_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "flask_sessionkit.stores.sqlalchemy", raising=False)

    assert "pip install 'flask-sessionkit[sqlalchemy]'" in refused(SESSIONKIT_STORE="sqlite:///x.db")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refused(SESSIONKIT_STORE=f"file://{tmp_path}/file/sessions")

    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert "can be written to by others" in refused(SESSIONKIT_STORE=f"file://{tmp_path}/open")

    (tmp_path / "link").symlink_to(tmp_path)
    assert "is a link" in refused(SESSIONKIT_STORE=f"file://{tmp_path}/link")


def test_a_folder_without_rights_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every folder can be written to, so the answer of the system is the test's own."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    tmp_path.chmod(0o500)

    assert "cannot be written to" in refused(SESSIONKIT_STORE=f"file://{tmp_path}/sessions")
    assert "cannot be written to" in refused(SESSIONKIT_STORE=f"file://{tmp_path}")


@pytest.mark.requirement("KE-07")
@pytest.mark.parametrize(
    "url", ["reddis://ann:hunter2@h/0", "sqlite+none://ann:hunter2@h/x", "mysql:hunter2", "hunter2@x"]
)
def test_a_password_in_a_url_is_never_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(SESSIONKIT_STORE=url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_store_object_is_taken_as_it_is() -> None:
    store = MemoryStore()
    app = made(SESSIONKIT_STORE=store)
    other = Flask("other")
    other.secret_key = GOOD
    SessionKit(other, store=store)

    for one in (app, other):
        with one.app_context():
            assert one.extensions["sessionkit"].store is store


def test_a_store_object_that_is_empty_is_a_store_all_the_same() -> None:
    """One that counts its records is false while it has none; it must not be taken for absent."""

    class Counted(MemoryStore):
        def __len__(self) -> int:
            return len(self._records)

    store = Counted()
    app = Flask("shop")
    app.secret_key = GOOD
    kit = SessionKit(app, store=store)

    with app.app_context():
        assert kit.store is store


def test_a_class_of_stores_is_told_to_be_called() -> None:
    assert "not the class MemoryStore. Make one of it: MemoryStore(...)." in refused(SESSIONKIT_STORE=MemoryStore)


@pytest.mark.parametrize("wrong", [7, {}, object(), b"memory:", Path("/tmp")], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_store_is_told(wrong: object) -> None:
    assert "SESSIONKIT_STORE must be a URL, a store object or a client of Redis; a " in refused(SESSIONKIT_STORE=wrong)


def test_a_store_without_a_method_is_told_which() -> None:
    class Half:
        load = create = replace = delete = print

    assert "a Half has no list_owner()" in refused(SESSIONKIT_STORE=Half())


def test_settings_are_read_once() -> None:
    app = made()
    app.config["SESSIONKIT_MAX_SIZE"] = "nonsense"

    assert app.test_client().get("/put").status_code == 200


def test_an_application_is_freed_with_its_last_reference() -> None:
    app = made()
    app.test_client().get("/put")
    gone = weakref.ref(app)
    del app
    gc.collect()

    assert gone() is None


def test_one_kit_serves_two_applications() -> None:
    kit = SessionKit(store=MemoryStore())
    apps = [Flask(name) for name in ("one", "two")]
    for app in apps:
        app.secret_key = GOOD
        kit.init_app(app)
        app.add_url_rule("/", "index", lambda: session.setdefault("v", 1) and "in")

    assert [app.test_client().get("/").status_code for app in apps] == [200, 200]


# Secrets.

WEAK = ["dev", "x" * 31, "a" * 64, "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"]


@pytest.mark.requirement("KE-02")
@pytest.mark.parametrize("weak", WEAK)
def test_a_weak_secret_is_refused_at_the_start(weak: str) -> None:
    said = refused(SECRET_KEY=weak)

    assert said.startswith("SECRET_KEY ")
    assert weak not in said
    assert refused(SECRET_KEY_FALLBACKS=[weak]).startswith("SECRET_KEY_FALLBACKS ")


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("allowed_by", ["TESTING", "DEBUG", "SESSIONKIT_ALLOW_WEAK_SECRET"])
def test_a_weak_secret_is_allowed_in_debug_in_testing_and_on_request(weak: str, allowed_by: str) -> None:
    app = made(**{"SECRET_KEY": weak, "SECRET_KEY_FALLBACKS": ["y"], allowed_by: True})

    assert app.test_client().get("/put").status_code == 200


@pytest.mark.requirement("KE-02")
def test_a_weak_secret_that_is_set_later_is_refused_at_the_first_look() -> None:
    app = made(SECRET_KEY=None)
    app.secret_key = "dev"
    client = app.test_client()

    assert client.get("/still").status_code == 200
    with pytest.raises(ConfigError, match="at least 32 bytes, not 3"):
        client.get("/put")


def test_a_secret_that_turns_weak_when_testing_is_over_is_refused() -> None:
    app = made(SECRET_KEY="dev", TESTING=True)
    client = app.test_client()
    assert client.get("/put").status_code == 200
    app.testing = False

    with pytest.raises(ConfigError):
        client.get("/put")


@pytest.mark.requirement("KE-01")
@pytest.mark.parametrize("none", [None, "", b""])
def test_without_a_secret_flasks_own_error_tells(none: Any) -> None:
    app = made(SECRET_KEY=none)
    client = app.test_client()

    assert client.get("/still").status_code == 200
    with pytest.raises(RuntimeError, match="no secret key was set"):
        client.get("/put")


@pytest.mark.requirement("KE-08")
@pytest.mark.parametrize("wrong", [OLD, OLD.encode(), 7, {OLD: 1}])
def test_fallbacks_that_are_no_list_are_refused(wrong: Any) -> None:
    """KE-08: Flask itself would make each letter of a text a key."""
    said = refused(SECRET_KEY_FALLBACKS=wrong)

    assert said.startswith("SECRET_KEY_FALLBACKS must be a list")
    assert OLD not in said


def test_fallbacks_that_are_no_list_are_refused_when_they_are_set_later() -> None:
    app = made()
    app.config["SECRET_KEY_FALLBACKS"] = OLD

    with pytest.raises(ConfigError, match="must be a list"):
        app.test_client().get("/put")


@pytest.mark.requirement("KE-08")
def test_the_same_secret_twice_is_refused() -> None:
    assert "holds the same secret twice" in refused(SECRET_KEY_FALLBACKS=[GOOD])


@pytest.mark.requirement("KE-04", "KE-05")
def test_a_fallback_opens_and_a_dropped_one_does_not(store: PausingStore, clock: FrozenClock) -> None:
    """And a new secret comes in while the application runs, as Flask's own do."""
    site = Site(store, clock, SECRET_KEY=OLD)
    token = site.token(both(login("alice"), put(v=1)))

    site.app.config.update(SECRET_KEY=GOOD, SECRET_KEY_FALLBACKS=[OLD])
    assert site.seen(token) == Seen("alice", {"v": 1})
    assert [row.current for row in site.outside(site.kit.sessions_of, "alice")] == [False]

    site.app.config.update(SECRET_KEY_FALLBACKS=[])
    assert site.seen(token) == NOBODY
    assert site.outside(site.kit.sessions_of, "alice") == []

    site.app.config.update(SECRET_KEY_FALLBACKS=[OLD])
    assert site.seen(token) == Seen("alice", {"v": 1})


def test_a_list_of_fallbacks_that_is_changed_in_place_is_read_again(store: PausingStore, clock: FrozenClock) -> None:
    site = Site(store, clock, SECRET_KEY=OLD)
    token = site.token(login("alice"))
    fallbacks = [OLD]
    site.app.config.update(SECRET_KEY=GOOD, SECRET_KEY_FALLBACKS=fallbacks)
    assert site.seen(token) == Seen("alice", {})

    fallbacks.clear()

    assert site.seen(token) == NOBODY


@pytest.mark.requirement("KE-03", "KE-04")
def test_a_change_under_a_fallback_is_sealed_with_the_current_secret(store: PausingStore, clock: FrozenClock) -> None:
    site = Site(store, clock, SECRET_KEY=OLD)
    token = site.token(both(login("alice"), put(v=1)))
    site.app.config.update(SECRET_KEY=GOOD, SECRET_KEY_FALLBACKS=[OLD])

    assert site.ask(token, put(v=2)).says_nothing

    site.app.config.update(SECRET_KEY_FALLBACKS=[])
    assert site.seen(token) == Seen("alice", {"v": 2})
    assert len(site.outside(site.kit.sessions_of, "alice")) == 1


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.requirement("KE-07")
def test_no_secret_shows_in_a_log_or_an_error(log: pytest.LogCaptureFixture) -> None:
    app = made(SECRET_KEY_FALLBACKS=[OLD])
    app.test_client().get("/put")
    said = refused(SECRET_KEY=GOOD[:20], SECRET_KEY_FALLBACKS=[OLD, OLD])

    for secret in (GOOD[:20], OLD, GOOD):
        assert secret not in said + log.text + repr([app, app.session_interface, app.extensions["sessionkit"]])


@pytest.mark.requirement("ST-08")
def test_memory_advises_a_store_that_lasts_once_and_not_to_who_develops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """ST-08."""
    caplog.set_level(logging.INFO, "flask_sessionkit")
    lasting, developing = made(SESSIONKIT_STORE=f"file://{tmp_path}/sessions"), made(DEBUG=True)
    for app in (lasting, developing):
        app.test_client().get("/put", base_url="https://shop.example")
    assert caplog.messages == []

    forgetful = made().test_client()
    for _ in range(3):
        forgetful.get("/put", base_url="https://shop.example")

    [advice] = caplog.messages
    assert "SESSIONKIT_STORE" in advice


def test_a_setting_that_comes_too_late_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    app = made(SESSIONKIT_STORE="memory:", DEBUG=True)
    app.config["SESSIONKIT_IDLE_TIMEOUT"] = 60
    app.config["SESSIONKIT_STORE"] = "file:"
    for _ in range(2):
        app.test_client().get("/put")

    [told] = caplog.messages
    assert "SESSIONKIT_IDLE_TIMEOUT, SESSIONKIT_STORE" in told


def test_a_clock_of_its_own_is_given_to_an_application() -> None:
    clock, kit = FrozenClock(), SessionKit(store=MemoryStore())
    app = Flask("shop")
    app.config.update(SECRET_KEY=GOOD, TESTING=True)
    kit.init_app(app, clock=clock)
    app.add_url_rule("/put", "put", lambda: session.update(v=1) or "put")
    app.add_url_rule("/at", "at", lambda: str(session.created_at))
    browser = app.test_client()
    browser.get("/put")

    assert browser.get("/at").text == str(clock.now())


@pytest.mark.requirement("CK-02", "CK-03")
@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"SESSION_COOKIE_NAME": "__HOST-shop", "SESSION_COOKIE_PATH": "/app"}, "SESSION_COOKIE_NAME '__HOST-shop'"),
        ({"SESSION_COOKIE_NAME": "__Host-shop", "SESSION_COOKIE_DOMAIN": "shop.example"}, "SESSION_COOKIE_DOMAIN"),
        ({"SESSION_COOKIE_NAME": "__Secure-shop", "SESSIONKIT_SECURE_COOKIE": False}, "SESSIONKIT_SECURE_COOKIE"),
        ({"SESSION_COOKIE_NAME": "__Host-Http-x", "SESSION_COOKIE_PATH": "/app"}, "SESSION_COOKIE_PATH"),
        (
            {
                "SESSION_COOKIE_NAME": "__HTTP-x",
                "SESSION_COOKIE_HTTPONLY": False,
                "SESSION_COOKIE_SECURE": True,
                "SESSIONKIT_SECURE_COOKIE": False,
            },
            "SESSION_COOKIE_HTTPONLY",
        ),
        ({"SESSION_COOKIE_SAMESITE": "none", "SESSIONKIT_SECURE_COOKIE": False}, "SESSION_COOKIE_SAMESITE"),
        ({"SESSION_COOKIE_SAMESITE": "bogus"}, "not 'bogus'"),
        ({"SESSION_COOKIE_PARTITIONED": True, "SESSIONKIT_SECURE_COOKIE": False}, "SESSION_COOKIE_PARTITIONED"),
    ],
)
def test_a_cookie_that_browsers_would_drop_is_refused_at_the_start(config: dict[str, Any], named: str) -> None:
    """CK-02, CK-03."""
    assert named in refused(**config)
    made(**config, DEBUG=True)


@pytest.mark.parametrize("name", ["__Host-shop", "__Secure-shop", "__Http-shop", "__Host-Http-shop"])
def test_a_cookie_of_the_right_prefix_is_taken_as_it_is(name: str) -> None:
    app = made(SESSION_COOKIE_NAME=name, SESSION_COOKIE_SAMESITE="None", SESSION_COOKIE_PARTITIONED=True)

    assert app.session_interface.get_cookie_name(app) == name


@pytest.mark.parametrize(
    ("able", "has_stamp", "advice"),
    [
        (Capability.NONE, False, ["Sessions end with this process"]),
        (Capability.SHARED, False, []),
        (Capability.SHARED | Capability.INDEX_BEST_EFFORT, False, ["may forget which sessions"]),
        (Capability.SHARED | Capability.INDEX_BEST_EFFORT, True, []),
    ],
)
def test_a_store_is_advised_on_for_what_it_can_not_do(
    able: Capability, has_stamp: bool, advice: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Able(MemoryStore):
        capabilities = able

    app = Flask("flows")
    app.config.update(SECRET_KEY="0123456789abcdef" * 3)
    kit = SessionKit(app, store=Able())
    if has_stamp:
        kit.user_stamp(lambda user: "as ever")
    app.add_url_rule("/", "put", lambda: str(session.get("a")))

    app.test_client().get("/")

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(advice)
    assert all(part in text for part, text in zip(advice, said, strict=True))
