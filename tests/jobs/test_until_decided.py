"""Runs that end when they are decided, and runs that go on where another ended."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.domain import ContextKind, Run, SampleError, TokenScores
from core.errors import SapError, UsageError
from core.jobs.claim import StopWorkError, claim_run, release
from core.metrics.registry import metric
from core.rank import ranking_report, run_arrays, stored_looks
from core.run_work.work import Worker
from core.scoring.fake import FakeEngine, Faults
from core.scoring.protocol import ScoringGroup
from core.stats.look_sizes import look_sizes
from core.store.db import Writer, open_reader, prepare
from core.store.importing import import_file
from core.store.runs import events
from core.submission.estimate import estimate
from core.submission.extend import prepare_extension
from core.submission.submit import queue
from tests.conftest import end_processes, write_strategy
from tests.jobs.helpers import all_scores, assert_sound, queue_run, run_now
from tests.jobs.test_metric_inputs import rows

QUESTIONS = 120
MEANS = {"A": 1.0, "B": 1.02, "C": 2.0, "D": 3.0}


class TeachingEngine(FakeEngine):
    """Surprisal depends on the first letter of the response, with noise of the question's own."""

    def __init__(self, means: dict[str, float] = MEANS) -> None:
        super().__init__(Faults(token_budget=2000))
        self.means = means
        self.scored = 0

    def score(self, groups: list[ScoringGroup]) -> list[list[TokenScores | SampleError]]:  # type: ignore[override]
        found = super().score(groups)
        return [
            [self._taught(response, score) for response, score in zip(group.responses, scores, strict=True)]
            for group, scores in zip(groups, found, strict=True)
        ]

    def _taught(self, response: tuple[int, ...], score: TokenScores | SampleError) -> TokenScores | SampleError:
        assert isinstance(score, TokenScores)
        self.scored += 1
        noise = random.Random(bytes(response)).gauss(0, 0.3)
        surprisal = max(0.01, self.means[chr(response[0])] + noise)
        log_probability = np.full(score.tokens, -surprisal, dtype=np.float32)
        return TokenScores(log_probability, score.rank, score.entropy, score.sum_of_squares)


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "four.db"
    prepare(path)
    with Writer(path) as writer:
        for name in MEANS:
            file = write_strategy(tmp_path / f"{name}.jsonl", [f"{name} says {n}" for n in range(QUESTIONS)])
            import_file(writer, file, task="sums", strategy=name)
    yield path
    end_processes(path)


def do(path: Path, number: int, engine: FakeEngine, stop_after: int | None = None) -> Run:
    """Work on the run in this process; with `stop_after` let go after so many scores."""
    with Writer(path) as writer:
        claim = claim_run(writer, number, in_foreground=True)
        assert claim is not None

        def stopping() -> bool:
            return stop_after is not None and isinstance(engine, TeachingEngine) and engine.scored >= stop_after

        try:
            Worker(writer, claim, lambda run, on_phase: engine, stopping).work()
        except StopWorkError:
            release(writer, claim)
    assert_sound(path)
    return run_now(path, number)


def out(path: Path, run: Run) -> dict[str, str]:
    found = rows(
        path, "SELECT name, out FROM run_strategies JOIN strategies ON strategies.id = strategy WHERE run = ?", run.id
    )
    return {str(name): str(reason) for name, reason in found if reason}


def test_strategies_that_are_out_are_not_scored_further(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=None, until_decided=True)
    engine = TeachingEngine()
    run = do(four, number, engine)
    assert run.state == "done"
    dropped = out(four, run)
    assert {"C", "D"} <= set(dropped)
    assert all(reason.startswith("out after ") and "by nll" in reason for reason in dropped.values())
    assert engine.scored < 0.7 * 4 * QUESTIONS
    assert run.done == run.total == engine.scored
    ranking = ranking_report(open_reader(four), number).ranking
    assert ranking.rows[0].strategy in ("A", "B")
    assert set(ranking.left_out) | {row.strategy for row in ranking.rows} == set(MEANS)
    assert {"C", "D"} <= set(ranking.left_out) | {row.strategy for row in ranking.rows}


