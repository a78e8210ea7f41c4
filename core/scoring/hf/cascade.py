"""The packed cascade: contexts and all their responses as one row, so that nothing is computed twice or padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from core.scoring.hf.attention import KeptContext, PackedRow, packed_attention
from core.scoring.hf.head import RowHead, rows_per_chunk, score_rows
from core.scoring.hf.kept import Kept
from core.scoring.hf.limits import packed_limit
from core.scoring.hf.row import RowPlan
from core.scoring.protocol import ScoringGroup


class PackedCascade:
    """One row for all groups of a call; a context that comes again has a forward pass of its own and is kept."""

    name = "packed cascade"

    def __init__(self, model: Any) -> None:
        self._model = model
        self._decoder = model.get_decoder()
        self._head = RowHead(model)
        self._chunk = rows_per_chunk(model.get_output_embeddings().weight.shape[0], model.device.type)
        self._kept: Kept[KeptContext] = Kept()
        self.longest = packed_limit(self._decoder.config)

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]:
        kept = [self._kept.get(group.context, self._compute_alone) if group.keep else None for group in groups]
        plan = RowPlan(groups, kept)
        hidden = self._hidden_rows(plan)
        scores: dict[int, torch.Tensor] = {}
        for detail in (True, False):
            wanted = [place for place, is_detailed in enumerate(plan.detail) if is_detailed == detail]
            if wanted:
                scores |= zip(wanted, self._score_rows(hidden, plan, wanted, detail), strict=True)
        places = iter(range(len(plan.targets)))
        return [[scores[next(places)] for _ in group.responses] for group in groups]

    def forget(self) -> None:
        self._kept.clear()

    def _compute_alone(self, context: tuple[int, ...]) -> KeptContext:
        kept = KeptContext()
        layout = PackedRow((len(context),), keep_in=kept)
        kept.last_row = self._forward([*context], [*range(len(context))], layout)[-1:].clone()
        return kept

    def _hidden_rows(self, plan: RowPlan) -> torch.Tensor:
        """(tokens of the row, then kept contexts; hidden size)."""
        last_rows = [context.last_row for context in plan.kept if context.last_row is not None]
        if not plan.tokens:
            return torch.cat(last_rows)
        hidden = self._forward(plan.token_ids, plan.positions, plan.layout)
        return torch.cat([hidden, *last_rows]) if last_rows else hidden

    def _forward(self, ids: list[int], positions: list[int], layout: PackedRow) -> torch.Tensor:
        device = self._model.device
        with packed_attention(self._decoder):
            output = self._decoder(
                input_ids=torch.tensor([ids], device=device),
                position_ids=torch.tensor([positions], device=device),
                use_cache=False,
                packed_row=layout,
            )
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _score_rows(
        self, hidden: torch.Tensor, plan: RowPlan, wanted: list[int], detail: bool
    ) -> tuple[torch.Tensor, ...]:
        rows = torch.tensor([row for place in wanted for row in plan.rows(place)], device=hidden.device)
        targets = torch.tensor([token for place in wanted for token in plan.targets[place]])
        scored = score_rows(hidden[rows], targets, self._head, self._chunk, detail)
        return scored.split([len(plan.targets[place]) for place in wanted], dim=1)
