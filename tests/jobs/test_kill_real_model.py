"""kill -9 while the bundled tiny model scores: the resumed run has the same bits as an undisturbed one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain import RunState
from core.processes.launcher import ensure_runner
from core.store.db import Writer, open_reader, prepare
from core.store.importing import import_file
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue
from tests.conftest import ROOT, TINY_MODEL, end_processes, wait_until
from tests.jobs.helpers import all_scores, assert_sound, kill, run_now, start_scorer


@pytest.fixture
def arithmetic(tmp_path: Path) -> Iterator[Path]:
    """A catalogue with two strategies of the bundled sample."""
    path = tmp_path / "catalogue.db"
    prepare(path)
    with Writer(path) as writer:
        for name in ("chatty", "step_by_step"):
            import_file(writer, ROOT / f"sample_data/arithmetic/{name}.jsonl", task="arithmetic", strategy=name)
    yield path
    end_processes(path)


def queue_arithmetic(catalogue: Path) -> int:
    options = ScoreOptions(task="arithmetic", model=str(TINY_MODEL), samples=60, device="cpu", answer_filter=False)
    submission = prepare_submission(open_reader(catalogue), options)
    with Writer(catalogue) as writer:
        return queue(writer, submission)


def test_killed_while_predicting_and_while_scoring(arithmetic: Path) -> None:
    undisturbed = arithmetic.with_name("undisturbed.db")
    shutil.copy(arithmetic, undisturbed)
    reference = queue_arithmetic(undisturbed)
    assert start_scorer(undisturbed, reference).wait(120) == 0

    run = queue_arithmetic(arithmetic)
    ensure_runner(arithmetic)
    wait_until(lambda: run_now(arithmetic, run).phase_done > 0, 120, "the first predictions")
    kill_owner(arithmetic, run)
    wait_until(lambda: run_now(arithmetic, run).done > 0, 120, "the first scores")
    kill_owner(arithmetic, run)
    wait_until(lambda: run_now(arithmetic, run).state is RunState.DONE, 120, "the end of the run")

    assert run_now(arithmetic, run).attempt >= 2
    assert_sound(arithmetic)
    assert all_scores(arithmetic, run) == all_scores(undisturbed, reference)


def kill_owner(catalogue: Path, run: int) -> None:
    now = run_now(catalogue, run)
    if now.state is RunState.RUNNING and now.owner is not None:
        kill(now.owner.pid)
        wait_until(lambda: run_now(catalogue, run).fence > now.fence, 60, "the taking over")
