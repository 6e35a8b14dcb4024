"""``flask sessions copy``, and the setting by which servers know both stores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flow_site import Seen, Site, both, login, put

from flask_sessionkit import ConfigError, SessionKit
from flask_sessionkit.interface import interface_of
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.migrating import MigratingStore
from flask_sessionkit.testing import FrozenClock, PausingStore

#: As they lie in an application's instance folder.
FILES, SQLITE = "file:", "sqlite:///sessions.db"


class Shop:
    """An application with some of its servers, and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FrozenClock()

    def app(self, **config: Any) -> Flask:
        app = Flask("flows", instance_path=str(self.folder))
        app.config.update(SECRET_KEY="a secret of the flow tests", TESTING=True)
        app.config.update({f"SESSIONKIT_{name}": value for name, value in config.items()})
        SessionKit(app, clock=self.clock)
        return app

    def server(self, **config: Any) -> Site:
        return Site(interface_of(self.app(**config)).store, self.clock)

    def copy(self, *args: str, **config: Any) -> Result:
        return self.app(**config).test_cli_runner().invoke(args=["sessions", "copy", *args])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# The setting.


def test_a_store_that_is_taken_over_is_asked_for_what_the_new_one_does_not_know(shop: Shop) -> None:
    token = shop.server(STORE=FILES).token(both(login("ann"), put(cart=1)))

    server = shop.server(STORE=SQLITE, TAKE_OVER=FILES)

    assert isinstance(server.store, MigratingStore)
    assert server.seen(token) == Seen("ann", {"cart": 1})
    assert shop.server(STORE=SQLITE).seen(token) == Seen("ann", {"cart": 1})


def test_servers_change_over_in_two_phases_and_nobody_is_signed_out(shop: Shop) -> None:
    before = shop.server(STORE=FILES)
    first = shop.server(STORE=FILES, TAKE_OVER=SQLITE)
    second = shop.server(STORE=SQLITE, TAKE_OVER=FILES)
    after = shop.server(STORE=SQLITE)
    token = before.token(login("ann"))

    for phase in ((before, first), (first, second)):
        for number in range(4):
            server = phase[number % 2]
            server.ask(token, put(**{f"n{number}": number}))
            assert server.seen(token).user == "ann"
    assert shop.copy(STORE=SQLITE, TAKE_OVER=FILES).exit_code == 0

    assert after.seen(token) == Seen("ann", {f"n{number}": number for number in range(4)})


def test_the_way_back_is_the_same_way(shop: Shop) -> None:
    token = shop.server(STORE=FILES).token(login("ann"))
    shop.server(STORE=SQLITE, TAKE_OVER=FILES).ask(token, put(cart=1))

    assert shop.server(STORE=FILES, TAKE_OVER=SQLITE).seen(token) == Seen("ann", {"cart": 1})
    assert shop.server(STORE=FILES).seen(token) == Seen("ann", {"cart": 1})


