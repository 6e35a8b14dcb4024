"""``flask sessions``: what an operator does to sessions. CL-01, CL-02, CL-05, ST-09."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask, session

from flask_sessionkit import SessionKit, login_user
from flask_sessionkit.stores.base import Capability, Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.testing.contract import NOW, a_record

USER = "alice@example.com"


class Office:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = FrozenClock(NOW)
        self.app = Flask("office")
        self.app.config.update(SECRET_KEY="x", TESTING=True)
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
    office = Office(PausingStore(MemoryStore()))
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
