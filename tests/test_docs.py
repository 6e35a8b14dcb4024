"""What the README and the pages say, held to: every example, command and table."""

from __future__ import annotations

import doctest
import functools
import importlib.util
import io
import os
import pkgutil
import re
import runpy
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

import flask_sessionkit
from flask_sessionkit import SessionKit, client_backend, login_user, sealing, standings, transport
from flask_sessionkit.compat.flask_session import Session as FlaskSession
from flask_sessionkit.contents import Contents
from flask_sessionkit.devices import devices_blueprint, proof
from flask_sessionkit.devices.texts import DEFAULTS
from flask_sessionkit.interface import interface_of
from flask_sessionkit.reasons import Reason
from flask_sessionkit.store_urls import Site, make_store
from flask_sessionkit.stores.base import Capability, Store
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing import FrozenClock, StoreContract, client_of, round_trips

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.rst") if "_build" not in path.parts)
MARKDOWN = sorted(ROOT.glob("*.md"))
CONF = runpy.run_path(str(ROOT / "docs" / "conf.py"))


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.rst").read_text("utf-8")


# Examples on pages, run as Sphinx would run them and without it.


class Block(NamedTuple):
    line: int
    kind: str
    code: str


def blocks(text: str) -> Iterator[Block]:
    """Yield the examples of a page in their order: Python, ``testcode`` and its like, what begins with ``>>>``."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        directive = re.match(r"( *)\.\. (test\w+|doctest|code-block)::(?: python)?$", lines[at])
        end = at + 1
        if directive:
            while end < len(lines) and (not lines[end] or lines[end].startswith(directive[1] + " ")):
                end += 1
            code = textwrap.dedent("\n".join(lines[at + 1 : end]))
            yield Block(at + 1, directive[2], re.sub(r"\A(:\w+:.*\n)+", "", code).strip() + "\n")
        elif lines[at].lstrip().startswith(">>>"):
            while end < len(lines) and lines[end].strip():
                end += 1
            yield Block(at, ">>>", "\n".join(lines[at:end]) + "\n")
        at = end


def run_page(path: Path) -> dict[str, Any]:
    """Run the examples of a page and return its names. The folder should be an empty one."""
    names: dict[str, Any] = {}
    found = list(blocks(path.read_text("utf-8")))
    kinds = {"testsetup", "code-block", "testcode", "testcleanup", ">>>"}
    assert {block.kind for block in found} <= kinds, "not run without Sphinx"
    first = [block for block in found if block.kind == "testsetup"]
    last = [block for block in found if block.kind == "testcleanup"]
    between = [block for block in found if block not in first and block not in last]
    with mock.patch.dict(os.environ):
        for block in first + between + last:
            if block.kind == ">>>":
                compare(path, block, names)
            else:
                source = "\n" * block.line + block.code  # so that a traceback has the line of the page
                exec(compile(source, str(path), "exec", dont_inherit=True), names)  # noqa: S102  # our own pages
    return names


def compare(path: Path, block: Block, names: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(block.code, {}, path.name, str(path), block.line)
    example.globs = names
    said = io.StringIO()
    result = doctest.DocTestRunner(optionflags=CONF["doctest_default_flags"]).run(
        example, out=said.write, clear_globs=False
    )
    assert result.failed == 0, said.getvalue()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_examples_of_a_page_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    run_page(path)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_python_on_a_page_is_left_unrun(path: Path) -> None:
    languages = re.findall(r"^ *\.\. (?:code-block|code|literalinclude)::[ ]*(\S*)", path.read_text("utf-8"), re.M)

    assert set(languages) <= {"console", "python", "text"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_code_host_shows_what_the_site_shows(path: Path) -> None:
    """A code host leaves ``testcode`` out, so it is for what the site hides too."""
    blocks = re.findall(r"^ *\.\. testcode::.*\n(.*)", path.read_text("utf-8"), re.M)

    assert set(blocks) <= {"   :hide:"}


MODULES = [module.name for module in pkgutil.walk_packages(flask_sessionkit.__path__, "flask_sessionkit.")]


@pytest.mark.parametrize("name", ["flask_sessionkit", *MODULES])
def test_the_examples_of_a_module_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert doctest.testmod(importlib.import_module(name), optionflags=CONF["doctest_default_flags"]).failed == 0


@functools.cache
def page_about_stores() -> dict[str, Any]:
    return run_page(ROOT / "docs" / "writing-a-store.rst")


class TestTheStoreOfThePage(StoreContract):
    """The store that the page shows keeps every promise that the page makes."""

    rounds = 50

    def make_store(self) -> Store:
        store: Store = page_about_stores()["DictStore"]()
        return store


def test_the_tests_on_the_page_about_testing_pass(tmp_path: Path) -> None:
    shown = [block.code for block in blocks(page("testing")) if block.kind == "code-block"]
    (tmp_path / "test_shop.py").write_text("\n\n".join(shown), "utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "test_shop.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines()[-1].startswith(f"{page('testing').count('   def test_')} passed"), done.stdout
    assert all(
        len(test.splitlines()) <= 12 for test in re.findall(r"^def test_.*?(?=\n\n|\Z)", "\n".join(shown), re.M | re.S)
    )


def test_the_page_about_testing_shows_the_error_as_it_is() -> None:
    app: Flask = run_page(ROOT / "docs" / "testing.rst")["create_app"](
        TESTING=True, SECRET_KEY="test", SESSIONKIT_STORE="memory:"
    )
    client = client_of(app)
    client.login("ann")

    with pytest.raises(AssertionError) as told, round_trips(app, max=1):
        client.post("/add/tea")

    assert f"   AssertionError: {told.value}\n" in page("testing")


# The README.

PYTHON_OF_README = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Flask]:
    return functools.partial(start, tmp_path, monkeypatch)


def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Flask:
    """Return the application of a file ``hello.py`` with this code, in debug mode, as the pages' command runs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_DEBUG", "1")
    (tmp_path / "hello.py").write_text(code, "utf-8")
    spec = importlib.util.spec_from_file_location("hello", tmp_path / "hello.py")
    assert spec is not None
    assert spec.loader is not None
    hello = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "hello", hello)
    spec.loader.exec_module(hello)
    app: Flask = hello.app
    return app