def test_a_clear_leader_ends_the_run_early(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=None, until_decided=True)
    engine = TeachingEngine({"A": 1.0, "B": 3.0, "C": 3.1, "D": 3.2})
    run = do(four, number, engine)
    looks = look_sizes(QUESTIONS)
    assert engine.scored <= 4 * looks[1]
    report = ranking_report(open_reader(four), number)
    assert report.ranking.verdict == "decided"
    assert report.ranking.rows[0].strategy == "A"
    assert any(event.text.startswith("decided after ") for event in events(open_reader(four), run.id))
    assert report.partial == ""


def test_equal_strategies_stay_undecided_to_the_end(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=60, until_decided=True, seed=3)
    engine = TeachingEngine(dict.fromkeys(MEANS, 1.0))
    run = do(four, number, engine)
    assert run.questions == 60
    assert ranking_report(open_reader(four), number).ranking.verdict == "undecided"
    assert engine.scored == 4 * 60


def test_the_questions_come_in_a_seeded_order(four: Path, stand_in_model: Path) -> None:
    def order(seed: int | None) -> list[tuple[object, ...]]:
        number = queue_run(four, stand_in_model, ("nll",), samples=30, until_decided=True, seed=seed)
        return rows(four, "SELECT question FROM run_questions WHERE run = ? ORDER BY position", number)

    assert order(None) == order(None) == order(0)
    assert order(1) != order(0)
    assert order(0) != sorted(order(0))


@pytest.mark.parametrize("stop_after", [1, 70, 130, 200])
def test_interrupted_it_drops_the_same_strategies(four: Path, stand_in_model: Path, stop_after: int) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=None, until_decided=True)
    copy = four.with_name("copy.db")
    sqlite3.connect(four).backup(sqlite3.connect(copy))
    first = do(copy, number, TeachingEngine())
    wanted, reasons = all_scores(copy, number), out(copy, first)
    engine = TeachingEngine()
    paused = do(four, number, engine, stop_after)
    while not paused.state.ended:
        paused = do(four, number, engine, engine.scored + 90)
    assert out(four, paused) == reasons
    assert all_scores(four, number) == wanted


def test_the_pool_of_examples_is_small_and_stays_when_the_run_is_extended(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("sap",), samples=40, answer_filter=False)
    first = do(four, number, FakeEngine(Faults()))
    assert rows(four, "SELECT count(*) FROM generated_predictions") == [(40,)]
    submission = prepare_extension(open_reader(four), number, 30)
    assert len(submission.questions) == 70
    found = estimate(open_reader(four), submission)
    assert (found.reused, found.to_score, found.predictions) == (160, 120, 0)
    with Writer(four) as writer:
        longer = do(four, queue(writer, submission), FakeEngine(Faults()))
    assert (longer.reused, longer.done, longer.questions) == (first.total, 280, 70)
    assert rows(four, "SELECT count(*) FROM generated_predictions") == [(40,)]
    further = prepare_extension(open_reader(four), longer.id, 1000)
    assert len(further.questions) == QUESTIONS
    assert further.request.answered == 40


def test_an_extension_draws_where_the_run_drew(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=20, seed=5)
    submission = prepare_extension(open_reader(four), number, 10)
    asked = [row[0] for row in rows(four, "SELECT question FROM run_questions WHERE run = ? ORDER BY position", number)]
    assert list(submission.questions[:20]) == asked
    assert len(set(submission.questions)) == 30
    assert list(submission.questions[20:]) != sorted(set(range(1, QUESTIONS + 1)) - set(asked))[:10]


def test_what_cannot_be_extended_says_why(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=None)
    with pytest.raises(SapError, match="every question"):
        prepare_extension(open_reader(four), number, 10)
    with pytest.raises(UsageError, match="--more"):
        prepare_extension(open_reader(four), number, 0)
    (stand_in_model / "model.safetensors").write_bytes(b"trained further")
    with pytest.raises(SapError, match="not the one"):
        prepare_extension(open_reader(four), number, 10)


def test_plain_contexts_alone_are_scored_for_a_plain_metric(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=30, until_decided=True)
    do(four, number, TeachingEngine())
    kinds = {row[0] for row in rows(four, "SELECT context_kind FROM run_items WHERE run = ?", number)}
    assert kinds == {str(ContextKind.PLAIN)}


