"""Pausing, leaving, cancelling and resuming from the shell; the stand-in engine gives time to do it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import assert_sound, run_now

SLOW = json.dumps({"delay_s": 0.3})
VERY_SLOW = json.dumps({"delay_s": 2})


@pytest.fixture
def sap_tui(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("SAP_TUI_FAKE", SLOW)
    return CommandLine(catalogue)


def score_arguments(model: Path) -> list[str]:
    return ["score", "--task", "sums", "--model", str(model), "--metric", "nll", "--device", "cpu"]


def row(sap_tui: CommandLine, run: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(sap_tui("runs", "--json"))
    return next(entry for entry in found if entry["run"] == run)


def wait_for(sap_tui: CommandLine, run: int, **expected: object) -> None:
    wait_until(lambda: all(row(sap_tui, run)[name] == value for name, value in expected.items()), what=str(expected))


def wait_for_progress(sap_tui: CommandLine, run: int) -> None:
    wait_until(lambda: run_now(sap_tui.catalogue, run).done, what="the first scores")


def test_how_a_scorer_ended_is_known_whatever_signals_the_shell_ignores(
    sap_tui: CommandLine, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"kill_on": ["It is 6."]}))
    started = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(sap_tui.catalogue)]
        process = subprocess.Popen([*command, *score_arguments(stand_in_model)])
    finally:
        signal.signal(signal.SIGCHLD, started)
    process.wait()
    wait_for(sap_tui, 1, state="done")
    assert "the scorer was ended by SIGKILL" in sap_tui("runs", "1")


def test_pause_and_resume(sap_tui: CommandLine, stand_in_model: Path) -> None:
    queued = json.loads(sap_tui(*score_arguments(stand_in_model), "--json"))
    assert queued["state"] in ("queued", "running")
    run = queued["run"]
    wait_for_progress(sap_tui, run)
    sap_tui("pause", str(run))
    wait_for(sap_tui, run, state="queued", shown="paused")
    kept = row(sap_tui, run)["done"]
    assert 0 < kept < 48
    ranking = json.loads(sap_tui("rank", str(run), "--format", "json"))
    assert "paused" in ranking["partial"]
    assert ranking["questions"] == kept // 2
    sap_tui("resume", str(run))
    wait_for(sap_tui, run, state="done", done=48)
    assert_sound(sap_tui.catalogue)


def test_cancel_keeps_what_is_scored(sap_tui: CommandLine, stand_in_model: Path) -> None:
    run = json.loads(sap_tui(*score_arguments(stand_in_model), "--json"))["run"]
    wait_for_progress(sap_tui, run)
    sap_tui("cancel", str(run))
    wait_for(sap_tui, run, state="cancelled")
    kept = row(sap_tui, run)["done"]
    again = json.loads(sap_tui(*score_arguments(stand_in_model), "--wait", "--json"))
    assert (again["state"], again["reused"]) == ("done", kept)


def test_leaving_a_wait_leaves_the_run_alone(
    sap_tui: CommandLine, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", VERY_SLOW)
    waiting = start(sap_tui, *score_arguments(stand_in_model), "--wait")
    wait_until(lambda: json.loads(sap_tui("runs", "--json")), what="the run")
    wait_for_progress(sap_tui, 1)
    waiting.send_signal(signal.SIGINT)
    _, talk = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert "goes on" in talk
    kept = run_now(sap_tui.catalogue, 1).done
    wait_until(lambda: run_now(sap_tui.catalogue, 1).done > kept, what="further scores")


def test_foreground_is_interrupted_and_goes_on(sap_tui: CommandLine, stand_in_model: Path) -> None:
    working = start(sap_tui, *score_arguments(stand_in_model), "--foreground")
    wait_until(lambda: json.loads(sap_tui("runs", "--json")), what="the run")
    wait_for_progress(sap_tui, 1)
    working.terminate()
    _, talk = working.communicate(timeout=20)
    assert working.returncode == 130
    assert "resume 1 --foreground" in talk
    kept = row(sap_tui, 1)["done"]
    assert 0 < kept < 48
    assert row(sap_tui, 1)["shown"] == "paused"
    other = json.loads(sap_tui(*score_arguments(stand_in_model), "--samples", "2", "--wait", "--json"))
    assert other["state"] == "done"
    assert row(sap_tui, 1)["done"] == kept
    sap_tui("resume", "1", "--foreground")
    assert row(sap_tui, 1)["state"] == "done"
    assert row(sap_tui, 1)["attempt"] == 2
    assert_sound(sap_tui.catalogue)


def test_foreground_says_what_it_lacks(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"memory_taken": str(taken)}))
    sap_tui = CommandLine(catalogue)
    stopped = sap_tui.run(*score_arguments(stand_in_model), "--foreground")
    assert stopped.returncode == 130
    assert "Run 1 stopped: waiting for memory" in stopped.stderr
    taken.unlink()
    sap_tui("resume", "1", "--foreground")
    assert row(sap_tui, 1)["state"] == "done"


def test_a_run_at_work_is_not_taken_over(sap_tui: CommandLine, stand_in_model: Path) -> None:
    sap_tui(*score_arguments(stand_in_model))
    wait_for_progress(sap_tui, 1)
    refused = sap_tui.run("resume", "1", "--foreground")
    assert (refused.returncode, "is at work on run 1" in refused.stderr) == (1, True), refused.stderr
    wait_for(sap_tui, 1, state="done", done=48)


def test_samples_that_cannot_be_scored_are_named_errors(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"nonfinite": ["makes 6 altogether"], "out_of_memory": ["It is 8."]}))
    sap_tui = CommandLine(catalogue)
    done = json.loads(sap_tui(*score_arguments(stand_in_model), "--wait", "--json"))
    assert (done["state"], done["done"], done["errors"]) == ("done", 48, 2)
    ranking = json.loads(sap_tui("rank", "--format", "json"))
    assert ranking["questions"] == 22
    assert ranking["failed"] == {"plain": 1, "chatty": 1}
    assert "1 of plain without a score (plain context): out of memory." in ranking["warnings"]
    assert "1 of chatty without a score (plain context): nonfinite." in ranking["warnings"]


def start(sap_tui: CommandLine, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(sap_tui.catalogue), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
