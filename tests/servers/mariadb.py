"""MariaDB, with data of its own."""

from __future__ import annotations

import os

from .processes import Server, answers


class MariaDBServer(Server):
    """A MariaDB with one empty database, ``sessions``, and a root without a password."""

    package = "mariadb-server"
    program = "mariadbd"
    folders = ("/usr/sbin",)

    def prepare(self) -> None:
        as_root = ["--user=root"] if os.getuid() == 0 else []
        normal = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", *normal, *as_root)

    def command(self) -> list[str]:
        as_root = ["--user=root"] if os.getuid() == 0 else []
        place = [f"--datadir={self.folder}/data", f"--socket={self.folder}/m.sock", f"--pid-file={self.folder}/pid"]
        place.append(f"--tmpdir={self.folder}")  # others' temporary files are none of ours
        net = [f"--port={self.port}", f"--bind-address={self.host}", "--skip-name-resolve", "--skip-log-bin"]
        return [self.program, "--no-defaults", *place, *net, *as_root, *self.args]

    def start(self) -> None:
        super().start()
        self.sql("CREATE DATABASE IF NOT EXISTS sessions")

    def stop(self) -> None:
        # It may ignore SIGTERM for 15 seconds.
        self.run("mariadb-admin", "--no-defaults", f"--socket={self.folder}/m.sock", "--user=root", "shutdown")
        self._started.wait(30)

    def is_ready(self) -> bool:
        # It speaks first: the length of its greeting, and the protocol's number.
        return answers(self.port, b"", b"") and (self.folder / "m.sock").exists()

    def sql(self, text: str, *, database: str = "") -> str:
        """Run statements as root and return their rows, a line each."""
        where = ["--no-defaults", f"--socket={self.folder}/m.sock", "--user=root", "--batch", "--skip-column-names"]
        return self.run("mariadb", *where, "-e", text, *([database] if database else []))

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@{self.host}:{self.port}/sessions"
