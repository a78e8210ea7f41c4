"""Chunks of a run: contexts together, budget kept, order fixed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.scoring.plan import PlanItem, plan_chunks


def item(number: int, position: int, context: str, context_tokens: int = 10, response_tokens: int = 5) -> PlanItem:
    return PlanItem(number, position, context.encode(), context_tokens, response_tokens)


def numbers(items: list[PlanItem], budget: int) -> list[list[tuple[int, ...]]]:
    return [[group.numbers for group in chunk] for chunk in plan_chunks(items, budget)]


def test_items_of_one_context_stand_together_in_question_order() -> None:
    items = [item(0, 1, "b"), item(1, 0, "a"), item(2, 1, "b"), item(3, 0, "a")]
    assert numbers(items, 1000) == [[(1, 3), (0, 2)]]


def test_a_chunk_ends_where_the_next_group_does_not_fit() -> None:
    items = [item(0, 0, "a"), item(1, 1, "b"), item(2, 2, "c")]
    assert numbers(items, 30) == [[(0,), (1,)], [(2,)]]


def test_a_group_over_the_budget_is_split_over_its_responses() -> None:
    items = [item(number, 0, "a", response_tokens=10) for number in range(5)]
    assert numbers(items, 30) == [[(0, 1)], [(2, 3)], [(4,)]]


def test_a_response_over_the_budget_stands_alone() -> None:
    items = [item(0, 0, "a"), item(1, 0, "a", response_tokens=500), item(2, 0, "a")]
    assert numbers(items, 30) == [[(0,)], [(1,)], [(2,)]]


def test_a_context_of_all_questions_is_spread_over_them() -> None:
    items = [item(position, position, "alone", 5, 20) for position in range(4)]
    items += [item(10 + position, position, f"plain {position}", 5, 20) for position in range(4)]
    assert numbers(items, 50) == [[(0, 1)], [(10,), (11,)], [(2, 3)], [(12,), (13,)]]


def test_nothing_to_do() -> None:
    assert plan_chunks([], 100) == []


items_strategy = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=40
).map(
    lambda rows: [
        item(number, position, f"{context}", 7 + context, tokens)
        for number, (position, context, tokens) in enumerate(rows)
    ]
)


@given(items_strategy, st.integers(1, 200), st.randoms())
def test_every_item_once_within_the_budget_whatever_the_order(
    items: list[PlanItem], budget: int, random: object
) -> None:
    chunks = plan_chunks(items, budget)
    placed = [number for chunk in chunks for group in chunk for number in group.numbers]
    assert sorted(placed) == list(range(len(items)))
    for chunk in chunks:
        single = len(chunk) == 1 and len(chunk[0].numbers) == 1
        assert single or sum(group.tokens for group in chunk) <= budget
        for group in chunk:
            assert {items[number].context for number in group.numbers} == {group.context}
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan_chunks(shuffled, budget) == chunks
