"""Majority votes over the final answers of several texts to one question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.scoring.answers import GoldKind, comparable_answer, gold_kind, same_mathematics, stated_answer


@dataclass(frozen=True, slots=True)
class Vote:
    """The final answers of n texts. `groups` numbers equal answers alike, None where a text gives none.

    `majority` is the group that most texts are in, the one that came first where several are equally large; None
    without any answer. `agreement` is the share of the parsed answers that are in it.
    """

    groups: tuple[int | None, ...]
    majority: int | None
    parsed: int
    agreement: float

    def passes(self, place: int) -> bool:
        """Whether the text at this place gives the majority's answer."""
        return self.majority is not None and self.groups[place] == self.majority


def vote(texts: Sequence[str | None], gold: str | None, voters: int | None = None) -> Vote:
    """The vote of the first `voters` of the texts (all of them without a number); the others are only grouped.

    With a gold answer its kind decides how answers are found and compared, and none is found where it has no kind.
    Without one it is the stated answer, the last box or the last number. None stands for a text without an end.
    """
    kind = gold_kind(gold) if gold is not None else None
    readable = gold is None or kind is not None
    answers = [stated_answer(text, gold) if readable and text is not None else None for text in texts]
    groups = _grouped(answers, kind)
    cast = [group for group in groups[:voters] if group is not None]
    if not cast:
        return Vote(tuple(groups), None, 0, 0.0)
    # Counter keeps the order of first appearance, so ties go to the earliest.
    (majority, size), *_ = Counter(cast).most_common(1)
    return Vote(tuple(groups), majority, len(cast), size / len(cast))


def _grouped(answers: Sequence[str | None], kind: GoldKind | None) -> list[int | None]:
    """A number for every answer, equal for equal answers."""
    groups: dict[str, int] = {}
    written: dict[str, str] = {}
    found: list[int | None] = []
    for answer in answers:
        form = comparable_answer(answer, kind) if answer else ""
        if answer and form and form not in groups:
            equal = (groups[other] for other in groups if same_mathematics(answer, written[other], kind))
            groups[form], written[form] = next(equal, len(set(groups.values()))), answer
        found.append(groups.get(form))
    return found
