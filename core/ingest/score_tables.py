"""Tables of metrics' values and of outcomes: one row a score or a fine-tuning run, columns by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.ingest.files import format_of, open_file, read_rows
from core.ingest.records import BadLine, Row, quoted
from core.text import visible

SCORE_COLUMNS = ("target_model", "task", "strategy", "metric", "value")
OUTCOME_COLUMNS = ("target_model", "task", "strategy", "accuracy")


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """What a metric gave one strategy, from the rows `first` up to and without `last` where the file says so.

    `examples` in-context examples stood in the prompt. `value` may be NaN or infinite.
    """

    target_model: str
    task: str
    strategy: str
    metric: str
    value: float
    rows: tuple[int, int] | None = None
    examples: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The accuracy (0 to 1) of one fine-tuning run; `task` and `target_model` are None where the file has no column."""

    target_model: str | None
    task: str | None
    strategy: str
    accuracy: float
    seed: int = 0
    line: int = 0


class _Cells:
    """The cells of one row; whatever is wrong with them is an InputError with file and line."""

    def __init__(self, path: Path, row: Row) -> None:
        self.path, self.line, self._fields = path, row.line, row.fields

    def error(self, reason: str, hint: str = "Nothing was kept.") -> InputError:
        return InputError(f"{visible(self.path.name)}:{self.line}: {visible(reason)}.", hint)

    def has(self, name: str) -> bool:
        return name in self._fields

    def filled(self, name: str) -> bool:
        return self._fields.get(name) not in (None, "")

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if value is None or isinstance(value, dict | list) or not str(value).strip():
            raise self.error(f"the column {quoted(name)} has no usable value")
        return str(value)

    def number(self, name: str) -> float:
        try:
            return float(self.text(name))
        except ValueError:
            raise self.error(f"{name} {quoted(self.text(name))} is not a number") from None

    def whole(self, name: str) -> int:
        try:
            return int(self.text(name))
        except ValueError:
            raise self.error(f"{name} {quoted(self.text(name))} is not a whole number") from None


def read_scores(path: Path) -> list[ScoreRow]:
    """The scores of a file with `SCORE_COLUMNS` and maybe first_row, last_row, in_context_examples.

    Raises NotFoundError, or InputError with the line: a column is missing, a cell unreadable, a score there twice.
    """
    rows = [_score(_right(cells)) for cells in _cells(path, SCORE_COLUMNS)]
    keys = [(row.target_model, row.task, row.strategy, row.metric, row.rows, row.examples) for row in rows]
    _refuse_repeated(path, dict(zip((row.line for row in rows), keys, strict=True)), "score")
    return rows


def read_outcomes(path: Path, columns: tuple[str, ...] = OUTCOME_COLUMNS) -> list[OutcomeRow]:
    """The outcomes of a file with these columns and maybe target_model, task and seed (0 where there is none).

    Raises NotFoundError, or InputError with the line: a column is missing, an accuracy is not between 0 and 1, a
    run there twice.
    """
    for row in (rows := list(outcome_rows(path, columns))):
        if isinstance(row, InputError):
            raise row
    return [row for row in rows if isinstance(row, OutcomeRow)]


def outcome_rows(path: Path, columns: tuple[str, ...] = OUTCOME_COLUMNS) -> Iterator[OutcomeRow | InputError]:
    """What `read_outcomes` reads, with an error in the place of every line that is not right."""
    first: dict[tuple[object, ...], int] = {}
    for cells in _cells(path, columns):
        try:
            row = _outcome(_right(cells))
            key = (row.target_model, row.task, row.strategy, row.seed)
            if key in first:
                raise _repeated(path, row.line, first[key], key, "outcome")
        except InputError as error:
            yield error
        else:
            first[key] = row.line
            yield row


def _right(cells: _Cells | InputError) -> _Cells:
    if isinstance(cells, InputError):
        raise cells
    return cells


def _cells(path: Path, columns: tuple[str, ...]) -> Iterator[_Cells | InputError]:
    """The rows of a file, which has one at least, and what is wrong with those that lack one of these columns.

    Raises InputError where the first row lacks one already, as all of a table then do.
    """
    name = visible(path.name)
    number = 0
    with open_file(path) as stream:
        for number, row in enumerate(read_rows(path, format_of(path), stream), 1):
            if isinstance(row, BadLine):
                yield InputError(f"{row.message(path)}.", "Mend it; nothing was kept.")
                continue
            missing = [column for column in columns if column not in row.fields]
            if not missing:
                yield _Cells(path, row)
                continue
            error = InputError(f"{name}:{row.line}: there is no column {missing[0]!r}.", f"Needed: {_list(columns)}.")
            if number == 1:
                raise error
            yield error
    if not number:
        raise InputError(f"{name} has no rows.", f"Needed: {_list(columns)}.")


def _list(columns: tuple[str, ...]) -> str:
    return ", ".join(columns)


def _score(cells: _Cells) -> ScoreRow:
    ranged = cells.filled("first_row") or cells.filled("last_row")
    return ScoreRow(
        cells.text("target_model"),
        cells.text("task"),
        cells.text("strategy"),
        cells.text("metric"),
        cells.number("value"),
        (cells.whole("first_row"), cells.whole("last_row")) if ranged else None,
        cells.whole("in_context_examples") if cells.filled("in_context_examples") else 0,
        cells.line,
    )


def _outcome(cells: _Cells) -> OutcomeRow:
    accuracy = cells.number("accuracy")
    if not 0 <= accuracy <= 1:
        hint = "It looks like percent: divide by 100." if 1 < accuracy <= 100 else "Leave out runs without a result."
        raise cells.error(f"the accuracy {quoted(cells.text('accuracy'))} is not between 0 and 1", hint)
    return OutcomeRow(
        cells.text("target_model") if cells.has("target_model") else None,
        cells.text("task") if cells.has("task") else None,
        cells.text("strategy"),
        accuracy,
        cells.whole("seed") if cells.has("seed") else 0,
        cells.line,
    )


def _refuse_repeated(path: Path, keys: Mapping[int, tuple[object, ...]], what: str) -> None:
    first: dict[tuple[object, ...], int] = {}
    for line, key in keys.items():
        if key in first:
            raise _repeated(path, line, first[key], key, what)
        first[key] = line


def _repeated(path: Path, line: int, first: int, key: tuple[object, ...], what: str) -> InputError:
    return InputError(
        f"{visible(path.name)}:{line}: the same {what} as in line {first} ({_shown(key)}).",
        "Leave one of them out; nothing was kept.",
    )


def _shown(key: tuple[object, ...]) -> str:
    return ", ".join(visible(str(part)) for part in key if part is not None)
