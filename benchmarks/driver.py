"""Runs contestants in fresh processes: correctness first, then interleaved rounds. Never imports torch itself.

A child's peak memory starts from its parent's, so this process stays small.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import CaseSpec
from benchmarks.contestants import REFERENCE, Contestant
from benchmarks.gate import Difference, Gate, difference
from benchmarks.process import Task

ROOT = Path(__file__).resolve().parents[1]
MISSES_GATE = "misses the gate, so its time is not shown"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}


def environment() -> dict[str, str]:
    """One thread for everyone, and no network."""
    return {**os.environ, **ENVIRONMENT}


@dataclass(frozen=True, slots=True)
class Target:
    """The model and precision that all contestants run."""

    model: str
    device: str
    dtype: str
    quantization: str


@dataclass(slots=True)
class Entry:
    """One contestant on one case, and what was measured of it; without seconds `note` says why."""

    contestant: Contestant
    spec: CaseSpec
    python: Path = Path(sys.executable)
    note: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    load_seconds: float | None = None
    load_peak_bytes: int | None = None
    peak_bytes: int | None = None
    difference: Difference | None = None
    cpu_seconds: list[float] = field(default_factory=list)
    wall_seconds: list[float] = field(default_factory=list)


class ContestantError(Exception):
    """The contestant cannot go on; the text is for its row."""


class Process:
    """A contestant's process and the pipe to it."""

    def __init__(self, entry: Entry, target: Target, case: Path, log: Path) -> None:
        task = Task(entry.contestant.code, entry.contestant.options, str(case), **asdict(target))
        with log.open("w", encoding="utf-8") as stream:
            self._process = subprocess.Popen(
                [str(entry.python), "-m", "benchmarks.process", json.dumps(asdict(task))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, text=True, cwd=ROOT, env=environment(),
            )  # fmt: skip
        self._log = log

    def loaded(self) -> dict[str, Any]:
        return self._answer()

    def round(self) -> dict[str, Any]:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # its last words are still to be read
            self._process.stdin.write("round\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise ContestantError(f"ended with exit code {code}: {_last_line(self._log)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process, which ends by itself when nobody asks any more."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Race:
    """Entries that are measured together, each compared with the reference on its own case."""

    def __init__(self, entries: Sequence[Entry], target: Target, gate: Gate, folder: Path) -> None:
        self._entries = entries
        self._target = target
        self._gate = gate
        self._folder = folder
        self._open: list[tuple[Entry, Process]] = []

    def run(self, rounds: int, say: Callable[[str], None]) -> None:
        """Fill the entries. On a CPU rounds go A B C ... C B A; on a GPU, which may hold one model, one by one."""
        wanted = {spec.name: self._reference(spec, say) for spec in dict.fromkeys(e.spec for e in self._entries)}
        runnable = [entry for entry in self._entries if not entry.note]
        together = [runnable] if self._target.device == "cpu" else [[entry] for entry in runnable]
        for entries in together:
            try:
                for entry in entries:
                    self._warm_up(entry, wanted[entry.spec.name], say)
                for number in range(rounds):
                    self._round(number, say)
            finally:
                self._close_all()

    def _reference(self, spec: CaseSpec, say: Callable[[str], None]) -> dict[str, Any]:
        say(f"{spec.name}: reference")
        process = self._start(Entry(REFERENCE, spec))
        try:
            process.loaded()
            return process.round()
        except ContestantError as error:
            raise SystemExit(f"The reference cannot be computed: {error}") from error
        finally:
            process.close()

    def _start(self, entry: Entry) -> Process:
        log = self._folder / f"{entry.contestant.name} {entry.spec.name}.log"
        return Process(entry, self._target, self._folder / f"{entry.spec.name}.json", log)

    def _warm_up(self, entry: Entry, wanted: dict[str, Any], say: Callable[[str], None]) -> None:
        """Load, score once and compare; the process stays open if it may be timed."""
        say(f"{entry.spec.name}: {entry.contestant.name}, warm-up")
        process = self._start(entry)
        try:
            _take_loaded(entry, process.loaded())
            answer = process.round()
            entry.peak_bytes = answer["peak_bytes"]
            entry.difference = difference(answer, wanted)
        except (ContestantError, ValueError) as error:
            entry.note = str(error)
            process.close()
            return
        if entry.difference.passes(self._gate):
            self._open.append((entry, process))
        else:
            entry.note = "; ".join(filter(None, (MISSES_GATE, entry.note)))
            process.close()

    def _round(self, number: int, say: Callable[[str], None]) -> None:
        order = self._open if number % 2 == 0 else self._open[::-1]
        for entry, process in list(order):
            try:
                answer = process.round()
            except ContestantError as error:
                self._open.remove((entry, process))
                process.close()
                entry.note, entry.cpu_seconds, entry.wall_seconds = str(error), [], []
                continue
            entry.cpu_seconds.append(answer["cpu_seconds"])
            entry.wall_seconds.append(answer["wall_seconds"])
            entry.peak_bytes = answer["peak_bytes"]
            say(f"{entry.spec.name}: {entry.contestant.name}, round {number + 1}: {answer['cpu_seconds']:.2f} CPU s")

    def _close_all(self) -> None:
        for _, process in self._open:
            process.close()
        self._open = []


def _take_loaded(entry: Entry, answer: dict[str, Any]) -> None:
    entry.load_seconds, entry.load_peak_bytes = answer["load_seconds"], answer["load_peak_bytes"]
    entry.versions, entry.note = answer["versions"], answer["note"]


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"
