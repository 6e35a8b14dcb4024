"""How Sphinx builds these pages. Needs no network; ``tests/test_docs.py`` reads the doctest settings too."""

from __future__ import annotations

import doctest
import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx

project = "Flask-SessionKit"
author = "The Flask-SessionKit developers"
copyright = f"2026, {author}"
release = version = version_of("flask-sessionkit")

sys.path.insert(0, str(Path(__file__).parent / "building"))
extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "drawn", "offline"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Flask-SessionKit {release}"
html_copy_source = False
pygments_dark_style = "github-dark"
html_logo = html_favicon = "pictures/diagrams/mark.svg"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f6b50",
        "color-brand-content": "#1f6b50",
        "color-brand-visited": "#5b4a7d",
    },
    "dark_css_variables": {
        "color-brand-primary": "#74c7a5",
        "color-brand-content": "#74c7a5",
        "color-brand-visited": "#c0aee8",
    },
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autoclass_content = "both"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

nitpicky = True
#: Names of other projects: without a network there is no inventory of theirs to look into.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(flask|click|werkzeug|markupsafe|blinker|sqlalchemy|datetime|collections|pathlib|typing|types|enum)\..*",
    ),
    (r"py:.*", r"(Flask|timedelta|Path|Callable|Iterable|Mapping|Iterator|Any|Self|Counter|ResponseReturnValue)"),
    (r"py:.*", r"(URL|Table|MetaData)"),
    # Type variables and aliases, which Sphinx shows and does not describe.
    (r"py:.*", r"(.*\.)?(View|P|R|T|_P|_T|Stamp|Call|StoreFactory|Version|Visit|P\.args|P\.kwargs)"),
    (r"py:.*", r".*\[.*"),
]

#: Each page runs in an empty folder of its own, so that no example leaves files behind.
doctest_global_setup = """\
import os, tempfile
_folder, _before = tempfile.TemporaryDirectory(), os.getcwd()
os.chdir(_folder.name)
"""
doctest_global_cleanup = """\
os.chdir(_before)
_folder.cleanup()
"""
#: Messages of exceptions are compared, which Sphinx leaves out by default.
doctest_default_flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1


def setup(app: Sphinx) -> None:
    """Let ``changelog.rst`` include ``CHANGES.md``, and the doctest builder run ``code-block:: python``."""
    app.connect("include-read", _markdown_as_rest)
    app.connect("doctree-read", _run_python)


def _run_python(app: Sphinx, page: document) -> None:
    from docutils.nodes import literal_block  # here, as the tests read this file without Sphinx

    # Code hosts show a code-block; of a testcode, which only Sphinx knows, they show nothing.
    for block in page.findall(literal_block):
        is_of_page = block.source == page["source"]  # and not of a docstring on it
        if is_of_page and block.get("language") == "python" and "testnodetype" not in block:
            block["testnodetype"], block["groups"] = "testcode", ["default"]


def _markdown_as_rest(app: Sphinx, path: object, parent: str, content: list[str]) -> None:
    if not str(path).endswith(".md"):
        return
    text = re.sub(r"`([^`]+)`", r"``\1``", content[0])
    text = re.sub(r"^# .*\n", "", text)
    content[0] = re.sub(r"^(##+) (.*)$", _underlined, text, flags=re.MULTILINE)


def _underlined(heading: re.Match[str]) -> str:
    line = {"##": "-", "###": "~", "####": "^"}[heading[1]]
    return f"{heading[2]}\n{line * len(heading[2])}"
