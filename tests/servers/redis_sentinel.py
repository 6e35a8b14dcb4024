"""A Redis that survives its master: one master, one replica, and three Sentinels that watch them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Self

from .processes import Server, answers
from .redis import RedisServer

SERVICE = "sessions"


class RedisSentinel(Server):
    """One Sentinel. Two of three have to agree that the master is gone."""

    package = "redis-sentinel"
    program = "redis-sentinel"

    def __init__(self, master: RedisServer) -> None:
        super().__init__()
        self._master = master

    def prepare(self) -> None:
        lines = [
            f"port {self.port}",
            f"bind {self.host}",
            f"dir {self.folder}",
            f"sentinel monitor {SERVICE} {self._master.host} {self._master.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 2000",
        ]
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [self.program, str(self.folder / "sentinel.conf")]

    def is_ready(self) -> bool:
        return answers(self.port, b"PING\r\n", b"+PONG")


class RedisSentinels:
    """A master, its replica and their Sentinels."""

    def __init__(self) -> None:
        # A replica is served at once, not after the 5 s in which others might ask for the same.
        self.master = RedisServer("--repl-diskless-sync-delay", "0")
        self.replica = RedisServer("--replicaof", self.master.host, str(self.master.port))
        self.sentinels = [RedisSentinel(self.master) for _ in range(3)]
        self._running = ExitStack()

    @property
    def url(self) -> str:
        places = ",".join(f"{sentinel.host}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{SERVICE}/0"

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for server in (self.master, self.replica, *self.sentinels):
                running.enter_context(server)
            self._wait()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def kill_master(self) -> None:
        """End the master as a crash does; the Sentinels make the replica the master within some seconds."""
        self.master.kill()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while not self._is_whole():
            if time.monotonic() > deadline:
                raise RuntimeError(f"The Sentinels do not find each other:\n{self.sentinels[0].log()[-2000:]}")
            time.sleep(0.05)

    def _is_whole(self) -> bool:
        if "master_link_status:up" not in self._ask(self.replica, "info", "replication"):
            return False
        seen = (self._ask(sentinel, "sentinel", "master", SERVICE).split("\n") for sentinel in self.sentinels)
        told = [dict(zip(lines[::2], lines[1::2], strict=False)) for lines in seen]
        return all(
            (state.get("num-slaves"), state.get("num-other-sentinels"), state.get("flags")) == ("1", "2", "master")
            for state in told
        )

    def _ask(self, server: Server, *command: str) -> str:
        return server.run("redis-cli", "-h", server.host, "-p", str(server.port), *command)
