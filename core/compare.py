"""Two strategies of a run question by question, and single samples down to their tokens."""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from core.domain import ContextKind, Interval, Question, Run, RunState, response_digest
from core.errors import NotFoundError, SapError, UsageError
from core.export.comparison import (
    LONGEST_OPENING,
    Comparison,
    ContextScore,
    QuestionPair,
    Sample,
    Samples,
    SampleTokens,
)
from core.metrics.base import Contributions, Metric, ScoreArrays
from core.metrics.registry import all_metrics
from core.rank import run_arrays
from core.rank.arrays import metric_of, why_missing
from core.scoring.answers import gold_kind, is_correct
from core.stats import bootstrap, significance
from core.stats.ranking import available_metrics
from core.stats.scored import FEWEST_QUESTIONS, score_metric
from core.store.answer_checks import answer_checks
from core.store.batches import slices
from core.store.catalogue import question, response, task_by_name, turns_from_json
from core.store.runs import run_by_id
from core.store.scores import token_scores
from core.store.token_ends import token_ends

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray


def compare_strategies(reader: sqlite3.Connection, number: int, a: str, b: str, by: str | None = None) -> Comparison:
    """Strategies A and B of a run on the questions it has finished, by a metric (the run's first that has values).

    The interval is that of rankings (paired bootstrap over the questions that both have a value on), the p value that
    of the paired sign-flip test of this pair alone. Raises NotFoundError for strategies that the run has not,
    UsageError for a metric that does not exist, SapError for one that the run cannot give or where nothing is scored.
    """
    run = run_by_id(reader, number)
    _check_names(run, a, b)
    if a == b:
        raise UsageError(
            "A strategy cannot be compared with itself.", f"Run {run.id} has: {', '.join(run.strategies)}."
        )
    metric, arrays = _scored(reader, run, by)
    pair = arrays.select([a, b])
    if not pair.questions:
        raise SapError(f"Run {run.id} has no scores to compare yet ({run.shown}).", run.why or "See it: sap-tui runs")
    return _comparison(reader, run, metric, pair)


def _scored(reader: sqlite3.Connection, run: Run, by: str | None) -> tuple[Metric, ScoreArrays]:
    """The metric to compare by, and the arrays for it."""
    if by is not None:
        metric = metric_of(reader, run, by)
        problem = why_missing(reader, run, metric)
        if problem:
            raise problem
        return metric, run_arrays(reader, run, [metric])
    known = all_metrics()
    own = [known[name] for name in run.request.metrics if name in known]
    if not own:
        raise SapError(f"No metric of run {run.id} is installed any more.", "Name one: --by METRIC")
    found = ((metric, run_arrays(reader, run, [metric])) for metric in own)
    return next(
        (each for each in found if available_metrics(each[1], [each[0]])), (own[0], run_arrays(reader, run, []))
    )


def _comparison(reader: sqlite3.Connection, run: Run, metric: Metric, pair: ScoreArrays) -> Comparison:
    contributions = metric.contributions(pair)
    both = contributions.usable[0] & contributions.usable[1]
    values = _values(contributions)
    ahead = values[1] - values[0] if metric.direction == "lower" else values[0] - values[1]
    first, second = bootstrap.without_rounding(values)
    ahead[first == second] = 0.0
    tokens = pair.tokens()
    scores, difference, p_value = _tested(metric, pair) if both.sum() >= FEWEST_QUESTIONS else (None, None, None)
    return Comparison(
        run=run.id,
        task=run.task,
        model=run.model,
        metric=metric,
        a=pair.strategies[0],
        b=pair.strategies[1],
        rows=tuple(sorted(_rows(reader, pair, values, ahead, tokens), key=_largest_first)),
        questions=int(both.sum()),
        wins=int((ahead > 0).sum()),
        ties=int((ahead == 0).sum()),
        losses=int((ahead < 0).sum()),
        scores=scores,
        ahead=difference,
        p_value=p_value,
        mean_tokens=_means(tokens[:, both]) if both.any() else None,
        notes=tuple(_notes(reader, run, metric, both)),
    )


