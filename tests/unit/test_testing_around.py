"""A store around another one can do what that one can, and nothing else."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from flask_sessionkit.stores import base
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.testing import PausingStore
from flask_sessionkit.testing.interleaving import Call

#: Every protocol of what a store may do besides.
BESIDE = [kind for kind in vars(base).values() if getattr(kind, "_is_runtime_protocol", False)]


class Plain:
    """Nothing but the six methods, none of which is called here."""

    capabilities = Capability.SHARED
    load = create = replace = delete = list_owner = purge = None


#: What is no call.
PLAIN = ("max_payload", "remembers_ends")


def members(kind: type) -> list[str]:
    return [name for name in {**vars(kind), **vars(kind).get("__annotations__", {})} if not name.startswith("_")]


def one_that(kind: type) -> Any:
    """Return a store that keeps a protocol beside its own."""
    return type("Able", (Plain,), {name: staticmethod(lambda: "answered") for name in members(kind)})()


def test_there_are_some() -> None:
    assert len(BESIDE) >= 5


@pytest.mark.parametrize("kind", BESIDE)
def test_what_the_store_inside_can_do_can_be_done(kind: type) -> None:
    able = one_that(kind)

    assert isinstance(able, kind)
    assert isinstance(PausingStore(able), kind)
    assert not isinstance(PausingStore(Plain()), kind)  # type: ignore[arg-type]  # none of it is called


@pytest.mark.parametrize("call", [name for kind in BESIDE for name in members(kind) if name not in PLAIN])
def test_such_a_call_is_passed_on_and_can_be_stopped(call: Any) -> None:
    [kind] = [kind for kind in BESIDE if call in members(kind)]
    store: Any = PausingStore(one_that(kind))

    assert getattr(store, call)() == "answered"
    assert store.counts == {call: 1}
    assert call in get_args(Call)


def test_its_limit_is_that_of_the_store_inside() -> None:
    able = one_that(base.LimitsPayload)
    able.max_payload = 400

    assert vars(PausingStore(able))["max_payload"] == 400


def test_its_capabilities_are_those_of_the_store_inside() -> None:
    assert PausingStore(Plain()).capabilities is Capability.SHARED  # type: ignore[arg-type]  # none of it is called