@pytest.fixture
def first_app(started: Callable[[str], Flask]) -> Flask:
    return started(PYTHON_OF_README[0])


def test_the_first_application_is_short() -> None:
    assert len([line for line in PYTHON_OF_README[0].splitlines() if line]) <= 15


def test_the_first_application_keeps_its_sessions_where_the_readme_says(first_app: Flask, tmp_path: Path) -> None:
    first_app.test_client().post("/", data={"name": "ann"})

    assert (tmp_path / "instance" / "sessions").is_dir()


def test_the_first_application_lists_two_browsers_and_lets_one_sign_the_other_out(first_app: Flask) -> None:
    """What the README lets a stranger do."""
    here, there = first_app.test_client(), first_app.test_client()
    field = re.findall(r'<input name="(\w+)"', here.get("/").text)
    for browser in (here, there):
        devices = browser.post("/", data=dict.fromkeys(field, "ann"), follow_redirects=True)
    assert devices.request.path == "/devices/"
    [proof] = set(re.findall(r'name="devices_proof" value="(.+?)"', devices.text))
    this_one, other = re.findall(r'name="handle" value="(.+?)"', devices.text)

    there.post("/devices/end", data={"devices_proof": proof, "handle": other})

    assert this_one != other
    as_a_page = {"Sec-Fetch-Mode": "navigate"}
    assert here.get("/devices/", headers=as_a_page).location == "/?next=/devices/"
    assert there.get("/devices/").status_code == 200


def test_one_line_changes_the_store(tmp_path: Path) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    app.testing = True

    exec(PYTHON_OF_README[1], {"app": app})  # noqa: S102  # our own README
    kit = SessionKit(app)

    assert len(PYTHON_OF_README[1].splitlines()) == 1
    with app.app_context():
        assert type(kit.store).__name__ == "SQLAlchemyStore"


def test_all_python_of_the_readme_is_run() -> None:
    assert len(PYTHON_OF_README) == 2


# The quickstart.


class Exchange(NamedTuple):
    method: str
    path: str
    answer: str