def _values(contributions: Contributions) -> FloatArray:
    """The metric of every single response: (S, Q)."""
    import numpy as np

    top, bottom = contributions.numerator, contributions.denominator
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def _means(tokens: FloatArray) -> tuple[float, float]:
    import numpy as np

    first, second = np.nanmean(np.where(np.isnan(tokens).all(axis=1, keepdims=True), 0.0, tokens), axis=1)
    return float(first), float(second)


def _tested(metric: Metric, pair: ScoreArrays) -> tuple[tuple[Interval, Interval], Interval, float]:
    """The scores of both, how far the first is ahead, and the p value."""
    scored = score_metric(pair, metric, bootstrap.DRAWS, 0)
    first, second = (scored.intervals()[name] for name in pair.strategies)
    ahead = scored.differences(0)[1] if scored.lower_is_better else scored.differences(1)[0]
    differences = significance.paired_differences(scored.numerator, scored.denominator, metric.statistic, 0, [1])
    return (first, second), ahead, float(significance.sign_flip_p_values(differences)[0])


def _rows(
    reader: sqlite3.Connection, pair: ScoreArrays, values: FloatArray, ahead: FloatArray, tokens: FloatArray
) -> Iterator[QuestionPair]:
    asked = _questions(reader, pair.questions)
    for column, number in enumerate(pair.questions):
        position, key, opening = asked[number]
        a, b = map(_number, values[:, column])
        counts = map(_count, tokens[:, column])
        yield QuestionPair(position, key, opening, a, b, _number(ahead[column]), *counts)


def _questions(reader: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[int, str | None, str]]:
    """Position from 1, key and opening of the questions."""
    found = {}
    for some in slices(list(numbers)):
        marks = ",".join("?" * len(some))
        rows = reader.execute(f"SELECT id, position, key, turns FROM questions WHERE id IN ({marks})", some)
        for row in rows:
            opening = turns_from_json(row["turns"])[-1].content.lstrip()[:LONGEST_OPENING]
            found[row["id"]] = row["position"] + 1, row["key"], opening
    return found


def _largest_first(row: QuestionPair) -> tuple[bool, float, int]:
    """Questions without a difference stand last."""
    return row.ahead is None, -abs(row.ahead or 0.0), row.position


def _number(value: Any) -> float | None:
    return None if value != value else float(value)


def _count(value: Any) -> int | None:
    return None if value != value else round(float(value))


def _notes(reader: sqlite3.Connection, run: Run, metric: Metric, both: BoolArray) -> Iterator[str]:
    if run.state is not RunState.DONE:
        yield f"Partial: run {run.id} is {run.shown}, {len(both)} of {run.questions} questions scored."
    if not both.all():
        yield f"{int((~both).sum())} of {len(both)} questions stand last: a response has no value of {metric.id} there."
    if run.request.until_decided:
        yield "The run was looked at again and again until it was decided; this p value does not know of that."
    if metric.contested:
        yield metric.contested


def question_samples(
    reader: sqlite3.Connection,
    number: int,
    strategies: Sequence[str],
    named: str,
    context: ContextKind = ContextKind.PLAIN,
) -> Samples:
    """A question of the run's task, named by its #position or its key, with the responses of these strategies.

    Their tokens are those behind the context. Raises NotFoundError for what the run or the task has not.
    """
    run = run_by_id(reader, number)
    _check_names(run, *strategies)
    asked = _named_question(reader, run, named)
    rows = reader.execute(
        "SELECT name, strategies.id FROM run_strategies JOIN strategies ON strategies.id = strategy WHERE run = ?",
        (run.id,),
    )
    ids = {row[0]: int(row[1]) for row in rows}
    samples = tuple(_sample(reader, run, asked, (name, ids[name]), context) for name in strategies)
    return Samples(run.id, run.task, run.model, asked, samples)


def _check_names(run: Run, *names: str) -> None:
    for name in names:
        if name not in run.strategies:
            near = difflib.get_close_matches(name, run.strategies, n=3)
            words = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"It has: {', '.join(run.strategies)}."
            raise NotFoundError(f"Run {run.id} has no strategy {name!r}.", words)


