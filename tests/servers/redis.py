"""Redis, on a port and a unix socket of its own."""

from __future__ import annotations

from .processes import Server, answers


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
