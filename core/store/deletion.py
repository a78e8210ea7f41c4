"""Deleting strategies, tasks and runs so that it can be undone: they are hidden first, and swept some days later.

A hidden task has its id in front of its name, so that the name is free and no reader finds the task by it. Scores
belong to what was scored and stay, whatever is deleted.
"""

from __future__ import annotations

import difflib
import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from core.domain import Run, Strategy, Task
from core.errors import NotFoundError, SapError, UsageError
from core.store.catalogue import strategy_by_name, task_by_name
from core.store.db import Writer
from core.store.runs import run_by_id
from core.store.strategies import IS_REFERRED_TO, IS_VALID_SET, check_name, sweep_questions, update_strategy

KEPT_SECONDS = 7 * 86_400.0
# No name that a user gives holds a control character.
_HIDDEN_NAME = "char(127) || id || ' ' || name"
_SHOWN_NAME = "substr(tasks.name, instr(tasks.name, ' ') + 1)"


# A strategy whose name was given again, as by an import that replaced it, would not come back, nor would such a task.
_LAST_DELETED = f"""
SELECT 'task' AS kind, {_SHOWN_NAME} AS task, '' AS strategy, 0 AS run, deleted_at AS at FROM tasks
WHERE deleted_at IS NOT NULL AND {_SHOWN_NAME} NOT IN (SELECT name FROM tasks WHERE deleted_at IS NULL)
UNION ALL
SELECT 'strategy', tasks.name, gone.name, 0, gone.deleted_at
FROM strategies gone JOIN tasks ON tasks.id = gone.task
WHERE gone.deleted_at IS NOT NULL AND tasks.deleted_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM strategies WHERE task = gone.task AND name = gone.name AND deleted_at IS NULL)
UNION ALL
SELECT 'run', tasks.name, '', runs.id, runs.deleted_at FROM runs JOIN tasks ON tasks.id = runs.task
WHERE runs.deleted_at IS NOT NULL AND tasks.deleted_at IS NULL
ORDER BY at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Deleted:
    """Something that can be brought back: a task, a strategy of it (`strategy` is its name) or a run of it (`run`)."""

    kind: Literal["task", "strategy", "run"]
    task: str
    strategy: str
    run: int
    at: float


def last_deleted(reader: sqlite3.Connection) -> Deleted | None:
    """What was deleted last of all that can be brought back; a task that went with its last strategy is a task."""
    row = reader.execute(_LAST_DELETED).fetchone()
    return Deleted(**dict(row)) if row else None


def delete_strategy(writer: Writer, task: str, name: str) -> None:
    """Hide a strategy; a task that holds nothing else goes with it. Raises NotFoundError."""
    with writer.transaction() as connection:
        strategy = strategy_by_name(connection, task, name)
        now = time.time()
        update_strategy(connection, strategy.id, {"deleted_at": now})
        task_id = task_by_name(connection, task).id
        holds_more = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM strategies WHERE task = :task AND deleted_at IS NULL)"
            " OR EXISTS (SELECT 1 FROM runs WHERE task = :task AND deleted_at IS NULL)",
            {"task": task_id},
        ).fetchone()[0]
        if not holds_more:
            _hide_task(connection, task_id, now)


def restore_strategy(writer: Writer, task: str, name: str) -> Strategy:
    """Bring back the strategy of this name that was deleted last, and the task if it went with it.

    Raises NotFoundError, or SapError when the name was given to another meanwhile.
    """
    with writer.transaction() as connection:
        rows = connection.execute(
            f"SELECT strategies.id, strategies.name, tasks.id AS task, tasks.deleted_at FROM strategies"
            f" JOIN tasks ON tasks.id = strategies.task"
            f" WHERE strategies.deleted_at IS NOT NULL AND (tasks.name = :task AND tasks.deleted_at IS NULL"
            f" OR {_SHOWN_NAME} = :task AND tasks.deleted_at = strategies.deleted_at)"
            f" ORDER BY strategies.deleted_at DESC",
            {"task": task},
        ).fetchall()
        found = next((row for row in rows if row["name"] == name), None)
        if found is None:
            raise _nothing_deleted(f"strategy {name!r} of the task {task!r}", name, [row["name"] for row in rows])
        if found["deleted_at"] is not None:
            _show_task(connection, found["task"], task)
        if connection.execute(
            "SELECT 1 FROM strategies WHERE task = ? AND name = ? AND deleted_at IS NULL", (found["task"], name)
        ).fetchone():
            raise SapError(f"The task {task} has a strategy {name} again.", "Rename that one first.")
        update_strategy(connection, found["id"], {"deleted_at": None})
        return strategy_by_name(connection, task, name)


def rename_task(writer: Writer, name: str, new_name: str) -> Task:
    """Raises NotFoundError, UsageError for a bad name, or SapError when it is taken."""
    check_name("task", new_name)
    with writer.transaction() as connection:
        task = task_by_name(connection, name)
        if new_name != name:
            _check_free(connection, new_name)
            connection.execute("UPDATE tasks SET name = ? WHERE id = ?", (new_name, task.id))
        return task_by_name(connection, new_name)


def delete_task(writer: Writer, name: str) -> None:
    """Hide a task with its strategies and runs. Raises NotFoundError, or SapError while it has unfinished runs."""
    with writer.transaction() as connection:
        task = task_by_name(connection, name)
        rows = connection.execute(
            "SELECT id FROM runs WHERE task = ? AND state IN ('queued', 'running') AND deleted_at IS NULL ORDER BY id",
            (task.id,),
        ).fetchall()
        if rows:
            numbers = ", ".join(str(row[0]) for row in rows)
            raise SapError(
                f"The task {name} has unfinished runs: {numbers}.", f"Cancel them first: sap-tui cancel {rows[0][0]}"
            )
        _hide_task(connection, task.id, time.time())


def restore_task(writer: Writer, name: str) -> Task:
    """Bring back the task of this name that was deleted last. Raises NotFoundError, or SapError when it is taken."""
    with writer.transaction() as connection:
        rows = connection.execute(
            f"SELECT id, {_SHOWN_NAME} AS name FROM tasks WHERE deleted_at IS NOT NULL ORDER BY deleted_at DESC"
        ).fetchall()
        found = next((row for row in rows if row["name"] == name), None)
        if found is None:
            raise _nothing_deleted(f"task {name!r}", name, [row["name"] for row in rows])
        # What went away at the same moment was deleted as the last thing that the task held.
        connection.execute(
            "UPDATE strategies SET deleted_at = NULL WHERE task = :task"
            " AND deleted_at = (SELECT deleted_at FROM tasks WHERE id = :task)",
            {"task": found["id"]},
        )
        _show_task(connection, found["id"], name)
        return task_by_name(connection, name)


def delete_run(writer: Writer, number: int) -> None:
    """Hide a run that has ended. Raises NotFoundError, or UsageError for a run that has not."""
    with writer.transaction() as connection:
        run = run_by_id(connection, number)
        if not run.state.ended:
            raise UsageError(f"Run {number} has not ended ({run.shown}).", f"Cancel it first: sap-tui cancel {number}")
        connection.execute("UPDATE runs SET deleted_at = ? WHERE id = ?", (time.time(), number))


def restore_run(writer: Writer, number: int) -> Run:
    """Bring back a deleted run. Raises NotFoundError."""
    with writer.transaction() as connection:
        changed = connection.execute(
            "UPDATE runs SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL", (number,)
        ).rowcount
        if not changed:
            raise NotFoundError(f"There is no deleted run {number}.", "See the others with: sap-tui runs")
        return run_by_id(connection, number)


def deleted_tasks(reader: sqlite3.Connection) -> list[str]:
    """The names of tasks that can be brought back, the one deleted last first."""
    rows = reader.execute(
        f"SELECT {_SHOWN_NAME} FROM tasks WHERE deleted_at IS NOT NULL ORDER BY deleted_at DESC, id DESC"
    )
    return [row[0] for row in rows]


def sweep_deleted(writer: Writer, before: float | None = None) -> None:
    """Remove for good what was deleted before that time, by default a week ago; what a run refers to stays with it."""
    before = time.time() - KEPT_SECONDS if before is None else before
    with writer.transaction() as connection:
        old = {"before": before}
        connection.execute(
            "DELETE FROM runs WHERE deleted_at < :before"
            " OR task IN (SELECT id FROM tasks WHERE deleted_at < :before)", old
        )  # fmt: skip
        tasks = connection.execute(
            "SELECT DISTINCT task FROM strategies WHERE deleted_at < :before", old
        ).fetchall()  # fmt: skip
        connection.execute(
            f"DELETE FROM strategies WHERE deleted_at < :before AND NOT {IS_REFERRED_TO}", old
        )  # fmt: skip
        connection.execute(
            "DELETE FROM tasks WHERE deleted_at < :before"
            f" AND NOT EXISTS (SELECT 1 FROM strategies WHERE task = tasks.id AND {IS_VALID_SET})", old
        )  # fmt: skip
        for row in tasks:
            sweep_questions(connection, row[0])


def _hide_task(connection: sqlite3.Connection, task: int, now: float) -> None:
    connection.execute(f"UPDATE tasks SET deleted_at = ?, name = {_HIDDEN_NAME} WHERE id = ?", (now, task))


def _show_task(connection: sqlite3.Connection, task: int, name: str) -> None:
    _check_free(connection, name)
    connection.execute("UPDATE tasks SET deleted_at = NULL, name = ? WHERE id = ?", (name, task))


def _check_free(connection: sqlite3.Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM tasks WHERE name = ?", (name,)).fetchone():
        raise SapError(f"There is a task {name} already.", "Choose another name, or rename that one first.")


def _nothing_deleted(what: str, name: str, names: list[str]) -> NotFoundError:
    near = difflib.get_close_matches(name, names, n=3) or names[:3]
    hint = f"Deleted ones: {', '.join(map(repr, near))}" if near else "Nothing that was deleted is left."
    return NotFoundError(f"There is no deleted {what}.", hint)
