"""Which of the model's own predictions help most as in-context examples (after arXiv 2410.23605)."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain import Prediction, Question, TokenScores, Turn, response_digest
from core.jobs.claim import update_claimed
from core.run_work.steps import RunWork
from core.scoring.prompts import context_digest, load_template, self_aligned_turns
from core.scoring.protocol import ScoringGroup
from core.store.catalogue import question
from core.store.scores import insert_scores, token_scores

MOST_CANDIDATES = 32
PROBES = 8


def most_useful_first(work: RunWork, pool: Sequence[Prediction]) -> list[Prediction]:
    """The candidates in the order of the mean L (nats per token) of other predictions behind each as the one example.

    Candidates are the first 32 of the pool; each is tried on 8 other predictions, evenly spread over the pool. What is
    found is stored as scores, so that it is computed once. Predictions that could not be tried come last.
    """
    candidates = list(pool[:MOST_CANDIDATES])
    probes = [(question(work.reader, each.question), each) for each in pool if each.question is not None]
    losses: dict[int, float] = {}
    for place, candidate in enumerate(candidates):
        work.begin("choosing examples", place, len(candidates))
        losses[place] = _mean_loss(work, candidate, _spread(probes, candidate))
    return [candidates[place] for place in sorted(losses, key=lambda place: losses[place])]


def _spread(probes: Sequence[tuple[Question, Prediction]], candidate: Prediction) -> list[tuple[Question, Prediction]]:
    others = [probe for probe in probes if probe[1].question != candidate.question]
    count = min(PROBES, len(others))
    return [others[place * len(others) // count] for place in range(count)]


def _mean_loss(work: RunWork, candidate: Prediction, probes: Sequence[tuple[Question, Prediction]]) -> float:
    template = load_template(work.run.request.prompt_template)
    pairs = [(self_aligned_turns(asked.turns, [candidate.text], template), probe.text) for asked, probe in probes]
    stored = [_stored(work, *pair) for pair in pairs]
    if any(each is None for each in stored):
        _score(work, pairs)
        stored = [_stored(work, *pair) for pair in pairs]
    means = [-float(each.log_probability.mean()) for each in stored if each is not None]
    return sum(means) / len(means) if means else float("inf")


def _stored(work: RunWork, turns: tuple[Turn, ...], text: str) -> TokenScores | None:
    return token_scores(work.reader, work.run.spec, context_digest(turns), response_digest(text))


def _score(work: RunWork, pairs: Sequence[tuple[tuple[Turn, ...], str]]) -> None:
    """All pairs in one call, whatever is stored already: what shares a call must not depend on interruptions."""
    engine = work.engine()
    encoded = [(engine.encode_context(turns), engine.encode_response(text)) for turns, text in pairs]
    fitting = [
        place
        for place, (context, response) in enumerate(encoded)
        if response and len(context) + len(response) <= engine.max_context_tokens
    ]
    found = engine.score([ScoringGroup(encoded[place][0], (encoded[place][1],)) for place in fitting])
    scores = {
        (context_digest(pairs[place][0]), response_digest(pairs[place][1])): each[0]
        for place, each in zip(fitting, found, strict=True)
        if isinstance(each[0], TokenScores)
    }
    with work.writer.transaction() as connection:
        update_claimed(connection, work.claim, barren=0)
        insert_scores(connection, work.run.spec, engine.tier, scores)
