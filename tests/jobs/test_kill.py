"""kill -9 at any moment: nothing lost, nothing doubled, and the same bits as a run that nobody disturbed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.domain import RunState
from core.processes.identity import is_alive
from core.processes.launcher import ensure_runner, runner_lives
from core.store.db import Writer
from core.store.runs import wish_cancel
from tests.conftest import end_processes, wait_until
from tests.jobs.helpers import all_scores, assert_sound, kill, queue_run, run_now, start_scorer
from tests.torture.loops import kill_rivals, kill_scorers
from tests.torture.rival import NOT_MINE
from tests.torture.runs import Tally, Watched

METRICS = ("sap", "ppl", "nll")
KILLS = 6


def undisturbed(catalogue: Path, model: Path) -> list[tuple[object, ...]]:
    """The scores of the same run in a copy of the catalogue where nothing is killed."""
    copy = catalogue.with_name("undisturbed.db")
    shutil.copy(catalogue, copy)
    run = queue_run(copy, model, METRICS, answer_filter=False)
    assert start_scorer(copy, run).wait(60) == 0
    assert run_now(copy, run).state is RunState.DONE
    return all_scores(copy, run)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"delay_s": 0.05}))


@pytest.mark.parametrize("kill_workers", [kill_scorers, kill_rivals])
def test_scorers_killed_at_random_moments(
    kill_workers: Callable[[Watched, random.Random, Tally], None],
    catalogue: Path,
    stand_in_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = undisturbed(catalogue, stand_in_model)
    # Long enough for some kills, whatever the machine.
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"delay_s": 0.1}))
    watched = Watched(catalogue, queue_run(catalogue, stand_in_model, METRICS, answer_filter=False))
    tally = Tally(KILLS)
    kill_workers(watched, random.Random(0), tally)
    tally.finish(watched, expected)
    assert tally.problems == []
    assert tally.kills >= 3
    assert tally.exit_codes.keys() <= {0, NOT_MINE, -signal.SIGKILL}


@pytest.mark.usefixtures("slow")
def test_the_runner_starts_a_killed_scorer_again(catalogue: Path, stand_in_model: Path) -> None:
    expected = undisturbed(catalogue, stand_in_model)
    run = queue_run(catalogue, stand_in_model, METRICS, answer_filter=False)
    ensure_runner(catalogue)
    wait_until(lambda: run_now(catalogue, run).done > 4, what="the first chunks")
    owner = run_now(catalogue, run).owner
    assert owner is not None
    kill(owner.pid)
    wait_until(lambda: run_now(catalogue, run).state is RunState.DONE, what="the end of the run")
    assert run_now(catalogue, run).attempt == 2
    assert_sound(catalogue)
    assert all_scores(catalogue, run) == expected


@pytest.mark.usefixtures("slow")
def test_a_scorer_outlives_its_runner_and_the_next_runner_adopts_it(catalogue: Path, stand_in_model: Path) -> None:
    expected = undisturbed(catalogue, stand_in_model)
    run = queue_run(catalogue, stand_in_model, METRICS, answer_filter=False)
    runner = subprocess.Popen([sys.executable, "-m", "core.jobs.runner", str(catalogue)], start_new_session=True)
    wait_until(lambda: run_now(catalogue, run).done > 4, what="the first chunks")
    runner.kill()
    runner.wait()
    wait_until(lambda: not runner_lives(catalogue), what="the end of the runner")
    ensure_runner(catalogue)
    wait_until(lambda: run_now(catalogue, run).state is RunState.DONE, what="the end of the run")
    assert run_now(catalogue, run).attempt == 1
    assert all_scores(catalogue, run) == expected


@pytest.mark.usefixtures("slow")
def test_runner_and_scorer_both_killed(catalogue: Path, stand_in_model: Path) -> None:
    expected = undisturbed(catalogue, stand_in_model)
    run = queue_run(catalogue, stand_in_model, METRICS, answer_filter=False)
    ensure_runner(catalogue)
    wait_until(lambda: run_now(catalogue, run).done > 4, what="the first chunks")
    end_processes(catalogue)
    owner = run_now(catalogue, run).owner
    assert owner is not None
    wait_until(lambda: not is_alive(owner) and not runner_lives(catalogue), what="the end of both")
    assert_sound(catalogue)
    ensure_runner(catalogue)
    wait_until(lambda: run_now(catalogue, run).state is RunState.DONE, what="the end of the run")
    assert all_scores(catalogue, run) == expected


def test_cancel_frees_the_device(catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"delay_s": 0.3}))
    run = queue_run(catalogue, stand_in_model)
    ensure_runner(catalogue)
    wait_until(lambda: run_now(catalogue, run).done > 0, what="the first chunk")
    owner = run_now(catalogue, run).owner
    assert owner is not None
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish_cancel(connection, run)
    wait_until(lambda: run_now(catalogue, run).state is RunState.CANCELLED, 20, "the cancelling")
    wait_until(lambda: not is_alive(owner), 20, "the end of the scorer")
    assert run_now(catalogue, run).done < run_now(catalogue, run).total
