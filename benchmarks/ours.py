"""sap-tui's engine with one of its tiers."""

from __future__ import annotations

from benchmarks.cases import Case, Group
from benchmarks.process import Scored, Task
from core.domain import SampleError, TokenScores
from core.scoring.hf.load import load_engine
from core.scoring.protocol import EngineSettings, ScoringGroup


class SapTui:
    """The engine of the program, asked as its worker asks it."""

    note = ""

    def __init__(self, task: Task, case: Case) -> None:
        tier = task.options["tier"]
        self._engine = load_engine(EngineSettings(task.model, task.device, task.dtype, task.quantization, tier=tier))
        if self._engine.tier != tier:
            raise RuntimeError(f"the engine computes this model {self._engine.tier}")
        self.versions = self._engine.versions

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        return [[_read(result) for result in results] for results in self._engine.score(list(map(_wish, groups)))]


def _wish(group: Group) -> ScoringGroup:
    responses = tuple(map(tuple, group.responses))
    return ScoringGroup(tuple(group.context), responses, group.detail, group.keep)


def _read(result: TokenScores | SampleError) -> Scored:
    if isinstance(result, SampleError):
        raise RuntimeError(result.text)
    return Scored(float(result.log_probability.mean(dtype="float64")), result.log_probability.tolist())
