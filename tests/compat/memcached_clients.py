"""The libraries whose clients of Memcached Flask-Session takes."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

#: It has wheels for Python 3.11, and wants a C library's headers elsewhere: there it is left out.
pylibmc: Any = import_module("pylibmc") if find_spec("pylibmc") else None

#: Each library's name, as a parameter of tests.
LIBRARIES = [
    pytest.param(name, marks=pytest.mark.memcached)
    for name in ("pymemcache", "python-memcached", "pylibmc")
    if name != "pylibmc" or pylibmc
]
