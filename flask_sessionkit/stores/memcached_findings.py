"""What Memcached says of itself, judged. Pure: its statistics in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .base import Judgement, Mark


def judged(
    stats: Mapping[bytes, Any], settings: Mapping[bytes, Any], items: Mapping[bytes, Any], *, largest: int
) -> Iterator[Judgement]:
    """Yield what is to be said of a server (memcached's doc/protocol.txt, "Statistics").

    :param stats: of ``stats``; of another command the others: ``stats settings``, ``stats items``.
    :param largest: bytes of the largest item that will be stored.
    """
    room = settings.get(b"item_size_max")
    if isinstance(room, int) and room < largest:
        yield (
            Mark.FAULT,
            f"It takes items of {room} bytes (-I), and the largest session needs {largest}. Start it with a larger -I, "
            "or lower SESSIONKIT_MAX_SIZE.",
        )
    elif isinstance(room, int):
        yield Mark.OK, f"It takes items of {room} bytes (-I); the largest session needs {largest}."
    if evicted := stats.get(b"evictions"):
        yield (
            Mark.NOTE,
            f"It has thrown out {evicted} items for want of memory since it started: what was among them of ours ended "
            "early. Give it more (-m).",
        )
    if settings.get(b"evictions") == b"off":
        yield Mark.NOTE, "It is started with -M: where it is full, changes fail. Watch its memory."
    refused = sum(value for name, value in items.items() if name.endswith(b":outofmemory") and isinstance(value, int))
    if refused:
        yield (
            Mark.NOTE,
            f"It found no memory for {refused} writes, of some size of items (a slab class). Give it more (-m), and "
            "let it move memory between sizes (-o slab_reassign,slab_automove).",
        )
    if settings.get(b"slab_reassign") in (False, b"no") or settings.get(b"slab_automove") in (False, 0):
        yield (
            Mark.NOTE,
            "Memory that items of one size (a slab class) have taken stays theirs, so that larger sessions may find "
            "none later. Start it with -o slab_reassign,slab_automove.",
        )
    if turned_away := stats.get(b"listen_disabled_num"):
        yield Mark.NOTE, f"It ran out of connections {turned_away} times since it started. Allow more (-c)."
