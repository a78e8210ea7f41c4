"""sap-tui doctor: a line for everything that matters, what to do where it is wrong, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core import lingering
from core.jobs.claim import claim_run
from core.lingering import Logout
from core.store import file_systems
from core.store.backups import make_backup
from core.store.damage import mark_damaged
from core.store.db import Writer
from sap_tui.checkup import catalogue as catalogue_checks
from sap_tui.checkup import machine as machine_checks
from sap_tui.checkup.finding import Level
from sap_tui.checkup.machine import machine
from sap_tui.cli import main
from tests.conftest import wait_until
from tests.jobs.helpers import queue_run

Findings = Callable[[], dict[str, dict[str, str]]]


@pytest.fixture
def findings(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> Findings:
    """What doctor finds, by what it is about; the last finding of each counts."""

    def run() -> dict[str, dict[str, str]]:
        code = main(["--catalogue", str(catalogue), "doctor", "--json"])
        found = json.loads(capsys.readouterr().out)
        assert code == (1 if any(each["level"] == "bad" for each in found) else 0)
        assert all(each["remedy"] for each in found if each["level"] != "ok"), found
        return {each["about"]: each for each in found}

    return run


def test_a_sound_machine_and_catalogue(findings: Findings, catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_backup(catalogue)
    found = findings()
    assert {each["level"] for about, each in found.items() if about not in ("jinja2", "gpu", "clipboard")} == {"ok"}
    about = {"python", "torch", "gpu", "sqlite", "logout", "clipboard", "file system", "disk", "permissions"}
    assert about | {"catalogue", "backup", "runner"} <= set(found)
    assert main(["--catalogue", str(catalogue), "doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok   ", "warn ")) for line in lines)
    assert any("1 kept" in line for line in lines)


def test_a_missing_library(findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "NEEDED", ("no-such-library",))
    monkeypatch.setattr(machine_checks, "OPTIONAL", {"no-such-extra": "nothing needs it"})
    found = findings()
    assert found["no-such-library"]["level"] == "bad"
    assert found["no-such-library"]["remedy"] == "pip install no-such-library"
    assert found["no-such-extra"]["level"] == "warn"


def test_wrong_settings(findings: Findings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    monkeypatch.setenv("SAP_TUI_CONFIG", str(file))
    file.write_text("keep_warm_minutes = 3\n")
    assert findings()["config.toml"]["level"] == "ok"
    for text, place in (("on_done = 5\n", ":1"), ('[keys]\nquit = "no key at all"\n', ":2"), ("theme = [", ":1")):
        file.write_text(text)
        found = findings()["config.toml"]
        assert found["level"] == "warn"
        assert f"{file}{place}" in found["text"]


def test_a_full_disk(findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_checks, "LEAST_FREE_BYTES", 1 << 60)
    assert findings()["disk"]["level"] == "bad"


def test_a_network_file_system(findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("22 1 254:0 / / rw - lustre server:/ rw\n")
    monkeypatch.setattr(file_systems, "MOUNTS", table)
    found = findings()["file system"]
    assert (found["level"], "lustre" in found["text"]) == ("bad", True)


def test_a_broken_invariant_and_a_foreign_reader(findings: Findings, catalogue: Path) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute("UPDATE strategies SET responses = 7")
    catalogue.chmod(0o644)
    found = findings()
    assert found["catalogue"]["level"] == "bad"
    assert "response counter" in found["catalogue"]["text"]
    assert found["permissions"]["level"] == "warn"


def test_damage(findings: Findings, catalogue: Path) -> None:
    mark_damaged(catalogue, "for the test")
    content = bytearray(catalogue.read_bytes())
    content[4096 * 2 : 4096 * 3] = bytes(4096)
    catalogue.write_bytes(content)
    assert findings()["catalogue"]["level"] == "bad"


def test_a_file_that_is_no_catalogue(findings: Findings, catalogue: Path) -> None:
    catalogue.write_text("no database " * 500)
    assert findings()["catalogue"]["level"] == "bad"


def test_an_old_backup_of_a_catalogue_that_changed(findings: Findings, catalogue: Path) -> None:
    made = make_backup(catalogue).path
    os.rename(made, made.with_name(time.strftime("%Y%m%d-%H%M%S.db", time.localtime(time.time() - 9 * 86_400))))
    found = findings()["backup"]
    assert (found["level"], found["remedy"]) == ("warn", "make one: sap-tui backup")


def test_a_scorer_without_a_run(findings: Findings, catalogue: Path) -> None:
    script = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, "core.scorer", str(catalogue), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as orphan:
        assert orphan.stdout
        orphan.stdout.readline()
        found = findings()["scorer"]
        orphan.kill()
    assert found["level"] == "warn"
    assert found["remedy"] == f"end it: kill {orphan.pid}"
    wait_until(lambda: "scorer" not in findings())


@pytest.mark.parametrize(
    ("answer", "level"), [(Logout.ENDS, "warn"), (Logout.SPARES, "ok"), (Logout.SPARES_SCOPES, "ok")]
)
def test_logging_out(answer: Logout, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "logout", lambda: answer)
    found = next(each for each in machine() if each.about == "logout")
    assert found.level == level
    assert ("enable-linger" in found.remedy) == (level == "warn")


@pytest.mark.parametrize(
    ("variables", "tmux", "level"),
    [
        ({"TMUX": "/tmp/tmux"}, "echo off", Level.WARN),
        ({"TMUX": "/tmp/tmux"}, "echo on", Level.OK),
        ({"TMUX": "/tmp/tmux"}, "echo external", Level.OK),
        ({"TMUX": "/tmp/tmux"}, "exit 1", Level.WARN),
        ({"STY": "1.pts"}, "", Level.WARN),
        ({"TERM": "linux"}, "", Level.OK),
        ({"TERM": "xterm-256color"}, "", Level.OK),
    ],
)
def test_the_clipboard(
    variables: dict[str, str], tmux: str, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tmux"
    program.write_text(f"#!/bin/sh\n{tmux}\n")
    program.chmod(0o755)
    for name in ("TMUX", "STY", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, "PATH": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert next(each for each in machine() if each.about == "clipboard").level is level


def test_no_catalogue_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--catalogue", str(tmp_path / "new" / "catalogue.db"), "doctor"]) == 0
    assert "no catalogue yet" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_hostile_paths_are_shown_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--catalogue", str(tmp_path / "a\x1b]52;c;eA==\x07" / "catalogue.db"), "doctor"])
    output = capsys.readouterr()
    assert "\x1b" not in output.out + output.err


def test_a_reader_of_the_catalogue_is_closed(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Doctor leaves no log behind that the next opening would take for a crash."""
    main(["--catalogue", str(catalogue), "doctor"])
    capsys.readouterr()
    with closing(Writer(catalogue)):
        pass
    log = Path(f"{catalogue}-wal")
    assert not log.exists() or log.stat().st_size == 0


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("state = 'queued'", "queued"),
        ("pid_start = 1", "interrupted"),
        ("boot = 'another'", "interrupted"),
        ("phase = 'predicting', beat_at = beat_at - 1000", "stalled"),
        ("state = 'queued', want = 'pause'", ""),
        ("phase = 'predicting'", ""),
    ],
)
def test_runs_that_nobody_goes_on_with(
    findings: Findings, catalogue: Path, stand_in_model: Path, change: str, shown: str
) -> None:
    """What is paused, and what a living process is at work on, needs no runner."""
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
        with writer.transaction() as connection:
            connection.execute(f"UPDATE runs SET {change}")
            if "state" in change:
                connection.execute("UPDATE attempts SET ended_at = 1")
    found = findings()["runner"]
    assert found["level"] == ("warn" if shown else "ok")
    assert found["text"] == (
        f"no runner is at work, and run {run} is {shown}" if shown else "no runner is needed at the moment"
    )