def test_by_another_metric_the_strategies_that_dropped_early_stand_aside(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll", "ppl"), samples=None, until_decided=True)
    do(four, number, TeachingEngine({"A": 1.0, "B": 1.17, "C": 2.0, "D": 3.0}))
    by_nll = ranking_report(open_reader(four), number).ranking
    by_ppl = ranking_report(open_reader(four), number, "ppl").ranking
    assert by_nll.verdict == "decided"
    assert by_nll.questions > look_sizes(QUESTIONS)[0]
    assert {row.strategy for row in by_ppl.rows} == {row.strategy for row in by_nll.rows} == {"A", "B"}
    assert {"C", "D"} == set(by_ppl.left_out) == set(by_nll.left_out)
    assert any("stopped by nll" in warning for warning in by_ppl.warnings)
    assert not any("stopped by" in warning for warning in by_nll.warnings)


def test_scores_that_exist_do_not_bring_a_look_forward(four: Path, stand_in_model: Path) -> None:
    """Questions of later stages that are scored already must not fill up an earlier look."""
    fresh = four.with_name("fresh.db")
    number = queue_run(four, stand_in_model, ("nll",), samples=None, until_decided=True)
    sqlite3.connect(four).backup(sqlite3.connect(fresh))
    wanted = out(fresh, do(fresh, number, TeachingEngine()))

    do(four, queue_run(four, stand_in_model, ("nll",), samples=60), TeachingEngine())
    engine = TeachingEngine()
    run = do(four, number, engine, stop_after=1)
    assert len(run_arrays(open_reader(four), run, [metric("nll")]).questions) > look_sizes(QUESTIONS)[1]
    assert [each.questions for each in stored_looks(open_reader(four), run)] == [look_sizes(QUESTIONS)[0]]
    while not run.state.ended:
        run = do(four, number, engine, engine.scored + 40)
    assert run.reused > 0
    assert out(four, run) == wanted
    by_nll = ranking_report(open_reader(four), number).ranking
    undisturbed = ranking_report(open_reader(fresh), number).ranking
    assert by_nll.questions == undisturbed.questions
    assert by_nll.warnings == undisturbed.warnings


@pytest.mark.parametrize("name", ["grape_share", "lark"])
def test_a_metric_among_strategies_goes_on_among_those_left(four: Path, stand_in_model: Path, name: str) -> None:
    """Where a dropped strategy has no score the question still compares the others."""
    number = queue_run(four, stand_in_model, (name,), samples=None, until_decided=True)
    run = do(four, number, TeachingEngine({"A": 1.0, "B": 1.0, "C": 3.0, "D": 3.1}))
    dropped, looks = out(four, run), stored_looks(open_reader(four), run)
    assert dropped
    assert len(dropped) < 3, "nothing is left to look at"
    assert [each.questions for each in looks] == list(look_sizes(QUESTIONS))
    ranking = ranking_report(open_reader(four), number).ranking
    assert ranking.questions == QUESTIONS
    assert set(ranking.left_out) == set(dropped)


def test_a_run_that_was_decided_early_goes_on_from_there(four: Path, stand_in_model: Path) -> None:
    number = queue_run(four, stand_in_model, ("nll",), samples=None, until_decided=True)
    do(four, number, TeachingEngine({"A": 1.0, "B": 3.0, "C": 3.1, "D": 3.2}))
    decided = ranking_report(open_reader(four), number).ranking.questions
    assert decided < QUESTIONS
    asked = [row[0] for row in rows(four, "SELECT question FROM run_questions WHERE run = ? ORDER BY position", number)]
    submission = prepare_extension(open_reader(four), number, 20)
    assert list(submission.questions) == asked[: decided + 20]
    assert not submission.request.until_decided
    with Writer(four) as writer:
        longer = do(four, queue(writer, submission), TeachingEngine())
    ranking = ranking_report(open_reader(four), longer.id).ranking
    assert (ranking.questions, len(ranking.rows)) == (decided + 20, 4)
    assert longer.reused == 4 * decided
