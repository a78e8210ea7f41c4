"""Where the tokens of several groups lie in one packed row, and which hidden rows predict them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from core.scoring.hf.attention import KeptContext, PackedRow
from core.scoring.protocol import ScoringGroup


class RowPlan:
    """A packed row: contexts first, then all responses in order.

    `kept` gives for each group the context that was computed before, or None where it stands in the row. Responses
    count through all groups. A response's last token predicts nothing and is left out of the row.
    """

    def __init__(self, groups: Sequence[ScoringGroup], kept: Sequence[KeptContext | None]) -> None:
        self.targets = [response for group in groups for response in group.responses]
        self.detail = [group.detail for group in groups for _ in group.responses]
        self.kept = list(dict.fromkeys(context for context in kept if context is not None))
        self._contexts = [group.context for group, known in zip(groups, kept, strict=True) if known is None]
        self._owner = [number for number, group in enumerate(groups) for _ in group.responses]
        self._lengths = [len(group.context) for group in groups]
        sizes = [len(response) - 1 for response in self.targets]
        lengths = [len(context) for context in self._contexts]
        self._ends = list(accumulate(lengths))
        self._border = sum(lengths)
        self._starts = [self._border + end - size for end, size in zip(accumulate(sizes), sizes, strict=True)]
        self.tokens = self._border + sum(sizes)
        places = iter(range(len(lengths)))
        self._behind: list[int | KeptContext] = [next(places) if known is None else known for known in kept]
        responses = tuple(tuple(len(response) - 1 for response in group.responses) for group in groups)
        self.layout = PackedRow(tuple(lengths), responses, tuple(self._behind))

    @property
    def token_ids(self) -> list[int]:
        ids = [token for context in self._contexts for token in context]
        return ids + [token for response in self.targets for token in response[:-1]]

    @property
    def positions(self) -> list[int]:
        """Positions begin anew in each context and go on behind it in each response."""
        found = [place for context in self._contexts for place in range(len(context))]
        for response, owner in zip(self.targets, self._owner, strict=True):
            found += range(self._lengths[owner], self._lengths[owner] + len(response) - 1)
        return found

    def rows(self, response: int) -> list[int]:
        """The hidden rows that predict a response's tokens: its context's last one, then its own.

        The last rows of the kept contexts stand behind the row's own, in the order of `kept`.
        """
        start = self._starts[response]
        return [self._last_row(self._owner[response]), *range(start, start + len(self.targets[response]) - 1)]

    def _last_row(self, group: int) -> int:
        behind = self._behind[group]
        return self.tokens + self.kept.index(behind) if isinstance(behind, KeptContext) else self._ends[behind] - 1
