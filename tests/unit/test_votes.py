"""Majority votes over final answers."""

from __future__ import annotations

import pytest

from core.scoring.votes import vote


@pytest.mark.parametrize(
    ("texts", "gold", "groups", "agreement"),
    [
        (["so 5", "x = 5.0", "Final Answer: $5", "6", None, "no idea"], "7", (0, 0, 0, 1, None, None), 0.75),
        (["1,000", "\\boxed{1000}", "10^3"], "5", (0, 0, 1), 2 / 3),
        (["The answer is (B)", "Final answer: b.", "(C)", "hm"], "A", (0, 0, 1, None), 2 / 3),
        (["Yes.", "Final answer: true", "No", "maybe"], "true", (0, 0, 1, None), 2 / 3),
        (
            ["\\boxed{\\frac{1}{2}}", "Final Answer: 1/2", "\\boxed{x}", "\\boxed{0.5}"],
            "\\frac{3}{4}",
            (0, 0, 1, 0),
            0.75,
        ),
        (["\\boxed{x^2}", "\\boxed{X^2}", "\\boxed{x \\cdot x}"], "x^3", None, None),
        (["It was\nthe Red  Fox.", "Final Answer: red fox"], "blue fox", (0, 0), 1.0),
        (["3 or 4", "\\boxed{4}", "Final Answer: yes", "Final answer: Yes.", "none"], None, (0, 0, 1, 1, None), 0.5),
        (["x", "y"], "def f():\n    return 3", (None, None), 0.0),
        ([], "5", (), 0.0),
    ],
)
def test_answers_are_grouped_by_what_they_say(
    texts: list[str | None], gold: str | None, groups: tuple[int | None, ...] | None, agreement: float | None
) -> None:
    found = vote(texts, gold)
    if groups is None:
        assert found.groups[0] == found.groups[2]
        return
    assert found.groups == groups
    assert found.agreement == pytest.approx(agreement)
    assert found.parsed == sum(group is not None for group in groups)


def test_a_tie_goes_to_the_answer_that_came_first() -> None:
    found = vote(["7", "3", "3", "7", "5"], "1")
    assert found.majority == 0
    assert [found.passes(place) for place in range(5)] == [True, False, False, True, False]


def test_only_the_voters_decide() -> None:
    found = vote(["1", "2", "2", "9", "9", "9", "2", None], "0", voters=3)
    assert (found.parsed, found.agreement) == (3, pytest.approx(2 / 3))
    assert [found.passes(place) for place in range(8)] == [False, True, True, False, False, False, True, False]


def test_without_a_readable_answer_nobody_passes() -> None:
    found = vote(["?", None, "3"], "4", voters=2)
    assert found.majority is None
    assert not any(found.passes(place) for place in range(3))
