"""Web servers that fork: gunicorn with an application loaded before the fork, and uWSGI."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from servers import Server
from servers.processes import answers

HERE = Path(__file__).parent


class WebServer(Server):
    """A web server with an application of this folder, imported once, before its workers are forked.

    :param app: a module here, with an ``app``.
    :param environ: what the application finds in its environment.
    """

    package = "coreutils"
    program = "env"

    def __init__(self, app: str, environ: Mapping[str, str], *args: str) -> None:
        super().__init__(*args)
        self.app = app
        self.environ = environ

    def server_command(self) -> list[str]:
        """Return what starts the server."""
        raise NotImplementedError

    def command(self) -> list[str]:
        return [self.program, *(f"{name}={value}" for name, value in self.environ.items()), *self.server_command()]

    def is_ready(self) -> bool:
        return answers(self.port, b"GET /ready HTTP/1.0\r\n\r\n", b"HTTP/1.")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


class Gunicorn(WebServer):
    """Gunicorn with ``--preload``; its arguments say which workers, and how many."""

    def server_command(self) -> list[str]:
        place = ["--bind", f"{self.host}:{self.port}", "--pythonpath", str(HERE), "--no-control-socket"]
        how = ["--preload", "--keep-alive", "60", "--log-level", "warning", *self.args]
        return [sys.executable, "-m", "gunicorn", *place, *how, f"{self.app}:app"]


class Uwsgi(WebServer):
    """uWSGI, which imports before it forks unless it is told not to, and forks in C: no hook of Python's runs."""

    def server_command(self) -> list[str]:
        place = [
            "--http11-socket",
            f"{self.host}:{self.port}",
            "--pythonpath",
            str(HERE),
            "--module",
            f"{self.app}:app",
        ]
        how = ["--master", "--need-app", "--die-on-term", "--no-orphans", "--enable-threads", "--disable-logging"]
        return [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", *place, *how, *self.args]


Start = Callable[[str, Mapping[str, str]], WebServer]

#: Two processes of each kind, by the name of what they work with.
SERVERS: dict[str, Start] = {
    "sync": lambda app, environ: Gunicorn(app, environ, "--workers", "2"),
    "gthread": lambda app, environ: Gunicorn(app, environ, "--workers", "2", "--threads", "4"),
    "gevent": lambda app, environ: Gunicorn(app, environ, "--workers", "2", "--worker-class", "gevent"),
    "uwsgi": lambda app, environ: Uwsgi(app, environ, "--processes", "2", "--threads", "4"),
}
