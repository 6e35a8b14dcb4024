"""The staircase: which file may import what. A new file gets its floor here first."""

from __future__ import annotations

import ast
import difflib
import functools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import flask_sessionkit

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

PACKAGE = Path(flask_sessionkit.__file__).parent
PROJECT = Path(__file__).parents[1]

#: A file imports only from floors below its own; the files of ``testing`` also from each other.
FLOORS = {
    "discreet": -1,  # what structs of floor 0 are made of
    "beginning": 0,
    "filing": 0,
    "record": 0,
    "tokens": 0,
    "clock": 0,
    "errors": 0,
    "findings": 0,
    "layout": 0,
    "signals": 0,
    "reasons": 0,
    "codec": 0,
    "changes": 0,
    "policy": 1,
    "sealing": 1,
    "secret_keys": 1,
    "contents": 1,
    "device": 1,
    "names": 1,
    "draft": 2,
    "identity": 1,
    "stores.__init__": 1,
    "stores.base": 1,
    "stores.files_folder": 2,
    "stores.files_packed": 1,
    "stores.files_system": 0,
    "stores.memcached_addresses": 1,
    "stores.memcached_findings": 2,
    "stores.memcached_servers": 2,
    "stores.memcached_values": 2,
    "stores.redis_advice": 0,
    "stores.redis_clients": 2,
    "stores.redis_findings": 2,
    "stores.redis_scripts": 2,
    "stores.redis_server": 1,
    "stores.redis_urls": 1,
    "stores.redis_values": 1,
    "stores.sql_advice": 1,
    "stores.sql_findings": 2,
    "stores.sql_direct": 0,
    "stores.sql_errors": 0,
    "stores.sql_psycopg": 0,
    "stores.sql_statements": 1,
    "stores.sql_table": 0,
    "stores.sql_urls": 1,
    "stores.sqlite_file": 0,
    "stores.sql_connections": 1,
    "values": 2,
    "transport": 2,
    "backends": 2,
    "standings": 1,
    "revocations": 2,
    "server_backend": 3,
    "client_backend": 3,
    "circumstances": 2,
    "stores.files": 3,
    "stores.memcached": 3,
    "stores.memory": 3,
    "stores.migrating": 3,
    "stores.migrating_marks": 2,
    "stores.redis": 3,
    "stores.sqlalchemy": 3,
    "binding": 3,
    "session": 4,
    "stages": 3,
    "certain": 3,
    "rotation": 3,
    "predecessors": 3,
    "flask_cookie": 4,
    "sealed_cookie": 4,
    "taking_over": 6,
    "writes": 4,
    "renewals": 5,
    "admission": 5,
    "retries": 1,
    "config": 3,
    "cookie_policy": 3,
    "store_urls": 4,
    "app_stores": 5,
    "lifecycle": 7,
    "auth": 5,
    "detour": 4,
    "caching": 5,
    "unavailable": 5,
    "streaming": 5,
    "roster": 2,
    "server_roster": 4,
    "census": 4,
    "printouts": 5,
    "client_roster": 5,
    "keeper": 6,
    "interface": 8,
    "checkup": 9,
    "cli": 9,
    "extension": 10,
    "__init__": 11,
    "devices.__init__": 13,
    "devices.agents": 0,
    "devices.listing": 11,
    "devices.proof": 1,
    "devices.texts": 1,
    "devices.views": 12,
    "compat.__init__": 0,
    "compat.flask_session.__init__": 14,
    "compat.flask_session.clients": 3,
    "compat.flask_session.commands": 12,
    "compat.flask_session.extension": 13,
    "compat.flask_session.former_ids": 0,
    "compat.flask_session.former_records": 1,
    "compat.flask_session.interface": 11,
    "compat.flask_session.importing": 4,
    "compat.flask_session.pickle_process": 3,
    "compat.flask_session.pickle_reader": 2,
    "compat.flask_session.place_files": 3,
    "compat.flask_session.place_memcached": 3,
    "compat.flask_session.place_redis": 3,
    "compat.flask_session.place_sql": 3,
    "compat.flask_session.places": 0,
    "compat.flask_session.predecessor": 6,
    "compat.flask_session.session": 5,
    "compat.flask_session.translation": 4,
    "testing.__init__": 11,
    "testing.around": 11,
    "testing.arrangement": 11,
    "testing.client": 11,
    "testing.clock": 11,
    "testing.contract": 11,
    "testing.interleaving": 11,
    "testing.parts": 11,
    "testing.processes": 11,
    "testing.promises_of_lists": 11,
    "testing.promises_of_records": 11,
    "testing.promises_to_crowds": 11,
    "testing.travel": 11,
    "testing.trips": 11,
}

