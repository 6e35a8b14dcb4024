"""Subjects in processes of their own, which take turns: each has its own settings, imports and garbage.

Django has one set of settings a process, and what one library imports or leaves in the caches is no cost of another.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeAlias

from .timing import Cost, cost_of

#: What a process can be asked for, by name.
Calls: TypeAlias = Mapping[str, Callable[[], object]]

_spawned = multiprocessing.get_context("spawn")


class Apart:
    """One subject in its process. It is made while others are; who uses it first waits for it.

    :param make: a function of a module, called there with ``args``; it returns what can be called.
    """

    def __init__(self, make: Callable[..., Calls], *args: object) -> None:
        self._pipe, theirs = _spawned.Pipe()
        self._process = _spawned.Process(target=_serve, args=(theirs, make, args), daemon=True)
        self._process.start()
        theirs.close()

    @cached_property
    def names(self) -> frozenset[str]:
        """What it can be asked for.

        :raises RuntimeError: it could not be made; the message has its traceback.
        """
        names: frozenset[str] = self._answer()
        return names

    def cost(self, name: str, calls: int) -> Cost:
        """Return what a call costs there, of ``calls`` in a row.

        :raises RuntimeError: a call failed, or it could not be made.
        """
        if name not in self.names:
            raise RuntimeError(f"There is no {name!r}, but {', '.join(sorted(self.names))}.")
        self._pipe.send((name, calls))
        answer: Cost = self._answer()
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()
        self._process.join()

    def _answer(self) -> Any:
        try:
            is_good, answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("The process of a subject ended.") from None
        if not is_good:
            raise RuntimeError(answer)
        return answer


def _serve(pipe: Connection, make: Callable[..., Calls], args: tuple[object, ...]) -> None:
    import traceback

    try:
        calls = make(*args)
        gc.collect()
        gc.freeze()  # what was set up before is no part of a call's garbage
        pipe.send((True, frozenset(calls)))
        while (asked := pipe.recv()) is not None:
            name, number = asked
            pipe.send((True, cost_of(calls[name], number)))
    except EOFError:
        return
    except BaseException:
        pipe.send((False, traceback.format_exc()))
        raise
