"""Structs as bytes and back: a byte that names the layout, then msgpack."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Layout(Generic[T]):
    """How one kind of struct lies in bytes.

    :param version: one byte. Another layout takes another one; what is stored never changes its form.
    """

    def __init__(self, kind: type[T], *, version: bytes) -> None:
        self._version = version
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def encode(self, thing: T) -> bytes:
        """Return the bytes of a struct."""
        return self._version + self._encode(thing)

    def decode(self, stored: bytes) -> T | None:
        """Return what ``encode`` was given, or ``None`` for anything else, however it is nested."""
        if stored[:1] != self._version:
            return None
        try:
            return self._decode(memoryview(stored)[1:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
