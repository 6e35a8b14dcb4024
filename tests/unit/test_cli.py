"""``flask sessions``: what an operator does to sessions. CL-01, CL-02, CL-04, CL-05, ST-09."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result
from flask import Flask, session
from flask.testing import FlaskClient
from flow_stores import keys_in
from msgspec.structs import replace

from flask_sessionkit import SessionKit, StoreError, login_user, session_ended
from flask_sessionkit.device import Device
from flask_sessionkit.record import Record
from flask_sessionkit.stores.base import Capability, Scans, Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.testing.contract import NOW, a_record

USER = "alice@example.com"


class Office:
    def __init__(self, store: Any, **config: Any) -> None:
        self.store = store
        self.clock = FrozenClock(NOW)
        self.app = Flask("office")
        self.app.config.update(SECRET_KEY="x", TESTING=True)
        self.app.config.update(config)
        self.kit = SessionKit(self.app, store=store, clock=self.clock)

    def run(self, *args: str) -> Result:
        return self.app.test_cli_runner().invoke(args=["sessions", *args])

    def fill(self, ended: int, live: int) -> None:
        """Sessions that ended long ago, by idle or absolute limit, and ones that live."""
        for number in range(ended):
            record = a_record(number, created_at=NOW - 9000, seen_at=NOW - 5000)
            self.store.create(
                replace(record, idle=900.0, absolute_at=NOW + 9000)
                if number % 2
                else replace(record, seen_at=NOW, idle=9000.0, absolute_at=NOW - 500)
            )
        for number in range(live):
            self.store.create(a_record(1000 + number, seen_at=NOW, idle=900.0, absolute_at=NOW + 9000))


@pytest.fixture(params=["memory", "files", "sqlite"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Office:
    stores: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "files": lambda: FileStore(tmp_path / "sessions"),
        "sqlite": lambda: SQLAlchemyStore(f"sqlite:///{tmp_path}/sessions.db"),
    }
    return Office(stores[request.param]())


@pytest.mark.requirement("CL-01")
def test_purge_removes_what_has_ended_and_nothing_else(office: Office) -> None:
    office.fill(ended=25, live=7)
    done = office.run("purge")

    assert (done.exit_code, done.output) == (0, "25 removed.\n")
    assert office.run("purge").output == "0 removed.\n"
    office.clock.tick(900 + 121)
    assert office.run("purge").output == "7 removed.\n"


@pytest.mark.requirement("CL-02")
def test_purge_goes_in_batches(office: Office) -> None:
    office.fill(ended=25, live=3)
    inner = office.store
    counting = PausingStore(inner)
    done = Office(counting).run("purge", "--batch", "10")

    assert done.output == "25 removed.\n"
    assert counting.counts["purge"] >= 3


@pytest.mark.requirement("CL-02")
def test_a_dry_run_counts_and_removes_nothing(office: Office) -> None:
    office.fill(ended=5, live=3)

    for _ in range(2):
        done = office.run("purge", "--dry-run")
        assert (done.exit_code, done.output) == (0, "5 expired; nothing removed.\n")
    assert office.run("purge").output == "5 removed.\n"


def test_a_store_that_was_never_written_to_has_nothing_to_purge(office: Office) -> None:
    assert office.run("purge").output == "0 removed.\n"
    assert office.run("purge", "--dry-run").output == "0 expired; nothing removed.\n"


def test_a_purge_makes_no_folder(tmp_path: Path) -> None:
    """It may run as another user, whose folder the server could not write to."""
    Office(FileStore(tmp_path / "sessions")).run("purge")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("CL-01")
def test_live_sessions_go_on(office: Office) -> None:
    app, client = office.app, office.app.test_client()
    app.add_url_rule("/in", "in", lambda: login_user(USER) or "in")
    app.add_url_rule("/who", "who", lambda: str(session.user_id))  # type: ignore[attr-defined]
    client.get("/in")
    office.fill(ended=3, live=0)
    office.run("purge")

    assert client.get("/who").get_data(as_text=True) == USER


@pytest.mark.requirement("CL-01")
@pytest.mark.parametrize("args", [["purge"], ["purge", "--dry-run"], ["create-table"]], ids=str)
def test_no_output_names_a_session_or_a_user(office: Office, args: list[str]) -> None:
    office.app.add_url_rule("/in", "in", lambda: login_user(USER) or "in")
    token = office.app.test_client().get("/in").headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    office.clock.tick(100_000)
    keys = [path.name for path in office.store.folder.rglob("?" * 64)] if isinstance(office.store, FileStore) else []
    output = office.run(*args).output

    assert output
    assert not any(text in output for text in [token, USER, *keys])


@pytest.mark.parametrize("batch", ["0", "-1", "x"])
def test_a_batch_has_at_least_one(office: Office, batch: str) -> None:
    done = office.run("purge", "--batch", batch)

    assert done.exit_code == 2
    assert "--batch" in done.output


@pytest.mark.requirement("CL-05")
@pytest.mark.parametrize("args", [["purge"], ["purge", "--dry-run"]], ids=str)
def test_a_store_that_expires_by_itself_says_so(args: list[str]) -> None:
    class Expiring(MemoryStore):
        capabilities = Capability.INDEX

    store = PausingStore(Expiring())
    done = Office(store).run(*args)

    assert (done.exit_code, done.output) == (0, "This store removes expired sessions by itself.\n")
    assert store.counts == {}


def test_a_store_that_cannot_count_is_purged_all_the_same() -> None:
    class Uncounted(MemoryStore):
        count_ended = None  # type: ignore[assignment]  # as good as absent, for a protocol

    office = Office(Uncounted())
    office.fill(ended=4, live=0)

    assert (
        office.run("purge", "--dry-run").output
        == "This store cannot count; run without --dry-run to remove what has expired.\n"
    )
    assert office.run("purge").output == "4 removed.\n"


@pytest.mark.requirement("CL-01")
def test_a_store_that_fails_is_one_line_and_exit_1() -> None:
    store = PausingStore(MemoryStore())
    store.fail("purge")
    done = Office(store).run("purge")

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "Error: The session store could not answer: The purge failed, as the test wanted."
    ]


@pytest.mark.parametrize("args", [["purge"], ["purge", "--dry-run"], ["create-table"]], ids=str)
def test_a_database_that_cannot_be_opened_is_one_line_and_exit_1(tmp_path: Path, args: list[str]) -> None:
    (tmp_path / "sessions.db").write_bytes(b"this is no database, it is a text" * 40)
    done = Office(SQLAlchemyStore(f"sqlite:///{tmp_path}/sessions.db")).run(*args)

    assert done.exit_code == 1
    assert done.exception is None or isinstance(done.exception, SystemExit)
    [line] = done.output.splitlines()
    assert line.startswith("Error: The session store could not answer: ")


def test_create_table_makes_it_and_says_so_twice(tmp_path: Path) -> None:
    store = SQLAlchemyStore(f"sqlite:///{tmp_path}/sub/sessions.db")
    for _ in range(2):
        done = Office(store).run("create-table")
        assert (done.exit_code, done.output) == (0, "The table is there.\n")

    assert (tmp_path / "sub" / "sessions.db").exists()
    assert store.create(a_record())


@pytest.mark.parametrize("make", [MemoryStore, lambda: FileStore(Path("/nowhere/sessions"))])
def test_create_table_is_not_needed_elsewhere(make: Any) -> None:
    done = Office(make()).run("create-table")

    assert (done.exit_code, done.output) == (0, "This store needs no table.\n")


def test_the_commands_say_what_they_do() -> None:
    output = Office(MemoryStore()).run("--help").output

    assert "purge" in output
    assert "Remove sessions that have expired." in output
    assert "create-table" in output


SCRIPT = """
from flask import Flask
from flask_sessionkit import SessionKit
app = Flask("office")
app.config.update(SECRET_KEY="x" * 20, TESTING=True, SESSIONKIT_STORE={url!r})
SessionKit(app)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Purge, as an operator types it, where three sessions have ended."""
    url = f"sqlite:///{tmp_path}/sessions.db"
    (tmp_path / "office.py").write_text(SCRIPT.format(url=url))
    store = SQLAlchemyStore(url)
    for number in range(3):
        store.create(a_record(number, created_at=0.0, seen_at=0.0, absolute_at=10.0))
    return [sys.executable, "-m", "flask", "--app", "office", "sessions", "purge", "--batch", "2"]


def test_in_a_pipe_there_are_counts_only(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)

    assert (done.stdout, done.stderr) == ("3 removed.\n", "")


@pytest.mark.parametrize("args", [["purge"], ["generate-key"], ["check"], ["list", "alice"]], ids=str)
def test_wrong_settings_are_told_without_a_traceback(args: list[str], tmp_path: Path) -> None:
    """Flask cannot load the application, so that none of our commands is known."""
    script = SCRIPT.format(url="foo:").replace("TESTING", "SESSIONKIT_MAX_SIZE=1, TESTING")
    (tmp_path / "office.py").write_text(script)
    command = [sys.executable, "-m", "flask", "--app", "office", "sessions", *args]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("Error: SESSIONKIT_MAX_SIZE must be a number of bytes, at least 1024, not 1.")
    assert second.startswith("SESSIONKIT_STORE names no store that is known: 'foo:***'.")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_there_is_a_progress_bar(command: list[str], tmp_path: Path) -> None:
    import pty  # Windows has none

    terminal, ours = pty.openpty()
    started = subprocess.Popen(command, cwd=tmp_path, stdout=ours, stderr=ours, env={**os.environ, "TERM": "xterm"})
    os.close(ours)
    said = b""
    with open(terminal, "rb", buffering=0) as screen, suppress(OSError):  # Linux tells the end of a terminal so
        while chunk := screen.read(4096):
            said += chunk

    assert started.wait(60) == 0
    assert b"Purging" in said
    assert b"100%" in said
    assert said.endswith(b"3 removed.\r\n")


# Who is signed in where.


class Shop(Office):
    """An office whose sessions are made by requests."""

    def __init__(self, store: Any, **config: Any) -> None:
        super().__init__(store, **config)
        self.app.add_url_rule("/in/<user>", "in", lambda user: login_user(user) or "in")
        self.app.add_url_rule("/cart", "cart", lambda: session.setdefault("cart", ["x" * 500]) and "cart")
        self.app.add_url_rule("/who", "who", lambda: f"{session.user_id} {session.ended_because}")  # type: ignore[attr-defined]

    def browse(self, path: str = "/cart", *, agent: str = "Firefox") -> FlaskClient:
        """Return a browser that has been to a page."""
        browser = self.app.test_client()
        browser.get(path, headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
        return browser

    def told(self, browser: FlaskClient) -> str:
        return browser.get("/who").get_data(as_text=True)


@pytest.fixture
def shop(office: Office) -> Shop:
    return Shop(office.store)


def handles(shop: Shop, user: str = USER) -> list[str]:
    return [row["handle"] for row in json.loads(shop.run("list", user, "--format", "json").output)]


def test_list_tells_where_a_user_is_signed_in(shop: Shop) -> None:
    shop.browse(f"/in/{USER}", agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    shop.clock.tick(90)
    shop.browse(f"/in/{USER}", agent="curl/8.5.0")
    shop.browse("/in/bob", agent="Chrome")
    done = shop.run("list", USER)

    assert done.exit_code == 0
    head, *rows = [re.split("  +", line) for line in done.output.splitlines()]
    assert head == ["handle", "login", "last seen", "expires", "address", "device"]
    assert [row[1:] for row in rows] == [
        ["2023-11-14 22:14", "2023-11-14 22:14", "2023-11-14 22:44", "192.0.2.7", "curl"],
        ["2023-11-14 22:13", "2023-11-14 22:13", "2023-11-14 22:43", "192.0.2.7", "Firefox on Linux"],
    ]


def test_list_can_be_read_by_programs(shop: Shop) -> None:
    shop.browse(f"/in/{USER}")
    [row] = json.loads(shop.run("list", USER, "--format", "json").output)

    assert len(row.pop("handle")) == 43
    assert row == {
        "created_at": NOW,
        "login_at": NOW,
        "seen_at": NOW,
        "expires_at": NOW + 1800,
        "user_agent": "Firefox",
        "address": "192.0.2.7",
    }


def test_list_says_that_there_is_nothing_to_list(shop: Shop) -> None:
    assert shop.run("list", USER).output == f"Signed in nowhere: no session of the user id {USER!r}.\n"
    assert shop.run("list", USER, "--format", "json").output == "[]\n"


def test_list_tells_of_a_session_without_end(shop: Shop) -> None:
    """By a limit beyond the last year that there is."""
    shop.browse(f"/in/{USER}")
    [record] = _records(shop)
    shop.store.replace(replace(record, idle=1e300, absolute_at=1e300, version=b"another!"), expected=None, now=NOW)
    done = shop.run("list", USER)

    assert done.exit_code == 0
    assert "never" in done.output


def test_list_lets_no_device_drive_the_terminal(shop: Shop) -> None:
    """The info of a record is no secret and has no seal, so who can write to the store may have put this there."""
    shop.browse(f"/in/{USER}")
    [record] = _records(shop)
    device = Device.decode(record.info)
    assert device is not None
    planted = msgspec.msgpack.encode([device.lineage, device.login_at, "\x07", "\x1b[2Jgone\r"])
    info = record.info[:1] + planted
    shop.store.replace(replace(record, info=info, version=b"another!"), expected=record.version, now=NOW)

    output = shop.run("list", USER).output
    assert "?[2Jgone?" in output
    assert not {"\x1b", "\r", "\x07"} & set(output)


@pytest.mark.requirement("CL-04")
def test_revoke_ends_the_session_that_a_handle_names(shop: Shop) -> None:
    one, other = shop.browse(f"/in/{USER}"), shop.browse(f"/in/{USER}")
    [latest, first] = handles(shop)
    done = shop.run("revoke", first)

    assert (done.exit_code, done.output) == (0, "1 ended.\n")
    assert handles(shop) == [latest]
    assert {shop.told(one), shop.told(other)} == {"None administrator", f"{USER} None"}
    assert shop.run("revoke", first).output == "0 ended.\n"


@pytest.mark.requirement("CL-04")
def test_revoke_ends_all_sessions_of_a_user(shop: Shop) -> None:
    mine = [shop.browse(f"/in/{USER}") for _ in range(3)]
    other = shop.browse("/in/bob")
    done = shop.run("revoke", "--user", USER)

    assert (done.exit_code, done.output) == (0, "3 ended.\n")
    assert {shop.told(browser) for browser in mine} == {"None administrator"}
    assert shop.told(other) == "bob None"
    assert shop.run("revoke", "--user", USER).output == "0 ended.\n"


@pytest.mark.requirement("CL-04")
def test_revoke_ends_all_sessions_of_everybody(shop: Shop) -> None:
    browsers = [shop.browse(path) for path in ("/in/alice", "/in/bob", "/in/bob", "/cart", "/cart")]
    done = shop.run("revoke", "--all", "--yes")

    assert (done.exit_code, done.output) == (0, "5 ended.\n")
    assert {shop.told(browser) for browser in browsers} == {"None administrator"}
    assert shop.run("revoke", "--all", "--yes").output == "0 ended.\n"


def test_all_are_ended_after_a_question_only(shop: Shop) -> None:
    browser = shop.browse("/in/alice")
    run = shop.app.test_cli_runner().invoke
    no, nothing = (run(args=["sessions", "revoke", "--all"], input=answer) for answer in ("n\n", ""))

    assert (no.exit_code, nothing.exit_code) == (1, 1)
    assert shop.told(browser) == "alice None"
    yes = run(args=["sessions", "revoke", "--all"], input="y\n")
    assert yes.output == "End every session of this application? [y/N]: y\n1 ended.\n"
    assert shop.told(browser) == "None administrator"


def test_an_end_by_an_administrator_is_told_to_who_listens(shop: Shop) -> None:
    told: list[tuple[str, str | None]] = []

    def note(_: object, reason: str, user_id: str | None) -> None:
        told.append((reason, user_id))

    shop.browse("/in/alice"), shop.browse("/cart")
    with session_ended.connected_to(note):
        shop.run("revoke", "--all", "--yes")

    assert sorted(told, key=str) == [("administrator", "alice"), ("administrator", None)]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--user", "alice", "--all"],
        ["A" * 43, "--user", "alice", "--all"],
        ["A" * 43, "--user", ""],
        ["A" * 43, "--all"],
        ["no handle"],
        ["--usr"],
        ["--user", ""],
    ],
    ids=str,
)
def test_revoke_wants_exactly_one_thing_to_end(shop: Shop, args: list[str]) -> None:
    browser = shop.browse("/in/alice")
    done = shop.run("revoke", *args, "--yes")

    assert done.exit_code == 2
    assert "Usage:" in done.output
    assert shop.told(browser) == "alice None"


@pytest.mark.requirement("CL-04")
def test_revoke_ends_a_session_only_if_it_is_that_users(shop: Shop) -> None:
    alice, other, bob = shop.browse("/in/alice"), shop.browse("/in/alice"), shop.browse("/in/bob")
    [handle] = handles(shop, "bob")

    assert shop.run("revoke", handle, "--user", "alice").output == "0 ended.\n"
    assert shop.told(bob) == "bob None"
    assert shop.run("revoke", handle, "--user", "bob").output == "1 ended.\n"
    assert shop.told(bob) == "None administrator"
    assert {shop.told(browser) for browser in (alice, other)} == {"alice None"}


@pytest.mark.parametrize("command", ["list", "revoke"])
def test_the_help_says_what_names_a_user(command: str) -> None:
    done = Shop(MemoryStore()).run(command, "--help")

    assert "USER is the id that login_user() was given" in " ".join(done.output.split())


@pytest.mark.parametrize("first", ["-", "--"])
def test_a_handle_may_begin_with_a_dash(first: str) -> None:
    done = Shop(MemoryStore()).run("revoke", first + "A" * (43 - len(first)))

    assert (done.exit_code, done.output) == (0, "0 ended.\n")


def test_a_handle_of_another_application_ends_nothing_here(shop: Shop) -> None:
    """Two on one store: what no secret of ours opens is none of ours."""
    shop.browse("/in/alice")
    other = Office(shop.store)
    other.app.secret_key = "y"

    assert other.run("revoke", "--all", "--yes").output == "0 ended.\n"
    assert len(handles(shop, "alice")) == 1


# How many there are.


def test_stats_counts_what_there_is(shop: Shop) -> None:
    shop.browse("/cart")
    shop.clock.tick(1801)
    for path in ("/in/alice", "/in/bob", "/cart"):
        shop.browse(path)
    shop.run("revoke", "--user", "alice")
    foreign = Office(shop.store)
    foreign.app.secret_key = "y"
    found = json.loads(shop.run("stats", "--format", "json").output)

    sizes = [found.pop("median_size"), found.pop("largest_size")]
    assert found == {
        "live": 2,
        "signed_in": 1,
        "expired": 1,
        "ended": 1,
        "unreadable": 0,
        "ages": [
            {"under": 3600.0, "count": 2},
            {"under": 43200.0, "count": 0},
            {"under": 86400.0, "count": 0},
            {"under": 604800.0, "count": 0},
            {"under": 2592000.0, "count": 0},
            {"under": None, "count": 0},
        ],
    }
    assert 100 < sizes[0] < 500 < sizes[1] < 1000
    found = json.loads(foreign.run("stats", "--format", "json").output)
    assert (found["live"], found["unreadable"], found["largest_size"]) == (0, 4, None)


def test_stats_are_a_picture_of_ages(shop: Shop) -> None:
    shop.app.config["PERMANENT_SESSION_LIFETIME"] = 40 * 86_400
    shop.app.add_url_rule("/stay", "stay", lambda: login_user(USER, remember=True) or "in")
    for days in (0, 5, 5, 13):
        shop.clock.tick(days * 86_400)
        shop.browse("/stay")
    done = shop.run("stats")

    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[:2] == ["4 live, 4 of them signed in", "0 expired, 0 traces of ended ones, 0 that cannot be opened"]
    assert re.fullmatch(r"bytes of a live session: \d+ in the median, \d+ at most", lines[2])
    assert lines[3:] == [
        "under 1 hour                1  ##############",
        "under 12 hours              0",
        "under 1 day                 0",
        "under 7 days                0",
        "under 30 days               3  ########################################",
        "30 days and more            0",
    ]


def test_stats_name_nobody(shop: Shop) -> None:
    browser = shop.browse(f"/in/{USER}")
    output = shop.run("stats").output + shop.run("stats", "--format", "json").output

    assert not any(text in output for text in [token_of(browser), USER, *handles(shop), *keys_in(shop.store)])


def test_stats_judge_by_todays_limits(shop: Shop) -> None:
    """As a request would: a timeout that was lowered has ended what is older."""
    shop.browse("/in/alice")
    shop.clock.tick(601)
    strict = Shop.__new__(Shop)
    strict.app = Flask("office")
    strict.app.config.update(SECRET_KEY="x", TESTING=True, SESSIONKIT_IDLE_TIMEOUT=600)
    SessionKit(strict.app, store=shop.store, clock=shop.clock)

    assert json.loads(shop.run("stats", "--format", "json").output)["live"] == 1
    found = json.loads(strict.run("stats", "--format", "json").output)
    assert (found["live"], found["expired"]) == (0, 1)


@pytest.mark.requirement("CL-04")
def test_a_session_whose_token_was_renewed_is_counted_and_ended_once(office: Office) -> None:
    """Its old tokens lead on for a while, or are remembered; none of them is a session."""
    shop = Shop(office.store, SESSIONKIT_ROTATE_EVERY=60)
    browser = shop.browse("/in/alice")
    olds = []
    for _ in range(3):
        olds.append(shop.app.test_client())
        olds[-1].set_cookie("session", token_of(browser))
        shop.clock.tick(61)
        assert shop.told(browser) == "alice None"
    assert len({token_of(one) for one in [browser, *olds]}) == 4

    found = json.loads(shop.run("stats", "--format", "json").output)
    assert (found["live"], found["signed_in"], found["ended"], found["expired"]) == (1, 1, 3, 0)
    assert shop.run("revoke", "--all", "--yes").output == "1 ended.\n"
    assert shop.told(browser) == "None administrator"
    assert all(shop.told(old).startswith("None") for old in olds)


@pytest.mark.requirement("CL-04")
def test_a_renewal_whose_answer_was_lost_does_not_outlive_an_end_of_all(office: Office) -> None:
    shop = Shop(office.store, SESSIONKIT_ROTATE_EVERY=60)
    browser, lost = shop.browse("/in/alice"), shop.app.test_client()
    lost.set_cookie("session", token_of(browser))
    shop.clock.tick(61)
    assert shop.told(lost) == "alice None"  # with a token that nobody receives

    assert shop.run("revoke", "--all", "--yes").output == "1 ended.\n"
    assert shop.told(browser) == "None administrator"


def test_an_empty_store_has_an_empty_picture(office: Office) -> None:
    done = office.run("stats")

    assert done.exit_code == 0
    assert done.output.splitlines()[0] == "0 live, 0 of them signed in"
    assert "#" not in done.output


# What a store cannot do.


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["stats"], "Error: This store cannot be walked from end to end, so nothing can be counted."),
        (["revoke", "--all", "--yes"], "Error: This store cannot be walked from end to end, so not all sessions"),
    ],
    ids=str,
)
def test_a_store_that_cannot_be_walked_is_told_with_the_mend(args: list[str], said: str) -> None:
    class Unwalked(MemoryStore):
        scan = None  # type: ignore[assignment]  # as good as absent, for a protocol

    done = Shop(Unwalked()).run(*args)

    assert done.exit_code == 1
    assert done.output.startswith(said)
    assert ("Change SECRET_KEY" in done.output) == ("--all" in args)


@pytest.mark.parametrize("args", [["list", USER], ["revoke", "A" * 43], ["revoke", "--user", USER]], ids=str)
def test_a_store_without_an_index_is_told_in_one_line(args: list[str]) -> None:
    class Blind(MemoryStore):
        capabilities = Capability.NONE

    done = Shop(Blind()).run(*args)

    assert done.exit_code == 1
    assert done.output.startswith("Error: This store cannot list a user's sessions. Choose one that can")


@pytest.mark.parametrize(
    ("args", "call"),
    [
        (["list", USER], "list_owner"),
        (["revoke", "--user", USER], "list_owner"),
        (["revoke", "A" * 43], "list_owner"),
        (["revoke", "--all", "--yes"], "scan"),
        (["stats"], "scan"),
    ],
    ids=str,
)
def test_a_store_that_fails_is_one_line_and_exit_1_everywhere(args: list[str], call: str) -> None:
    class Failing(MemoryStore):
        def list_owner(self, *args: Any, **kwargs: Any) -> Any:
            raise StoreError("No answer.")

        def scan(self) -> Any:
            yield from super().scan()
            raise StoreError("No answer.")

    done = Shop(Failing()).run(*args)

    assert done.exit_code == 1
    assert done.output == "Error: The session store could not answer: No answer.\n"


# Sessions in browsers.


class Booth(Shop):
    """A shop that keeps its sessions in browsers."""

    def __init__(self, known: Store | None) -> None:
        super().__init__(None, SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=known)


@pytest.mark.requirement("CL-04")
def test_sessions_in_browsers_are_listed_counted_and_ended_by_user() -> None:
    booth = Booth(MemoryStore())
    mine = [booth.browse(f"/in/{USER}") for _ in range(2)]
    other = booth.browse("/in/bob")
    assert len(handles(booth)) == 2
    found = json.loads(booth.run("stats", "--format", "json").output)
    assert (found["live"], found["signed_in"], found["largest_size"]) == (3, 3, None)

    assert booth.run("revoke", handles(booth)[0]).output == "1 ended.\n"
    assert booth.run("revoke", "--user", USER).output == "1 ended.\n"
    assert {booth.told(browser) for browser in mine} == {"None administrator"}
    assert booth.told(other) == "bob None"
    found = json.loads(booth.run("stats", "--format", "json").output)
    assert (found["live"], found["ended"]) == (1, 2)


@pytest.mark.parametrize("known", [True, False])
def test_all_sessions_in_browsers_are_ended_by_another_secret(known: bool) -> None:
    done = Booth(MemoryStore() if known else None).run("revoke", "--all", "--yes")

    assert done.exit_code == 1
    assert done.output.startswith(
        "Error: Sessions lie in browsers here, so no store has all of them. Change SECRET_KEY"
    )


@pytest.mark.parametrize("args", [["list", USER], ["revoke", "--user", USER], ["stats"]], ids=str)
def test_of_sessions_in_browsers_alone_nothing_is_known(args: list[str]) -> None:
    done = Booth(None).run(*args)

    assert done.exit_code == 1
    assert done.output.startswith("Error: Sessions lie in browsers here")


def test_of_a_user_who_was_moved_to_another_secret_nothing_is_counted_twice() -> None:
    known = MemoryStore()
    booth = Booth(known)
    booth.browse("/in/alice")
    booth.app.config.update(SECRET_KEY="y", SECRET_KEY_FALLBACKS=["x"])
    booth.browse("/in/alice")
    found = json.loads(booth.run("stats", "--format", "json").output)

    assert len(keys_in(known)) == 2
    assert (found["live"], found["unreadable"]) == (2, 0)


def token_of(browser: FlaskClient) -> str:
    cookie = browser.get_cookie("session")
    assert cookie is not None
    return cookie.value


def _records(shop: Shop) -> list[Record]:
    assert isinstance(shop.store, Scans)
    return list(shop.store.scan())
