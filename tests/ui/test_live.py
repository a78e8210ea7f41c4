"""Runs as they go: progress, states, wishes, and a cursor that follows the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.jobs.claim import claim_run
from core.store.db import Writer
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, change, value_of


async def test_a_run_at_work_shows_phase_share_speed_and_time_left(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        line = next(line for line in session.text().splitlines() if "#2" in line)
        for part in ("● scoring", "━", "31%", "0:05", "1,234", "30/96"):
            assert part in line, line
        await session.sees("1 running · 1 queued")


async def test_progress_moves_by_itself(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        change(running, "UPDATE runs SET done = 60, tokens_done = 6000 WHERE id = 2")
        await session.until(lambda: "60/96" in session.text())
        await session.sees("62%")


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("UPDATE runs SET phase = 'loading' WHERE id = 2", "● loading"),
        ("UPDATE runs SET phase = 'predicting', phase_done = 1, phase_total = 4 WHERE id = 2", "● predicting"),
        ("UPDATE runs SET beat_at = beat_at - 300 WHERE id = 2", "! stalled"),
        ("UPDATE runs SET phase = 'predicting', beat_at = beat_at - 1000 WHERE id = 2", "! stalled"),
        ("UPDATE runs SET pid_start = 1 WHERE id = 2", "! interrupted"),
        ("UPDATE runs SET host = 'elsewhere', pid_start = 1 WHERE id = 2", "● scoring"),
        ("UPDATE runs SET want = 'pause' WHERE id = 2", "‖ pausing"),
        ("UPDATE runs SET state = 'queued', want = 'pause' WHERE id = 2", "‖ paused"),
        ("UPDATE runs SET state = 'queued', want = 'pause', why = 'interrupted' WHERE id = 2", "! interrupted"),
        ("UPDATE runs SET state = 'queued', not_before = 1e12, not_before_boot = boot WHERE id = 2", "○ waiting"),
        ("UPDATE runs SET state = 'failed', why = 'the model is gone' WHERE id = 2", "✗ failed"),
        ("UPDATE runs SET state = 'cancelled' WHERE id = 2", "× cancelled"),
    ],
)
async def test_every_state_has_its_word(statement: str, shown: str, running: Path, opened: Opener) -> None:
    change(running, statement)
    async with opened(running, screen="live") as session:
        line = next(line for line in session.text().splitlines() if "#2" in line)
        assert shown in line
        assert "100%" not in line


async def test_why_a_run_failed_and_its_events_stand_in_the_pane(running: Path, opened: Opener) -> None:
    change(running, "UPDATE runs SET state = 'failed', why = 'the model is gone' WHERE id = 2")
    change(running, "INSERT INTO events (run, at, level, text) VALUES (2, 0, 'error', 'it broke')")
    async with opened(running, screen="live") as session:
        await session.press("g", "j")
        await session.until(lambda: "the model is gone" in session.text() and "it broke" in session.text())


async def test_only_wishes_that_make_sense_are_offered(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        await session.until(lambda: "x Cancel" in session.text().splitlines()[-1])
        footer = session.text().splitlines()[-1]
        assert "p Pause" in footer
        assert "R Resume" not in footer
        await session.press("G")
        await session.until(lambda: "x Cancel" not in session.text().splitlines()[-1])
        await session.press("x")
        assert value_of(running, "SELECT state FROM runs WHERE id = 1") == "done"


async def test_a_wish_starts_a_runner_and_says_what_happens(
    running: Path, opened: Opener, runner_starts: list[Path]
) -> None:
    async with opened(running, screen="live") as session:
        await session.press("p")
        await session.until(lambda: "Run 2 pauses after its chunk." in session.said)
        assert running in runner_starts
        await session.until(lambda: "‖ pausing" in session.text())


async def test_unfinished_runs_get_a_runner_when_none_lives(
    running: Path, opened: Opener, runner_starts: list[Path]
) -> None:
    async with opened(running) as session:
        await session.until(lambda: runner_starts)
    assert set(runner_starts) == {running}


async def test_paused_runs_need_no_runner(running: Path, opened: Opener, runner_starts: list[Path]) -> None:
    change(running, "UPDATE runs SET state = 'queued', want = 'pause' WHERE state IN ('queued', 'running')")
    async with opened(running, screen="live") as session:
        await session.until(lambda: "‖ paused" in session.text())
        assert runner_starts == []


async def test_the_cursor_follows_the_work_until_it_is_moved(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        assert session.table.cursor_key == 2
        change(running, "UPDATE runs SET state = 'done' WHERE id = 2")
        await session.until(lambda: session.table.cursor_key == 3)
        await session.press("G")
        change(running, "UPDATE runs SET state = 'running', phase = 'loading' WHERE id = 3")
        await session.until(lambda: "● loading" in session.text())
        assert session.table.cursor_key == 1


async def test_the_run_at_work_is_in_sight_among_many(running: Path, stand_in_model: Path, opened: Opener) -> None:
    for _ in range(40):
        queue_run(running, stand_in_model, samples=12)
    async with opened(running, screen="live", size=(120, 40)) as session:
        await session.until(lambda: session.table.cursor_key == 2)
        await session.sees("#2 ●")


async def test_the_end_of_a_run_is_said_on_every_screen(running: Path, opened: Opener) -> None:
    async with opened(running, screen="ranking") as session:
        change(running, "UPDATE runs SET state = 'failed', why = 'no memory' WHERE id = 2")
        await session.until(lambda: "Run 2 failed: no memory" in session.said)


async def test_a_partial_run_is_ranked_as_partial(scored: Path, stand_in_model: Path, opened: Opener) -> None:
    run = queue_run(scored, stand_in_model, samples=24)
    score_some(scored, run)
    async with opened(scored, screen="live") as session:
        await session.press("g", "enter")
        await session.until(lambda: f"Partial: run {run} is" in session.text())
        assert session.app.current_mode == "ranking"


def score_some(catalogue: Path, run: int) -> None:
    """Score a run's first chunks and leave it as a paused one."""
    from core.scorer import Scorer

    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
    assert claim is not None
    scorer = Scorer(catalogue)
    scorer.work(claim)
    scorer.close()
    change(catalogue, "UPDATE run_items SET state = 'planned' WHERE run = ? AND question IN "
                      "(SELECT question FROM run_questions WHERE run = ? AND position >= 16)", run, run)  # fmt: skip
    change(catalogue, "UPDATE runs SET state = 'queued', want = 'pause', done = 64, ended_at = NULL WHERE id = ?", run)
