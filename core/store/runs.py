"""Runs as rows: making them, reading them, and the wishes (pause, cancel, resume) that users leave on them."""

from __future__ import annotations

import functools
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from core import clock
from core.domain import Event, Identity, Run, RunRequest, RunState, ScoreSpec, Target
from core.errors import NotFoundError, SapError, UsageError

STALLED_SECONDS = 60.0
STALLED_CHUNKS = 10
FIRST_CHUNK_SECONDS = 900.0
# Reading large weights from a slow disk gives no sign of life between its steps.
LOADING_PHASES = ("loading", "rewarding")
LOADING_FACTOR = 4
INTERRUPTED = "interrupted"
OWNER_GONE = "its process is gone"
DISK_FULL = "disk full"
FULL_BYTES = 1 << 20

IsGone = Callable[[Identity], bool]
"""Whether the very process is known to live no more."""

_SELECT = """
SELECT runs.*, tasks.name AS task_name, targets.name AS model_name, specs.weights_digest AS weights,
       (SELECT count(*) FROM run_questions WHERE run = runs.id) AS question_count,
       CASE runs.state WHEN 'running' THEN (SELECT max(tokens) FROM chunks WHERE run = runs.id) END AS largest_chunk,
       (SELECT json_group_array(name) FROM (
            SELECT strategies.name FROM run_strategies JOIN strategies ON strategies.id = run_strategies.strategy
            WHERE run_strategies.run = runs.id ORDER BY run_strategies.position)) AS strategy_names
FROM runs JOIN tasks ON tasks.id = runs.task AND tasks.deleted_at IS NULL AND runs.deleted_at IS NULL
JOIN targets ON targets.id = runs.target
JOIN specs ON specs.id = runs.spec
"""


def runs(reader: sqlite3.Connection, *, limit: int = 200, is_gone: IsGone | None = None) -> list[Run]:
    """The newest runs, newest first. With `is_gone` those whose process is gone are shown as interrupted."""
    rows = reader.execute(f"{_SELECT} ORDER BY runs.id DESC LIMIT ?", (limit,)).fetchall()
    return [_seen(reader, _run(row), is_gone) for row in rows]


def run_by_id(reader: sqlite3.Connection, number: int, is_gone: IsGone | None = None) -> Run:
    """Raises NotFoundError when there is no run of that number. With `is_gone` as `runs`."""
    row = reader.execute(f"{_SELECT} WHERE runs.id = ?", (number,)).fetchone()
    if row is None:
        raise NotFoundError(f"There is no run {number}.", "See them with: sap-tui runs")
    return _seen(reader, _run(row), is_gone)


def last_run(reader: sqlite3.Connection) -> Run:
    """The run made last. Raises NotFoundError when there is none yet."""
    row = reader.execute(f"{_SELECT} ORDER BY runs.id DESC LIMIT 1").fetchone()
    if row is None:
        raise NotFoundError("There is no run yet.", "Start one: sap-tui score --task NAME --model MODEL")
    return _run(row)


def fullest_run(found: Iterable[Run], strategies: Collection[str]) -> Run | None:
    """The finished run that scored the most of these strategies, of equals the newest; None where none finished."""
    done = [run for run in found if run.state is RunState.DONE]
    return max(done, key=lambda run: (len(set(run.strategies).intersection(strategies)), run.id), default=None)


def unfinished_runs(reader: sqlite3.Connection) -> list[Run]:
    """Queued and running runs, oldest first."""
    rows = reader.execute(f"{_SELECT} WHERE runs.state IN ('queued', 'running') ORDER BY runs.id")
    return [_run(row) for row in rows]


def events(reader: sqlite3.Connection, run: int, *, limit: int = 200) -> list[Event]:
    """The newest events of a run, oldest of them first."""
    rows = reader.execute(
        "SELECT id, run, at, level, text FROM events WHERE run = ? ORDER BY id DESC LIMIT ?", (run, limit)
    ).fetchall()
    return [Event(**dict(row)) for row in reversed(rows)]


def scope_questions(reader: sqlite3.Connection, run: int) -> tuple[int, ...]:
    """The questions of a run in the order in which they are scored."""
    rows = reader.execute("SELECT question FROM run_questions WHERE run = ? ORDER BY position", (run,))
    return tuple(row[0] for row in rows)


def common_questions(reader: sqlite3.Connection, strategies: Sequence[int]) -> list[int]:
    """Questions that all the strategies answered, in task order."""
    marks = ",".join("?" * len(strategies))
    rows = reader.execute(
        f"SELECT questions.id FROM responses JOIN questions ON questions.id = responses.question"
        f" WHERE responses.strategy IN ({marks}) GROUP BY questions.id"
        f" HAVING count(*) = ? ORDER BY questions.position",
        (*strategies, len(strategies)),
    )
    return [row[0] for row in rows]


