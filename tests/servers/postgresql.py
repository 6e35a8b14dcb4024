"""PostgreSQL, with a cluster of databases of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .processes import Server


class PostgreSQLServer(Server):
    """A PostgreSQL with one empty database, ``sessions``, and a superuser without a password.

    It does not wait for the disk; a test of what a crash leaves says ``-c synchronous_commit=on``.
    """

    package = "postgresql"
    program = "postgres"
    refuses_root = True
    folders = tuple(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))

    def prepare(self) -> None:
        data = str(self.folder / "data")
        self.run("initdb", "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    def command(self) -> list[str]:
        place = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        loose = ["-c", f"listen_addresses={self.host}", "-c", "fsync=off", "-c", "synchronous_commit=off"]
        return [self.program, *place, *loose, *self.args]

    def start(self) -> None:
        super().start()
        if "sessions" not in self.sql("SELECT datname FROM pg_database"):
            self.sql("CREATE DATABASE sessions")

    def is_ready(self) -> bool:
        isready = self.find("pg_isready") or "pg_isready"
        answer = subprocess.run([isready, "-q", "-h", self.host, "-p", str(self.port), "-U", "test"], check=False)
        return answer.returncode == 0

    def sql(self, text: str, *, database: str = "postgres") -> str:
        """Run statements as the superuser and return their rows, a line each."""
        where = ["-h", self.host, "-p", str(self.port), "-U", "test", "-d", database]
        return self.run("psql", *where, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://test@{self.host}:{self.port}/sessions"
