"""How many instructions a request takes, by callgrind, and which row became worse since ``instructions.json``.

Unlike time that is repeatable to a percent, on a busy machine too, so that a small change of a hot path shows. It is no
time: an instruction that waits for memory counts as any other, and what the kernel does is not counted at all.

Rows are compared by their surplus over bare Flask's request. That has a meaning only where Python's build, the
libraries' versions and valgrind's are those that the file names. Elsewhere what differs is told and nothing is judged:
switch to the commit before your change, ``--write`` the file there, compare on your branch, and put the file back.

Ends with 1 if a row is worse by more than 5%, with 2 if there is nothing to compare with. Needs Debian's ``valgrind``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from .counted import BARE, STORES, TURNS
from .tables import Cell, Report, Table, arguments

#: By the name of the row: instructions a request, of bare Flask's all, of others what they add to that.
Counts: TypeAlias = Mapping[str, int]

KEPT = Path(__file__).with_name("instructions.json")
#: By what share a row may grow until it is told.
LIMIT = 0.05
#: What two runs differ by, as a share of bare Flask's request: where an object lies in memory is part of its hash.
NOISE = 0.005

_PACKAGES = ("flask", "werkzeug", "cryptography", "msgspec", "sqlalchemy")
_TOTAL = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def main() -> None:
    """Count, then compare or write."""
    parser = arguments(__doc__)
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {KEPT.name}")
    parser.add_argument("--only", choices=STORES, action="append", help="one store's rows; may be repeated")
    options = parser.parse_args()
    if options.write and (options.only or options.quick):
        parser.error("--write keeps all rows. Give it without --only and --quick.")
    report = Report("instructions", options.save, *_PACKAGES)
    made_with = _made_with()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(_count, ["memory"] if options.quick else options.only or STORES)
        counts: dict[str, int] = {}
        for part in parts:
            counts |= {name: count for name, count in part.items() if name not in counts}
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"made with": {}, "counts": {}}
    report.add(_table(counts, kept["counts"]))
    if options.write:
        KEPT.write_text(json.dumps({"made with": made_with, "counts": counts}, indent=2) + "\n")
        print(f"\nKept in {KEPT.name}.")
    elif differences := list(_differences(kept["made with"], made_with)):
        _end(2, f"{KEPT.name} has no meaning here, since it was made with others:", differences)
    elif worse := list(_worse(counts, kept["counts"])):
        _end(1, f"Worse by more than {LIMIT:.0%}:", worse)
    else:
        print(f"\nNo row is worse by more than {LIMIT:.0%}.")


def _table(counts: Counts, kept: Counts) -> Table:
    bare = counts[BARE]
    rows: list[list[Cell]] = []
    for name, count in counts.items():
        times = 1.0 if name == BARE else (bare + count) / bare
        since = f"{count / kept[name] - 1:+.1%}" if name in kept else None
        rows.append([name, count / 1000, f"{times:.3f}", since])
    return Table(
        "instructions",
        "Thousands of instructions a request, above bare Flask's",
        ("thousands", "whole, of bare", "since"),
        rows,
        f"Since: the growth beside {KEPT.name}.",
    )


def _worse(counts: Counts, kept: Counts) -> Iterator[str]:
    for name in counts.keys() & kept.keys():
        if counts[name] > max(kept[name] * (1 + LIMIT), kept[name] + NOISE * counts[BARE]):
            yield f"{name}: {kept[name]:,}, now {counts[name]:,}"


def _made_with() -> dict[str, str]:
    """Return all that moves a count and is no change of ours."""
    asked = [_found("valgrind"), "--version"]
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
        "valgrind": subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip(),
        **{package: version(package) for package in _PACKAGES},
    }


def _differences(kept: Mapping[str, str], here: Mapping[str, str]) -> Iterator[str]:
    for name, ours in here.items():
        theirs = kept.get(name, "nothing")
        if theirs != ours:
            yield f"{name}: {theirs}, here {ours}"


def _end(status: int, title: str, lines: list[str]) -> None:
    print(f"\n{title}", *sorted(lines), sep="\n  ")
    sys.exit(status)


def _count(store: str) -> dict[str, int]:
    """Return what a request takes, for each of a store's rows.

    :raises RuntimeError: the rows did not run, or their counts are not all there.
    """
    with TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        command = [
            *_at_fixed_addresses(),
            *(_found("valgrind"), "--tool=callgrind", "--quiet"),
            *("--dump-before=getppid", f"--callgrind-out-file={counts}"),
            *(sys.executable, "-m", "benchmarks.counted", store),
        ]
        # Nothing of the caller's environment: its size moves the stack, and Python's switches move all.
        clean = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
        here = Path(__file__).parents[1]
        done = subprocess.run(command, env=clean, cwd=here, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"Counting {store} ended with {done.returncode}: {done.stderr}")
        names = json.loads(done.stdout)
        # The first is what came before the first mark; then a row, and what lies between it and the next.
        files = [counts.with_suffix(f".{mark}") for mark in range(1, 2 * len(names) + 2)]
        if [file.exists() for file in files] != [True] * (len(files) - 1) + [False]:
            raise RuntimeError(f"Counting {store} met another number of marks than {len(files) - 1}.")
        totals = [int(_TOTAL.findall(file.read_text())[-1]) for file in files[1::2]]
    bare, *others = (round(total / TURNS) for total in totals)
    return dict(zip(names, [bare, *(other - bare for other in others)], strict=True))


def _at_fixed_addresses() -> list[str]:
    """Return what starts a program where it always lies in memory, if that is there and allowed."""
    if (setarch := shutil.which("setarch")) is None:
        return []
    fixed = [setarch, "--addr-no-randomize"]
    is_let = subprocess.run([*fixed, sys.executable, "-c", ""], capture_output=True).returncode == 0
    return fixed if is_let else []


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        print(f"There is no {program}. Install Debian's package of that name.")
        sys.exit(2)
    return found


if __name__ == "__main__":
    main()