def test_a_store_object_may_be_taken_over_and_one_may_take_over() -> None:
    old, new = MemoryStore(), MemoryStore()
    app = Flask("shop")
    app.config.update(SECRET_KEY="x", TESTING=True, SESSIONKIT_TAKE_OVER=[old])

    SessionKit(app, store=new)
    store = interface_of(app).store

    assert isinstance(store, MigratingStore)
    assert (store.new, store.old) == (new, old)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"STORE": FILES, "TAKE_OVER": FILES}, "the store that SESSIONKIT_STORE names too"),
        ({"TAKE_OVER": FILES}, "the store that SESSIONKIT_STORE names too"),
        ({"STORE": FILES, "TAKE_OVER": [SQLITE, "memory:"]}, "names 2 stores"),
        ({"STORE": FILES, "TAKE_OVER": "mongo://x"}, "SESSIONKIT_TAKE_OVER names no store that is known: 'mongo://x'"),
        ({"STORE": FILES, "TAKE_OVER": "sqlite://"}, "memory:"),
        ({"STORE": "cookie:", "REVOCATION_STORE": SQLITE, "TAKE_OVER": FILES}, "needs a store on the server"),
    ],
    ids=str,
)
def test_what_cannot_be_taken_over_is_told(shop: Shop, config: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        shop.app(**config)

    assert fault in str(refused.value)


def test_what_can_be_taken_over_is_named_where_something_cannot(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="Use 'flask', 'cookie:' or a store's URL"):
        shop.app(STORE=FILES, TAKE_OVER="sqlite")


def test_the_check_says_that_two_stores_are_asked(shop: Shop) -> None:
    said = shop.app(STORE=SQLITE, TAKE_OVER=FILES).test_cli_runner().invoke(args=["sessions", "check"]).output

    assert "note  SESSIONKIT_TAKE_OVER: What SQLAlchemyStore does not know is looked for in FileStore" in said
    assert "swap the two when every server knows both" in said
    assert "The old store: " in said


# The command.


def test_a_copy_moves_all_and_says_how_many(shop: Shop) -> None:
    before = shop.server(STORE=FILES)
    tokens = [before.token(login("ann")) for _ in range(5)]
    shop.server(STORE=SQLITE, TAKE_OVER=FILES).seen(tokens[0])

    done = shop.copy(STORE=SQLITE, TAKE_OVER=FILES)

    assert (done.exit_code, done.output) == (0, "4 moved, 1 were there already, 0 had ended.\n")
    after = shop.server(STORE=SQLITE)
    assert [after.seen(token).user for token in tokens] == ["ann"] * 5
    assert shop.copy(STORE=SQLITE, TAKE_OVER=FILES).output == "0 moved, 5 were there already, 0 had ended.\n"


@pytest.mark.parametrize("order", [(FILES, SQLITE), (SQLITE, FILES)])
def test_two_urls_are_copied_where_the_servers_know_both_in_either_order(shop: Shop, order: tuple[str, str]) -> None:
    token = shop.server(STORE=FILES).token(login("ann"))

    done = shop.copy(FILES, SQLITE, STORE=order[0], TAKE_OVER=order[1])

    assert (done.exit_code, done.output) == (0, "1 moved, 0 were there already, 0 had ended.\n")
    assert shop.server(STORE=SQLITE).seen(token).user == "ann"


@pytest.mark.parametrize(
    "config",
    [{}, {"STORE": FILES}, {"STORE": SQLITE}, {"STORE": SQLITE, "TAKE_OVER": "memory:"}, {"STORE": MemoryStore()}],
    ids=["the default", "the old one", "the new one", "the new one and a third", "a third"],
)
def test_servers_that_would_lose_sessions_from_sight_are_not_copied_under(shop: Shop, config: dict[str, Any]) -> None:
    token = shop.server(STORE=FILES).token(login("ann"))

    done = shop.copy(FILES, SQLITE, **config)

    assert done.exit_code == 1
    assert "--offline" in done.output
    assert shop.server(STORE=FILES).seen(token).user == "ann"


def test_offline_any_two_are_copied(shop: Shop) -> None:
    token = shop.server(STORE=FILES).token(login("ann"))

    done = shop.copy(FILES, SQLITE, "--offline", STORE=SQLITE)

    assert (done.exit_code, done.output) == (0, "1 moved, 0 were there already, 0 had ended.\n")
    assert shop.server(STORE=SQLITE).seen(token).user == "ann"


@pytest.mark.parametrize("args", [(FILES,), (FILES, FILES), (FILES, FILES, "--offline")], ids=str)
def test_a_copy_needs_two_stores(shop: Shop, args: tuple[str, ...]) -> None:
    done = shop.copy(*args, STORE=SQLITE, TAKE_OVER=FILES)

    assert done.exit_code == 2


def test_the_usage_shows_that_both_urls_may_be_left_out(shop: Shop) -> None:
    assert "copy [OPTIONS] [FROM TO]" in shop.copy("--help", STORE=FILES).output


def test_a_copy_without_two_stores_in_the_settings_says_what_to_do(shop: Shop) -> None:
    done = shop.copy(STORE=FILES)

    assert done.exit_code == 1
    assert "SESSIONKIT_TAKE_OVER names no store" in done.output


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (("mongo://x", FILES), "FROM names no store that is known: 'mongo://x'"),
        ((FILES, "mongo://ann:secret@db/x"), "TO names no store that is known: 'mongo://***@db/x'"),
    ],
)
def test_a_url_that_names_no_store_is_told_by_its_place(shop: Shop, args: tuple[str, str], fault: str) -> None:
    done = shop.copy(*args, "--offline", STORE=FILES)

    assert done.exit_code == 1
    assert "secret" not in done.output
    assert fault in done.output


def test_a_copy_that_a_store_stopped_tells_how_far_it_came_and_goes_on(shop: Shop, tmp_path: Path) -> None:
    old, new = PausingStore(FileStore(tmp_path / "a")), PausingStore(FileStore(tmp_path / "b"))
    before = Site(old.inner, shop.clock)
    tokens = [before.token(login("ann")) for _ in range(5)]
    new.fail("replace", nth=3)

    stopped = shop.copy(STORE=new, TAKE_OVER=old)
    again = shop.copy(STORE=new, TAKE_OVER=old)

    assert stopped.exit_code == 1
    assert re.match(r"[0-4] moved, 0 .*\nError: The session store could not answer: The replace failed", stopped.output)
    assert again.exit_code == 0
    assert re.fullmatch(r"[1-5] moved, [0-4] were there already, 0 had ended.\n", again.output)
    after = Site(new.inner, shop.clock)
    assert [after.seen(token).user for token in tokens] == ["ann"] * 5


def test_a_long_copy_tells_how_far_it_is(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_sessionkit.cli._TOLD_EVERY", 2)
    before = shop.server(STORE=FILES)
    for _ in range(5):
        before.token(login("ann"))

    lines = shop.copy(STORE=SQLITE, TAKE_OVER=FILES).output.splitlines()

    assert [line.split()[0] for line in lines] == ["2", "4", "5"]


def test_on_a_terminal_a_copy_shows_a_bar(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shop.server(STORE=FILES)
    for _ in range(5):
        before.token(login("ann"))
    monkeypatch.setattr("flask_sessionkit.cli._is_terminal", lambda: True)

    done = shop.copy(STORE=SQLITE, TAKE_OVER=FILES)

    assert "Moving" in done.output
    assert done.output.endswith("5 moved, 0 were there already, 0 had ended.\n")
