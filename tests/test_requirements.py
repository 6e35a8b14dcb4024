"""Each security requirement is shown by a test that carries its mark, or the page about them says why not."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "requirements.rst").read_text("utf-8")


def entries(page: str) -> list[tuple[str, str]]:
    """Return each requirement of the page, in its order, with what is said of it."""
    found = re.findall(r"^   ([A-Z]{2}-\d\d)\n((?:(?:      .*)?\n)+)", page, re.M)
    return [(name, " ".join(text.split())) for name, text in found]


def is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement"


def marks(source: str) -> Iterator[tuple[str, str]]:
    """Yield each test of a file that carries the mark, with each id that it names."""
    for owner, node in definitions(ast.parse(source), ""):
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and is_mark(mark):
                for name in mark.args:
                    yield owner, ast.literal_eval(name)


def definitions(
    tree: ast.Module | ast.ClassDef, within: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield within + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{within}{node.name}::")


SOURCES = {path.relative_to(TESTS).as_posix(): path.read_text("utf-8") for path in sorted(TESTS.rglob("*.py"))}
SAID = dict(entries(PAGE))
SHOWN: dict[str, set[str]] = defaultdict(set)
for _file, _source in SOURCES.items():
    for _test, _name in marks(_source):
        SHOWN[_name].add(f"{_file}::{_test}")


def named(text: str) -> list[str]:
    """Return the tests that an entry names."""
    return re.findall(r"``(\S+?\.py::\S+?)``", text)


def test_the_page_has_every_requirement_once() -> None:
    names = [name for name, _ in entries(PAGE)]

    assert [name for name, count in Counter(names).items() if count > 1] == []
    for kind, group in groupby(names, key=lambda name: name[:2]):
        numbers = [int(name[3:]) for name in group]
        assert numbers == list(range(1, len(numbers) + 1)), kind
    assert len(names) == 130


@pytest.mark.parametrize("name", SAID)
def test_a_requirement_has_a_test_or_a_reason(name: str) -> None:
    tests, reason = named(SAID[name]), re.search(r"\*Not tested:\* \S.{15}", SAID[name])

    assert tests or reason
    assert not (reason and SHOWN[name]), f"the page says why {name} is not tested, and it is"


@pytest.mark.parametrize("name", SAID)
def test_a_test_that_is_named_carries_the_mark(name: str) -> None:
    assert set(named(SAID[name])) - SHOWN[name] == set()


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_a_mark_names_a_requirement(name: str) -> None:
    assert name in SAID, SHOWN[name]


def test_a_mark_is_nowhere_but_above_a_test_or_a_class_of_tests() -> None:
    """Elsewhere (on a parameter, say) the scan would not see it."""
    for file, source in SOURCES.items():
        tree = ast.parse(source)
        above = [mark for _, node in definitions(tree, "") for mark in node.decorator_list if is_mark(mark)]
        assert len(above) == sum(map(is_mark, ast.walk(tree))), file
        for owner, _ in marks(source):
            assert re.fullmatch(r"(Test\w+::)?(test_\w+|Test\w+)", owner), f"{file}::{owner} is no test"


def attackers() -> dict[str, str]:
    """Return each attacker that the page about security names, with what is said of them."""
    page = (TESTS.parent / "docs" / "security.rst").read_text("utf-8")
    section = page.partition(".. _threats:")[2].partition("\n.. _")[0].partition("\nWhat is done for you")[0]
    return dict(re.findall(r"^(\w.*)\n((?:   .*\n|\n)+)", section.partition("----\n")[2], re.M))


def test_each_attacker_is_held_off_by_requirements() -> None:
    held = {
        who: re.findall(r":term:`([A-Z]{2}-\d\d)`", said.partition("*Held by*")[2]) for who, said in attackers().items()
    }

    assert len(held) > 10
    assert [who for who, names in held.items() if not names] == []
    assert [who for who, said in attackers().items() if not said.startswith("   *Has* ")] == []


def test_the_scan_sees_what_it_should() -> None:
    """The net itself: what it does not see it cannot hold."""
    source = """
@pytest.mark.requirement("ID-01", "ID-02")
@other
def test_one(): ...

class TestMany:
    @pytest.mark.requirement("ID-03")
    def test_two(self): ...
"""
    page = """
.. glossary::

   ID-01
      One.
      Two.

   ID-02
      Three ``a/b.py::test_c``.

End
"""

    assert list(marks(source)) == [("test_one", "ID-01"), ("test_one", "ID-02"), ("TestMany::test_two", "ID-03")]
    assert entries(page) == [("ID-01", "One. Two."), ("ID-02", "Three ``a/b.py::test_c``.")]
    assert named("Three ``a/b.py::test_c``.") == ["a/b.py::test_c"]
