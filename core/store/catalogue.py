"""Reading tasks, questions, strategies and responses."""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.domain import Question, Response, RunRequest, Strategy, Task, Turn
from core.errors import NotFoundError

_TASKS = """
SELECT t.id, t.name, (SELECT count(*) FROM questions q WHERE q.task = t.id) AS questions FROM tasks t
WHERE t.deleted_at IS NULL
"""
_STRATEGIES = """
SELECT s.id, t.name AS task, s.name, s.teacher, s.prompt, s.note, s.tags, s.source, s.responses, s.updated_at
FROM strategies s JOIN tasks t ON t.id = s.task WHERE s.deleted_at IS NULL AND t.deleted_at IS NULL
"""
_QUESTIONS = "SELECT id, position, key, turns, answer FROM questions"


@dataclass(frozen=True, slots=True)
class Sample:
    """A question with one strategy's response to it."""

    question: Question
    response: Response


def tasks(reader: sqlite3.Connection) -> list[Task]:
    """All tasks by name."""
    return [Task(**row) for row in reader.execute(f"{_TASKS} ORDER BY t.name")]


def task_by_name(reader: sqlite3.Connection, name: str) -> Task:
    """Raises NotFoundError, with names that come near in its hint."""
    row = reader.execute(f"{_TASKS} AND t.name = ?", (name,)).fetchone()
    if row is None:
        names = (row["name"] for row in reader.execute("SELECT name FROM tasks WHERE deleted_at IS NULL"))
        hint = "Import a file first: sap-tui import FILE --task NAME"
        raise _not_found(f"There is no task {name!r}.", name, names, hint)
    return Task(**row)


def strategies(reader: sqlite3.Connection, task: str | None = None) -> list[Strategy]:
    """The strategies of one task, or of all, by task and name. Raises NotFoundError for a task that is not there."""
    if task is None:
        rows = reader.execute(f"{_STRATEGIES} ORDER BY t.name, s.name")
    else:
        rows = reader.execute(f"{_STRATEGIES} AND s.task = ? ORDER BY s.name", (task_by_name(reader, task).id,))
    return [_strategy(row) for row in rows]


def strategy_by_name(reader: sqlite3.Connection, task: str, name: str) -> Strategy:
    """Raises NotFoundError, with names that come near in its hint."""
    task_id = task_by_name(reader, task).id
    row = reader.execute(f"{_STRATEGIES} AND s.task = ? AND s.name = ?", (task_id, name)).fetchone()
    if row is None:
        names = (strategy.name for strategy in strategies(reader, task))
        raise _not_found(
            f"The task {task!r} has no strategy {name!r}.", name, names, f"See: sap-tui list --task {task}"
        )
    return _strategy(row)


def strategy_by_path(reader: sqlite3.Connection, path: str) -> int | None:
    """The row number of the strategy that TASK/STRATEGY names; None where there is none."""
    row = reader.execute(
        "SELECT strategies.id FROM strategies JOIN tasks ON tasks.id = strategies.task"
        " WHERE tasks.name || '/' || strategies.name = ? AND strategies.deleted_at IS NULL",
        (path,),
    ).fetchone()
    return None if row is None else int(row[0])


def valid_strategy(reader: sqlite3.Connection, request: RunRequest) -> int | None:
    """The row number of the strategy of a run's trusted pairs, whatever it is called now; None where it has none."""
    return strategy_by_path(reader, request.valid) if request.valid_strategy is None else request.valid_strategy


def valid_path(reader: sqlite3.Connection, request: RunRequest) -> str:
    """The TASK/STRATEGY that names a run's trusted pairs now; what named them then where they were deleted."""
    row = reader.execute(
        "SELECT tasks.name || '/' || strategies.name FROM strategies JOIN tasks ON tasks.id = strategies.task"
        " WHERE strategies.id = ? AND strategies.deleted_at IS NULL AND tasks.deleted_at IS NULL",
        (request.valid_strategy,),
    ).fetchone()
    return request.valid if row is None else str(row[0])


def questions_of(reader: sqlite3.Connection, task_id: int) -> Iterator[Question]:
    """The task's questions in its order."""
    for row in reader.execute(f"{_QUESTIONS} WHERE task = ? ORDER BY position", (task_id,)):
        yield _question(row)


def question(reader: sqlite3.Connection, question_id: int) -> Question:
    """Raises NotFoundError."""
    row = reader.execute(f"{_QUESTIONS} WHERE id = ?", (question_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"There is no question {question_id}.")
    return _question(row)


def response(reader: sqlite3.Connection, strategy_id: int, question_id: int) -> Response | None:
    """A strategy's response to a question, None where it has none."""
    row = reader.execute(
        "SELECT id, strategy, question, text FROM responses WHERE strategy = ? AND question = ?",
        (strategy_id, question_id),
    ).fetchone()
    return Response(**row) if row else None


def responses_page(reader: sqlite3.Connection, strategy_id: int, *, after: int = -1, limit: int = 100) -> list[Sample]:
    """The strategy's next responses in the task's order, behind the question with the position `after`."""
    rows = reader.execute(
        """SELECT q.id, q.position, q.key, q.turns, q.answer, r.id AS response, r.text
           FROM questions q JOIN responses r ON r.question = q.id AND r.strategy = :strategy
           WHERE q.task = (SELECT task FROM strategies WHERE id = :strategy) AND q.position > :after
           ORDER BY q.position LIMIT :limit""",
        {"strategy": strategy_id, "after": after, "limit": limit},
    )
    return [Sample(_question(row), Response(row["response"], strategy_id, row["id"], row["text"])) for row in rows]


def turns_from_json(text: str) -> tuple[Turn, ...]:
    """The turns that `canonical_turns` wrote."""
    return tuple(Turn(role, content) for role, content in json.loads(text))


def _question(row: sqlite3.Row) -> Question:
    return Question(row["id"], row["position"], row["key"], turns_from_json(row["turns"]), row["answer"])


def _strategy(row: sqlite3.Row) -> Strategy:
    return Strategy(**{**dict(row), "tags": tuple(json.loads(row["tags"]))})


def _not_found(message: str, name: str, names: Iterable[str], otherwise: str) -> NotFoundError:
    near = difflib.get_close_matches(name, list(names), n=3)
    return NotFoundError(message, f"Did you mean {' or '.join(map(repr, near))}?" if near else otherwise)
