"""The command of the settings that runs when a run ends: a real one, once per end, whoever ended the run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from core.jobs.claim import claim_run
from core.processes.launcher import OWN_ENVIRONMENT, ensure_runner
from core.processes.on_done import run_command, tell_ends
from core.scorer import Scorer
from core.settings import config_path
from core.store.db import Writer, open_reader
from core.store.runs import events, wish_cancel, wish_resume
from tests.conftest import wait_until
from tests.jobs.helpers import queue_run, run_now

VARIABLES = ("RUN", "STATE", "TASK", "MODEL", "DONE", "TOTAL", "ERRORS", "STRATEGIES", "QUESTIONS", "CATALOGUE", "WHY")


@pytest.fixture
def told(tmp_path: Path) -> Callable[[], list[dict[str, str]]]:
    """Sets a command that writes what it is told; returns what was written, one object a run end."""
    script = tmp_path / "write it.py"
    words = ", ".join(f"'{name}': os.environ['SAP_TUI_{name}']" for name in VARIABLES)
    script.write_text(
        "import json, os\n"
        f"line = json.dumps({{{words}, 'safe path': os.environ.get('PYTHONSAFEPATH', '')}})\n"
        f"open({str(tmp_path / 'told')!r}, 'a').write(line + '\\n')\n"
    )
    set_command(f"{sys.executable} '{script}'")

    def read() -> list[dict[str, str]]:
        file = tmp_path / "told"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read


def set_command(command: str) -> None:
    config_path().write_text(f"keep_warm_minutes = 0\non_done = {json.dumps(command)}\n")


def warnings(catalogue: Path, run: int = 1) -> list[str]:
    return [event.text for event in events(open_reader(catalogue), run) if event.level == "warning"]


def test_a_run_that_is_done_is_told_with_what_it_was(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]]
) -> None:
    queue_run(catalogue, stand_in_model, samples=12)
    ensure_runner(catalogue)
    wait_until(lambda: told(), what="the command")
    assert told() == [
        {
            "RUN": "1", "STATE": "done", "TASK": "sums", "MODEL": "stand-in-model", "DONE": "24", "TOTAL": "24",
            "ERRORS": "0", "STRATEGIES": "2", "QUESTIONS": "12", "CATALOGUE": str(catalogue), "WHY": "",
            "safe path": "",
        }
    ]  # fmt: skip
    assert warnings(catalogue) == []


def test_scorer_and_runner_tell_an_end_once_together(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]]
) -> None:
    queue_run(catalogue, stand_in_model, samples=12)
    ensure_runner(catalogue)
    wait_until(lambda: run_now(catalogue, 1).state.ended, what="the end")
    second = queue_run(catalogue, stand_in_model, samples=20)
    wait_until(lambda: any(each["RUN"] == str(second) for each in told()), what="the second command")
    assert [each["RUN"] for each in told()] == ["1", "2"]


def test_every_end_of_a_run_is_told(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]]
) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        for number in (1, 2):
            with writer.transaction() as connection:
                wish_cancel(connection, run)
            tell_ends(writer)
            tell_ends(writer)
            wait_until(partial(has_lines, told, number), what="the command")
            with writer.transaction() as connection:
                wish_resume(connection, run)
            tell_ends(writer)
    assert [each["STATE"] for each in told()] == ["cancelled", "cancelled"]


def test_a_runner_tells_of_a_run_that_was_cancelled_in_the_queue(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]]
) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish_cancel(connection, run)
    ensure_runner(catalogue)
    wait_until(lambda: told(), what="the command")
    assert told()[0]["STATE"] == "cancelled"


def test_a_failed_run_is_told_with_the_reason(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"max_context_tokens": 1}))
    run = queue_run(catalogue, stand_in_model)
    work_here(catalogue, run)
    wait_until(lambda: told(), what="the command")
    assert told()[0]["STATE"] == "failed"
    assert told()[0]["WHY"] == run_now(catalogue, run).why != ""


def test_what_ended_without_a_command_is_not_told_later(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]]
) -> None:
    command = config_path().read_text()
    config_path().write_text("keep_warm_minutes = 0\n")
    work_here(catalogue, queue_run(catalogue, stand_in_model, samples=8))
    config_path().write_text(command)
    work_here(catalogue, queue_run(catalogue, stand_in_model, samples=12))
    wait_until(lambda: told(), what="the command")
    assert [each["RUN"] for each in told()] == ["2"]


def test_a_command_that_fails_is_an_event_that_names_its_output(catalogue: Path, stand_in_model: Path) -> None:
    set_command("echo nobody listens >&2; exit 7")
    work_here(catalogue, queue_run(catalogue, stand_in_model, samples=8))
    (text,) = wait_until(lambda: warnings(catalogue), what="the event")
    assert text.startswith("the on_done command ended with code 7, its output: ")
    assert Path(text.rpartition(": ")[2]).read_text() == "nobody listens\n"
    assert run_now(catalogue, 1).state == "done"


def test_a_command_that_hangs_is_ended(catalogue: Path, stand_in_model: Path) -> None:
    queue_run(catalogue, stand_in_model)
    assert run_command(catalogue, 1, "exec sleep 60", seconds=0.2) == "was ended after 0.2 s"
    assert warnings(catalogue)[0].startswith("the on_done command was ended after 0.2 s")


def test_names_from_the_catalogue_are_never_words_of_the_shell(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    bait = tmp_path / "bait"
    run = queue_run(catalogue, stand_in_model)
    hostile = f"$(touch {bait}); touch {bait} `touch {bait}`\x1b[2J\n"
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute("UPDATE tasks SET name = ?", (hostile,))
    seen = tmp_path / "seen"
    assert run_command(catalogue, run, f'printf %s "$SAP_TUI_TASK" > {seen}; true $SAP_TUI_TASK') == ""
    assert seen.read_text() == f"$(touch {bait}); touch {bait} `touch {bait}`␛[2J⏎"
    assert not bait.exists()


def test_the_command_does_not_inherit_what_our_processes_are_started_with(
    catalogue: Path, stand_in_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OWN_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    run = queue_run(catalogue, stand_in_model)
    assert run_command(catalogue, run, f"env > {tmp_path / 'env'}") == ""
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "SAP_TUI_RUN" in names
    assert not names & set(OWN_ENVIRONMENT)


def test_a_run_in_the_foreground_is_told_too(
    catalogue: Path, stand_in_model: Path, told: Callable[[], list[dict[str, str]]]
) -> None:
    arguments = ["score", "--task", "sums", "--model", str(stand_in_model), "--metric", "nll", "--device", "cpu"]
    command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue), *arguments, "--foreground"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    wait_until(lambda: told(), what="the command")
    assert [each["STATE"] for each in told()] == ["done"]


def has_lines(told: Callable[[], list[dict[str, str]]], number: int) -> bool:
    return len(told()) == number


def work_here(catalogue: Path, run: int) -> None:
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
    assert claim is not None
    scorer = Scorer(catalogue)
    scorer.work(claim)
    scorer.close()
