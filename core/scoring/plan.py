"""The token budget: which groups share a forward pass, and how a group that is too large is split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Tokens of a context and of each response behind it."""

    context: int
    responses: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return self.context + sum(self.responses)


@dataclass(frozen=True, slots=True)
class Part:
    """Some responses of one group, by their places; `is_whole` says that they are all of them."""

    group: int
    responses: tuple[int, ...]
    is_whole: bool


def pack(groups: Sequence[GroupSize], budget: int) -> list[list[Part]]:
    """Rows of at most `budget` tokens, in the order of the groups, so that a plan never depends on anything else.

    Groups share a row as long as they fit. A group larger than the budget gets rows of its own, with its context
    counted in each; a response that does not fit even alone gets a row by itself.
    """
    rows: list[list[Part]] = []
    free = 0
    for number, size in enumerate(groups):
        if size.tokens <= free:
            rows[-1].append(_whole(number, size))
            free -= size.tokens
        elif size.tokens <= budget:
            rows.append([_whole(number, size)])
            free = budget - size.tokens
        else:
            rows += [[Part(number, places, is_whole=False)] for places in _split(size, budget)]
            free = 0
    return rows


def _whole(number: int, size: GroupSize) -> Part:
    return Part(number, tuple(range(len(size.responses))), is_whole=True)


def _split(size: GroupSize, budget: int) -> list[tuple[int, ...]]:
    pieces: list[list[int]] = []
    free = 0
    for place, tokens in enumerate(size.responses):
        if not pieces or tokens > free:
            pieces.append([])
            free = budget - size.context
        pieces[-1].append(place)
        free -= tokens
    return [tuple(piece) for piece in pieces]