def transcript() -> list[Exchange]:
    [block] = [part for part in page("quickstart").split(".. code-block:: console") if "$ curl" in part]
    block = textwrap.dedent(block.partition("\nTwo requests")[0]).lstrip()
    curl = r"^\$ curl -si -c jar -b jar (?:-X (\w+) )?http://127.0.0.1:5000(\S+)\n(.*?)(?=^\$|\Z)"
    exchanges = re.findall(curl, block, re.M | re.S)
    assert len(exchanges) == block.count("$ ")
    return [Exchange(method or "GET", path, answer) for method, path, answer in exchanges]


def test_the_transcript_is_what_the_counter_says(started: Callable[[str], Flask]) -> None:
    left_out = {"Server", "Date", "Connection", "Content-Type", "Content-Length"}
    [counter, *_] = [block.code for block in blocks(page("quickstart")) if block.kind == "code-block"]
    client = started(counter).test_client()
    printed, answered = [], []
    tokens_printed, tokens_sent = [], []

    for exchange in transcript():
        response = client.open(exchange.path, method=exchange.method)
        tokens_printed += re.findall("session=([^;]*)", exchange.answer)
        tokens_sent += re.findall("session=([^;]*)", str(response.headers))
        printed.append(re.sub("session=[^;]*", "session=", exchange.answer))
        headers = "".join(f"{name}: {value}\n" for name, value in response.headers if name not in left_out)
        answer = f"HTTP/1.1 {response.status}\n{headers}\n{response.text}"
        answered.append(re.sub("session=[^;]*", "session=", answer))

    assert [answer.lower() for answer in answered] == [answer.lower() for answer in printed]
    assert len(set(tokens_printed)) == len(set(tokens_sent)) == len(tokens_sent) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{8}\.\.\.", token) for token in tokens_printed)


# Commands.


def commands(text: str) -> list[str]:
    """Return the command lines of a text: after a ``$``, or in a fence of ``sh``."""
    fenced = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [
        command.strip()
        for line in re.findall(r"^ *\$ (.*)$", text, re.M) + "".join(fenced).splitlines()
        for command in line.split("&&")
    ]


COMMANDS = sorted({command for path in [*MARKDOWN, *PAGES] for command in commands(path.read_text("utf-8"))})


