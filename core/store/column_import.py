"""Importing score columns from files of other programs, and deleting them."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError, NotFoundError, UsageError
from core.ingest.records import BadLine, bad_line, quoted
from core.ingest.score_values import ScoreValue, score_values
from core.spreadsheet import known_text
from core.store.catalogue import task_by_name
from core.store.db import Writer
from core.store.score_columns import REWARD, ScoreColumn, score_columns
from core.store.staging import BadLines, refuse
from core.text import visible

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
# What rankings and files of outcomes call their own columns.
_RESERVED = (
    "rank", "strategy", "n", "p_best", "mean_tokens", "share_right", "same_family", "tokens", "right", "accuracy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnImport:
    """What an import did: values stored, of how many strategies, and how many earlier values they replaced."""

    column: ScoreColumn
    stored: int
    strategies: int
    replaced: int


def import_column(
    writer: Writer,
    path: Path,
    *,
    task: str,
    name: str,
    metrics: Collection[str],
    direction: str | None = None,
    strategy: str | None = None,
) -> ColumnImport:
    """Store a file's values under a name; those that the column has of the same strategies already are replaced.

    `metrics` are the ids of metrics, which the name must not be; `reward` is taken as the rewards of the responses.
    `strategy` is whose values they are where the file names none. Raises UsageError, NotFoundError or InputError;
    then nothing is kept.
    """
    _check_name(name, metrics, direction)
    found = list(score_values(path))
    with writer.transaction() as connection:
        task_id = task_by_name(connection, task).id
        column = _find_or_add(connection, task_id, name, direction, visible(str(path.absolute())))
        values = _resolved(found, path, _Resolver(connection, task_id, strategy))
        touched = {row[0] for row in values}
        marks = ",".join("?" * len(touched))
        replaced = connection.execute(
            f"DELETE FROM column_values WHERE score_column = ? AND strategy IN ({marks})", (column, *touched)
        ).rowcount
        connection.executemany(
            "INSERT INTO column_values (score_column, strategy, question, value, weight) VALUES (?, ?, ?, ?, ?)",
            [(column, *row) for row in values],
        )
        changed = (visible(str(path.absolute())), time.time(), column)
        connection.execute("UPDATE score_columns SET source = ?, created_at = ? WHERE id = ?", changed)
        stored = next(each for each in score_columns(connection, task) if each.id == column)
    return ColumnImport(stored, len(values), len(touched), replaced)


def delete_column(writer: Writer, task: str, name: str) -> None:
    """Take a column and its values out. Raises NotFoundError."""
    with writer.transaction() as connection:
        task_id = task_by_name(connection, task).id
        if not connection.execute("DELETE FROM score_columns WHERE task = ? AND name = ?", (task_id, name)).rowcount:
            known = ", ".join(column.name for column in score_columns(connection, task)) or "none"
            raise NotFoundError(f"The task {task!r} has no column {name!r}.", f"Its columns: {known}.")


def _check_name(name: str, metrics: Collection[str], direction: str | None) -> None:
    if not _NAME.fullmatch(name) or name in _RESERVED or name.endswith(("_low", "_high")):
        raise UsageError(
            f"{quoted(name)} cannot be a column's name.",
            "Take a letter, then letters, digits, '_', '.' or '-', at most 40, and no column of the ranking's own.",
        )
    if name == REWARD and direction == "lower":
        raise UsageError("Rewards are better when they are higher.", "Give the column another name.")
    if name in metrics and name != REWARD:
        raise UsageError(f"There is a metric '{name}' already.", "Give the column another name.")


def _find_or_add(connection: sqlite3.Connection, task: int, name: str, direction: str | None, source: str) -> int:
    wanted = direction or ("higher" if name == REWARD else "lower")
    row = connection.execute("SELECT id, direction FROM score_columns WHERE task = ? AND name = ?", (task, name))
    found = row.fetchone()
    if found is None:
        added = connection.execute(
            "INSERT INTO score_columns (task, name, direction, source, created_at) VALUES (?, ?, ?, ?, ?)",
            (task, name, wanted, source, time.time()),
        )
        return int(added.lastrowid or 0)
    if direction and found["direction"] != direction:
        raise UsageError(
            f"The column '{name}' is there already, with {found['direction']} as better.",
            "Leave --direction out, or delete the column first with --delete.",
        )
    return int(found["id"])


def _resolved(
    found: Sequence[ScoreValue | BadLine], path: Path, resolver: _Resolver
) -> list[tuple[int, int, float, float]]:
    """Strategy, question, value and weight of every value in the file; InputError for those that have no place."""
    bad = BadLines(path)
    values: dict[tuple[int, int], ScoreValue] = {}
    for each in found:
        if isinstance(each, BadLine):
            bad.add(each)
            continue
        place = resolver.place(each)
        if isinstance(place, BadLine):
            bad.add(place)
        elif place in values:
            first = values[place].line
            bad.add(
                bad_line(each.line, f"a value of {quoted(each.id)} for this strategy stands in line {first} already")
            )
        else:
            values[place] = each
    refuse([bad], "Mend it.")
    resolver.check_complete(path, len(values))
    return [(*place, each.value, each.weight) for place, each in values.items()]


class _Resolver:
    """Finds the strategy and the question of a value."""

    def __init__(self, connection: sqlite3.Connection, task: int, strategy: str | None) -> None:
        self._given = strategy
        rows = connection.execute("SELECT name, id FROM strategies WHERE task = ? AND deleted_at IS NULL", (task,))
        self._strategies = {row[0]: int(row[1]) for row in rows}
        rows = connection.execute("SELECT key, id FROM questions WHERE task = ? AND key IS NOT NULL", (task,))
        self._questions = {row[0]: int(row[1]) for row in rows}
        self._connection = connection
        self._in_file_order: list[int] = []
        if strategy is not None:
            if strategy not in self._strategies:
                raise NotFoundError(f"The task has no strategy {quoted(strategy)}.", self._known())
            rows = connection.execute(
                "SELECT question FROM responses WHERE strategy = ? ORDER BY id", (self._strategies[strategy],)
            )
            self._in_file_order = [int(row[0]) for row in rows]
        self._counted = False

    def place(self, value: ScoreValue) -> tuple[int, int] | BadLine:
        """Row numbers of strategy and question, or what is wrong."""
        name = known_text(value.strategy, self._strategies) or self._given
        if not name:
            raise UsageError("The file does not say which strategy its values are of.", "Name it with --strategy.")
        if self._given and name != self._given:
            return bad_line(value.line, f"the strategy is {quoted(name)}, not {quoted(self._given)}")
        if name not in self._strategies:
            return bad_line(value.line, f"the task has no strategy {quoted(name)}")
        if value.id is None:
            self._counted = True
            if value.place >= len(self._in_file_order):
                return bad_line(
                    value.line, f"more values than the {len(self._in_file_order)} responses of the strategy"
                )
            return self._strategies[name], self._in_file_order[value.place]
        key = known_text(value.id, self._questions)
        if key not in self._questions:
            return bad_line(value.line, f"the task has no question with the id {quoted(value.id)}")
        return self._strategies[name], self._questions[key]

    def check_complete(self, path: Path, values: int) -> None:
        """Raises InputError where there is no value, or where a list without ids is not as long as the strategy."""
        if not values:
            raise InputError(f"{visible(path.name)} holds no values.", "Check how it was made.")
        if self._counted and values != len(self._in_file_order):
            raise InputError(
                f"{visible(path.name)} has {values} values, but the strategy {len(self._in_file_order)} responses.",
                "A list without ids must have one value for every response, in the order of the imported file.",
            )

    def _known(self) -> str:
        names = ", ".join(quoted(name) for name in sorted(self._strategies)[:12])
        return f"Its strategies: {names}." if names else "It has no strategies."
