"""The catalogue that the app is measured on: the bundled sample, scored, and a long run at work beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data"
TASK, LONG_TASK = "arithmetic", "long"
WAITING_RUNS = 10
LONGEST_WAIT_SECONDS = 180.0
OURS = ("core.jobs", "core.processes", "core.scorer")

Value = TypeVar("Value")


class Catalogue:
    """Folders of its own for everything the app and its workers read and write."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "catalogue.db"
        self.folder = folder
        self.busy_run = 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAP_TUI_")}
        own = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("DATA", "CONFIG", "CACHE", "STATE")}
        self.environment = kept | own | {"SAP_TUI_CATALOGUE": str(self.path), "HF_HUB_OFFLINE": "1"}

    def sap_tui(self, *arguments: str) -> str:
        """What a command printed. Raises CalledProcessError when it failed."""
        done = subprocess.run(
            [sys.executable, "-m", "sap_tui.cli", *arguments],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True, check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout

    def fill(self, copies: int) -> None:
        """Import and score the bundled sample, and import the long task: each of its questions so many times."""
        files = sorted((SAMPLE / TASK).glob("*.jsonl"))
        self.sap_tui("import", "--task", TASK, *map(str, files))
        self.sap_tui("outcomes", str(SAMPLE / "outcomes.csv"), "--task", TASK, "--model", "tiny-model")
        self.sap_tui("score", "--task", TASK, "--model", str(SAMPLE / "tiny-model"), "--device", "cpu", "--wait")
        self.sap_tui("import", "--task", LONG_TASK, *(str(self._many(file, copies)) for file in files))

    def _many(self, file: Path, copies: int) -> Path:
        """The strategy's responses to so many times as many questions, each of another town."""
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        copy = self.folder / file.name
        with copy.open("w", encoding="utf-8") as out:
            for number in range(copies):
                for record in records:
                    other = {"id": f"{number}-{record['id']}", "question": f"In town {number}: {record['question']}"}
                    out.write(json.dumps(record | other) + "\n")
        return copy

    def start_scorer(self) -> None:
        """Start the run beside, with others waiting behind it, and come back when it has scored something."""
        many = ("score", "--task", LONG_TASK, "--model", str(SAMPLE / "tiny-model"), "--device", "cpu", "--json")
        self.busy_run = int(
            json.loads(self.sap_tui(*many, "--samples", "all", "--metric", "ifd", "--metric", "rsr"))["run"]
        )
        for number in range(WAITING_RUNS):
            self.sap_tui(*many, "--samples", str(100 + number), "--metric", "nll")
        wait_until(lambda: self.scored() > 0, "the run beside to score")

    def scored(self) -> int:
        """How much the run beside has scored; 0 unless it is scoring now."""
        from core.store.db import open_reader
        from core.store.runs import run_by_id

        with closing(open_reader(self.path)) as reader:
            run = run_by_id(reader, self.busy_run)
        return run.done if run.state == "running" and run.phase == "scoring" else 0

    def end(self) -> None:
        end_processes(self.path)


def end_processes(catalogue: Path) -> None:
    """Kill every process that works for a catalogue."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(catalogue) in command and any(part.startswith(OURS) for part in command):
            process.kill()


def wait_until(condition: Callable[[], Value], what: str, seconds: float = LONGEST_WAIT_SECONDS) -> Value:
    """Poll until the condition is true and return its value. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)
    return value
