"""What cannot be started for the moment, as on a disk without inodes, waits and is said; the queue goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.domain import RunState
from core.jobs import runner
from core.jobs.runner import Runner
from core.processes.launcher import RunnerLock, logs_folder
from core.processes.on_done import tell_ends
from core.settings import config_path
from core.store.db import Writer, open_reader
from core.store.runs import events, wish_cancel
from sap_tui.commands.progress import state_line
from tests.jobs.helpers import queue_run, run_now, supervise


def block(log: Path) -> None:
    """A folder where the log should be: opening it is an OSError, whoever asks."""
    log.mkdir()


def test_a_scorer_that_cannot_be_started_waits_and_says_why(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(catalogue, stand_in_model, samples=4)
    log = logs_folder(catalogue) / f"run-{run}-attempt-1.log"
    block(log)
    lock = RunnerLock(catalogue)
    supervisor = Runner(catalogue, lock)
    supervisor.step()
    supervisor.close()
    lock.release()
    found = run_now(catalogue, run)
    assert found.shown == "waiting"
    assert found.why == f"waiting: the scorer cannot be started (Is a directory, {log})"
    assert state_line(found) == found.why
    log.rmdir()
    supervise(catalogue, lambda: run_now(catalogue, run).state is RunState.DONE, monkeypatch)


def test_a_runner_goes_on_after_an_error_of_the_system(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = queue_run(catalogue, stand_in_model, samples=4)
    failures = [OSError(24, "Too many open files")] * 3

    def sweep(_: object) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(runner, "sweep", sweep)
    monkeypatch.setattr(runner, "FULL_DISK_POLL_SECONDS", 0.01)
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0.5)
    Runner(catalogue, RunnerLock(catalogue)).run()
    assert run_now(catalogue, run).state is RunState.DONE
    assert capsys.readouterr().err.count("Too many open files") == 1


def test_a_runner_whose_catalogue_is_gone_ends(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sweep(_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(runner, "sweep", sweep)
    supervisor = Runner(catalogue, RunnerLock(catalogue))
    catalogue.unlink()
    started = time.monotonic()
    with pytest.raises(FileNotFoundError):
        supervisor.run()
    assert time.monotonic() - started < 5


def test_a_command_at_the_end_that_cannot_be_started_is_said(catalogue: Path, stand_in_model: Path) -> None:
    config_path().write_text('on_done = "true"\n')
    run = queue_run(catalogue, stand_in_model)
    block(logs_folder(catalogue) / f"run-{run}-on-done.log")
    with Writer(catalogue) as writer:
        with writer.transaction() as connection:
            wish_cancel(connection, run)
        tell_ends(writer)
    last = events(open_reader(catalogue), run)[-1]
    assert (last.level, "on_done command could not be started" in last.text) == ("warning", True)
