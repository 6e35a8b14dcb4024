"""What ``import flask_sessionkit`` costs on top of ``import flask``, and what ``SessionKit(app)`` costs after it.

Each figure is the CPU time of a process of its own, in turns with the others.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from operator import sub
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from .tables import Cell, Report, Table, arguments

#: Milliseconds, at most, of ours on top of Flask's.
GOAL = 30

_FLASK = "import flask"
_OURS = "import flask, flask_sessionkit"
#: By the name of the store: its URL, and the driver that is there before the clock runs.
_STORES = {
    "files": ("file:", "sys"),
    "SQLite": ("sqlite:///sessions.db", "sqlalchemy"),
    "Redis": ("redis://127.0.0.1:6379/0", "redis"),
}
_APP = """
import {driver}
import flask, flask_sessionkit, time
app = flask.Flask("shop")
app.config.update(SECRET_KEY="7f3b0c59e1d24a68" * 4, SESSIONKIT_STORE={url!r})
before = time.process_time()
flask_sessionkit.SessionKit(app)
print(1000 * (time.process_time() - before))
"""


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    rounds = 4 if options.quick else options.rounds
    report = Report("imports", options.save, "flask", "cryptography", "msgspec", "sqlalchemy", "redis")
    kits = {name: _APP.format(url=url, driver=driver) for name, (url, driver) in _STORES.items()}
    imports: dict[str, list[float]] = {_FLASK: [], _OURS: []}
    inits: dict[str, list[float]] = {name: [] for name in kits}
    with TemporaryDirectory() as bytecode:
        for program in (*imports, *kits.values()):
            _run(program, bytecode)  # leaves everything compiled, as an installation does
        for turn in range(rounds):
            for program in (_FLASK, _OURS) if turn % 2 else (_OURS, _FLASK):
                imports[program].append(_run(program, bytecode)[0])
            for name, program in kits.items():
                inits[name].append(float(_run(program, bytecode)[1]))
    ours = list(map(sub, imports[_OURS], imports[_FLASK]))
    report.add(
        Table(
            "imports",
            "CPU ms of a start",
            ("ms", "middle half", "goal"),
            [
                ("a process that imports flask", *_told(imports[_FLASK]), None),
                ("import flask_sessionkit on top", *_told(ours), f"at most {GOAL}"),
                *((f"SessionKit(app) on {name}", *_told(took), None) for name, took in inits.items()),
            ],
            f"Medians of {rounds} processes each. A SessionKit(app) is the first of its process, after the import of "
            "its store's driver; it connects to nothing.",
        )
    )


def _told(figures: Sequence[float]) -> tuple[Cell, Cell]:
    low, _, high = quantiles(figures, n=4)
    return median(figures), f"{low:.1f}-{high:.1f}"


def _run(program: str, bytecode: str) -> tuple[float, str]:
    """Return the CPU time of a process, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", program], check=True, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


if __name__ == "__main__":
    main()
