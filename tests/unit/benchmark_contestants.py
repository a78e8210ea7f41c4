"""Contestants for the benchmark's own tests, which need no model."""

from __future__ import annotations

from benchmarks.cases import Case, Group
from benchmarks.process import Scored, Task


class Constant:
    """Gives every token of every response the same log-probability."""

    note = ""

    def __init__(self, task: Task, case: Case) -> None:
        print("a library that talks on standard output")
        self.versions = {"constant": "1"}
        self._options = task.options
        self._rounds = 0

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        self._rounds += 1
        if self._rounds == self._options.get("fails_in_round"):
            raise RuntimeError("no more\nof this")
        value = -1.0 + self._options.get("off", 0.0)
        return [[Scored(value, [value] * len(response)) for response in group.responses] for group in groups]


class Unloadable:
    def __init__(self, task: Task, case: Case) -> None:
        raise ImportError("nothing to load")