#: These know HTTP; all others are told what they need of it.
KNOW_FLASK = {
    "app_stores",
    "session",
    "sealed_cookie",
    "auth",
    "detour",
    "cookie_policy",
    "interface",
    "keeper",
    "caching",
    "streaming",
    "unavailable",
    "checkup",
    "cli",
    "extension",
    "flask_cookie",
}
KNOW_FLASK |= {"devices.listing", "devices.views"}
KNOW_FLASK |= {"compat.flask_session.commands", "compat.flask_session.extension"}
KNOW_FLASK |= {"compat.flask_session.interface"}
KNOW_WERKZEUG = {"transport", "detour", "unavailable", "checkup", "extension", "devices.views"}

#: A store in several files.
SQL = {name for name in FLOORS if name.startswith("stores.sql")}
REDIS = {name for name in FLOORS if name.startswith("stores.redis")}
FILES = {name for name in FLOORS if name.startswith("stores.files")}
MIGRATING = {name for name in FLOORS if name.startswith("stores.migrating")}
MEMCACHED = {name for name in FLOORS if name.startswith("stores.memcached")}

#: A driver is imported in its own store's file, when that store is made.
DRIVERS = {
    "sqlalchemy": SQL | {"compat.flask_session.place_sql"},
    "psycopg": {"stores.sql_psycopg"},
    "pymysql": SQL,
    "redis": REDIS,
    "valkey": REDIS,
    "pymemcache": {"stores.memcached_servers"},
}


@functools.cache
def files() -> dict[str, Path]:
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(name: str) -> list[tuple[str, ...]]:
    """Everything that a file imports, in functions and for type checkers too, as absolute names in parts."""
    return imported(files()[name], ("flask_sessionkit", *name.split(".")))