def an_app(store: Store | str, clock: FrozenClock | None = None, **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(TESTING=True, SECRET_KEY="test", SESSIONKIT_STORE=store, **config)
    SessionKit(app, clock=clock)

    @app.post("/login/<name>")
    def login(name: str) -> str:
        login_user(name)
        return ""

    return app


class Unwalked(MemoryStore):
    """Cannot be walked, as Memcached cannot."""

    scan = None  # type: ignore[assignment]  # as good as absent, for a protocol


def a_moving_app() -> Flask:
    """An application with four sessions in its old store, one of which was asked for, and one that has ended."""
    clock, old, new = FrozenClock(), MemoryStore(), MemoryStore()
    before = an_app(old, clock)
    before.test_client().post("/login/ann")
    clock.tick(3600)
    for name in ("bob", "cid", "dee", "eve"):
        before.test_client().post(f"/login/{name}")
    app = an_app(new, clock, SESSIONKIT_TAKE_OVER=old)
    store = interface_of(app).store
    assert store is not None
    store.load([record.key for record in old.scan()][1], now=clock.now())
    return app


def a_busy_app() -> Flask:
    """An application where people have been signing in for two days."""
    clock = FrozenClock()
    app = an_app(MemoryStore(), clock)
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=7)

    @app.post("/remember/<name>")
    def remember(name: str) -> str:
        login_user(name, remember=True)
        return ""

    for path, agent, hours in [
        ("/remember/ann", "Mozilla/5.0 (iPhone) Safari/604.1", 30),
        ("/remember/bob", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", 17),
        ("/login/cid", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", 0.6),
        ("/login/ann", "Mozilla/5.0 (Windows NT 10.0) Edg/141.0", 0.2),
        ("/login/dora", "Mozilla/5.0 (Macintosh) Safari/605.1", 0.1),
    ]:
        app.test_client().post(path, headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
        clock.tick(hours * 3600)
    return app


def a_deployed_app(instance: Path, **config: Any) -> Flask:
    """An application with sealed cookies, neither in debug nor in testing."""
    app = Flask("shop", instance_path=str(instance))
    app.config.update(SECRET_KEY="7f3b0c59e1d24a68" * 4, SESSIONKIT_STORE="cookie:", **config)
    SessionKit(app)
    return app


def a_former_app() -> Flask:
    """An application that came from Flask-Session."""
    app = Flask("shop")
    app.config.update(SECRET_KEY="test", TESTING=True, SESSION_TYPE="filesystem")
    FlaskSession(app)
    return app


@pytest.mark.parametrize("command", [command for command in COMMANDS if re.match(r"\S*flask ", command)])
def test_the_options_of_a_flask_command_exist(command: str) -> None:
    app = a_former_app() if "flask-session" in command else an_app("memory:")
    inner: click.Command = FlaskGroup(create_app=lambda: app)
    words = command.split()[1:]

    while words:
        word = words.pop(0)
        if word.startswith("-"):
            named = {option: parameter for parameter in inner.params for option in parameter.opts}
            assert word in {"--help", *named}
            if word == "--app":
                words.pop(0)
            elif word in named and isinstance(named[word].type, click.Choice):
                assert words.pop(0) in named[word].type.choices  # type: ignore[attr-defined]  # of a Choice
            elif word in named and not named[word].is_flag:  # type: ignore[attr-defined]  # of an Option
                words.pop(0)
        elif not isinstance(inner, click.Group):
            assert any(isinstance(parameter, click.Argument) for parameter in inner.params)
        else:
            with click.Context(inner, obj=ScriptInfo(create_app=lambda: app)) as context:
                found = inner.get_command(context, word)
            assert found is not None, f"flask has no {word}"
            inner = found


def test_the_environments_that_tox_is_asked_for_exist() -> None:
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini", "utf-8")
    known = {section.partition(":")[2] for section in tox.sections()}
    known |= {name.strip() for name in tox["tox"]["env_list"].split(",")}
    known |= {f"py{minor}" for section in tox.sections() for minor in re.findall(r"3\d\d", section)}

    asked = {name for path in [*MARKDOWN, *PAGES] for name in re.findall(r"tox -e (\w+)", path.read_text("utf-8"))}

    assert asked - {"py"} <= known


def test_what_pip_is_asked_for_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    installs = " ".join(command for command in COMMANDS if "pip install" in command) + README + page("stores/index")

    assert set(re.findall(r"'\.\[(\w+)\]'", installs)) <= project["project"]["optional-dependencies"].keys()
    assert set(re.findall(r"--group (\w+)", installs)) <= project["dependency-groups"].keys()
    assert all((ROOT / name).is_file() for name in re.findall(r"-r (\S+)", installs))


def test_the_benchmarks_that_figures_come_from_exist() -> None:
    command = r"(?:tox -e bench --|python -m benchmarks) (\w+)"
    named = {name for path in PAGES for name in re.findall(command, path.read_text("utf-8"))}

    assert len(named) > 3
    assert [name for name in named if not (ROOT / "benchmarks" / f"{name}.py").is_file()] == []


def test_the_readme_has_one_command_for_the_tests_and_one_for_the_example() -> None:
    lines = re.findall(r"^```sh\n(.*)\n```", README, re.M)

    assert [line.split()[-1] for line in lines] == ["--debug", ".venv/bin/tox"]
    assert all(line.startswith("python3 -m venv .venv && ") for line in lines)
    assert lines[0] in (ROOT / "example_app" / "README.md").read_text("utf-8")


# The page about the commands.


def test_the_page_prints_what_the_commands_print(tmp_path: Path) -> None:
    clock, memory = FrozenClock(), MemoryStore()
    a_folder = f"{tmp_path}/broken.db"
    Path(a_folder).mkdir()
    sqlite, broken = SQLAlchemyStore(f"sqlite:///{tmp_path}/sessions.db"), SQLAlchemyStore(f"sqlite:///{a_folder}")
    apps = {
        "shop": an_app(memory, clock),
        "shop_on_sqlite": an_app(sqlite),
        "broken": an_app(broken),
        "busy_shop": a_busy_app(),
        "moving_shop": a_moving_app(),
        "shop_on_memcached": an_app(Unwalked()),
        "shop_in_cookies": a_deployed_app(tmp_path, SESSIONKIT_REVOCATION_STORE="sqlite:///revocations.db"),
        "shop_in_cookies_alone": a_deployed_app(tmp_path, SESSIONKIT_REVOCATION_STORE=None),
    }
    for name in ("ann", "bob", "cid"):
        assert apps["shop"].test_client().post(f"/login/{name}").status_code == 200
    clock.tick(86_400)
    runs = re.findall(r"^   \$ flask --app (\w+) (.*)\n((?:(?!   \$).*\S.*\n|\n(?=   ))*)", page("cli"), re.M)
    assert len(runs) == page("cli").count("   $ ")

    handles: dict[str, str] = {}
    for app, arguments, printed in runs:
        args = [handles.get(word, word) for word in arguments.split()]
        answer = "y" if "[y/N]: y" in printed else None
        result = apps[app].test_cli_runner().invoke(args=args, prog_name="flask", input=answer)

        said = result.output.replace(a_folder, "/srv/shop/sessions.db")
        invented, real = (re.findall(r"(?<!\S)[\w-]{43}(?!\S)", text) for text in (printed, said))
        handles |= dict(zip(invented, real, strict=True))
        for name, handle in handles.items():
            said = said.replace(handle, name)
        if arguments == "sessions generate-key":
            said, printed = (
                re.sub(r"\A[0-9a-f]{8}([0-9a-f]{56}|\.\.\.)$", "a key", text.strip()) for text in (said, printed)
            )
        # The size of a record is no promise.
        said, printed = (
            re.sub(r'\d+(?= in the median| at most)|(?<=_size": )\d+', "some", text) for text in (said, printed)
        )
        assert said.split() == printed.split(), arguments
        assert result.exit_code == said.startswith(("fault", "Error:"))


def test_the_page_names_every_command_and_option() -> None:
    group = an_app("memory:").cli.commands["sessions"]
    assert isinstance(group, click.Group)

    sections = re.findall(r"^``flask sessions ([\w-]+)``$", page("cli"), re.M)
    parameters = [parameter for command in group.commands.values() for parameter in command.params]
    options = [name for one in parameters if isinstance(one, click.Option) for name in one.opts]

    assert sorted(sections) == sorted(group.commands)
    assert sorted(re.findall(r"^``(--[\w-]+)``$", page("cli"), re.M)) == sorted(options)


# The tables of stores.


def columns(capabilities: Capability) -> list[str]:
    powers = (Capability.SHARED, Capability.DURABLE, Capability.INDEX)
    shared, durable, lists = ("yes" if power in capabilities else "no" for power in powers)
    if Capability.INDEX_BEST_EFFORT in capabilities:
        lists = "partly"
    return [shared, durable, lists, "no" if Capability.PURGE in capabilities else "yes"]


def rows() -> dict[str, list[list[str]]]:
    """Return what the README and the page say of the store that a URL names."""
    found: dict[str, list[list[str]]] = {}
    for url, cells in re.findall(r"^\| `([\w+]+:[^`]*)`[^|]*\|(.*)\|$", README, re.M):
        found.setdefault(url, []).append([cell.split()[0].strip(",") for cell in cells.split("|")])
    for url, cells in re.findall(r"^``([\w+]+:[^`]*)`` +((?:yes|no|as its).*)$", page("stores/index"), re.M):
        spanned = cells.startswith("as its")
        found.setdefault(url, []).append(["as"] if spanned else cells.split())
    return found


IN_TABLES = [
    "file:",
    "sqlite:///sessions.db",
    "postgresql+psycopg://user:word@host/db",
    "mysql+pymysql://user:word@host/db",
    "redis://host:6379/0",
    "memcached://host:11211,other:11211",
    "memory:",
]


@pytest.mark.parametrize("url", IN_TABLES)
def test_the_tables_tell_what_a_store_can_do(url: str, tmp_path: Path) -> None:
    store = make_store(url, Site(tmp_path, timeout=0.5, prefix="session:", database=lambda _: None))

    assert rows()[url] == [columns(store.capabilities)] * 2


def test_the_tables_have_no_other_store() -> None:
    assert list(rows()) == [*IN_TABLES, "cookie:"]


def test_the_tables_leave_the_powers_of_cookies_to_their_second_store(tmp_path: Path) -> None:
    """What sealed cookies can do is what their revocation store can."""
    app = a_deployed_app(tmp_path, SESSIONKIT_REVOCATION_STORE="sqlite:///sessions.db")
    with app.app_context():
        assert type(app.extensions["sessionkit"].store).__name__ == "SQLAlchemyStore"

    assert {cell for cells in rows()["cookie:"] for cell in cells} == {"as"}


# The pages about the stores.


def urls(text: str) -> set[str]:
    """Return the URLs of stores that a page shows, and those that it sets."""
    shown = re.findall(r"``((?:rediss?|unix|memcached|sqlalchemy)(?:\+\w+)?:[^`\s]*)``", text)
    is_set = re.findall(r'SESSIONKIT_(?:REVOCATION_)?STORE"\] = "([^"]+)"', text)
    return {url for url in shown + is_set if not url.endswith("://") and url != "cookie:"}


URLS = sorted(set[str]().union(*(urls(path.read_text("utf-8")) for path in PAGES)))


@pytest.mark.parametrize("url", URLS)
def test_every_url_on_a_page_names_a_store(url: str, tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.touch()

    store = make_store(
        re.sub(r"/etc/ssl/[\w-]+\.pem", str(certificate), url),
        Site(tmp_path, timeout=0.5, prefix="session:", database=lambda _: "sqlite:///shop.db"),
    )

    assert store.capabilities


def test_there_are_many_urls() -> None:
    assert len(URLS) > 10


def test_the_page_about_cookies_shows_settings_that_go_together(tmp_path: Path) -> None:
    shown = dict(
        re.findall(r'app\.config\["(\w+)"\] = "([^"]+:.*)"$', page("stores/cookie").split("testcode::")[0], re.M)
    )
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(shown, SECRET_KEY="7f3b0c59e1d24a68" * 4)

    SessionKit(app)  # outside of testing, where not every store would do

    assert list(shown) == ["SESSIONKIT_STORE", "SESSIONKIT_REVOCATION_STORE"]


def test_the_pages_name_the_limits_of_a_cookie() -> None:
    for text in (README, page("stores/cookie"), page("deployment")):
        assert f"{transport._LONGEST_HEADER:,} bytes" in text
    assert standings.MOST_LIVE == 200
    assert "A user has 200 sessions at most" in page("stores/cookie")


def test_the_page_names_every_purpose_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    purposes = {(proof.PURPOSE.decode(), False)}  # its keys are made when a form is
    derive = sealing._Key.derive

    def noting(secret: bytes, *, purpose: bytes, app_id: str, cookie_name: str = "") -> Any:
        purposes.add((purpose.decode(), bool(cookie_name)))
        return derive(secret, purpose=purpose, app_id=app_id, cookie_name=cookie_name)

    monkeypatch.setattr(sealing._Key, "derive", noting)
    sealing.KeyRing([bytes(32)], app_id="shop", cookie_name="session")

    [listed] = re.findall(r"^These purposes are in use:\n(.*?)^HKDF is", page("formats"), re.M | re.S)
    assert sorted(purposes) == sorted((name, name == "cookie") for name in re.findall(r"^``(\w+)``$", listed, re.M))


@pytest.mark.parametrize(
    ("after", "fields"),
    [
        (".. _payload:", Contents.__struct_fields__),
        ("The plaintext of a session's cookie", client_backend._Sealed.__struct_fields__),
    ],
    ids=["record", "cookie"],
)
def test_the_page_names_every_field_inside_of_a_seal(after: str, fields: tuple[str, ...]) -> None:
    [table] = re.findall(r"^field  .*?\n=.*?\n(.*?)\n=", page("formats").partition(after)[2], re.M | re.S)[:1]

    assert re.findall(r"^(\w+)", table, re.M) == list(fields)


def test_the_page_names_every_reason_that_ends_a_session() -> None:
    [table] = re.findall(r"^reason  .*?\n=.*?\n(.*?)\n=", page("concepts/ends"), re.M | re.S)

    assert sorted(re.findall(r"^``(\w+)``", table, re.M)) == sorted(Reason)


def test_the_page_about_redis_names_the_rights_that_are_tested() -> None:
    rule = r"ACL SETUSER (sessions on .*?)\n\n"

    [on_page] = re.findall(rule, page("stores/redis"), re.S)
    [tested] = re.findall(rule, RedisStore.__doc__ or "", re.S)

    assert on_page.split() == tested.split()


def test_each_extra_is_on_the_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [table] = re.findall(r"^extra  .*?\n=.*?\n(.*?)\n=", page("stores/index"), re.M | re.S)

    assert set(re.findall(r"^``(\w+)``", table, re.M)) == set(project["project"]["optional-dependencies"])


# Words.


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)|<img src=\"([^\"]+)\"", path.read_text("utf-8"))

    missing = [target for target in map("".join, targets) if "://" not in target and not (ROOT / target).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["README", "CHANGES", "CONTRIBUTING", "SECURITY"])
def test_a_line_has_one_sentence(name: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / f"{name}.md").read_text("utf-8"), flags=re.M | re.S)

    assert [line for line in text.splitlines() if re.search(r"[.!?] [A-Z]", re.sub(r"^\d+\. ", "", line))] == []


def test_the_glossary_has_each_name_of_the_conventions() -> None:
    [names] = re.findall(r"^- One word, one meaning: (.*)$", (ROOT / "CONVENTIONS.md").read_text("utf-8"), re.M)
    explained = set(re.findall(r"^   ([a-z ]+)$", page("glossary"), re.M))

    assert set(re.findall(r"\*\*(\w+)\*\*", names)) <= explained


def test_each_term_is_linked_from_a_page() -> None:
    pages = "\n".join(path.read_text("utf-8") for path in PAGES)
    linked = {term.lower() for term in re.findall(r":term:`(?:[^`<]*<)?([^`<>]+)>?`", pages)}

    assert set(re.findall(r"^   ([a-z ]+)$", page("glossary"), re.M)) - linked == set()


# The page of devices.


def test_the_layout_that_the_page_shows_has_the_style_and_says_each_thing_once(tmp_path: Path) -> None:
    shown = re.findall(r"^\.\. code-block:: text\n\n((?:   .*\n|\n)+)", page("devices"), re.M)
    layout, around = [textwrap.dedent(code) for code in shown if "extends" in code]
    base = "{% block head %}{% endblock %}{{ get_flashed_messages() }}{% block main %}{% endblock %}"
    (tmp_path / "flask_sessionkit").mkdir()
    for name, text in ("base", base), ("flask_sessionkit/devices_layout", layout), ("flask_sessionkit/devices", around):
        (tmp_path / f"{name}.html").write_text(text, "utf-8")
    app = Flask("shop", template_folder=str(tmp_path))
    app.config.update(SECRET_KEY="test", TESTING=True, SESSIONKIT_STORE="memory:")
    SessionKit(app)
    app.register_blueprint(devices_blueprint())
    here, there = client_of(app), client_of(app)
    for browser in (here, there):
        browser.login("ann")
    [sent] = set(re.findall(r'name="devices_proof" value="(.+?)"', here.get("/devices/").text))

    answer = here.post("/devices/end-others", data={"devices_proof": sent}, follow_redirects=True).text

    assert answer.count("was signed out.") == 1
    assert "/devices/style/devices.css" in answer
    assert '<link rel="stylesheet"' in here.post("/devices/end").text


def test_every_text_of_the_page_of_devices_is_listed_as_it_is() -> None:
    [table] = re.findall(r"^   \* - text\n(.*?)\n\n", page("devices"), re.M | re.S)
    listed = dict(re.findall(r"^   \* - ``(\w+)``\n     - (.+)$", table, re.M))

    assert listed == {name: text(2) if callable(text) else text for name, text in DEFAULTS.items()}
