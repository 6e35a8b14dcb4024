"""Memcached, on a port of its own."""

from __future__ import annotations

import os

from .processes import Server, answers


class MemcachedServer(Server):
    """A Memcached of 64 MB."""

    package = "memcached"
    program = "memcached"

    def command(self) -> list[str]:
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        return [self.program, "-l", self.host, "-p", str(self.port), "-U", "0", "-m", "64", *user, *self.args]

    def is_ready(self) -> bool:
        return answers(self.port, b"version\r\n", b"VERSION")

    @property
    def url(self) -> str:
        return f"memcached://{self.host}:{self.port}"
