"""What a file is read into: rows of any format, records of any layout, and lines that are neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.domain import Turn
from core.text import visible

MAX_TEXT_BYTES = 16 << 20
MAX_REASON_LENGTH = 120
MAX_NAME_LENGTH = 60
MAX_QUOTED_LENGTH = 40


class Unreadable(ValueError):
    """Why a row, or with `line` everything from that line on, cannot be read; one short sentence."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """The named values of one line, array element, CSV record or Parquet row."""

    line: int
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """A question, ending with the turn that asks, and a response, byte for byte. `note` says what was left out."""

    line: int
    id: str | None
    turns: tuple[Turn, ...]
    response: str
    answer: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be taken. `reason` has at most 120 characters and no control characters."""

    line: int
    reason: str

    def message(self, path: Path) -> str:
        """One line of less than 200 characters, without control characters."""
        return f"{_shortened(visible(path.name), MAX_NAME_LENGTH)}:{self.line}: {self.reason}"


def bad_line(line: int, reason: str) -> BadLine:
    return BadLine(line, _shortened(visible(reason), MAX_REASON_LENGTH))


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def quoted(value: object) -> str:
    """A value of a file as it may stand in a message: quoted, without control characters, not long."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= MAX_QUOTED_LENGTH else f"{text[: MAX_QUOTED_LENGTH - 1]}…")


def kind_of(value: object) -> str:
    """What a value is called in a message to somebody who looks at the file."""
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "empty" if value is None else names.get(type(value), type(value).__name__)
