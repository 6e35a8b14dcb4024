"""What ``import flask_sessionkit`` costs on top of ``import flask``, and what ``SessionKit(app)`` costs after it.

Each figure is the CPU time of a process of its own, in turns with the others.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from operator import sub
from statistics import median
from tempfile import TemporaryDirectory

from .timing import machine

_FLASK = "import flask"
_OURS = "import flask, flask_sessionkit"
_APP = "import flask, flask_sessionkit; app = flask.Flask('shop'); app.secret_key = '7f3b0c59e1d24a68' * 4"
_FILES = f"{_APP}; flask_sessionkit.SessionKit(app)"
_SQLITE = f"{_APP}; import sqlalchemy"
_ON_SQLITE = f"{_SQLITE}; app.config['SESSIONKIT_STORE'] = 'sqlite:///s.db'; flask_sessionkit.SessionKit(app)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(machine("flask", "cryptography", "msgspec"))
    print(f"{rounds} rounds of a process each; medians of the differences; CPU time in ms\n")
    programs = [_FLASK, _OURS, _APP, _FILES]
    if _runs("import sqlalchemy"):
        programs += [_SQLITE, _ON_SQLITE]
    costs: dict[str, list[float]] = {program: [] for program in programs}
    with TemporaryDirectory() as bytecode:
        for program in programs:
            _cpu(program, bytecode)  # as an installation leaves it: compiled
        for turn in range(rounds):
            first = turn % len(programs)
            for program in programs[first:] + programs[:first]:
                costs[program].append(_cpu(program, bytecode))

    def less(this: str, that: str) -> float:
        return median(map(sub, costs[this], costs[that]))

    print(f"  {median(costs[_FLASK]):7.1f}  a process that imports flask")
    print(f"  {less(_OURS, _FLASK):+7.1f}  import flask_sessionkit")
    print(f"  {less(_FILES, _APP):+7.1f}  SessionKit(app), on files, the first time")
    if _SQLITE in costs:
        print(
            f"  {less(_ON_SQLITE, _SQLITE):+7.1f}  SessionKit(app), on SQLite, the first time, after import sqlalchemy"
        )


def _cpu(program: str, bytecode: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)  # noqa: S603  # programs of this file
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _runs(program: str) -> bool:
    return subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL).returncode == 0  # noqa: S603  # the same


if __name__ == "__main__":
    main()
