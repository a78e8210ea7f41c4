"""Ordinary trouble with stdin, stdout, stderr and arguments is one line, and leaves no log of a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import end_processes, write_strategy
from tests.e2e.command_line import CommandLine

NAME = "é答😀"


@pytest.fixture
def command(tmp_path: Path) -> Iterator[CommandLine]:
    sap_tui = CommandLine(tmp_path / "catalogue.db")
    file = write_strategy(tmp_path / "a.jsonl", [f"It is {number}." for number in range(2_000)])
    sap_tui("import", file, "--task", "sums", "--strategy", NAME)
    yield sap_tui
    assert not list((tmp_path / "catalogue.db.d").glob("logs/app-crash-*"))
    end_processes(sap_tui.catalogue)


def shell(command: CommandLine, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Bash, in which $S is sap-tui on the catalogue."""
    return subprocess.run(
        ["bash", "-c", f"S() {{ {sys.executable} -m sap_tui.cli --catalogue {command.catalogue} \"$@\"; }}; {line}"],
        capture_output=True, text=True, timeout=120, env={**os.environ, **variables},
    )  # fmt: skip


@pytest.mark.parametrize("line", ["S list > /dev/full", "S list --json > /dev/full", "S --help > /dev/full"])
def test_a_full_disk(line: str, command: CommandLine) -> None:
    result = shell(command, line)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "sap-tui: The output cannot be written: No space left on device.\n"


def test_closed_streams(command: CommandLine) -> None:
    result = shell(command, "S list >&-")
    assert result.returncode == 1
    assert result.stderr == "sap-tui: The output cannot be written: Bad file descriptor.\n"
    silent = shell(command, "S list >&- 2>&- <&-")
    assert (silent.returncode, silent.stdout, silent.stderr) == (1, "", "")
    deleted = shell(command, "S task delete sums >&- <&-")
    assert (deleted.returncode, "deleted" in deleted.stderr) == (0, True)


@pytest.mark.parametrize("end", ["2>/dev/full", "2>&-"])
def test_talk_that_nobody_hears(end: str, command: CommandLine) -> None:
    assert shell(command, f"S rank 99 {end}").returncode == 3
    assert shell(command, f"S task delete sums {end}").returncode == 0


def test_a_closed_pipe_is_no_error(command: CommandLine) -> None:
    responses = f"S strategy responses {NAME} --task sums --limit 2000"
    for line in (f"{responses} | head -1", f"{responses} --json | head -c 1", f"{responses} 2>&1 | head -1"):
        result = shell(command, f"{line} > /dev/null; exit ${{PIPESTATUS[0]}}")
        assert (result.returncode, result.stdout, result.stderr) == (1, "", ""), line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_some_characters(encoding: str, command: CommandLine) -> None:
    def printed(line: str) -> str:
        result = shell(
            command, f"{line} | iconv -f latin1 -t utf-8; exit ${{PIPESTATUS[0]}}", PYTHONIOENCODING=encoding
        )
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    shown = "é??" if encoding == "latin-1" else "???"
    assert f"  {shown}  " in printed("S list")
    data = printed("S list --json")
    assert json.loads(data)[0]["strategies"][0]["name"] == NAME


HUGE = "9" * 20
TOO_LARGE = [
    ("rank", HUGE), ("runs", HUGE), ("cancel", HUGE), ("show", HUGE, "a", "#1"), ("compare", HUGE, "a", "b"),
    ("agree", HUGE), ("converge", HUGE), ("report", HUGE, "--output", "r.md"), ("judge", "--run", HUGE),
    ("runs", "--delete", HUGE), ("runs", "--restore", HUGE), ("score", "--more", HUGE, "1"),
    ("score", "--examples", HUGE), ("score", "--samples", HUGE), ("score", "--small-model-run", HUGE),
    ("filter", "--task", "sums", "--run", HUGE), ("compare", "1", "a", "b", "--limit", HUGE),
    ("strategy", "responses", NAME, "--task", "sums", "--limit", HUGE),
    ("strategy", "responses", NAME, "--task", "sums", "--after", HUGE), ("rank", "-" + HUGE), ("rank", "9" * 5_000),
]  # fmt: skip


@pytest.mark.parametrize("arguments", TOO_LARGE, ids=lambda arguments: " ".join(arguments)[:30])
def test_numbers_that_nothing_can_hold(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sap_tui.cli import main

    with pytest.raises(SystemExit) as end:
        main(["--catalogue", str(tmp_path / "catalogue.db"), *arguments])
    last = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 2
    assert "too large" in last or "no whole number" in last
    assert len(last) < 200


def test_a_count_below_zero(command: CommandLine) -> None:
    result = command.run("compare", "1", "a", "b", "--limit", "-1")
    assert (result.returncode, "argument --limit: -1 is less than 0" in result.stderr) == (2, True)


def test_a_demo_without_a_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = subprocess.run(
        [sys.executable, "-m", "sap_tui.cli", "demo", "--plain"],
        capture_output=True, text=True, timeout=120, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")},
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("sap-tui: The demo's catalogue cannot be made in ")
    assert result.stderr.count("\n") == 1