def _named_question(reader: sqlite3.Connection, run: Run, named: str) -> Question:
    task = task_by_name(reader, run.task).id
    by_key = reader.execute("SELECT id FROM questions WHERE task = ? AND key = ?", (task, named)).fetchone()
    place, by_place = named.removeprefix("#"), None
    if place.isascii() and place.isdigit() and len(place) < 16:
        by_place = reader.execute(
            "SELECT id FROM questions WHERE task = ? AND position = ?", (task, int(place) - 1)
        ).fetchone()
    row = by_place or by_key if place != named else by_key or by_place
    if row is None:
        raise NotFoundError(
            f"The task {run.task!r} has no question {named!r}.",
            "Name its id, or its place as '#1'; sap-tui compare lists them.",
        )
    return question(reader, row[0])


def _sample(
    reader: sqlite3.Connection, run: Run, asked: Question, strategy: tuple[str, int], context: ContextKind
) -> Sample:
    name, number = strategy
    items = reader.execute(
        "SELECT context_kind, run_items.context, run_items.response, state, code, scores.tokens, nll_sum FROM run_items"
        " LEFT JOIN scores ON scores.spec = ? AND scores.context = run_items.context"
        " AND scores.response = run_items.response AND run_items.state IN ('ok', 'reused')"
        " WHERE run = ? AND strategy = ? AND question = ? ORDER BY number",
        (run.spec, run.id, number, asked.id),
    ).fetchall()
    found = response(reader, number, asked.id)
    text = found.text if found else ""
    scored = next((item for item in items if item["context_kind"] == context and item["tokens"] is not None), None)
    notes, tokens = [], None
    if found is None:
        notes.append("The strategy has no response to this question any more.")
    elif not items:
        notes.append(f"Run {run.id} does not score this question.")
    elif items[0]["response"] != found.digest:
        notes.append("The response was replaced after the run; its scores belong to the earlier one. Score again.")
    elif scored is not None:
        tokens = _tokens(reader, run, scored, len(text))
        if tokens is None or tokens.ends is None:
            notes.append(_why_no_places(run))
    return Sample(name, text, _is_right(reader, asked, text), tuple(_context_scores(items)), tokens, tuple(notes))


def _why_no_places(run: Run) -> str:
    if not run.state.ended:
        return f"The places of the tokens in the text are not known yet; run {run.id} finds them when it goes on."
    return (
        "The places of the tokens in the text were not kept when this was scored. "
        f"Score again, and nothing is scored twice: sap-tui score --task {run.task} --model {run.model}"
    )


def _tokens(reader: sqlite3.Connection, run: Run, item: sqlite3.Row, length: int) -> SampleTokens | None:
    scores = token_scores(reader, run.spec, item["context"], item["response"])
    if scores is None:
        return None
    ends = token_ends(reader, run.spec, [item["response"]]).get(item["response"])
    fits = ends is not None and len(ends) == scores.tokens and (not len(ends) or int(ends[-1]) <= length)
    return SampleTokens(ContextKind(item["context_kind"]), scores, ends if fits else None)


def _context_scores(items: Sequence[sqlite3.Row]) -> Iterator[ContextScore]:
    """The mean over the orders of the examples where a context has several."""
    for kind in ContextKind:
        own = [item for item in items if item["context_kind"] == kind]
        missing = next((item for item in own if item["tokens"] is None), None)
        if missing is not None:
            words = {"planned": "not scored yet"}.get(missing["state"], missing["code"].replace("_", " "))
            yield ContextScore(kind, None, None, words or "the score is missing")
        elif own:
            mean = sum(item["nll_sum"] / item["tokens"] for item in own) / len(own)
            yield ContextScore(kind, int(own[0]["tokens"]), mean)


def _is_right(reader: sqlite3.Connection, asked: Question, text: str) -> bool | None:
    if not text or not asked.answer or gold_kind(asked.answer) is None:
        return None
    pair = response_digest(text), asked.answer
    known = answer_checks(reader, [pair])
    return known[pair] if pair in known else is_correct(text, asked.answer)
