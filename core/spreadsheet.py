"""Text cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from collections.abc import Container

# An apostrophe of the text's own is guarded too, so that taking the guard away gives every text back.
_FORMULA = re.compile(r"[\s\ufeff]*[=+\-@＝＋－＠]|[\t\r\n\0']")


def guard_cell(text: str) -> str:
    """The text, behind an apostrophe if a spreadsheet could run it."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguard_cell(cell: str) -> str:
    """The text that `guard_cell` got."""
    return cell.removeprefix("'")


def known_text(cell: str, known: Container[str]) -> str:
    """The text of a cell that may be guarded: without the guard where only that is known, else as it is."""
    return unguard_cell(cell) if cell not in known and unguard_cell(cell) in known else cell
