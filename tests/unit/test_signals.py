"""Signals have names of their own and can be received."""

from __future__ import annotations

import pytest
from blinker import NamedSignal, signal

from flask_sessionkit import signals

OURS = {name: value for name, value in vars(signals).items() if isinstance(value, NamedSignal)}


def test_there_are_these() -> None:
    assert set(OURS) == {
        "session_created",
        "session_regenerated",
        "session_ended",
        "session_refused",
        "session_conflict",
        "store_failed",
    }


@pytest.mark.parametrize("name", OURS)
def test_each_is_named_like_its_variable(name: str) -> None:
    assert OURS[name].name == name.replace("_", "-")


@pytest.mark.parametrize("name", OURS)
def test_they_are_no_global_signals_of_blinker(name: str) -> None:
    """Another library's signal of the same name is another signal."""
    assert signal(name.replace("_", "-")) is not OURS[name]


def test_a_receiver_is_told_the_sender_and_the_facts() -> None:
    told: list[tuple[object, object]] = []

    def receiver(sender: object, **extra: object) -> None:
        told.append((sender, extra["reason"]))

    with signals.session_ended.connected_to(receiver):
        signals.session_ended.send("app", reason="logout", user_id="42")

    assert told == [("app", "logout")]