def choose_questions(
    reader: sqlite3.Connection, strategies: Sequence[int], samples: int | None, seed: int | None
) -> list[int]:
    """The first `samples` common questions, or that many drawn with the seed and put back in task order."""
    common = common_questions(reader, strategies)
    if not common:
        raise SapError("The chosen strategies have no question in common.", "Import them with equal ids or questions.")
    if samples is None or samples >= len(common):
        return common
    if seed is None:
        return common[:samples]
    chosen = set(random.Random(seed).sample(common, samples))
    return [question for question in common if question in chosen]


def create_run(
    connection: sqlite3.Connection,
    *,
    task: int,
    request: RunRequest,
    target: Target,
    spec: ScoreSpec,
    strategies: Sequence[int],
    questions: Sequence[int],
) -> int:
    """Queue a run inside the caller's transaction; returns its number."""
    now = time.time()
    run = connection.execute(
        "INSERT INTO runs (task, spec, target, request, created_at) VALUES (?, ?, ?, ?, ?)",
        (task, spec_id(connection, spec), _target_id(connection, target), request.to_json(), now),
    ).lastrowid
    assert run is not None
    connection.executemany(
        "INSERT INTO run_strategies (run, strategy, position) VALUES (?, ?, ?)",
        [(run, key, place) for place, key in enumerate(strategies)],
    )
    connection.executemany(
        "INSERT INTO run_questions VALUES (?, ?, ?)", [(run, place, key) for place, key in enumerate(questions)]
    )
    add_event(connection, run, "info", f"queued: {len(strategies)} strategies on {len(questions)} questions")
    return run


def spec_id(connection: sqlite3.Connection, spec: ScoreSpec) -> int:
    """The row number of a spec, made if it is new."""
    connection.execute(
        "INSERT INTO specs (digest, weights_digest, settings) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING",
        (spec.digest, spec.weights_digest, spec.to_json()),
    )
    known = known_spec(connection, spec)
    assert known is not None
    return known


def known_spec(reader: sqlite3.Connection, spec: ScoreSpec) -> int | None:
    """The row number of a spec; None where nothing was scored under it yet."""
    row = reader.execute("SELECT id FROM specs WHERE digest = ?", (spec.digest,)).fetchone()
    return None if row is None else int(row[0])


def spec_by_id(reader: sqlite3.Connection, spec: int) -> ScoreSpec:
    """The spec of this row number."""
    return ScoreSpec.from_json(reader.execute("SELECT settings FROM specs WHERE id = ?", (spec,)).fetchone()[0])


def _target_id(connection: sqlite3.Connection, target: Target) -> int:
    row = connection.execute(
        "INSERT INTO targets (name, path, revision, weights_digest, last_used_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (weights_digest, path) DO UPDATE SET name = excluded.name, last_used_at = excluded.last_used_at"
        " RETURNING id",
        (target.name, target.path, target.revision, target.weights_digest, time.time()),
    ).fetchone()
    return int(row[0])


def recent_models(reader: sqlite3.Connection, limit: int = 10) -> list[tuple[str, str]]:
    """Names and paths of the target models used last, newest first."""
    rows = reader.execute("SELECT name, path FROM targets ORDER BY last_used_at DESC LIMIT ?", (limit,))
    return [(row[0], row[1]) for row in rows]


def add_event(connection: sqlite3.Connection, run: int, level: str, text: str) -> None:
    connection.execute(
        "INSERT INTO events (run, at, level, text) VALUES (?, ?, ?, ?)", (run, time.time(), level, text[:2000])
    )


def wish_cancel(connection: sqlite3.Connection, number: int) -> None:
    """Ask for the end of a run; a queued one ends at once, scores that exist are kept."""
    run = run_by_id(connection, number)
    if run.state.ended:
        raise UsageError(f"Run {number} has ended already ({run.state}).", "Nothing to cancel.")
    state = RunState.CANCELLED if run.state is RunState.QUEUED else run.state
    ended = time.time() if state is RunState.CANCELLED else None
    connection.execute(
        "UPDATE runs SET want = 'cancel', state = ?, ended_at = ?, why = '' WHERE id = ?", (state, ended, number)
    )
    add_event(connection, number, "info", "cancelled by the user")


def wish_pause(connection: sqlite3.Connection, number: int) -> None:
    """Ask a run to stop after its chunk and to free the device; it stays in the queue."""
    run = run_by_id(connection, number)
    if run.state.ended:
        raise UsageError(f"Run {number} has ended already ({run.state}).", "Only queued and running runs can pause.")
    connection.execute("UPDATE runs SET want = 'pause', why = '' WHERE id = ?", (number,))
    add_event(connection, number, "info", "paused by the user")


