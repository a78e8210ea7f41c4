"""What a chunk holds, what is computed once, and what a smaller memory changes: nothing but the speed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.domain import ContextKind, RunState, SampleError, TokenScores
from core.errors import RunError
from core.jobs.claim import StopWorkError, claim_run, release
from core.metrics import nll
from core.metrics.registry import all_metrics
from core.rank import ranking_report
from core.run_work import token_ids
from core.run_work.work import Worker
from core.scoring.fake import FakeEngine, Faults
from core.scoring.protocol import ScoringGroup
from core.store.db import Writer, open_reader
from core.store.importing import import_file
from core.store.predictions import import_predictions
from core.store.runs import events
from tests.conftest import write_strategy
from tests.jobs.helpers import all_scores, assert_sound, queue_run, run_now

ALL_CONTEXTS = ("sap", "ppl", "three_contexts")
QUESTIONS = 24


@pytest.fixture(autouse=True)
def three_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that needs the alone context too."""
    metric = replace(nll.METRIC, id="three_contexts", contexts=tuple(ContextKind))
    monkeypatch.setitem(all_metrics(), metric.id, metric)


class RecordingEngine(FakeEngine):
    """Remembers what it was asked."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.calls: list[list[ScoringGroup]] = []
        self.encoded: Counter[str] = Counter()

    def encode_response(self, text: str) -> tuple[int, ...]:
        self.encoded[text] += 1
        return super().encode_response(text)

    def encode_context(self, turns: Any) -> tuple[int, ...]:
        self.encoded[str(turns)] += 1
        return super().encode_context(turns)

    def generate(self, *arguments: Any, **options: Any) -> Any:
        """The texts that are encoded for the predictions are another matter."""
        self.encoded.clear()
        return super().generate(*arguments, **options)

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        self.calls.append(list(groups))
        return super().score(groups)


def work(catalogue: Path, run: int, engine: FakeEngine, commits: int | None = None) -> None:
    """Work on a run in this process; with `commits` stop after that many chunks."""
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        called = getattr(engine, "calls", [])
        try:
            Worker(writer, claim, lambda *_: engine, lambda: commits is not None and len(called) >= commits).work()
        except StopWorkError:
            release(writer, claim)


def scored(catalogue: Path, model: Path, name: str, **faults: int) -> tuple[Path, RecordingEngine]:
    """A copy of the catalogue in which run 1 is done, and the engine that did it."""
    copy = catalogue.with_name(f"{name}.db")
    shutil.copy(catalogue, copy)
    engine = RecordingEngine(Faults(**faults))
    work(copy, queue_run(copy, model, ALL_CONTEXTS, answer_filter=False), engine)
    assert run_now(copy, 1).state is RunState.DONE
    assert_sound(copy)
    return copy, engine


def plan_of(catalogue: Path) -> list[list[tuple[Any, ...]]]:
    reader = open_reader(catalogue)
    columns = "number, strategy, question, context_kind, context, response, chunk, tokens"
    return [
        [tuple(row) for row in reader.execute(f"SELECT {chosen} FROM {table} WHERE run = 1 ORDER BY number")]
        for table, chosen in (("run_items", columns), ("chunks", "number, tokens, is_part"))
    ]


def messages(catalogue: Path, level: str) -> list[str]:
    return [event.text for event in events(open_reader(catalogue), 1) if event.level == level]


def test_the_same_catalogue_gives_the_same_plan(catalogue: Path, stand_in_model: Path) -> None:
    first, _ = scored(catalogue, stand_in_model, "first")
    second, _ = scored(catalogue, stand_in_model, "second")
    assert plan_of(first) == plan_of(second)


def test_chunks_keep_to_the_budget_and_finish_questions_in_task_order(catalogue: Path, stand_in_model: Path) -> None:
    path, engine = scored(catalogue, stand_in_model, "scored", token_budget=1500)
    items, chunks = plan_of(path)
    assert len(engine.calls) == len(chunks) == 8
    assert all(0.5 * 1500 < tokens <= 1500 for _, tokens, _ in chunks[:-1])
    assert run_now(path, 1).token_budget == 1500
    order = [item[6] for item in items]
    assert order == sorted(order)


def test_the_alone_context_is_computed_once_for_all_questions(catalogue: Path, stand_in_model: Path) -> None:
    path, engine = scored(catalogue, stand_in_model, "scored", token_budget=1500)
    contexts = Counter(group.context for groups in engine.calls for group in groups if not group.keep)
    kept = [group for groups in engine.calls for group in groups if group.keep]
    assert len(contexts) == 2 * QUESTIONS
    assert set(contexts.values()) == {1}
    assert len({group.context for group in kept}) == 1
    assert len(kept) <= len(engine.calls)
    assert sum(len(group.responses) for group in kept) == 2 * QUESTIONS
    responses = sum(len(response) for groups in engine.calls for group in groups for response in group.responses)
    run = run_now(path, 1)
    assert run.tokens_total == sum(map(len, contexts)) + len(kept[0].context) + responses
    assert run.tokens_done == run.tokens_total
    assert run.share_done == 1.0


def test_equal_responses_of_all_questions_are_computed_once_alone(catalogue: Path, stand_in_model: Path) -> None:
    with Writer(catalogue) as writer:
        file = write_strategy(catalogue.with_name("same.jsonl"), ["I do not know."] * QUESTIONS)
        import_file(writer, file, task="sums", strategy="same")
    path, engine = scored(catalogue, stand_in_model, "scored")
    alone = Counter(
        response for groups in engine.calls for group in groups if group.keep for response in group.responses
    )
    assert alone[tuple(b"I do not know.")] == 1
    assert run_now(path, 1).done == 3 * 3 * QUESTIONS
    assert all(row[3] == "ok" and row[4] for row in all_scores(path, 1))


def test_a_group_larger_than_the_budget_is_split_behind_a_kept_context(catalogue: Path, stand_in_model: Path) -> None:
    whole, _ = scored(catalogue, stand_in_model, "whole", token_budget=10_000)
    split, engine = scored(catalogue, stand_in_model, "split", token_budget=355)
    _, chunks = plan_of(split)
    parts = [number for number, _, is_part in chunks if is_part]
    assert len(parts) > QUESTIONS
    for number in parts:
        (group,) = engine.calls[number]
        assert group.keep
    assert max(tokens for _, tokens, _ in chunks) <= 355
    assert run_now(split, 1).tokens_total == run_now(whole, 1).tokens_total
    assert all_scores(split, 1) == all_scores(whole, 1)


def test_every_text_is_encoded_once(catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, engine = scored(catalogue, stand_in_model, "usual")
    assert len(engine.encoded) == 2 * QUESTIONS + 2 * QUESTIONS + 1
    assert set(engine.encoded.values()) == {1}
    monkeypatch.setattr(token_ids, "REMEMBERED_TOKENS", 1000)
    forgetful, engine = scored(catalogue, stand_in_model, "forgetful")
    assert max(engine.encoded.values()) > 1
    assert all_scores(forgetful, 1) == all_scores(usual, 1)


def test_memory_that_does_not_suffice_halves_the_budget_for_good(catalogue: Path, stand_in_model: Path) -> None:
    usual, _ = scored(catalogue, stand_in_model, "usual", token_budget=2000)
    tight, _ = scored(catalogue, stand_in_model, "tight", token_budget=2000, memory_tokens=600)
    assert run_now(tight, 1).token_budget == 500
    assert messages(tight, "warning") == [
        "memory did not suffice: the token budget is now 500 tokens",
        f"{len(all_scores(tight, 1))} scores come from smaller forward passes than planned: equal but for rounding.",
    ]
    assert plan_of(tight) == plan_of(usual)
    assert all_scores(tight, 1) == all_scores(usual, 1)


def test_a_response_too_large_for_memory_is_an_error_of_its_own(catalogue: Path, stand_in_model: Path) -> None:
    path, _ = scored(catalogue, stand_in_model, "tiny", token_budget=2000, memory_tokens=340)
    failed = [row[1:3] for row in all_scores(path, 1) if row[3] == "error"]
    assert failed == [("chatty", "self_aligned")] * QUESTIONS
    codes = open_reader(path).execute("SELECT DISTINCT code FROM run_items WHERE state = 'error'").fetchall()
    assert [row[0] for row in codes] == ["out_of_memory"]


def test_a_resumed_run_begins_with_the_budget_it_ended_with(catalogue: Path, stand_in_model: Path) -> None:
    usual, _ = scored(catalogue, stand_in_model, "usual", token_budget=2000)
    run = queue_run(catalogue, stand_in_model, ALL_CONTEXTS, answer_filter=False)
    work(catalogue, run, RecordingEngine(Faults(token_budget=2000, memory_tokens=600)), commits=2)
    now = run_now(catalogue, run)
    assert (now.state, now.token_budget) == (RunState.QUEUED, 500)
    assert 0 < now.share_done == now.tokens_done / now.tokens_total < 1
    assert_sound(catalogue)
    again = RecordingEngine(Faults(token_budget=4000))
    work(catalogue, run, again)
    assert again.token_budget == run_now(catalogue, run).token_budget == 500
    assert all_scores(catalogue, run) == all_scores(usual, 1)
    assert plan_of(catalogue) == plan_of(usual)


@pytest.mark.parametrize("change", ["responses", "predictions"])
def test_what_changed_since_the_plan_is_refused(catalogue: Path, stand_in_model: Path, change: str) -> None:
    run = queue_run(catalogue, stand_in_model, ALL_CONTEXTS, answer_filter=False)
    work(catalogue, run, RecordingEngine(Faults()), commits=1)
    with Writer(catalogue) as writer:
        if change == "responses":
            writer.connection.execute("DELETE FROM responses WHERE id % 5 = 0")
        else:
            weights = run_now(catalogue, run).weights_digest
            file = write_strategy(catalogue.with_name("answers.jsonl"), ["Another answer."] * QUESTIONS)
            import_predictions(writer, file, task="sums", weights_digest=weights)
    with pytest.raises(RunError, match="changed since this run was planned"):
        work(catalogue, run, RecordingEngine(Faults()))


class OverflowingEngine(FakeEngine):
    """Computes what overflowed in float16 again."""

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        return [
            [
                replace(score, redone_in="bfloat16")
                if isinstance(score, TokenScores) and b"1" in bytes(response)
                else score
                for response, score in zip(group.responses, scores, strict=True)
            ]
            for group, scores in zip(groups, super().score(groups), strict=True)
        ]


def test_scores_redone_in_another_precision_are_told(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model, ("ppl",), dtype="float16")
    work(catalogue, run, OverflowingEngine(Faults()))
    redone = 2 * sum("1" in str(2 * number) for number in range(QUESTIONS))
    expected = f"{redone} responses overflowed in float16 and were computed again in bfloat16."
    assert messages(catalogue, "warning") == [expected]
    reader = open_reader(catalogue)
    engines = dict(reader.execute("SELECT engine, count(*) FROM scores GROUP BY engine").fetchall())
    assert engines == {"fake": 2 * QUESTIONS - redone, "fake, redone in bfloat16": redone}
    assert expected in ranking_report(reader, run).ranking.warnings
