"""Forced interleavings: a store that stops, fails or crashes at a named call, with the threads to meet there."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Self, TypeAlias, TypeVar, get_args
from weakref import WeakSet

from ..errors import SessionKitError, StoreError
from ..interface import interface_of
from ..stores.base import Store
from .around import StoreAround
from .parts import exchanged

if TYPE_CHECKING:
    from flask import Flask

#: The six calls of the store protocol, and those that only some stores know.
Call: TypeAlias = Literal[
    "load",
    "create",
    "replace",
    "delete",
    "list_owner",
    "purge",
    "touch",
    "count_ended",
    "scan",
    "judge",
    "create_table",
]

#: Seconds after which a wait that nothing ends becomes an ``AssertionError``.
PATIENCE = 10.0

#: Seconds by which one call of a race is ahead of the others, at most.
HEADSTART = 0.0002

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Crash(BaseException):
    """The death of a process in the middle of its work; no ``except Exception`` stops it."""


class PausingStore(StoreAround):
    """A store around another one, for tests that need two requests to meet at a certain call.

    It counts the calls, and can be told to stop, fail or crash at one of them. What was told holds for one call:
    the ``nth`` of that name from then on, so 1 is the next.

    A logout that overtakes a slow save:

    >>> from flask_sessionkit.stores.memory import MemoryStore
    >>> store = PausingStore(MemoryStore())
    >>> gap = store.pause_before("replace")     # doctest: +SKIP
    >>> slow = in_thread(client.post, "/slow")  # doctest: +SKIP
    >>> with gap:                               # doctest: +SKIP
    ...     other.post("/logout")
    >>> slow.result()                           # doctest: +SKIP

    An answer that is lost on its way back, and a count of what a view cost:

    >>> store.fail("create", before=False)
    >>> store.reset()
    >>> store.load("0" * 64, now=0.0)
    >>> store.counts
    Counter({'load': 1})

    :ivar inner: the store inside; a call to it is neither counted nor stopped.
    :ivar counts: calls by name, those that failed included.
    """

    def __init__(self, inner: Store) -> None:
        """Wrap a store.

        :param inner: any store.
        """
        super().__init__(inner)
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._orders: list[_Order] = []
        self._all: Counter[str] = Counter()  # as ``counts``, and never set to zero

    def pause_before(self, call: Call, *, nth: int = 1) -> Pause:
        """Return where the next such call will stop, with nothing read or written yet.

        :param nth: which of these calls, counted from now.
        """
        return self._arm_pause(call, nth, before=True)

    def pause_after(self, call: Call, *, nth: int = 1) -> Pause:
        """Return where the next such call will stop, with its work done and its answer not yet given.

        :param nth: which of these calls, counted from now. If it raises, it does not stop.
        """
        return self._arm_pause(call, nth, before=False)

    def fail(self, call: Call, *, nth: int = 1, before: bool = True, error: Exception | None = None) -> None:
        """Let the next such call raise.

        :param nth: which of these calls, counted from now.
        :param before: ``True``: it is not carried out; ``False``: it is, and only its answer is lost.
        :param error: what to raise; a ``StoreError`` by default.
        """
        self._arm(call, nth, before, _raising(error or StoreError(f"The {call} failed, as the test wanted.")))

    def crash(self, call: Call, *, nth: int = 1, before: bool = True) -> None:
        """Let the process of the next such call die there: it raises ``Crash``.

        :param nth: which of these calls, counted from now.
        :param before: ``True``: in its place; ``False``: just after it was carried out.
        """
        self._arm(call, nth, before, _raising(Crash(call)))

    def reset(self) -> None:
        """Set all counts to zero; what was armed stays armed."""
        self.counts.clear()

    def _arm_pause(self, call: Call, nth: int, *, before: bool) -> Pause:
        earlier = self._all.copy()
        where = f"{'before' if before else 'after'} {call} number {nth}"
        pause = Pause(where, came=lambda: self._all - earlier)
        self._arm(call, nth, before, pause.stand)
        return pause

    def _arm(self, call: Call, nth: int, before: bool, act: Callable[[], None]) -> None:
        if call not in get_args(Call):
            raise ValueError(f"A store has no call {call!r}. Use one of: {', '.join(get_args(Call))}.")
        if nth < 1:
            raise ValueError(f"nth must be 1 or more, not {nth}. The next call is number 1.")
        with self._lock:
            self._orders.append(_Order(call, nth, before, act))

    def _pass_on(self, call: str, method: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        due = self._due(call)
        for order in due:
            if order.before:
                order.act()
        answer = method(*args, **kwargs)
        for order in due:
            if not order.before:
                order.act()
        return answer

    def _due(self, call: str) -> list[_Order]:
        with self._lock:
            self.counts[call] += 1
            self._all[call] += 1
            for order in self._orders:
                order.left -= order.call == call
            due = [order for order in self._orders if not order.left]
            self._orders = [order for order in self._orders if order.left]
        return due


@contextmanager
def pausing(app: Flask) -> Iterator[PausingStore]:
    """Put a ``PausingStore`` around an application's store inside of the block.

    A request that is overtaken by a logout before it saves:

    .. code-block:: python

        with pausing(app) as store:
            gap = store.pause_before("replace")
            slow = in_thread(one.post, "/add")
            with gap:
                other.post("/logout")
            slow.result()

    Each request that runs in a thread needs a client of its own; the same one can not send two at a time.

    :raises SessionKitError: the application has other sessions, or they lie in browsers and no store knows of them.
    """
    store = interface_of(app).store
    if store is None:
        raise SessionKitError(f"{app.name} has no store that could be paused. Set SESSIONKIT_REVOCATION_STORE.")
    around = PausingStore(store)
    with exchanged(app, store=around):
        yield around


class Pause:
    """A point in a ``PausingStore`` where one call stops until it is released.

    As a context manager it waits on entry until the call stands there, and releases it on exit, also after an error.
    A call that is never released, and a wait for a call that never comes, end in an ``AssertionError`` after 10 s.
    """

    def __init__(self, where: str, *, came: Callable[[], Counter[str]] = Counter) -> None:
        """Name the point; made by ``PausingStore.pause_before`` and ``pause_after``.

        :param where: for the message of a wait that took too long.
        :param came: returns the calls that came since then, for the same.
        """
        self._where = where
        self._came = came
        self._threads: list[Running[Any]] = []
        self._reached = threading.Event()
        self._released = threading.Event()
        _pauses.add(self)

    @property
    def reached(self) -> bool:
        """Whether the call has come here; it may be gone already."""
        return self._reached.is_set()

    def wait(self) -> None:
        """Block until the call stands here.

        :raises AssertionError: it did not come within 10 s. What a thread of ``in_thread`` raised instead, if that was
            started after the pause was made, is ``__cause__``.
        """
        if not self._reached.wait(PATIENCE):
            came = ", ".join(f"{call} ({times})" for call, times in self._came().items())
            raise AssertionError(
                f"No call came to the pause {self._where}. {self._blamed()} "
                f"Calls that came since then: {came or 'none'}."
            ) from self._raised()

    def release(self) -> None:
        """Let the call go on; before it has come, let it pass without stopping."""
        _pauses.discard(self)
        self._released.set()

    def stand(self) -> None:
        """Stop the calling thread here until ``release``; the store calls this.

        :raises AssertionError: nobody released it within 10 s.
        """
        self._reached.set()
        if not self._released.wait(PATIENCE):
            raise AssertionError(f"Nobody released the pause {self._where}. Use it in a with statement.")

    def __enter__(self) -> Self:
        """Wait until the call stands here."""
        try:
            self.wait()
        except BaseException:
            self.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let the call go on."""
        self.release()

    def _raised(self) -> BaseException | None:
        return next((thread._error for thread in self._threads if thread._error is not None), None)

    def _blamed(self) -> str:
        """Return why the call may not have come, for a message."""
        if (error := self._raised()) is not None:
            return f"The other thread raised {type(error).__name__}: {error}."
        if not self._threads:
            return "Make the call in another thread."
        if not all(thread.done for thread in self._threads):
            return "The other thread still runs."
        answers = ", ".join(f"{thread._answer!r:.100}" for thread in self._threads)
        return f"The other thread ended without it, and returned {answers}."