@functools.cache
def imported(path: Path, here: tuple[str, ...]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            base = (*here[: -node.level], *module) if node.level else module
            found += [(*base, alias.name) for alias in node.names]
    return found


def ours(name: str) -> set[str]:
    """The files of the package that a file imports."""
    found = set()
    for package, *rest in imports(name):
        if package != "flask_sessionkit":
            continue
        for length in (len(rest), len(rest) - 1):
            module = ".".join(rest[:length])
            inside = f"{module}.__init__" if module else "__init__"
            if (hit := next((candidate for candidate in (module, inside) if candidate in files()), None)) is not None:
                found.add(hit)
                break
    return found


def foreign(name: str) -> set[str]:
    """The packages that are neither ours nor Python's."""
    return {package for package, *_ in imports(name)} - sys.stdlib_module_names - {"flask_sessionkit"}


def test_every_file_has_a_floor_and_every_floor_its_file() -> None:
    assert set(files()) == set(FLOORS)


@pytest.mark.parametrize("name", FLOORS)
def test_a_file_imports_only_from_floors_below_its_own(name: str) -> None:
    may_share = {other for other in FLOORS if name.startswith("testing.") and other.startswith("testing.")}
    wrong = {other: FLOORS[other] for other in ours(name) - may_share if FLOORS[other] >= FLOORS[name]}

    assert wrong == {}, f"{name} is on floor {FLOORS[name]}"


@pytest.mark.parametrize("name", [name for name in FLOORS if name.startswith("stores.")])
def test_inside_stores_only_base(name: str) -> None:
    family = next((files for files in (SQL, REDIS, MEMCACHED, FILES, MIGRATING) if name in files), set())

    assert {other for other in ours(name) if other.startswith("stores.")} <= {"stores.base"} | family


@pytest.mark.parametrize("name", [name for name in FLOORS if not name.startswith("testing.")])
def test_nothing_imports_testing(name: str) -> None:
    assert not any(other.startswith("testing.") for other in ours(name))


@pytest.mark.parametrize("name", [name for name in FLOORS if not name.startswith("testing.")])
def test_only_the_rooms_at_the_door_know_http(name: str) -> None:
    known = {"flask", "werkzeug"} & foreign(name)

    assert known <= ({"flask"} if name in KNOW_FLASK else set()) | ({"werkzeug"} if name in KNOW_WERKZEUG else set())


@pytest.mark.parametrize("name", FLOORS)
def test_a_driver_is_imported_by_its_own_store_only(name: str) -> None:
    assert [driver for driver in foreign(name) & DRIVERS.keys() if name not in DRIVERS[driver]] == []


def test_the_package_imports_no_driver() -> None:
    """Every ``flask`` command pays for what this imports."""
    code = f"import sys, flask_sessionkit; print(sorted({set(DRIVERS)!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"


def test_the_package_imports_no_page() -> None:
    """Who shows no list of devices does not load one."""
    code = "import sys, flask_sessionkit; print([name for name in sys.modules if '.devices' in name])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"


def test_every_package_that_is_imported_is_a_dependency() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {line.partition(">")[0].partition("[")[0] for line in project["dependencies"] + extras}
    # Flask stands on these and names them in what it gives and takes.
    declared |= {"werkzeug", "click", "blinker", "markupsafe", "itsdangerous"}
    distributions = packages_distributions()
    needed = {
        distribution.lower()
        for name in FLOORS
        for package in foreign(name)
        for distribution in distributions.get(package, [package])[:1]
        if not name.startswith("testing.")
    }

    assert needed - declared == set()


def test_the_map_for_contributors_is_the_staircase() -> None:
    """A table a folder, a row a floor."""
    wanted: list[str] = []
    for folder in sorted({name.rpartition(".")[0] for name in FLOORS}):
        here = {name.rpartition(".")[2]: floor for name, floor in FLOORS.items() if name.rpartition(".")[0] == folder}
        wanted += [f"In `{folder.replace('.', '/')}/`:"] if folder else []
        for floor in sorted(set(here.values()), reverse=True):
            rooms = ", ".join(f"`{room}`" for room in sorted(here) if here[room] == floor)
            wanted.append(f"| {floor} | {rooms} |")

    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    found = re.findall(r"^(?:In `[\w/]+/`:|\| -?\d+ \| [^|]+ \|)", text, re.M)
    changed = [line for line in difflib.ndiff(found, wanted) if line[0] in "+-"]
    assert not changed, "The map in CONTRIBUTING.md is to change:\n" + "\n".join(changed)


def test_the_way_to_a_room_leads_to_one() -> None:
    table = (PROJECT / "CONTRIBUTING.md").read_text("utf-8").partition("| you want to change |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", " ".join(row.split("|")[2] for row in table.splitlines()[2:]))

    assert len(named) > 10
    assert set(named) <= FLOORS.keys()


def test_the_scan_sees_every_kind_of_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The net itself: what it does not see it cannot hold."""
    odd = tmp_path / "odd.py"
    odd.write_text(
        "from typing import TYPE_CHECKING\n"
        "from . import policy\n"
        "from .stores.base import Store\n"
        "from .. import redis\n"
        "import flask_sessionkit.auth\n"
        "from flask_sessionkit import SessionKit\n"
        "if TYPE_CHECKING:\n    from .config import Settings\n"
        "def f():\n    from .interface import x\n    import sqlalchemy.orm\n"
    )
    real = files()
    monkeypatch.setitem(globals(), "files", lambda: real | {"odd": odd})

    assert ours("odd") == {"policy", "stores.base", "auth", "__init__", "config", "interface"}
    assert "sqlalchemy" in foreign("odd")