def delay_start(connection: sqlite3.Connection, number: int, seconds: float, why: str) -> None:
    """Look at a queued run again only after a while; `why` is shown with it."""
    connection.execute(
        "UPDATE runs SET not_before = ?, not_before_boot = ?, why = ?, barren = 0 WHERE id = ? AND state = 'queued'",
        (clock.since_boot() + seconds, clock.boot_id(), why, number),
    )


def wish_resume(connection: sqlite3.Connection, number: int) -> None:
    """Put a paused, interrupted, failed or cancelled run back into the queue; nothing is scored twice."""
    run = run_by_id(connection, number)
    if run.state is RunState.DONE:
        raise UsageError(f"Run {number} is done.", f"See it: sap-tui rank {number}")
    state = RunState.RUNNING if run.state is RunState.RUNNING else RunState.QUEUED
    connection.execute(
        "UPDATE runs SET want = 'run', state = ?, why = '', barren = 0, not_before = 0, ended_at = NULL WHERE id = ?",
        (state, number),
    )
    connection.execute("UPDATE chunks SET tries = 0 WHERE run = ? AND fence IS NULL AND tries > 0", (number,))
    connection.execute("UPDATE runs SET answer_tries = 0 WHERE id = ?", (number,))
    connection.execute("DELETE FROM unanswered WHERE run = ?", (number,))
    add_event(connection, number, "info", "resumed by the user")


def _run(row: sqlite3.Row) -> Run:
    import json

    owner = None if row["pid"] is None else Identity(row["host"], row["boot"], row["pid"], row["pid_start"])
    state = RunState(row["state"])
    plain = {
        name: row[name]
        for name in (
            "id", "want", "phase", "why", "fence", "attempt", "done", "total", "errors", "reused", "phase_done",
            "phase_total", "tokens_done", "tokens_total", "tokens_per_second", "token_budget", "peak_memory", "device",
            "engine", "log", "spec", "beat_at", "created_at", "started_at", "ended_at",
        )
    }  # fmt: skip
    return Run(
        **plain,
        task=row["task_name"],
        model=row["model_name"],
        request=_request(row["request"]),
        state=state,
        shown=_shown(row, state),
        weights_digest=row["weights"],
        strategies=tuple(json.loads(row["strategy_names"])),
        questions=row["question_count"],
        owner=owner,
    )


@functools.lru_cache(maxsize=256)
def _request(text: str) -> RunRequest:
    return RunRequest.from_json(text)


def _seen(reader: sqlite3.Connection, run: Run, is_gone: IsGone | None) -> Run:
    if run.state is not RunState.RUNNING or run.owner is None or is_gone is None or not is_gone(run.owner):
        return run
    # It may have ended as it should between the reading of its row and the look at its process.
    again = run_by_id(reader, run.id)
    if again.state is not RunState.RUNNING or again.fence != run.fence:
        return again
    return replace(again, shown=INTERRUPTED, why=again.why or OWNER_GONE, phase="")


def _shown(row: sqlite3.Row, state: RunState) -> str:
    """The derived word: paused, interrupted, waiting and stalled are states of nothing stored."""
    if state is RunState.QUEUED and row["want"] == "pause":
        return INTERRUPTED if row["why"].startswith(INTERRUPTED) else "paused"
    if state is RunState.QUEUED and (clock.age(row["not_before_boot"], row["not_before"]) or 0) < 0:
        return "waiting"
    if state is not RunState.RUNNING:
        return str(state)
    if row["want"] != "run":
        return "pausing" if row["want"] == "pause" else "cancelling"
    if row["why"].startswith(DISK_FULL):
        return "waiting"
    if (clock.age(row["boot"], row["beat_at"]) or 0) > _patience_seconds(row):
        return "waiting" if _disk_is_full(row) else "stalled"
    return str(state)


def _disk_is_full(row: sqlite3.Row) -> bool:
    """A scorer on a full disk may not even be able to say so; its log lies beside the catalogue."""
    try:
        return bool(row["log"]) and shutil.disk_usage(Path(row["log"]).parent).free < FULL_BYTES
    except OSError:
        return False


def _patience_seconds(row: sqlite3.Row) -> float:
    """Ten times what the largest chunk takes at the run's speed, and a minute at least; longer while none is known."""
    if row["phase"] in LOADING_PHASES:
        return LOADING_FACTOR * FIRST_CHUNK_SECONDS
    if row["phase"] != "scoring" or row["tokens_per_second"] <= 0:
        return FIRST_CHUNK_SECONDS
    return max(STALLED_SECONDS, STALLED_CHUNKS * (row["largest_chunk"] or 0) / float(row["tokens_per_second"]))
