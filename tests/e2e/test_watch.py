"""`sap-tui runs --watch` and `sap-tui runs RUN`: the live screen without the app."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.store.db import Writer
from core.store.runs import wish_pause
from tests.conftest import wait_until
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import queue_run, run_now

SLOW = json.dumps({"delay_s": 0.1})


@pytest.fixture
def sap_tui(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("SAP_TUI_FAKE", SLOW)
    return CommandLine(catalogue)


def test_without_a_terminal_there_is_a_line_at_every_change(sap_tui: CommandLine, stand_in_model: Path) -> None:
    old = queue_run(sap_tui.catalogue, stand_in_model, samples=4)
    sap_tui("resume", str(old), "--foreground")
    queue_run(sap_tui.catalogue, stand_in_model, samples=20)
    lines = sap_tui("runs", "--watch").splitlines()
    assert all(line.startswith("run 2: ") for line in lines)
    assert lines[0] == "run 2: queued"
    assert any(re.match(r"run 2: scoring \d+/40, .*tokens/s", line) for line in lines)
    assert lines[-1] == "run 2: done"
    assert len(lines) == len(set(lines))


def test_as_json_every_change_is_an_object(sap_tui: CommandLine, stand_in_model: Path) -> None:
    run = queue_run(sap_tui.catalogue, stand_in_model, samples=20)
    objects = [json.loads(line) for line in sap_tui("runs", str(run), "--watch", "--json").splitlines()]
    assert [each["run"] for each in objects] == [run] * len(objects)
    assert (objects[0]["state"], objects[-1]["state"], objects[-1]["done"]) == ("queued", "done", 40)
    shares = [each["share_done"] for each in objects if each["phase"] == "scoring"]
    assert shares == sorted(shares)


def test_a_run_that_fails_while_it_is_watched_is_exit_code_1(
    sap_tui: CommandLine, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"max_context_tokens": 1}))
    queue_run(sap_tui.catalogue, stand_in_model)
    last = sap_tui("runs", "--watch", code=1).splitlines()[-1]
    assert last == f"run 1: failed: {run_now(sap_tui.catalogue, 1).why}"
    assert sap_tui("runs", "1", "--watch", code=1).splitlines() == [last]
    assert sap_tui("runs", "--watch") == ""


def test_paused_runs_are_not_waited_for(sap_tui: CommandLine, stand_in_model: Path) -> None:
    run = queue_run(sap_tui.catalogue, stand_in_model)
    with Writer(sap_tui.catalogue) as writer, writer.transaction() as connection:
        wish_pause(connection, run)
    assert sap_tui("runs", "--watch") == ""
    assert sap_tui("runs", str(run), "--watch") == f"run {run}: paused\n"


def test_a_run_that_does_not_exist_is_not_found(sap_tui: CommandLine) -> None:
    for arguments in (["runs", "7"], ["runs", "7", "--watch"], ["runs", "7", "--json"]):
        result = sap_tui.run(*arguments)
        assert (result.returncode, result.stdout) == (3, "")
        assert "There is no run 7." in result.stderr


def test_in_a_terminal_the_table_refreshes_and_stays(sap_tui: CommandLine, stand_in_model: Path) -> None:
    queue_run(sap_tui.catalogue, stand_in_model, samples=20)
    text = in_a_terminal(sap_tui, "runs", "--watch")
    assert text.count("tokens/s") >= 2
    assert "40/40" in text.splitlines()[-1]
    assert re.search(r"\n *1 +sums +stand-in-model +float32 +done +40/40\s*$", text)


def test_interrupted_watching_leaves_the_run_alone(
    sap_tui: CommandLine, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"delay_s": 2}))
    queue_run(sap_tui.catalogue, stand_in_model)
    command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(sap_tui.catalogue), "runs", "--watch"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: run_now(sap_tui.catalogue, 1).done, what="the first scores")
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=20)
    assert watching.returncode == 130
    kept = run_now(sap_tui.catalogue, 1).done
    wait_until(lambda: run_now(sap_tui.catalogue, 1).done > kept, what="further scores")


def test_everything_about_one_run(sap_tui: CommandLine, stand_in_model: Path) -> None:
    run = queue_run(sap_tui.catalogue, stand_in_model, samples=12)
    sap_tui("runs", "--watch")
    text = sap_tui("runs", str(run))
    for pattern in (
        r"run +1", r"state +done", r"speed +[▁-█ ]+ [\d,]+ tokens/s", r"memory +[▁-█ ]+ 1 MiB at most",
        r"samples +2 strategies on 12 questions", r"model +stand-in-model float32",
        r"\d\d:\d\d:\d\d +queued: 2 strategies on 12 questions", r"\d\d:\d\d:\d\d +done",
    ):  # fmt: skip
        assert re.search(rf"^{pattern}", text, re.MULTILINE), (pattern, text)
    found: dict[str, Any] = json.loads(sap_tui("runs", str(run), "--json"))
    assert (found["run"], found["state"], found["out"], found["next_look"]) == (run, "done", {}, None)
    assert [event["text"] for event in found["events"]][::3] == ["queued: 2 strategies on 12 questions", "done"]
    assert {speed["memory"] for speed in found["speeds"]} <= {0, 1 << 20}
    assert any(speed["tokens_per_second"] > 0 for speed in found["speeds"])


def test_hostile_names_and_reasons_stay_text(sap_tui: CommandLine, stand_in_model: Path) -> None:
    run = queue_run(sap_tui.catalogue, stand_in_model)
    with Writer(sap_tui.catalogue) as writer, writer.transaction() as connection:
        connection.execute("UPDATE runs SET state = 'failed', ended_at = 1, why = ?", ("\x1b]0;x\x07[/b]",))
        connection.execute("UPDATE events SET text = ?", ("\x1b[2J\nup",))
        connection.execute("UPDATE tasks SET name = ?", ("sums\x1b[31m",))
    for arguments in (["runs"], ["runs", str(run)], ["runs", str(run), "--watch"]):
        text = sap_tui.run(*arguments).stdout
        assert "\x1b" not in text
        assert "␛]0;x␇[/b]" in text
    assert "\x1b" not in in_a_terminal(sap_tui, "runs", str(run), "--watch").partition("␛]0;x")[2].partition("\n")[0]


def in_a_terminal(sap_tui: CommandLine, *arguments: str) -> str:
    """What a terminal of 120 columns shows, without the sequences that move the cursor and colour."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS="120", LINES="30", TERM="xterm-256color")
        command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(sap_tui.catalogue), *arguments]
        os.execv(sys.executable, command)
    data, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            data += os.read(terminal, 65536)
        except OSError:
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", data.decode()).replace("\r", "")
    return text.rstrip("\n")
