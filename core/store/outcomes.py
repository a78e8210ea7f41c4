"""What fine-tuning on a strategy's responses really gave, per target model and seed."""

from __future__ import annotations

import difflib
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.domain import Task
from core.errors import InputError, NotFoundError, UsageError
from core.spreadsheet import known_text
from core.store.catalogue import strategies, task_by_name
from core.store.db import Writer
from core.text import visible

if TYPE_CHECKING:
    from core.ingest.score_tables import OutcomeRow

_SAME = "task = ? AND model = ? AND strategy = ? AND seed = ?"


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """The accuracy (0 to 1) after fine-tuning the target model on the strategy's responses with this seed."""

    task: str
    model: str
    strategy: str
    seed: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many outcomes a task has under a target model, and when the last of them was imported."""

    outcomes: int
    last: float


@dataclass(frozen=True, slots=True)
class OutcomesReport:
    """What an import of outcomes did; `other_rows` counts rows of other tasks or target models, which were left."""

    stored: int
    replaced: int
    models: tuple[str, ...]
    strategies: int
    other_rows: int


@dataclass(frozen=True, slots=True)
class OutcomesPreview:
    """What an import of outcomes would do: what each strategy gave under each model, and what is wrong with which line.

    `outcomes` has target model, strategy and accuracies (0 to 1); `replaced` and `other_rows` as in OutcomesReport.
    """

    outcomes: tuple[tuple[str, str, tuple[float, ...]], ...]
    replaced: int
    other_rows: int
    problems: tuple[str, ...]


def preview_outcomes(reader: sqlite3.Connection, path: Path, *, task: str, model: str | None = None) -> OutcomesPreview:
    """What `import_outcomes` would keep of a file, and every line for which it would keep nothing.

    Raises NotFoundError, UsageError or InputError where no line of the file can be taken.
    """
    found = _look_at(reader, path, _read(path), task, model)
    accuracies: dict[tuple[str, str], list[float]] = {}
    replaced = 0
    for row in found.rows:
        under = row.target_model or str(model)
        accuracies.setdefault((under, row.strategy), []).append(row.accuracy)
        values = (found.task, under, found.keys[row.strategy], row.seed)
        replaced += reader.execute(f"SELECT count(*) FROM outcomes WHERE {_SAME}", values).fetchone()[0]
    kept = tuple((under, name, tuple(values)) for (under, name), values in accuracies.items())
    return OutcomesPreview(kept, replaced, found.other_rows, tuple(str(problem) for problem in found.problems))


def import_outcomes(writer: Writer, path: Path, *, task: str, model: str | None = None) -> OutcomesReport:
    """Store a file's outcomes (strategy, seed, accuracy); those of the same model, strategy and seed are replaced.

    Columns target_model and task choose rows: those of this task, and of the `model`, or without one of every model.
    Raises NotFoundError, UsageError or InputError; then nothing is kept.
    """
    read = _read(path)
    with writer.transaction() as connection:
        found = _look_at(connection, path, read, task, model)
        _refuse(path, found.problems)
        replaced = sum(
            _store(connection, found.task, row.target_model or str(model), found.keys[row.strategy], row, path)
            for row in found.rows
        )
    models = tuple(dict.fromkeys(row.target_model or str(model) for row in found.rows))
    of = len({row.strategy for row in found.rows})
    return OutcomesReport(len(found.rows), replaced, models, of, found.other_rows)


def delete_outcomes(writer: Writer, task: str, model: str, strategy: str | None = None) -> int:
    """Take out a task's outcomes under a target model, of all its strategies or of one; how many they were.

    Raises NotFoundError where there are none.
    """
    with writer.transaction() as connection:
        found = task_by_name(connection, task)
        known = {each.name: each.id for each in strategies(connection, found.name)}
        wanted = [known[name] for name in known if strategy in (None, name)]
        marks = ",".join("?" * len(wanted))
        deleted = connection.execute(
            f"DELETE FROM outcomes WHERE task = ? AND model = ? AND strategy IN ({marks})", (found.id, model, *wanted)
        ).rowcount
        if not deleted:
            raise _nothing_to_delete(connection, task, model, strategy)
    return deleted


def outcomes(reader: sqlite3.Connection, task: str | None = None, model: str | None = None) -> list[StoredOutcome]:
    """The outcomes of strategies that the catalogue still holds; NotFoundError for a task that is not there."""
    conditions, values = ["s.deleted_at IS NULL AND t.deleted_at IS NULL"], []
    if task is not None:
        conditions.append("t.id = ?")
        values.append(str(task_by_name(reader, task).id))
    if model is not None:
        conditions.append("o.model = ?")
        values.append(model)
    rows = reader.execute(
        f"""SELECT t.name AS task, o.model, s.name AS strategy, o.seed, o.accuracy
            FROM outcomes o JOIN tasks t ON t.id = o.task JOIN strategies s ON s.id = o.strategy
            WHERE {" AND ".join(conditions)} ORDER BY t.name, o.model, s.name, o.seed""",
        values,
    )
    return [StoredOutcome(**dict(row)) for row in rows]


def outcome_counts(reader: sqlite3.Connection) -> dict[tuple[str, str], OutcomeCount]:
    """By task and target model, those of deleted strategies not counted."""
    rows = reader.execute(
        "SELECT tasks.name, model, count(*), max(outcomes.created_at) FROM outcomes"
        " JOIN tasks ON tasks.id = outcomes.task JOIN strategies ON strategies.id = outcomes.strategy"
        " WHERE strategies.deleted_at IS NULL AND tasks.deleted_at IS NULL GROUP BY outcomes.task, model"
    )
    return {(row[0], row[1]): OutcomeCount(row[2], row[3]) for row in rows}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a file has of a task: the rows that can be kept, what is wrong with others, and the row numbers."""

    task: int
    keys: Mapping[str, int]
    rows: tuple[OutcomeRow, ...]
    problems: tuple[InputError, ...]
    other_rows: int


