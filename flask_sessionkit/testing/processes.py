"""Other processes for tests of stores: several at once, or a forked child."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeAlias, TypeVar

from ..stores.base import Store
from .interleaving import HEADSTART, PATIENCE

#: How many processes take part in a race.
PROCESSES = 4

#: Opens a store on the data of the test; can be pickled.
StoreFactory: TypeAlias = Callable[[], Store]

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: What a process does: with its store, its number from 0, and what waits until all others wait too.
Task: TypeAlias = Callable[Concatenate[Store, int, Callable[[], object], _P], _T]

# Starting processes costs more than all tests together, so they are kept for all of a test run.
_pool: ProcessPoolExecutor | None = None
_line: Barrier


def in_processes(factory: StoreFactory, task: Task[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> list[_T]:
    """Run a task in ``PROCESSES`` processes at once, each on a store of its own, and return their answers.

    :param task: a function of a module, so that it can be pickled, as its arguments and its answer must be.
    :raises BaseException: what the first task that failed raised.
    """
    global _pool
    _pool = _pool or _started()
    try:
        futures = [_pool.submit(_run, factory, task, lane, args, kwargs) for lane in range(PROCESSES)]
        for error in [future.exception(timeout=12 * PATIENCE) for future in futures]:
            if error is not None and not isinstance(error, BrokenBarrierError):  # which is the others' echo of it
                raise error
        return [future.result() for future in futures]
    except BaseException:
        _pool.shutdown(wait=False, cancel_futures=True)
        _pool = None
        raise


def forked(work: Callable[[], object]) -> Callable[[], None]:
    """Start work in a forked child; return what waits for its end, and is an ``AssertionError`` if it failed.

    A child that hangs is dead after 10 s.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads of other tests may be about
        child = os.fork()
    if child == 0:
        _end_of_child(work, writer)
    os.close(writer)

    def ended() -> None:
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise AssertionError(said or f"The forked child ended with status {status}. With 14 it hung, on what lock?")

    return ended


def _started() -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        PROCESSES, mp_context=spawn, initializer=_stand_in_line, initargs=(spawn.Barrier(PROCESSES),)
    )


def _stand_in_line(line: Barrier) -> None:
    global _line
    _line = line


def _run(factory: StoreFactory, task: Callable[..., _T], lane: int, args: Any, kwargs: Any) -> _T:
    try:
        store = factory()
        _line.wait(6 * PATIENCE)  # all are started, so that none takes the task of another
        return task(store, lane, partial(_meet, lane, count()), *args, **kwargs)
    except BaseException:
        _line.abort()
        raise


def _meet(lane: int, rounds: Iterator[int]) -> None:
    _line.wait(PATIENCE)
    if next(rounds) % PROCESSES != lane:
        time.sleep(random.uniform(0, HEADSTART))


def _end_of_child(work: Callable[[], object], writer: int) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE))
        work()
        status = 0
    except BaseException:  # noqa: BLE001  # a child of a test run must not go on as a test run
        os.write(writer, traceback.format_exc().encode())
    finally:
        os._exit(status)
