"""Structs that show no more of themselves than their own ``repr``, whoever asks."""

from __future__ import annotations

from typing import NoReturn

from msgspec import Struct


class DiscreetStruct(Struct, frozen=True):
    """A struct whose ``repr`` hides something, from what shows the variables of a frame by means of rich too."""

    def __rich_repr__(self) -> NoReturn:
        # Of a struct msgspec tells rich all fields. Where that fails, rich asks for the repr (rich.pretty.traverse).
        raise NotImplementedError