#: Those that are not released; each is told of a thread that starts.
_pauses: WeakSet[Pause] = WeakSet()


class Running(Generic[_T]):
    """A call that runs in a thread of its own; ``in_thread`` makes it."""

    def __init__(self, call: Callable[[], _T]) -> None:
        """Start the call.

        :param call: what to run.
        """
        self._call = call
        self._answer: _T
        self._error: BaseException | None = None
        for pause in tuple(_pauses):
            pause._threads.append(self)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has returned or raised."""
        return not self._thread.is_alive()

    def result(self, *, within: float | None = None) -> _T:
        """Wait for the call and return what it returned, or raise what it raised, a ``Crash`` too.

        :param within: seconds; 10 by default.
        :raises AssertionError: it did not end in that time.
        """
        self._thread.join(PATIENCE if within is None else within)
        if self._thread.is_alive():
            raise AssertionError("The call in the thread did not end. Is the pause where it stands released?")
        if self._error is not None:
            raise self._error
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._call()
        except BaseException as error:  # noqa: BLE001  # handed on by result(), in the thread of the test
            self._error = error


def in_thread(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Running[_T]:
    """Start a call in a thread of its own and return it as it runs.

    >>> in_thread(max, 3, 7).result()
    7
    """
    return Running(lambda: call(*args, **kwargs))


def race(*calls: Callable[[int], _T], rounds: int = 1, before: Callable[[int], object] | None = None) -> list[list[_T]]:
    """Run calls at once, each in a thread of its own, round after round, and return their answers by round.

    All start a round together, and a round starts when all are done with the one before. In turn each has a headstart
    of up to 0.2 ms; else the same one would be first each time.

    >>> race(lambda number: number, lambda number: -number, rounds=3)
    [[0, 0], [1, -1], [2, -2]]

    :param calls: each is given the number of the round, from 0.
    :param before: run alone ahead of each round, with its number.
    :raises BaseException: what the first call that failed raised; the others stop at the next round.
    """
    numbers = iter(range(rounds))

    def start_round() -> None:
        if before is not None:
            before(next(numbers))

    line = threading.Barrier(len(calls), action=start_round)
    answers = [[None] * len(calls) for _ in range(rounds)]

    def run(lane: int) -> None:
        try:
            for number in range(rounds):
                line.wait(PATIENCE)
                if number % len(calls) != lane:
                    time.sleep(random.uniform(0, HEADSTART))
                answers[number][lane] = calls[lane](number)  # type: ignore[call-overload]  # None until then
        except BaseException:
            line.abort()
            raise

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the default of 5 ms would let most calls run to their end undisturbed
    try:
        threads = [in_thread(run, lane) for lane in range(len(calls))]
        _result_of_all(threads)
    finally:
        sys.setswitchinterval(interval)
    return answers  # type: ignore[return-value]  # every place was filled


@dataclass
class _Order:
    call: Call
    left: int
    before: bool
    act: Callable[[], None]


def _raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _result_of_all(threads: list[Running[None]]) -> None:
    echo: BaseException | None = None
    for thread in threads:
        try:
            thread.result(within=6 * PATIENCE)  # hundreds of rounds on a slow disk
        except threading.BrokenBarrierError as error:
            echo = error
    if echo is not None:
        raise AssertionError("The threads of a race did not come together.") from echo
