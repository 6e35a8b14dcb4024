"""How many instructions a request takes, by callgrind, and which row became worse since ``instructions.json``.

Unlike time that is repeatable to a fraction of a percent, on a busy machine too, so that a small change of a hot path
shows. It is no time: an instruction that waits for memory counts as any other, and what the kernel does not at all.

A row is judged by its surplus over bare Flask's request. Counts are worth comparing only where Python's build and the
libraries' versions are those that the file names; elsewhere what differs is told, and nothing is judged: switch to the
commit before your change, ``--write`` the file there, and compare on your branch (but do not commit that file).

Ends with 1 if a row is worse by more than 5%, with 2 if there is nothing to compare with. Needs valgrind.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from . import counted
from .tables import Cell, Report, Table, arguments

KEPT = Path(__file__).with_name("instructions.json")
#: A row's growth, as a share, that is told.
LIMIT = 0.05
#: What two runs of the same code differ by, as a share of the whole request; less is never told.
NOISE = 0.01

_BARE = "bare Flask"
_PACKAGES = ("flask", "werkzeug", "cryptography", "msgspec", "sqlalchemy")
_SUM = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def main() -> None:
    """Count, then compare or write."""
    parser = arguments(__doc__)
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {KEPT.name}")
    parser.add_argument("--only", choices=counted.STORES, action="append", help="count one store's rows; repeatable")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write keeps all rows: give it without --only.")
    _found("valgrind")
    report = Report("instructions", options.save, *_PACKAGES)
    stores = ["memory"] if options.quick else options.only or list(counted.STORES)
    if "memory" not in stores:
        stores.insert(0, "memory")  # has bare Flask
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = {name: count for rows in pool.map(_count, stores) for name, count in rows.items()}
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"made_with": {}, "counts": {}}
    report.add(_table(counts, kept["counts"]))
    if options.write:
        KEPT.write_text(json.dumps({"made_with": _made_with(), "counts": counts}, indent=2) + "\n")
        print(f"\nKept in {KEPT.name}.")
        return
    if differences := list(_differences(kept["made_with"], _made_with())):
        print(f"\nNot to be compared with {KEPT.name}, which was made with other versions:", *differences, sep="\n  ")
        sys.exit(2)
    worse = [
        name
        for name, growth in _growths(counts, kept["counts"]).items()
        if growth > LIMIT and counts[name] > kept["counts"][name] * (1 + NOISE)
    ]
    if worse:
        print(f"\nWorse by more than {LIMIT:.0%}:", *worse, sep="\n  ")
        sys.exit(1)
    print(f"\nNo row is worse by more than {LIMIT:.0%}.")


def _table(counts: Mapping[str, int], kept: Mapping[str, int]) -> Table:
    growths = _growths(counts, kept)
    rows: list[list[Cell]] = [
        [
            name,
            count / 1000,
            None if name == _BARE else (count - counts[_BARE]) / 1000,
            f"{growths[name]:+.1%}" if name in growths else None,
        ]
        for name, count in counts.items()
    ]
    return Table(
        "instructions",
        "Thousands of instructions a request",
        ("all", "surplus", "surplus since"),
        rows,
        "The surplus is over bare Flask; since: beside that of the file that is kept. Bare Flask's own is its all.",
    )


def _growths(counts: Mapping[str, int], kept: Mapping[str, int]) -> dict[str, float]:
    """Return by what share each row's surplus has grown since the file was written."""
    return {
        name: _surplus(name, counts) / _surplus(name, kept) - 1 for name in counts if name in kept and _BARE in kept
    }


def _surplus(name: str, counts: Mapping[str, int]) -> int:
    return counts[name] if name == _BARE else counts[name] - counts[_BARE]


def _made_with() -> dict[str, str]:
    """Return all that moves a count and is no change of ours."""
    valgrind = [_found("valgrind"), "--version"]
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
        "valgrind": subprocess.run(valgrind, check=True, capture_output=True, text=True).stdout.strip(),
        **{package: version(package) for package in _PACKAGES},
    }


def _differences(kept: Mapping[str, str], here: Mapping[str, str]) -> Iterable[str]:
    for name in kept.keys() | here.keys():
        if kept.get(name) != here.get(name):
            yield f"{name}: {kept.get(name, 'nothing')} there, {here.get(name, 'nothing')} here"


def _count(store: str) -> dict[str, int]:
    """Return the instructions of a request for each of a store's rows.

    :raises RuntimeError: the rows did not run, or their counts are not all there.
    """
    with TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        command = [
            *_at_the_same_addresses(),
            *(
                _found("valgrind"),
                "--tool=callgrind",
                "--quiet",
                "--dump-before=getppid",
                f"--callgrind-out-file={counts}",
            ),
            *(sys.executable, "-m", "benchmarks.counted", store),
        ]
        # Nothing of the caller's environment: its size moves the stack, and switches of Python's move all.
        clean = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
        here = Path(__file__).parents[1]
        done = subprocess.run(command, env=clean, cwd=here, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"Counting {store} ended with {done.returncode}: {done.stderr}")
        names = json.loads(done.stdout)
        # The first is what came before the first mark; then a row, and what lies between it and the next.
        marks = range(1, 2 * len(names) + 1)
        sums = [int(_SUM.findall(counts.with_suffix(f".{mark}").read_text())[-1]) for mark in marks]
        if counts.with_suffix(f".{len(sums) + 1}").exists():
            raise RuntimeError(f"Counting {store} met a mark that is not its own. Nothing else may call os.getppid.")
    return dict(zip(names, (round(sum_ / counted.TURNS) for sum_ in sums[1::2]), strict=True))


def _at_the_same_addresses() -> list[str]:
    """Return what starts a program where it always lies in memory: sets of objects are in the order of addresses."""
    if (setarch := shutil.which("setarch")) is None:
        return []
    fixed = [setarch, "--addr-no-randomize"]
    is_let = subprocess.run([*fixed, sys.executable, "-c", ""], capture_output=True).returncode == 0
    return fixed if is_let else []


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        print(f"{program} is not there: install Debian's package of that name.")
        sys.exit(2)
    return found


if __name__ == "__main__":
    main()
