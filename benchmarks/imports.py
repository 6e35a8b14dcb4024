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
_SQLALCHEMY = "import sqlalchemy"
_APP = """
import flask, flask_sessionkit, time
app = flask.Flask("shop")
app.config.update(SECRET_KEY="7f3b0c59e1d24a68" * 4, SESSIONKIT_STORE={url!r})
before = time.process_time()
flask_sessionkit.SessionKit(app)
print(1000 * (time.process_time() - before))
"""
_ON_FILES = _APP.format(url="file:")
_ON_SQLITE = f"{_SQLALCHEMY}\n{_APP.format(url='sqlite:///sessions.db')}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(machine("flask", "cryptography", "msgspec"))
    print(f"{rounds} rounds of a process each; medians; CPU time in ms\n")
    imports: dict[str, list[float]] = {_FLASK: [], _OURS: []}
    kits: dict[str, list[float]] = {_ON_FILES: []} | ({_ON_SQLITE: []} if _runs(_SQLALCHEMY) else {})
    with TemporaryDirectory() as bytecode:
        for program in (*imports, *kits):
            _run(program, bytecode)  # leaves everything compiled, as an installation does
        for turn in range(rounds):
            for program in (_FLASK, _OURS) if turn % 2 else (_OURS, _FLASK):
                imports[program].append(_run(program, bytecode)[0])
            for program, told in kits.items():
                told.append(float(_run(program, bytecode)[1]))
    print(f"  {median(imports[_FLASK]):7.1f}  a process that imports flask")
    print(f"  {median(map(sub, imports[_OURS], imports[_FLASK])):+7.1f}  import flask_sessionkit as well")
    print(f"  {median(kits[_ON_FILES]):7.1f}  SessionKit(app) on files, the first in a process")
    if _ON_SQLITE in kits:
        print(f"  {median(kits[_ON_SQLITE]):7.1f}  SessionKit(app) on SQLite, the same, after import sqlalchemy")


def _run(program: str, bytecode: str) -> tuple[float, str]:
    """Return the CPU time of a process, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", program], check=True, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def _runs(program: str) -> bool:
    return subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    main()
