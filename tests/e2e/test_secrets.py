"""Keys in the environment reach nothing that is kept or printed; texts of the data reach no command line."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from core.scoring import answers
from sap_tui.crash import crash_line
from tests.conftest import end_processes, write_strategy

KEYS = {name: f"canary-{name.lower()}-5d1f" for name in ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
TEXT = "a text of the data a4c9"


def children_seen(needle: bytes, seen: list[str], stop: threading.Event) -> None:
    """Note every process of ours that shows the needle to other users, or passes it on in its environment."""
    while not stop.wait(0.02):
        for process in psutil.process_iter(["pid"]):
            for file in ("cmdline", "environ"):
                try:
                    raw = Path(f"/proc/{process.info['pid']}/{file}").read_bytes()
                except OSError:
                    continue
                if needle in raw:
                    seen.append(raw.replace(b"\0", b" ").decode(errors="replace"))


def test_secrets_and_texts_stay_where_they_are(
    tmp_path: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, catalogue = tmp_path / "home", tmp_path / "home" / "catalogue.db"
    home.mkdir()
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    for name in ("a", "b"):
        write_strategy(tmp_path / f"{name}.jsonl", [f"{TEXT} {name} {number}." for number in range(8)])
    printed: list[str] = []

    def sap_tui(*arguments: str | Path, code: int = 0) -> None:
        result = subprocess.run(
            [sys.executable, "-m", "sap_tui.cli", "--catalogue", catalogue, *arguments],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert result.returncode == code, result.stderr
        printed.append(result.stdout + result.stderr)

    seen: list[str] = []
    stop = threading.Event()
    watcher = threading.Thread(target=children_seen, args=(TEXT.encode(), seen, stop))
    watcher.start()
    score = ("score", "--task", "sums", "--model", stand_in_model, "--device", "cpu", "--metric", "nll")
    try:
        for arguments in (
            ("settings", "keep_warm_minutes", "0"),
            ("settings", "on_done", "env | grep -c SAP_TUI_RUN"),
            ("import", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--task", "sums"),
            (*score, "--wait"),
            ("report", "1", "--output", home / "report.html"),
            ("rank", "--format", "csv", "--output", home / "ranking.csv"),
            ("filter", "--task", "sums", "--strategy", "a", "--output", home / "data.jsonl"),
            ("doctor",),
        ):
            sap_tui(*arguments)
        sap_tui("score", "--task", "sums", "--model", "/no/model", code=3)
        try:
            raise RuntimeError(f"the answer to {KEYS['HF_TOKEN']} was no")
        except RuntimeError as error:
            printed.append(crash_line(catalogue, error))
    finally:
        stop.set()
        watcher.join()
        end_processes(catalogue)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name.startswith("app-crash") for path in files)
    assert any(path.name == "runner.log" for path in files)
    assert catalogue in files
    for value in KEYS.values():
        assert not [path for path, content in files.items() if value.encode() in content]
        assert value not in "".join(printed)
    assert seen == []


def test_answers_are_compared_without_showing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that compares mathematics gets them through a pipe, and none of the keys."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    assert answers.is_correct("Final Answer: \\frac{123454321}{2}", "\\frac{123454321}{2.0}") is not None
    ours = psutil.Process().children(recursive=True)
    compare = [process for process in ours if "core.scoring.mathematics" in process.cmdline()]
    assert compare
    for process in compare:
        assert not any("123454321" in part for part in process.cmdline())
        assert b"canary" not in Path(f"/proc/{process.pid}/environ").read_bytes()
