"""Writing tasks and strategies: adding, editing, emptying."""

from __future__ import annotations

import json
import sqlite3
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from core.domain import Strategy
from core.errors import SapError, UsageError
from core.store.catalogue import strategy_by_name, task_by_name
from core.store.db import Writer

if TYPE_CHECKING:
    from sqlite_utils.db import Table

MAX_NAME_LENGTH = 120
IS_VALID_SET = "EXISTS (SELECT 1 FROM runs WHERE json_extract(request, '$.valid_strategy') = strategies.id)"
"""SQL: whether the trusted pairs of a run are those of this row of `strategies`."""
IS_REFERRED_TO = f"(EXISTS (SELECT 1 FROM run_strategies WHERE strategy = strategies.id) OR {IS_VALID_SET})"
"""SQL: whether a run refers to this row of `strategies`, which then has to stay."""


@dataclass(frozen=True, slots=True)
class StrategyFields:
    """What a user says about a strategy; None leaves a field as it is."""

    teacher: str | None = None
    prompt: str | None = None
    note: str | None = None
    tags: Sequence[str] | None = None

    def columns(self) -> dict[str, str]:
        texts = {"teacher": self.teacher, "prompt": self.prompt, "note": self.note}
        given = {name: text for name, text in texts.items() if text is not None}
        return given if self.tags is None else {**given, "tags": json.dumps(list(self.tags), ensure_ascii=False)}


def check_name(what: str, name: str) -> None:
    """Raises UsageError unless the name has 1 to 120 characters, none of them a control character."""
    if not name.strip():
        raise UsageError(f"The {what}'s name is empty.", "Give it a name.")
    if len(name) > MAX_NAME_LENGTH:
        raise UsageError(f"The {what}'s name has {len(name)} characters.", f"At most {MAX_NAME_LENGTH} are allowed.")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise UsageError(f"The {what}'s name {name!r} holds control characters.", "Give it another name.")


def add_strategy(writer: Writer, task: str, name: str, fields: StrategyFields | None = None) -> Strategy:
    """A strategy without responses yet; the task is made if it is new. Raises SapError when the name is taken."""
    check_name("task", task)
    check_name("strategy", name)
    with writer.transaction() as connection:
        task_id = find_or_add_task(connection, task)
        _check_free(connection, task_id, task, name)
        insert_strategy(connection, task_id, name, (fields or StrategyFields()).columns())
        return strategy_by_name(connection, task, name)


def edit_strategy(
    writer: Writer, task: str, name: str, fields: StrategyFields, *, new_name: str | None = None
) -> Strategy:
    """Change what is said about a strategy, or its name. Raises NotFoundError, or SapError when a name is taken."""
    columns = fields.columns()
    if new_name is not None and new_name != name:
        check_name("strategy", new_name)
        columns["name"] = new_name
    with writer.transaction() as connection:
        strategy = strategy_by_name(connection, task, name)
        if "name" in columns:
            _check_free(connection, task_by_name(connection, task).id, task, columns["name"])
        update_strategy(connection, strategy.id, columns)
        return strategy_by_name(connection, task, columns.get("name", name))


def retire_strategy(connection: sqlite3.Connection, strategy: int) -> bool:
    """Delete a strategy's row, or only mark it as deleted where runs refer to it; whether it was only marked."""
    if connection.execute(f"SELECT 1 FROM strategies WHERE id = ? AND {IS_REFERRED_TO}", (strategy,)).fetchone():
        update_strategy(connection, strategy, {"deleted_at": time.time()})
        return True
    connection.execute("DELETE FROM strategies WHERE id = ?", (strategy,))
    return False


def sweep_questions(connection: sqlite3.Connection, task: int) -> None:
    """Delete the questions that no response and no prediction refers to, and close the gaps in the task's order.

    A task that was scored keeps all its questions: their order decides which examples a prompt takes.
    """
    swept = connection.execute(
        """DELETE FROM questions WHERE task = :task AND NOT EXISTS (SELECT 1 FROM runs WHERE task = :task)
           AND NOT EXISTS (SELECT 1 FROM responses WHERE question = questions.id)
           AND id NOT IN (SELECT question FROM imported_predictions WHERE task = :task AND question IS NOT NULL)""",
        {"task": task},
    ).rowcount
    if swept:
        # By way of negative positions, so that no two questions ever share one.
        connection.execute("UPDATE questions SET position = -1 - position WHERE task = ?", (task,))
        connection.execute(
            """UPDATE questions SET position = ordered.position FROM (
                   SELECT id, row_number() OVER (ORDER BY position DESC) - 1 AS position
                   FROM questions WHERE task = :task) AS ordered
               WHERE questions.id = ordered.id""",
            {"task": task},
        )


def find_or_add_task(connection: sqlite3.Connection, name: str) -> int:
    """The id of the task with this name, which is made if it is new."""
    found = connection.execute("SELECT id FROM tasks WHERE name = ?", (name,)).fetchone()
    return int(found["id"]) if found else _insert(connection, "tasks", {"name": name, "created_at": time.time()})


def insert_strategy(connection: sqlite3.Connection, task: int, name: str, columns: Mapping[str, str]) -> int:
    """The id of a new strategy."""
    now = time.time()
    return _insert(
        connection, "strategies", {"task": task, "name": name, **columns, "created_at": now, "updated_at": now}
    )


def update_strategy(connection: sqlite3.Connection, strategy: int, columns: Mapping[str, object]) -> None:
    _table(connection, "strategies").update(strategy, {**columns, "updated_at": time.time()})


def _insert(connection: sqlite3.Connection, table: str, columns: Mapping[str, object]) -> int:
    return cast(int, _table(connection, table).insert(dict(columns)).last_pk)


def _table(connection: sqlite3.Connection, name: str) -> Table:
    from sqlite_utils import Database

    return Database(connection).table(name)


def _check_free(connection: sqlite3.Connection, task_id: int, task: str, name: str) -> None:
    taken = connection.execute(
        "SELECT 1 FROM strategies WHERE task = ? AND name = ? AND deleted_at IS NULL", (task_id, name)
    ).fetchone()
    if taken:
        raise SapError(f"The task {task} has a strategy {name} already.", "Choose another name, or edit that one.")
