"""Pickles as msgpack, by a process that may come to harm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Self

from msgspec import Struct

from .former_records import items_of
from .pickle_reader import CONVERTED, LENGTH

#: Seconds; a session is read in less than a thousandth of one.
_PATIENCE: Final = 10.0
#: Bytes of an answer that is taken at most.
_MOST: Final = 64 * 1024 * 1024


class Unpickled(Struct, frozen=True):
    """What became of a pickle.

    :param data: of the session, as ``former_records.packed`` has it; ``None`` if it is left as it is.
    :param reason: why it is.
    """

    data: bytes | None
    reason: str = ""


class PickleProcess:
    """A process that reads pickles, and is begun again when one of them ends it.

    It has none of the environment of this one, no secret and no connection, and its answers are bytes.

    :param patience: seconds that one record may take.
    """

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, pickled: bytes) -> Unpickled:
        """Return what a pickle holds, if that can be kept."""
        process = self._process or self._begin()
        try:
            self._ask(process, pickled)
            answer = self._answers.get(timeout=self._patience)
        except (Empty, OSError):
            answer = None
        if answer is None:
            self._end()
            return Unpickled(None, "it ended the process that reads it, or took too long")
        kind, said = answer
        if kind != CONVERTED:
            return Unpickled(None, _printable(said))
        # Whatever was done to the process, what it says is looked at as any bytes.
        return Unpickled(said) if items_of(said) is not None else Unpickled(None, "no data of a session")

    def _ask(self, process: subprocess.Popen[bytes], pickled: bytes) -> None:
        assert process.stdin is not None  # noqa: S101  # for type checkers: it is a pipe
        process.stdin.write(LENGTH.pack(len(pickled)) + pickled)
        process.stdin.flush()

    def _begin(self) -> subprocess.Popen[bytes]:
        # Relative ones would lead into the folder for temporary files, where anybody may put a module.
        paths = [os.path.abspath(path) for path in sys.path if path]
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TZ", "PYTHONTZPATH") if name in os.environ}
        self._answers = SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603  # Python itself, and a module of ours
            [sys.executable, "-P", "-m", f"{__package__}.pickle_reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(),
            env=kept | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        threading.Thread(target=_listen, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _listen(process: subprocess.Popen[bytes], answers: SimpleQueue[tuple[bytes, bytes] | None]) -> None:
    """Pass the answers on, and ``None`` when there are no more. A pipe cannot be waited for on every system."""
    assert process.stdout is not None  # noqa: S101  # for type checkers: it is a pipe
    with suppress(OSError, ValueError):
        while len(head := process.stdout.read(1 + LENGTH.size)) == 1 + LENGTH.size:
            (length,) = LENGTH.unpack(head[1:])
            if length > _MOST:
                break
            answers.put((head[:1], process.stdout.read(length)))
    answers.put(None)


def _printable(said: bytes) -> str:
    """Return what a process that may have come to harm says, as text that can be shown on a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in said.decode("utf-8", "replace"))[:100]
