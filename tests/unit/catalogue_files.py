"""A catalogue of its own and files of responses for a test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from core.store.db import Writer, prepare


def new_catalogue(folder: Path) -> Path:
    path = folder / "catalogue.db"
    prepare(path)
    return path


def write_lines(path: Path, records: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def samples(numbers: Iterable[int], *, ids: bool = True, **more: object) -> list[dict[str, object]]:
    """One record a number: `question 3` with `response 3`, and the id 3."""
    return [
        {**({"id": number} if ids else {}), "question": f"question {number}", "response": f"response {number}", **more}
        for number in numbers
    ]


def add_run(writer: Writer, task: str, strategy: int) -> None:
    """A finished run that scored this strategy."""
    with writer.transaction() as connection:
        (task_id,) = connection.execute("SELECT id FROM tasks WHERE name = ?", (task,)).fetchone()
        connection.execute("INSERT INTO specs (id, digest, weights_digest, settings) VALUES (1, 'd', 'w', '{}')")
        connection.execute(
            "INSERT INTO targets (id, name, path, weights_digest, last_used_at) VALUES (1, 'm', '/m', 'w', 0)"
        )
        connection.execute(
            "INSERT INTO runs (id, task, spec, target, request, created_at) VALUES (1, ?, 1, 1, '{}', 0)", (task_id,)
        )
        connection.execute("INSERT INTO run_strategies (run, strategy, position) VALUES (1, ?, 0)", (strategy,))
