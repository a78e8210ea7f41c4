"""A contestant's process: loads its model, then scores its case once for every line that it is sent.

Started as `python -m benchmarks.process TASK` with a Task as JSON. It answers in JSON lines: first what loading took,
then one line a round; a line with `error` is its last.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from benchmarks.cases import Case, Group, read_case


@dataclass(frozen=True, slots=True)
class Task:
    """What a contestant's process is to load and to score; `code` as in Contestant."""

    code: str
    options: dict[str, Any]
    case: str
    model: str
    device: str
    dtype: str
    quantization: str


@dataclass(frozen=True, slots=True)
class Scored:
    """One response's mean log-probability in nats, and each token's where the contestant gives them."""

    mean: float
    tokens: list[float] | None = None


class Scoring(Protocol):
    """What the module that `code` names implements; `note` tells readers of the table what they should know."""

    versions: dict[str, str]
    note: str

    def score(self, groups: list[Group]) -> list[list[Scored]]: ...


def main(argument: str) -> None:
    answers = _own_standard_output()
    task = Task(**json.loads(argument))
    try:
        _serve(task, answers)
    except Exception as error:  # whatever a tool raises becomes its row's text
        lines = str(error).strip().splitlines() or [""]
        _send(answers, error=f"{type(error).__name__}: {lines[0]}"[:300])
        raise


def _serve(task: Task, answers: TextIO) -> None:
    case = read_case(Path(task.case))
    started = time.perf_counter()
    scoring = _load(task, case)
    seconds = time.perf_counter() - started
    _send(
        answers, load_seconds=seconds, load_peak_bytes=_peak_bytes(task.device), versions=scoring.versions,
        note=scoring.note,
    )  # fmt: skip
    for _ in sys.stdin:
        _send(answers, **_round(scoring, case, task.device))


def _load(task: Task, case: Case) -> Scoring:
    module, _, name = task.code.partition(":")
    scoring: Scoring = getattr(importlib.import_module(module), name)(task, case)
    return scoring


def _round(scoring: Scoring, case: Case, device: str) -> dict[str, Any]:
    _synchronize(device)
    cpu, wall = time.process_time(), time.perf_counter()
    scored = scoring.score(case.groups)
    _synchronize(device)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    means = [[response.mean for response in group] for group in scored]
    tokens = [[response.tokens for response in group] for group in scored]
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_bytes": _peak_bytes(device), "means": means,
        "tokens": tokens}  # fmt: skip


def _synchronize(device: str) -> None:
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


def _peak_bytes(device: str) -> int:
    """The highest memory so far: allocated on the GPU, or resident."""
    if device != "cpu":
        import torch

        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _own_standard_output() -> TextIO:
    """The pipe to the driver; whatever a library prints goes to the log."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def _send(answers: TextIO, **message: Any) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
