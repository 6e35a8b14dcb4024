"""What a release says of itself, held to: its version, its page on an index, and the lock for contributors."""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
ON_THE_INDEX = (ROOT / PROJECT["readme"]).read_text("utf-8")
LOCK = (ROOT / "requirements-dev.txt").read_text("utf-8")


def test_the_changes_begin_with_the_version() -> None:
    first, *_ = re.findall(r"^## (.*)$", (ROOT / "CHANGES.md").read_text("utf-8"), re.M)

    assert re.fullmatch(rf"{re.escape(PROJECT['version'])} \(\d{{4}}-\d\d-\d\d\)", first)


def test_the_sections_of_the_changes_come_in_their_order() -> None:
    order = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]
    for release in re.split(r"^## ", (ROOT / "CHANGES.md").read_text("utf-8"), flags=re.M)[1:]:
        sections = re.findall(r"^### (.*)$", release, re.M)
        assert sections == [name for name in order if name in sections]


def test_each_python_that_is_tested_is_promised() -> None:
    promised = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)}
    [tested] = re.findall(r"^env_list = (.*)$", (ROOT / "tox.ini").read_text("utf-8"), re.M)

    assert promised >= {f"3.{minor}" for minor in re.findall(r"\bpy3(\d+)\b", tested)}
    assert PROJECT["requires-python"] == f">={min(promised)}"


# The page on an index.


def test_what_an_index_shows_leads_to_no_file_of_a_clone() -> None:
    assert [target for target in re.findall(r"\]\(([^)]+)\)", ON_THE_INDEX) if "://" not in target] == []


def test_what_an_index_shows_has_the_example_of_the_readme() -> None:
    of_readme, of_index = (
        re.findall(r"^```python\n(from flask .*?)^```", text, re.M | re.S)
        for text in ((ROOT / "README.md").read_text("utf-8"), ON_THE_INDEX)
    )

    assert of_index == of_readme[:1]


def test_what_an_index_shows_names_every_extra() -> None:
    named = set(re.findall(r"`([a-z]+)` \|$", ON_THE_INDEX, re.M))

    assert named == PROJECT["optional-dependencies"].keys() - {"all"}


# The lock.


def locked() -> dict[str, set[str]]:
    """Return the versions of each package: several where Pythons differ."""
    found = defaultdict(set)
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.M):
        found[canonicalize_name(name)].add(version)
    return found


def asked_for(*groups: str) -> Iterator[Requirement]:
    """Yield what the package, its extras and these groups ask for."""
    lines: list[Any] = [*PROJECT["dependencies"], *PYPROJECT["build-system"]["requires"]]
    for more in PROJECT["optional-dependencies"].values():
        lines += more
    for group in groups:
        lines += PYPROJECT["dependency-groups"][group]
    for line in lines:
        if isinstance(line, dict):
            yield from asked_for(line["include-group"])
        elif not line.startswith("flask-sessionkit["):
            yield Requirement(line)


def test_the_lock_has_what_is_asked_for() -> None:
    versions = locked()
    behind = [
        str(one)
        for one in asked_for("dev")
        if not any(one.specifier.contains(v) for v in versions[canonicalize_name(one.name)])
    ]

    assert behind == [], "tox -e lock writes requirements-dev.txt anew"


def test_the_lock_holds_bytes_and_names_no_host() -> None:
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK


# The tests.


def test_no_two_files_of_tests_have_one_name() -> None:
    """Their folders are no packages, so pytest would take one for the other, and run neither."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))

    assert [name for name, count in names.items() if count > 1] == []
