"""Packing groups into rows: nothing lost, nothing reordered, never more than the budget."""

from __future__ import annotations

import random

import pytest

from core.scoring.plan import GroupSize, Part, pack


def test_groups_share_a_row_as_long_as_they_fit() -> None:
    groups = [GroupSize(10, (5, 5)), GroupSize(10, (10,)), GroupSize(1, (1,))]
    first, second, third = (
        Part(0, (0, 1), 20, is_whole=True),
        Part(1, (0,), 20, is_whole=True),
        Part(2, (0,), 2, is_whole=True),
    )
    assert pack(groups, 40) == [[first, second], [third]]
    assert pack(groups, 39) == [[first], [second, third]]
    assert pack([], 40) == []


def test_the_context_of_a_split_group_counts_once() -> None:
    rows = pack([GroupSize(1, (1,)), GroupSize(10, (8, 8, 8, 4, 8)), GroupSize(1, (1,))], 20)
    assert rows == [
        [Part(0, (0,), 2, is_whole=True)],
        [Part(1, (0,), 18, is_whole=False)],
        [Part(1, (1, 2, 3), 20, is_whole=False)],
        [Part(1, (4,), 8, is_whole=False)],
        [Part(2, (0,), 2, is_whole=True)],
    ]


def test_a_response_that_fits_nowhere_is_alone_in_its_row() -> None:
    assert pack([GroupSize(10, (90,))], 50) == [[Part(0, (0,), 100, is_whole=True)]]
    (first, second, third) = pack([GroupSize(60, (5, 70, 5))], 50)
    assert [row[0].responses for row in (first, second, third)] == [(0,), (1,), (2,)]


@pytest.mark.parametrize("seed", range(20))
def test_every_response_once_in_order_and_within_the_budget(seed: int) -> None:
    draw = random.Random(seed)
    groups = [
        GroupSize(draw.choice((0, 20, 300)), tuple(draw.randint(1, 60) for _ in range(draw.randint(1, 9))))
        for _ in range(40)
    ]
    budget = draw.randint(50, 500)
    rows = pack(groups, budget)
    assert rows == pack(groups, budget)
    placed = [(part.group, place) for row in rows for part in row for place in part.responses]
    assert placed == [(number, place) for number, group in enumerate(groups) for place in range(len(group.responses))]
    assert sum(part.tokens for row in rows for part in row) == sum(group.tokens for group in groups)
    for row in rows:
        tokens = sum(part.tokens for part in row)
        assert tokens <= budget or sum(len(part.responses) for part in row) == 1
        for part in row:
            assert part.is_whole == (len(part.responses) == len(groups[part.group].responses))
            assert part.is_whole or len(row) == 1
