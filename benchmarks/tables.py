"""What a benchmark tells: tables that are printed, and kept as CSV for the documentation and its plots."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from .timing import machine

#: A figure, a word, or ``None`` where there is nothing to be told.
Cell: TypeAlias = float | str | None


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    :param name: of its file: lower case, with hyphens.
    :param title: one line, with the unit.
    :param columns: of the figures; the first column, the rows' names, has none.
    :param rows: each a name, then one cell a column.
    :param note: what a reader has to know to compare two rows.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __str__(self) -> str:
        lines = [["", *self.columns], *([written(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        first, *rest = widths
        text = [self.title]
        for name, *cells in lines:
            row = [f"{cell:>{width}}" for cell, width in zip(cells, rest, strict=True)]
            text.append("  ".join(["", f"{name:<{first}}", *row]).rstrip())
        return "\n".join([*text, self.note] if self.note else text)


def written(cell: Cell) -> str:
    """Return a cell as it is printed: three figures, or whole numbers above that."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    size = abs(cell)
    if size >= 100 or cell == int(cell):
        return f"{cell:,.0f}"
    return f"{cell:.1f}" if size >= 10 else f"{cell:.2f}"


class Report:
    """Where a benchmark's tables go: to the screen, and into a folder if one is named.

    :param packages: whose versions are told.
    """

    def __init__(self, name: str, folder: str | None, *packages: str) -> None:
        self._folder = None if folder is None else Path(folder)
        told = f"{machine(*packages)}\n{datetime.now(UTC):%Y-%m-%d}"
        print(told)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}.txt").write_text(told + "\n")

    def add(self, table: Table) -> None:
        """Print a table and keep it."""
        print(f"\n{table}", flush=True)
        if self._folder is not None:
            with (self._folder / f"{table.name}.csv").open("w", newline="") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow(["", *table.columns])
                lines.writerows([[_kept(cell) for cell in row] for row in table.rows])


def at_pace(took: Sequence[float], sizes: Sequence[int]) -> Sequence[Cell]:
    """Return seconds, one for each size, and what follows from the last: how many a second, and minutes a million."""
    each = took[-1] / sizes[-1]
    return *took, 1 / each, each * 1e6 / 60


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return the options that every benchmark has: ``--save`` and ``--quick``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--save", metavar="FOLDER", help="keep each table as CSV, and the machine's name beside it")
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs; no figures to quote")
    return parser


def _kept(cell: Cell) -> str:
    return cell if isinstance(cell, str) else written(cell).replace(",", "")
