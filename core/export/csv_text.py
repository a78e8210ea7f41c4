"""Rows as CSV text that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from core.spreadsheet import guard_cell
from core.text import visible


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A line of columns, then the rows; texts shown by `visible` and guarded, numbers unrounded, None empty."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return target.getvalue()


def _cell(value: object) -> object:
    return guard_cell(visible(value)) if isinstance(value, str) else value
