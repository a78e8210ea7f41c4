"""Queueing runs and looking at them from outside, as a user's shell would."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core import clock
from core.domain import Run
from core.jobs.runner import Runner
from core.processes.launcher import RunnerLock
from core.store.check import problems
from core.store.db import Writer, open_reader
from core.store.runs import run_by_id
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue


def queue_run(catalogue: Path, model: Path, metrics: Sequence[str] = ("nll", "ppl"), **options: object) -> int:
    """Queue a run of the task `sums` on the CPU."""
    chosen = ScoreOptions(task="sums", model=str(model), metrics=tuple(metrics), device="cpu", **options)  # type: ignore[arg-type]
    submission = prepare_submission(open_reader(catalogue), chosen)
    with Writer(catalogue) as writer:
        return queue(writer, submission)


def start_scorer(catalogue: Path, run: int) -> subprocess.Popen[bytes]:
    """A scorer without a runner above it."""
    log = catalogue.with_suffix(".log")
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "core.scorer", str(catalogue), str(run), str(log)],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip


def run_now(catalogue: Path, run: int) -> Run:
    reader = open_reader(catalogue)
    try:
        return run_by_id(reader, run)
    finally:
        reader.close()


def assert_sound(catalogue: Path) -> None:
    reader = open_reader(catalogue)
    try:
        assert problems(reader) == []
    finally:
        reader.close()


def all_scores(catalogue: Path, run: int) -> list[tuple[object, ...]]:
    """Every score of a run with its per-token bytes, in the plan's order: equal lists are equal bit for bit."""
    reader = sqlite3.connect(catalogue)
    rows = reader.execute(
        "SELECT run_items.number, strategies.name, context_kind, run_items.state, scores.tokens, nll_sum, rank_sum,"
        " arrays FROM run_items JOIN runs ON runs.id = run_items.run"
        " JOIN strategies ON strategies.id = run_items.strategy"
        " LEFT JOIN scores ON scores.spec = runs.spec AND scores.context = run_items.context"
        " AND scores.response = run_items.response LEFT JOIN token_scores ON token_scores.score = scores.id"
        " WHERE run = ? ORDER BY number",
        (run,),
    ).fetchall()
    reader.close()
    return rows


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def supervise(catalogue: Path, done: Callable[[], bool], monkeypatch: pytest.MonkeyPatch, seconds: float = 60) -> None:
    """A runner in this process, for which every look is a minute later: what waits in the queue does not wait long."""
    lock = RunnerLock(catalogue)
    assert lock.held
    runner = Runner(catalogue, lock)
    looks = itertools.count()
    really = clock.since_boot
    monkeypatch.setattr(clock, "since_boot", lambda: really() + 60 * next(looks))
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "the runner did not get there"
        runner.step()
        time.sleep(0.02)
    monkeypatch.setattr(clock, "since_boot", really)
    runner.close()
    lock.release()
