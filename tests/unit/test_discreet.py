"""What reporters of errors are shown of our structs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from msgspec import Struct

import flask_sessionkit
from flask_sessionkit.discreet import DiscreetStruct


def structs_of(kind: type[Struct]) -> Iterator[type[Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from structs_of(one)


@pytest.mark.requirement("LG-01")
def test_what_a_repr_hides_is_not_told_to_rich() -> None:
    """Its tracebacks show the variables of a frame; msgspec would tell it every field."""
    for module in pkgutil.walk_packages(flask_sessionkit.__path__, "flask_sessionkit."):
        if ".stores." not in module.name and ".testing" not in module.name:
            importlib.import_module(module.name)
    ours = [kind for kind in structs_of(Struct) if kind.__module__.startswith("flask_sessionkit")]
    hiding = [kind for kind in ours if kind.__repr__ is not Struct.__repr__]

    assert {"Record", "Found", "Farewell", "Circumstances", "_DependsOn"} <= {kind.__name__ for kind in hiding}
    assert [kind for kind in hiding if kind.__rich_repr__ is not DiscreetStruct.__rich_repr__] == []
