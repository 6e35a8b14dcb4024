"""The page that compares: each answer has its source, each source its version and its date."""

from __future__ import annotations

import csv
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

# It reads the same under every Python.
pytestmark = pytest.mark.thorough

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "comparison.rst").read_text("utf-8")
LIBRARIES = ["Flask's cookie", "Flask-Session", "Django", "express-session", "Spring Session", "scs", "SessionKit"]
#: Those that can be looked at here: Django comes with the group for benchmarks only.
INSTALLED = [name for name in ("Flask-Session", "Django") if find_spec(name.lower().replace("-", "_"))]
#: Each question with its answers, in the order of the libraries.
QUESTIONS = {
    question: re.findall(r"^   \* - (.+)\n     - (.+)$", table, re.M)
    for question, table in re.findall(
        r"^\.\. rubric:: (.+)\n\n\.\. list-table::\n(?:   :.+\n)+\n((?:   .+\n)+)", PAGE, re.M
    )
}
#: Each source by its name.
SOURCES = dict(re.findall(r"^\.\. \[(\w+)\] (.+\n   .+)$", PAGE, re.M))


@pytest.mark.parametrize("question", QUESTIONS)
def test_all_are_asked_the_same(question: str) -> None:
    assert [library for library, _ in QUESTIONS[question]] == LIBRARIES


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_has_its_source(question: str) -> None:
    *others, (_, ours) = QUESTIONS[question]

    assert [answer for _, answer in others if not re.search(r"\[\w+\]_", answer)] == []
    assert re.search(r":(doc|ref|confval):`|\[T\]_", ours)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_its_version_and_its_date(name: str) -> None:
    source = " ".join(SOURCES[name].split())

    assert re.search(r"\d\.\d+\.\d+|\bat [0-9a-f]{12}\b|/issues/\d+\.", source)
    assert re.search(r"Looked at on \d{4}-\d\d-\d\d\.$", source)


def test_there_are_many_questions_and_sources() -> None:
    """The net itself: what it does not see it cannot hold."""
    assert len(QUESTIONS) == PAGE.count(".. rubric::") >= 27
    assert len(SOURCES) == len(re.findall(r"^\.\. \[", PAGE, re.M)) >= 40


@pytest.mark.parametrize("name", INSTALLED)
def test_what_is_installed_is_what_was_looked_at(name: str) -> None:
    """Another version wants another look."""
    series = version(name).rpartition(".")[0]

    looked_at = re.findall(rf"(?<![\w-]){name} (\d+\.\d+)\.\d+", PAGE)

    assert set(looked_at) == {series}


def test_what_was_tried_says_what_the_page_says() -> None:
    with (DOCS / "figures" / "claims.csv").open(newline="", encoding="utf-8") as file:
        tried = {row[""]: row for row in csv.DictReader(file)}

    on_server = [name for name in tried if name.startswith("SessionKit") and "cookie:" not in name]
    assert {answer for name in on_server for answer in list(tried[name].values())[1:]} == {"yes"}
    assert [name for name in tried if tried[name]["two keys at once"] == "yes"] == on_server
    assert tried["SessionKit, cookie:"]["two keys at once"] == "no"
    assert {name: tried[name]["nested change"] for name in tried if "SessionKit" not in name} == {
        "Flask's own": "no",
        "Flask-Session": "yes",
        "Flask-Session, SESSION_REFRESH_EACH_REQUEST off": "no",
        **{f"Django, {engine}": "no" for engine in ("db", "cache", "file", "signed_cookies")},
    }
