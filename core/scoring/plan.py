"""Packs samples into chunks of a token budget: samples that share a context together, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One response behind one context. `position` is the question's place in the task, `context` a digest."""

    number: int
    position: int
    context: bytes
    context_tokens: int
    response_tokens: int


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Items to compute behind one context; `tokens` counts the context once and every response."""

    context: bytes
    numbers: tuple[int, ...]
    tokens: int


def plan_chunks(items: Iterable[PlanItem], budget: int) -> list[tuple[PlannedGroup, ...]]:
    """Chunks of groups, each of at most `budget` tokens unless one response alone has more.

    The order is that of the questions and depends on nothing but the items, so a resumed run meets the same chunks.
    """
    chunks: list[tuple[PlannedGroup, ...]] = []
    room = 0
    for group in _groups_in_order(items, budget):
        if chunks and group.tokens <= room:
            chunks[-1] += (group,)
            room -= group.tokens
        else:
            chunks.append((group,))
            room = budget - group.tokens
    return chunks


def _groups_in_order(items: Iterable[PlanItem], budget: int) -> Iterator[PlannedGroup]:
    """Groups by the first question that they serve; one over the budget is split over its responses."""
    by_context: dict[bytes, list[PlanItem]] = {}
    for item in sorted(items, key=lambda item: (item.position, item.number)):
        by_context.setdefault(item.context, []).append(item)
    pieces = [piece for members in by_context.values() for piece in _split(members, budget)]
    for piece in sorted(pieces, key=lambda piece: (piece[0].position, piece[0].number)):
        numbers = tuple(item.number for item in piece)
        yield PlannedGroup(piece[0].context, numbers, _tokens(piece))


def _split(members: Sequence[PlanItem], budget: int) -> list[list[PlanItem]]:
    pieces: list[list[PlanItem]] = []
    tokens = 0
    for item in members:
        tokens += item.response_tokens
        if not pieces or tokens > budget:
            pieces.append([])
            tokens = item.context_tokens + item.response_tokens
        pieces[-1].append(item)
    return pieces


def _tokens(piece: Sequence[PlanItem]) -> int:
    return piece[0].context_tokens + sum(item.response_tokens for item in piece)
