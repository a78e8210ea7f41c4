"""Two strategies question by question and single samples, against the tables and against rankings."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from core.compare import compare_strategies, question_samples
from core.domain import ContextKind, Run, RunState
from core.errors import NotFoundError, SapError, UsageError
from core.export.comparison import comparison_object, comparison_sentence, samples_object
from core.metrics import nll
from core.metrics.registry import all_metrics
from core.rank import ranking_report
from core.scoring.fake import Faults
from core.store.db import open_reader
from tests.jobs.helpers import queue_run, run_now
from tests.unit.scored_runs import change, scored_run, stored_nll

QUESTIONS = 24


@pytest.fixture
def run(catalogue: Path, stand_in_model: Path) -> Run:
    return scored_run(catalogue, stand_in_model, ("nll", "rsr"))


def test_differences_are_those_of_the_stored_scores(catalogue: Path, run: Run) -> None:
    found = compare_strategies(open_reader(catalogue), run.id, "plain", "chatty")
    plain, chatty = (stored_nll(catalogue, run, name) for name in ("plain", "chatty"))
    expected = {question: chatty[question][0] - plain[question][0] for question in plain}
    by_size = sorted(expected, key=lambda question: -abs(expected[question]))
    assert [row.position for row in found.rows] == by_size
    assert [row.key for row in found.rows] == [str(question - 1) for question in by_size]
    for row in found.rows:
        assert (row.a, row.b) == (pytest.approx(plain[row.position][0]), pytest.approx(chatty[row.position][0]))
        assert row.ahead == pytest.approx(expected[row.position])
        assert row.opening == f"What is {row.position - 1} plus {row.position - 1}?"
        assert row.tokens_a == len(f"It is {2 * row.position - 2}.")
    wins = sum(value > 0 for value in expected.values())
    assert (found.wins, found.ties, found.losses, found.questions) == (wins, 0, QUESTIONS - wins, QUESTIONS)
    assert found.ahead is not None
    assert found.ahead.value == pytest.approx(mean(expected.values()))
    assert found.mean_tokens == (mean(len(f"It is {2 * n}.") for n in range(24)), mean(
        len(f"Well, let me see, that makes {2 * n} altogether!") for n in range(24)))  # fmt: skip


@pytest.mark.parametrize("metric", ["nll", "rsr", "response_accuracy", "ppl"])
def test_interval_and_p_value_are_those_of_the_ranking_of_two(catalogue: Path, run: Run, metric: str) -> None:
    (first, second) = ranking_report(open_reader(catalogue), run.id, metric).ranking.rows
    found = compare_strategies(open_reader(catalogue), run.id, first.strategy, second.strategy, metric)
    assert found.p_value == second.p_value
    assert found.scores == (first.scores[metric], second.scores[metric])
    assert second.difference is not None
    assert found.ahead is not None
    difference = second.difference
    if found.metric.direction == "higher":
        ends = -difference.value, -difference.high, -difference.low
    else:
        ends = difference.value, difference.low, difference.high
    assert (found.ahead.value, found.ahead.low, found.ahead.high) == pytest.approx(ends)
    assert found.ahead.value >= 0


def test_the_other_way_round_everything_is_turned(catalogue: Path, run: Run) -> None:
    one = compare_strategies(open_reader(catalogue), run.id, "plain", "chatty")
    other = compare_strategies(open_reader(catalogue), run.id, "chatty", "plain")
    assert [row.ahead for row in other.rows] == [-(row.ahead or 0) for row in one.rows]
    assert (other.wins, other.losses, other.p_value) == (one.losses, one.wins, one.p_value)
    assert one.ahead is not None
    assert other.ahead is not None
    assert other.ahead.value == pytest.approx(-one.ahead.value)
    assert (other.ahead.low, other.ahead.high) == pytest.approx((-one.ahead.high, -one.ahead.low))


def test_equal_responses_are_ties(catalogue: Path, stand_in_model: Path) -> None:
    change(catalogue, "UPDATE responses SET text = (SELECT other.text FROM responses other WHERE"
                      " other.question = responses.question AND other.strategy <> responses.strategy),"
                      " digest = (SELECT other.digest FROM responses other WHERE"
                      " other.question = responses.question AND other.strategy <> responses.strategy)"
                      " WHERE strategy = 2 AND question < 5")  # fmt: skip
    run = scored_run(catalogue, stand_in_model, ("nll",))
    found = compare_strategies(open_reader(catalogue), run.id, "plain", "chatty")
    assert found.ties == 4
    assert [row.ahead for row in found.rows][-4:] == [0.0] * 4
    assert ", 4 alike" in comparison_sentence(found)


def test_a_response_without_a_score_stands_last_and_does_not_count(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("nll",), Faults(nonfinite=("It is 6.",)))
    found = compare_strategies(open_reader(catalogue), run.id, "plain", "chatty")
    last = found.rows[-1]
    assert (last.position, last.a, last.ahead) == (4, None, None)
    assert last.b is not None
    assert (found.questions, found.wins + found.ties + found.losses) == (QUESTIONS - 1, QUESTIONS - 1)
    assert "1 of 24 questions stand last: a response has no value of nll there." in found.notes
    sample = question_samples(open_reader(catalogue), run.id, ["plain"], "#4").samples[0]
    assert sample.tokens is None
    assert [score.why for score in sample.scores] == ["nonfinite"]


def test_one_question_has_no_interval(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("nll",), samples=1)
    found = compare_strategies(open_reader(catalogue), run.id, "plain", "chatty")
    assert (found.ahead, found.p_value, found.scores) == (None, None, None)
    assert "at least 2 questions" in comparison_sentence(found)
    json.dumps(comparison_object(found), allow_nan=False)


def test_what_is_wrong_is_said(catalogue: Path, stand_in_model: Path, run: Run) -> None:
    reader = open_reader(catalogue)
    with pytest.raises(NotFoundError, match="Did you mean 'plain'"):
        compare_strategies(reader, run.id, "plian", "chatty")
    with pytest.raises(UsageError, match="with itself"):
        compare_strategies(reader, run.id, "plain", "plain")
    with pytest.raises(UsageError, match="no metric or imported column 'x'"):
        compare_strategies(reader, run.id, "plain", "chatty", "x")
    with pytest.raises(SapError, match="which sap needs"):
        compare_strategies(reader, run.id, "plain", "chatty", "sap")
    with pytest.raises(NotFoundError, match="no run 99"):
        compare_strategies(reader, 99, "plain", "chatty")
    waiting = queue_run(catalogue, stand_in_model)
    with pytest.raises(SapError, match="no scores to compare yet"):
        compare_strategies(open_reader(catalogue), waiting, "plain", "chatty")
    for named in ("#25", "#0", "#x", "#", "nowhere", "#" + "9" * 30):
        with pytest.raises(NotFoundError, match="no question"):
            question_samples(reader, run.id, ["plain"], named)


def test_a_run_that_goes_on_is_said_to_be_partial(catalogue: Path, run: Run) -> None:
    change(catalogue, "UPDATE runs SET state = 'running' WHERE id = ?", run.id)
    assert run_now(catalogue, run.id).state is RunState.RUNNING
    assert compare_strategies(open_reader(catalogue), run.id, "plain", "chatty").notes[0].startswith("Partial: run 1")


def test_a_plugin_that_is_gone_leaves_the_others(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(all_metrics(), "theirs", replace(nll.METRIC, id="theirs"))
    run = scored_run(catalogue, stand_in_model, ("theirs", "nll"))
    monkeypatch.delitem(all_metrics(), "theirs")
    assert compare_strategies(open_reader(catalogue), run.id, "plain", "chatty").metric.id == "nll"


def test_a_sample_holds_its_text_gold_answer_and_every_token(catalogue: Path, run: Run) -> None:
    found = question_samples(open_reader(catalogue), run.id, ["plain", "chatty"], "3")
    assert (found.question.position, found.question.key, found.question.answer) == (3, "3", "6")
    plain, chatty = found.samples
    assert (plain.text, plain.right, plain.notes) == ("It is 6.", True, ())
    assert chatty.strategy == "chatty"
    data = samples_object(found)["samples"][0]["tokens"]
    assert data["ends"] == list(range(1, 9))
    assert mean(data["surprisal"]) == pytest.approx(stored_nll(catalogue, run, "plain")[4][0], rel=1e-5)
    assert data["probability"] == pytest.approx([math.exp(-value) for value in data["surprisal"]], rel=1e-4)
    assert len(data["rank"]) == len(data["entropy"]) == 8
    assert min(data["rank"]) >= 1
    assert [score.mean_nll for score in plain.scores] == pytest.approx([stored_nll(catalogue, run, "plain")[4][0]])


def test_a_place_comes_before_a_key(catalogue: Path, run: Run) -> None:
    change(catalogue, "UPDATE questions SET key = '#2' WHERE position = 7")
    reader = open_reader(catalogue)
    assert question_samples(reader, run.id, ["plain"], "#2").question.position == 1
    change(catalogue, "UPDATE questions SET key = '#200' WHERE position = 7")
    assert question_samples(reader, run.id, ["plain"], "#200").question.position == 7


def test_a_bare_number_is_a_place_where_no_key_is_that_number(catalogue: Path, run: Run) -> None:
    change(catalogue, "UPDATE questions SET key = 'key ' || key")
    reader = open_reader(catalogue)
    assert question_samples(reader, run.id, ["plain"], "3").question.position == 2
    change(catalogue, "UPDATE questions SET key = '3' WHERE position = 7")
    assert question_samples(reader, run.id, ["plain"], "3").question.position == 7


def test_every_context_has_its_score_and_tokens(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("sap", "ifd"), example_orders=2, answer_filter=False)
    reader = open_reader(catalogue)
    number = min(stored_nll(catalogue, run, "plain", ContextKind.SELF_ALIGNED))
    sample = question_samples(reader, run.id, ["plain"], f"#{number}", ContextKind.ALONE).samples[0]
    assert [score.context for score in sample.scores] == list(ContextKind)
    for score in sample.scores:
        assert score.mean_nll == pytest.approx(mean(stored_nll(catalogue, run, "plain", score.context)[number]))
    assert sample.tokens is not None
    assert sample.tokens.context is ContextKind.ALONE
    assert sample.tokens.scores.rank is None
    assert -float(np.mean(sample.tokens.scores.log_probability)) == pytest.approx(sample.scores[-1].mean_nll)


def test_runs_without_places_of_tokens_say_how_to_get_them(catalogue: Path, run: Run) -> None:
    change(catalogue, "DELETE FROM token_ends")
    sample = question_samples(open_reader(catalogue), run.id, ["plain"], "#1").samples[0]
    assert sample.tokens is not None
    assert sample.tokens.ends is None
    assert samples_object(question_samples(open_reader(catalogue), run.id, ["plain"], "#1"))["samples"][0]["tokens"][
        "ends"
    ] is None  # fmt: skip
    assert "Score again, and nothing is scored twice: sap-tui score --task sums" in sample.notes[0]


def test_a_response_that_was_replaced_keeps_no_tokens_of_the_other(catalogue: Path, run: Run) -> None:
    change(catalogue, "UPDATE responses SET text = 'new', digest = x'00' WHERE strategy = 1 AND question = 1")
    sample = question_samples(open_reader(catalogue), run.id, ["plain"], "#1").samples[0]
    assert (sample.text, sample.tokens) == ("new", None)
    assert "replaced after the run" in sample.notes[0]


def test_a_question_outside_the_run_is_shown_without_scores(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("nll",), samples=3)
    sample = question_samples(open_reader(catalogue), run.id, ["plain"], "#20").samples[0]
    assert (sample.text, sample.scores, sample.tokens) == ("It is 38.", (), None)
    assert sample.notes == (f"Run {run.id} does not score this question.",)


def test_a_context_without_a_score_says_why(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("nll", "sap"))
    (sample,) = question_samples(open_reader(catalogue), run.id, ["plain"], "#1", ContextKind.SELF_ALIGNED).samples
    assert [(score.context, score.why) for score in sample.scores] == [
        (ContextKind.PLAIN, ""),
        (ContextKind.SELF_ALIGNED, "no examples"),
    ]
    assert sample.tokens is None
