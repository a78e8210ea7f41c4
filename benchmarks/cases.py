"""What is scored: groups of a context and responses as token ids, the same for every contestant."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Group:
    """A context (empty where the first response token has no predictor) and the responses behind it.

    The texts tokenize to exactly the ids, together too. `detail` and `keep` are what the program asks of its engine.
    """

    context: list[int]
    responses: list[list[int]]
    context_text: str
    response_texts: list[str]
    detail: bool = False
    keep: bool = False

    def scored_tokens(self) -> int:
        missing = 0 if self.context else len(self.responses)
        return sum(map(len, self.responses)) - missing


@dataclass(frozen=True, slots=True)
class Case:
    groups: list[Group]

    def scored_tokens(self) -> int:
        return sum(group.scored_tokens() for group in self.groups)


@dataclass(frozen=True, slots=True)
class CaseSpec:
    """The sizes of a case: `kind` is in-context, or a whole job as the program or as the paper does it."""

    name: str
    kind: str
    strategies: int
    prompt_tokens: int
    response_tokens: int

    def scaled(self, factor: float) -> CaseSpec:
        """The same with all token counts times `factor`, for trying things out."""
        prompt, response = (max(int(count * factor), 8) for count in (self.prompt_tokens, self.response_tokens))
        return CaseSpec(self.name, self.kind, self.strategies, prompt, response)


def write_case(path: Path, case: Case) -> None:
    path.write_text(json.dumps(asdict(case)), encoding="utf-8")


def read_case(path: Path) -> Case:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Case([Group(**group) for group in data["groups"]])
