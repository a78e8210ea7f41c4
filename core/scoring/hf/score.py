"""Groups through the fastest tiers within the token budget; halving when memory does not suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from core.domain import SampleError, TokenScores
from core.scoring.hf.budget import SMALLEST, token_budget
from core.scoring.hf.head import token_scores
from core.scoring.hf.ladder import Ladder
from core.scoring.hf.memory import free_cached_memory, is_out_of_memory
from core.scoring.hf.precision import can_compute_in_bfloat16, computing_in_bfloat16
from core.scoring.hf.tiers import OneByOne, Tier
from core.scoring.plan import GroupSize, Part, pack
from core.scoring.protocol import TOO_LARGE, ScoringGroup

Results = list[TokenScores | SampleError]


class GroupScorer:
    """Scores groups that have a context and responses, all with tokens that the model knows."""

    def __init__(self, model: Any, ladder: Ladder) -> None:
        self._model = model
        self._ladder = ladder
        self.token_budget = token_budget(model)

    def limit_tokens(self, budget: int) -> None:
        self.token_budget = max(SMALLEST, min(self.token_budget, budget))

    def score(self, groups: Sequence[ScoringGroup]) -> list[Results]:
        """Row by row within the token budget, each part by the fastest tier that takes it."""
        found: list[dict[int, TokenScores | SampleError]] = [{} for _ in groups]
        for tier, parts in self._rows(groups):
            budget = self.token_budget
            scored = self._score_parts(tier, groups, parts)
            if any(_is_too_large(result) for results in scored for result in results):
                # One response that never fits says nothing about the others.
                self.token_budget = budget
            for part, results in zip(parts, scored, strict=True):
                found[part.group] |= zip(part.responses, results, strict=True)
        return [[results[place] for place in sorted(results)] for results in found]

    def _rows(self, groups: Sequence[ScoringGroup]) -> list[tuple[Tier, list[Part]]]:
        # A context that is kept has a forward pass of its own.
        sizes = [
            GroupSize(0 if group.keep else len(group.context), tuple(map(len, group.responses))) for group in groups
        ]
        rows: list[tuple[Tier, list[Part]]] = []
        for row in pack(sizes, self.token_budget):
            by_tier: dict[str, tuple[Tier, list[Part]]] = {}
            for part in row:
                group = groups[part.group]
                longest = len(group.context) + max(len(group.responses[place]) for place in part.responses)
                tier = self._ladder.tier_for(longest)
                by_tier.setdefault(tier.name, (tier, []))[1].append(part)
            rows += by_tier.values()
        return rows

    def _score_parts(self, tier: Tier, groups: Sequence[ScoringGroup], parts: list[Part]) -> list[Results]:
        wanted = [_cut(groups[part.group], part) for part in parts]
        rows = self._try_tier(tier, wanted)
        if rows is None:
            return self._score_halves(tier, groups, parts)
        checked = [[_checked(found) for found in own] for own in rows]
        return [self._mended(group, results) for group, results in zip(wanted, checked, strict=True)]

    def _try_tier(self, tier: Tier, groups: Sequence[ScoringGroup]) -> list[list[torch.Tensor]] | None:
        try:
            return tier.score(groups)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        self._ladder.forget()
        free_cached_memory(self._model)
        return None

    def _score_halves(self, tier: Tier, groups: Sequence[ScoringGroup], parts: list[Part]) -> list[Results]:
        """What is finished in the first half is kept whatever happens to the second."""
        tokens = sum(len(groups[part.group].context) + _response_tokens(groups, part) for part in parts)
        if len(parts) > 1:
            self.limit_tokens(tokens // 2)
            middle = len(parts) // 2
            first = self._score_parts(tier, groups, parts[:middle])
            return first + self._score_parts(tier, groups, parts[middle:])
        (part,) = parts
        if len(part.responses) <= 1:
            return [[SampleError(TOO_LARGE, "Not enough memory for this response alone.")]]
        self.limit_tokens(tokens // 2)
        middle = len(part.responses) // 2
        halves = (part.responses[:middle], part.responses[middle:])
        return [[r for half in halves for r in self._score_parts(tier, groups, [replace(part, responses=half)])[0]]]

    def _mended(self, group: ScoringGroup, results: Results) -> Results:
        """Responses that overflowed float16, computed again in bfloat16 where the model's layers can do that."""
        failed = [place for place, result in enumerate(results) if isinstance(result, SampleError)]
        if not failed or not can_compute_in_bfloat16(self._model):
            return results
        again = replace(group, responses=tuple(group.responses[place] for place in failed))
        try:
            with computing_in_bfloat16(self._model):
                rows = self._try_tier(OneByOne(self._model), [again])
        except RuntimeError:
            return results
        for place, found in zip(failed, rows[0] if rows else [], strict=False):
            scores = _checked(found)
            if isinstance(scores, TokenScores):
                results[place] = replace(scores, redone_in="bfloat16")
        return results


def _cut(group: ScoringGroup, part: Part) -> ScoringGroup:
    """The part as a group; the context of a group that was split comes again."""
    if len(part.responses) == len(group.responses):
        return group
    return replace(group, responses=tuple(group.responses[place] for place in part.responses), keep=True)


def _is_too_large(result: TokenScores | SampleError) -> bool:
    return isinstance(result, SampleError) and result.code == TOO_LARGE


def _response_tokens(groups: Sequence[ScoringGroup], part: Part) -> int:
    return sum(len(groups[part.group].responses[place]) for place in part.responses)


def _checked(rows: torch.Tensor) -> TokenScores | SampleError:
    if not torch.isfinite(rows).all():
        return SampleError("nonfinite", "The model gave values that are no finite numbers.")
    return token_scores(rows)
