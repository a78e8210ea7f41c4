"""The token budget: which groups share a forward pass, and how a group that is too large is split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Tokens of a context, 0 where an earlier group has the same one and it is kept, and of each response behind it."""

    context: int
    responses: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return self.context + sum(self.responses)


@dataclass(frozen=True, slots=True)
class Part:
    """Some responses of one group, by their places, and the tokens to compute for them; `is_whole` says that they are
    all of the group's."""

    group: int
    responses: tuple[int, ...]
    tokens: int
    is_whole: bool


def pack(groups: Sequence[GroupSize], budget: int) -> list[list[Part]]:
    """Rows of at most `budget` tokens, in the order of the groups, so that a plan never depends on anything else.

    Groups share a row as long as they fit. A group larger than the budget gets rows of its own; its context counts in
    the first, and is kept for the others. Only a row of a single response may be larger than the budget.
    """
    rows: list[list[Part]] = []
    free = 0
    for number, size in enumerate(groups):
        if size.tokens <= budget:
            if size.tokens > free:
                rows.append([])
                free = budget
            rows[-1].append(Part(number, tuple(range(len(size.responses))), size.tokens, is_whole=True))
            free -= size.tokens
        else:
            parts = _split(number, size, budget)
            rows += [[part] for part in parts]
            free = 0
    return rows


def _split(number: int, size: GroupSize, budget: int) -> list[Part]:
    places: list[int] = []
    parts: list[Part] = []
    used = size.context
    for place, tokens in enumerate(size.responses):
        if places and used + tokens > budget:
            parts.append(Part(number, tuple(places), used, is_whole=False))
            places, used = [], 0
        places.append(place)
        used += tokens
    return [*parts, Part(number, tuple(places), used, is_whole=not parts)]
