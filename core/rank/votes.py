"""Which responses give the answer that most sampled answers, or most strategies, give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import SapError
from core.metrics.base import Input
from core.metrics.needs import HOW_TO_GET
from core.rank.compared import Compared
from core.scoring.votes import Vote, vote
from core.store.sampled_answers import sampled_answers

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

VOTERS = {
    Input.TARGET_VOTE: "the target model's sampled answers",
    Input.STRATEGY_VOTE: "the strategies' final answers",
}
METRICS = {Input.TARGET_VOTE: "self_consistency", Input.STRATEGY_VOTE: "strategy_vote"}


@dataclass(frozen=True, slots=True)
class _QuestionVote:
    """The vote on the question of one column; `places` has the place of every strategy's response in it, or None."""

    column: int
    vote: Vote
    asked: int
    places: list[int | None]


def count_votes(compared: Compared, kind: Input) -> tuple[FloatArray, str]:
    """(S, Q), 1 where a response gives the majority's answer, else 0, and a note about the vote.

    Of the target model the first samples of the run's number at its temperature vote, else the run's strategies. A
    tie goes to the answer that came first: the earlier sample's, the earlier strategy's. NaN where no voter has an
    answer to a question. SapError where nobody was asked or no answer could be read.
    """
    votes = list(_votes(compared, kind))
    passes = compared.unknown()
    for each in votes:
        for row, place in enumerate(each.places):
            if place is not None and each.vote.majority is not None:
                passes[row, each.column] = each.vote.passes(place)
    return passes, _note(votes, kind)


def is_possible(compared: Compared, kind: Input) -> bool:
    """Whether there is a vote on any question; SapError where nobody can be asked."""
    return any(each.vote.majority is not None for each in _votes(compared, kind))


def _votes(compared: Compared, kind: Input) -> Iterator[_QuestionVote]:
    if kind is Input.STRATEGY_VOTE and len(compared.strategies) < 2:
        raise SapError("A vote needs at least 2 strategies.", HOW_TO_GET[kind])
    for column, responses in compared.responses():
        samples = _samples(compared, column) if kind is Input.TARGET_VOTE else []
        voters = len(samples) if kind is Input.TARGET_VOTE else len(responses)
        found = vote([*samples, *responses], compared.gold[column], voters)
        places = [None if text is None else len(samples) + row for row, text in enumerate(responses)]
        asked = len(samples) if kind is Input.TARGET_VOTE else sum(text is not None for text in responses)
        yield _QuestionVote(column, found, asked, places)


def _samples(compared: Compared, column: int) -> list[str | None]:
    """The target model's answers, None for those that were cut at the limit."""
    request, context = compared.run.request, compared.contexts[column]
    samples = sampled_answers(compared.reader, compared.run.spec, context, request.vote_temperature, request.votes)
    return [text if is_finished else None for text, is_finished in samples]


def _note(votes: list[_QuestionVote], kind: Input) -> str:
    """How many answers could be read and how far they agree; SapError where none could."""
    asked, parsed = sum(each.asked for each in votes), sum(each.vote.parsed for each in votes)
    decided = [each.vote.agreement for each in votes if each.vote.majority is not None]
    if not decided:
        what = f"None of {VOTERS[kind]} could be read." if asked else f"There are none of {VOTERS[kind]}."
        raise SapError(what, HOW_TO_GET[kind])
    return (
        f"{METRICS[kind]}: {parsed:,} of {asked:,} of {VOTERS[kind]} could be read, on {len(decided):,} of "
        f"{len(votes):,} questions; on average {sum(decided) / len(decided):.0%} of a question's agree with their "
        "majority."
    )
