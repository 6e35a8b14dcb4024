"""Tables as ``--save`` left them in a folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Saved:
    """A table as it was saved, cells as text."""

    columns: Sequence[str]
    rows: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a table's file."""
        with file.open(newline="") as lines:
            (_, *columns), *rows = csv.reader(lines)
        return cls(columns, {name: cells for name, *cells in rows})

    def figure(self, row: str, column: str) -> float | None:
        """Return a cell; ``None`` where there is none, or a word."""
        return number(self.rows[row][self.columns.index(column)])


def number(cell: str) -> float | None:
    """Return the figure that a cell is."""
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return None
