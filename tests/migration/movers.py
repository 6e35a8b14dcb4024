"""Processes that write to sessions while these move, and are killed in the middle of it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from flow_site import Site, logout, put
from flow_stores import open_store

from flask_sessionkit.clock import SystemClock
from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.migrating import MigratingStore
from flask_sessionkit.testing.around import StoreAround

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Death:
    """Where a process is killed: before or after the nth such call to one of the two stores."""

    at_new: bool
    call: str
    nth: int
    after: bool


@dataclass(frozen=True)
class Pair:
    """Two stores on real servers, that any process can open.

    :param folder: holds a folder for each, where its server or its files are found.
    """

    new: str
    old: str
    folder: Path

    def open(self, death: Death | None = None, *, is_swapped: bool = False) -> MigratingStore:
        """Return both as one, or with the roles exchanged."""
        new: Store = open_store(self.new, self.folder / "new")
        old: Store = open_store(self.old, self.folder / "old")
        if death is not None:
            new, old = (Killing(new, death), old) if death.at_new else (new, Killing(old, death))
        return MigratingStore(old, new) if is_swapped else MigratingStore(new, old)

    def alone(self, which: str) -> Site:
        """Return a server that knows one of them."""
        return Site(open_store(self.new if which == "new" else self.old, self.folder / which), SystemClock())


class Killing(StoreAround):
    """A store whose process is killed, by ``SIGKILL``, before or after a certain call."""

    def __init__(self, inner: Store, death: Death) -> None:
        super().__init__(inner)
        self._death = death
        self._left = death.nth

    def _pass_on(self, call: str, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._left -= call == self._death.call
        is_due = call == self._death.call and self._left == 0
        if is_due and not self._death.after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = method(*args, **kwargs)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


@dataclass(frozen=True)
class Share:
    """What one process has to do.

    :param number: of the process.
    :param requests: how many write to a session that stays.
    :param keys: of its own that each of them writes.
    :param staying: how many sessions stay; they come first among the tokens.
    :param leaving: the sessions that it logs out meanwhile, by their place among the tokens.
    :param is_behind: the first third of its requests it serves with the roles of the stores exchanged, as a server that
        was not rolled out yet.
    """

    number: int
    requests: int
    keys: int
    staying: int
    leaving: tuple[int, ...]
    is_behind: bool


def journal_of(folder: Path, number: int) -> Path:
    """Return where a process writes down what was answered."""
    return folder / f"journal-{number}"


def work(pair: Pair, tokens: list[str], share: Share, death: Death | None) -> None:
    """Write to sessions, log some out, and note what was answered; go on where one before was killed."""
    chance = random.Random(f"{share.number} {death}")
    journal = os.open(journal_of(pair.folder, share.number), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    noted = read_journal(pair.folder, share.number)
    leaving = [place for place in share.leaving if ("out", place, "") not in noted]
    behind = Site(pair.open(death, is_swapped=share.is_behind), SystemClock())
    rolled_out = Site(pair.open(death), SystemClock())
    every = share.requests // (len(share.leaving) + 1)
    for number in range(sum(kind != "out" for kind, _, _ in noted), share.requests):
        server = behind if number < share.requests // 3 else rolled_out
        if leaving and number % every == 0:
            place = leaving[0]
            if server.ask(tokens[place], logout, status=(200, 500, 503)).status == 200:
                os.write(journal, f"out {leaving.pop(0)} \n".encode())
        if number % 4 == 0:
            server.ask(tokens[chance.randrange(share.staying, len(tokens))], put(late=1), status=(200, 500, 503))
        place = chance.randrange(share.staying)
        name = f"{share.number}-{number}-{'again' if death is None else 'first'}"
        keys = {f"{name}-{key}": number for key in range(share.keys)}
        is_answered = server.ask(tokens[place], put(**keys), status=(200, 500, 503)).status == 200
        os.write(journal, f"{'key' if is_answered else 'not'} {place} {name}\n".encode())
    for place in leaving:
        assert rolled_out.ask(tokens[place], logout).status == 200
        os.write(journal, f"out {place} \n".encode())


def copy(pair: Pair, death: Death | None) -> None:
    """Move what nobody asks for, as the command does."""
    for _ in pair.open(death).copy(SystemClock()):
        pass


def read_journal(folder: Path, number: int) -> list[tuple[str, int, str]]:
    """Return what a process noted, without a line that it did not finish."""
    path = journal_of(folder, number)
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(kind, int(place), key) for kind, place, key in (line.split(" ") for line in lines)]
