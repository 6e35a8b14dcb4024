"""``flask sessions import-flask-session``: pickles of Flask-Session's, made readable by a process of its own."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import re
import subprocess
import sys
import time
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from former_shops import Settings, Shop, cookie_of, former, kept, moved, signed_in
from markupsafe import Markup
from test_pickles import KINDS, find, fuse, items, no_pickle_read, plant

from flask_sessionkit.compat.flask_session.former_records import items_of
from flask_sessionkit.compat.flask_session.importing import Became, Import
from flask_sessionkit.compat.flask_session.pickle_process import PickleProcess

__all__ = ["find", "fuse", "items"]  # fixtures

TRUSTED = ["sessions", "import-flask-session", "--i-trust-these-pickles"]


@pytest.fixture(scope="module")
def reader() -> Iterator[PickleProcess]:
    with PickleProcess() as process:
        yield process


def run(shop: Shop, *args: str) -> Any:
    return shop.app.test_cli_runner().invoke(args=list(args))


@pytest.mark.parametrize("kind", KINDS)
def test_who_was_signed_in_with_a_pickle_is_again(kind: str, find: Callable[[str], Settings]) -> None:
    settings = find(kind)
    signed_in(former(settings))
    shop = moved(settings)
    cookie = plant(shop, kind, kept("ann"))

    result = run(shop, *TRUSTED)
    response = shop.asked_by(cookie)

    assert result.exit_code == 0, result.output
    assert re.search(r"^[12] converted\.$", result.output, re.M)
    assert response.json == kept("ann")
    assert cookie_of(response) not in (None, "", cookie)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_goes_off_in_no_process(
    kind: str,
    find: Callable[[str], Settings],
    items: dict[str, Any],
    fuse: Path,
) -> None:
    settings = find(kind)
    signed_in(former(settings))
    shop = moved(settings)
    cookie = plant(shop, kind, items)

    with no_pickle_read():
        result = run(shop, *TRUSTED)

    assert result.exit_code == 0, result.output
    assert re.search(r"1: an (object of pathlib[._a-z]*.Path|attribute of)", result.output)
    assert not fuse.exists()
    assert shop.asked_by(cookie).json == {}


@pytest.mark.parametrize("args", [[], ["--dry-run"]])
def test_without_the_switch_nothing_is_read(
    args: list[str], find: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = find("files")
    shop = moved(settings)
    Path(shop.app.config["SESSION_FILE_DIR"]).mkdir(exist_ok=True)
    plant(shop, "files", kept("ann"))
    monkeypatch.setattr(PickleProcess, "read", lambda *_: pytest.fail("It was read."))

    result = run(shop, "sessions", "import-flask-session", *args)

    if args:
        assert result.output == "1 are pickles; nothing changed.\n0 can be read as they are.\n"
    else:
        assert result.exit_code == 2
        assert "to read a pickle is to run what is in it" in " ".join(result.output.split())


def test_it_goes_on_where_it_was_cut_off(find: Callable[[str], Settings], reader: PickleProcess) -> None:
    settings = find("sqlite")
    signed_in(former(settings))
    shop = moved(settings)
    cookies = [plant(shop, "sqlite", kept(f"user{n}")) for n in range(5)]
    place: Any = shop.app.session_interface.place  # type: ignore[attr-defined]  # ours has one

    with shop.app.app_context():
        cut_off = Import(place, reader, now=time.time()).run()
        first = [next(cut_off) for _ in range(3)]
        rest = Import(place, reader, now=time.time())
        list(rest.run())

    assert first.count(Became.CONVERTED) == 2
    assert (rest.counts[Became.CONVERTED], rest.counts[Became.READABLE]) == (3, 3)
    assert [shop.asked_by(cookie).json for cookie in cookies] == [kept(f"user{n}") for n in range(5)]


def test_what_a_server_wrote_meanwhile_stays(find: Callable[[str], Settings], reader: PickleProcess) -> None:
    settings = find("redis")
    shop = moved(settings)
    cookie = plant(shop, "redis", kept("ann"))
    place: Any = shop.app.session_interface.place  # type: ignore[attr-defined]  # ours has one
    client, name = shop.app.config["SESSION_REDIS"], f"{shop.app.config['SESSION_KEY_PREFIX']}{cookie}"

    class Slow(PickleProcess):
        def read(self, pickled: bytes) -> Any:
            client.set(name, b'{"_user_id": "bob"}')
            return reader.read(pickled)

    work = Import(place, Slow(), now=time.time())
    list(work.run())

    assert work.counts[Became.CHANGED] == 1
    assert shop.asked_by(cookie).json == {"_user_id": "bob"}


def test_a_store_that_cannot_answer_is_told(find: Callable[[str], Settings]) -> None:
    settings = find("files")
    shop = moved(settings)
    Path(shop.app.config["SESSION_FILE_DIR"]).write_text("no folder")

    result = run(shop, *TRUSTED)

    assert result.exit_code == 1
    assert "cannot be read" in result.output


def test_without_a_place_there_is_nothing_to_import(memory_cache: object) -> None:
    shop = moved(lambda app: {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": memory_cache})

    result = run(shop, *TRUSTED)

    assert result.exit_code == 1
    assert "names no place" in result.output


# The process that reads.


VALUES: list[Any] = [
    {"n": 1, "text": "é", "raw": b"\x00\xff", "none": None, "yes": True, "float": 0.5, "large": 2**80},
    {"list": [1, [2]], "pair": (1, (2,)), "bag": {1, 2}, "frozen": frozenset({1}), "dict": {"a": {}}},
    {"at": dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), "day": dt.date(2026, 3, 1), "span": dt.timedelta(1, 2, 3)},
    {"naive": dt.datetime(2026, 3, 1, 12), "time": dt.time(12, 30)},  # noqa: DTZ001  # as applications keep them
    {"id": uuid.uuid4(), "price": Decimal("2.50"), "shown": Markup("<b>")},
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", VALUES)
def test_data_is_read_as_it_was(value: dict[str, Any], protocol: int, reader: PickleProcess) -> None:
    read = items_of(reader.read(pickle.dumps(value, protocol)).data or b"")

    assert read == value
    assert {key: type(one) for key, one in read.items()} == {key: type(one) for key, one in value.items()}


def test_a_zone_is_read(reader: PickleProcess) -> None:
    value = {"at": dt.datetime(2026, 3, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))}

    assert items_of(reader.read(pickle.dumps(value)).data or b"") == value


def test_a_dict_with_an_order_is_a_dict(reader: PickleProcess) -> None:
    assert items_of(reader.read(pickle.dumps({"a": OrderedDict(b=1)})).data or b"") == {"a": {"b": 1}}


class Cart:
    pass


def deep() -> Any:
    value: list[Any] = []
    for _ in range(100):
        value = [value]
    return {"deep": value}


def laughing() -> Any:
    value: list[Any] = ["ha"] * 10
    for _ in range(60):
        value = [value, value]
    return {"laughs": value}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"cart": Cart()}, "an object of test_import.Cart"),
        ({"kind": Cart}, "an object of test_import.Cart"),
        ({"system": os.system}, "an object of posix.system"),
        ({"made": defaultdict(list)}, "an object of collections.defaultdict"),
        ({"look": eval}, "an object of builtins.eval"),
        ({"look": [].append}, "an attribute of"),
        ([1, 2], "no data of a session"),
        ({1: 2}, "no data of a session"),
        (deep(), "nested more than 64 deep"),
    ],
)
def test_more_than_data_is_left(value: object, reason: str, reader: PickleProcess) -> None:
    unpickled = reader.read(pickle.dumps(value))

    assert unpickled.data is None
    assert reason in unpickled.reason


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x04.",
        b"\x80\x04",
        b"(dp0\nI1\n",
        b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
        b"c_codecs\nencode\n(Vx\nVzlib\ntR.",
        b"ccopyreg\n_reconstructor\n(cbuiltins\nset\ncbuiltins\nobject\nNtR.",
        b"cdatetime\ndatetime.__class__\n.",
        b"\x80\x04\x8c\x08builtins\x94\x8c\x0cset.__init__\x94\x93\x94.",
        b"Pan id\n.",
    ],
)
def test_a_broken_or_wicked_pickle_is_left(pickled: bytes, reader: PickleProcess) -> None:
    assert reader.read(pickled).data is None
    assert items_of(reader.read(pickle.dumps({"next": 1})).data or b"") == {"next": 1}


@pytest.mark.parametrize("target", [b"cmarkupsafe\nMarkup\n", b"ccopyreg\n_reconstructor\n"])
@pytest.mark.parametrize("name", [b"join", b"__defaults__"])
def test_one_that_changes_the_reader_ends_it_alone(target: bytes, name: bytes, reader: PickleProcess) -> None:
    """BUILD with a pair sets attributes, of a class too."""
    wicked = target + b"(N(dV" + name + b"\n(tstb."

    assert "ended the process" in reader.read(wicked).reason
    assert items_of(reader.read(pickle.dumps({"shown": Markup("<b>")})).data or b"") == {"shown": Markup("<b>")}


def test_one_that_asks_for_all_time_ends_it_alone() -> None:
    with PickleProcess(patience=2) as process:
        assert "took too long" in process.read(pickle.dumps(laughing())).reason
        assert items_of(process.read(pickle.dumps({"next": 1})).data or b"") == {"next": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_one_that_asks_for_all_memory_is_left(reader: PickleProcess) -> None:
    """It remembers an empty dict under so high a number that the list of what it remembers has 2 GiB."""
    wicked = b"\x80\x04}r" + (2**27).to_bytes(4, "little") + b"."

    assert reader.read(wicked).data is None
    assert items_of(reader.read(pickle.dumps({"next": 1})).data or b"") == {"next": 1}


def test_what_it_says_cannot_steer_a_terminal(reader: PickleProcess) -> None:
    wicked = b"c\x1b[2Jshop\nCart\n."

    assert "\x1b" not in reader.read(wicked).reason


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone shows a process's environment")
def test_it_has_none_of_our_environment(reader: PickleProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hidden")
    with PickleProcess() as process:
        process.read(pickle.dumps({}))
        assert process._process is not None
        environment = Path(f"/proc/{process._process.pid}/environ")

        assert b"hidden" not in environment.read_bytes()


def test_it_finds_no_module_among_temporary_files(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may write there, and an application may have put "." into its path."""
    everybody_s = tmp_path_factory.mktemp("temporary")
    (everybody_s / "uuid.py").write_text(f"open({str(everybody_s / 'it ran')!r}, 'w')\nraise SystemExit")
    monkeypatch.setattr("tempfile.tempdir", str(everybody_s))
    monkeypatch.syspath_prepend(".")

    with PickleProcess() as process:
        assert items_of(process.read(pickle.dumps({"next": 1})).data or b"") == {"next": 1}
    assert not (everybody_s / "it ran").exists()


def test_a_process_that_serves_requests_has_no_reader() -> None:
    code = "import sys, flask_sessionkit.compat.flask_session; print([n for n in sys.modules if 'pickle_' in n])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"


def test_the_command_is_there_for_who_comes_from_flask_session_alone(memory_cache: object) -> None:
    from flask_sessionkit.cli import sessions

    shop = moved(lambda app: {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": memory_cache})
    said = run(shop, "sessions", "--help").output

    assert "import-flask-session" not in sessions.commands
    assert all(name in said for name in [*sessions.commands, "import-flask-session"])