def _read(path: Path) -> list[OutcomeRow | InputError]:
    # The app counts outcomes and starts without what reads files.
    from core.ingest.score_tables import outcome_rows

    return list(outcome_rows(path, columns=("strategy", "accuracy")))


def _look_at(
    connection: sqlite3.Connection, path: Path, lines: Sequence[OutcomeRow | InputError], task: str, model: str | None
) -> _Looked:
    found = task_by_name(connection, task)
    keys = {strategy.name: strategy.id for strategy in strategies(connection, found.name)}
    read = [line if isinstance(line, InputError) else _unguarded(line, found, keys) for line in lines]
    rows = [row for row in read if not isinstance(row, InputError)]
    chosen = _chosen(path, rows, found, model) if rows else []
    unknown = {row.line for row in chosen if row.strategy not in keys}
    problems = tuple(
        each if isinstance(each, InputError) else _unknown(path, found, each, keys)
        for each in read
        if isinstance(each, InputError) or each.line in unknown
    )
    kept = tuple(row for row in chosen if row.strategy in keys)
    return _Looked(found.id, keys, kept, problems, len(rows) - len(chosen))


def _unguarded(row: OutcomeRow, task: Task, keys: Mapping[str, int]) -> OutcomeRow:
    """The row with the names that the catalogue has, where a file for spreadsheets guards them."""
    of = row.task and known_text(row.task, (task.name,))
    return replace(row, task=of, strategy=known_text(row.strategy, keys))


def _refuse(path: Path, problems: Sequence[InputError]) -> None:
    """Raises the only problem, or InputError with the first 100 as its details."""
    from core.store.staging import MAX_MESSAGES

    if len(problems) == 1:
        raise problems[0]
    if problems:
        what = "all" if len(problems) <= MAX_MESSAGES else f"{MAX_MESSAGES} of them"
        raise InputError(
            f"Bad lines: {visible(path.name)} {len(problems):,}; {what} named above.",
            "Nothing was kept. Mend it.",
            [str(problem) for problem in problems[:MAX_MESSAGES]],
        )


def _chosen(path: Path, rows: Sequence[OutcomeRow], task: Task, model: str | None) -> list[OutcomeRow]:
    """The rows of this task and model. Raises UsageError without any model, InputError where there is no such row."""
    if model is None and any(row.target_model is None for row in rows):
        raise UsageError(f"{visible(path.name)} has no column target_model.", "Name the model: --model NAME")
    of_task = [row for row in rows if row.task in (None, task.name)]
    chosen = [row for row in of_task if model is None or row.target_model in (None, model)]
    if not chosen:
        raise _nothing_chosen(path, rows, task.name, model)
    return chosen


def _unknown(path: Path, task: Task, row: OutcomeRow, keys: Mapping[str, int]) -> InputError:
    near = difflib.get_close_matches(row.strategy, list(keys), n=2)
    return InputError(
        f"{visible(path.name)}:{row.line}: the task {visible(task.name)!r} has no strategy "
        f"{visible(row.strategy)!r}; nothing was kept.",
        f"Did you mean {' or '.join(repr(visible(name)) for name in near)}?"
        if near
        else "Import its responses first, or leave out the row.",
    )


def _store(connection: sqlite3.Connection, task: int, model: str, strategy: int, row: OutcomeRow, path: Path) -> bool:
    """Whether an earlier outcome was replaced."""
    key = (task, model, strategy, row.seed)
    replaced = connection.execute(f"DELETE FROM outcomes WHERE {_SAME}", key).rowcount
    connection.execute(
        "INSERT INTO outcomes (task, model, strategy, seed, accuracy, source, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*key, row.accuracy, visible(str(path.absolute())), time.time()),
    )
    return bool(replaced)


def _nothing_chosen(path: Path, rows: Sequence[OutcomeRow], task: str, model: str | None) -> InputError:
    held = dict.fromkeys(f"{row.task or task} under {row.target_model or model}" for row in rows)
    wanted = f"{task} under {model}" if model else task
    return InputError(
        f"{visible(path.name)} has no outcome of {visible(wanted)}.",
        f"It has: {visible(', '.join(list(held)[:4]))}{', …' if len(held) > 4 else ''}.",
    )


def _nothing_to_delete(connection: sqlite3.Connection, task: str, model: str, strategy: str | None) -> NotFoundError:
    held = dict.fromkeys(f"{each.strategy} under {each.model}" for each in outcomes(connection, task))
    of = f"{strategy} under {model}" if strategy else model
    return NotFoundError(
        f"The task {visible(task)!r} has no outcome of {visible(of)}.",
        f"It has: {visible(', '.join(list(held)[:4]))}{', …' if len(held) > 4 else ''}." if held else "It has none.",
    )
