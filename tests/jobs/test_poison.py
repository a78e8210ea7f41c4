"""Responses that end, break or hang the process: found out one by one, named, and the run goes on without them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from core.domain import RunState
from core.jobs import runner, silence
from core.jobs.claim import claim_run
from core.run_work.work import Worker
from core.scoring.fake import FakeEngine, Faults
from core.settings import config_path
from core.store.db import Writer, open_reader
from core.store.runs import events, wish_resume
from tests.jobs.helpers import all_scores, assert_sound, queue_run, run_now, supervise

QUESTIONS = 24
FIRST, POISON, OTHER = "It is 0.", "It is 6.", "Well, let me see, that makes 40 altogether!"


def run_with(catalogue: Path, model: Path, monkeypatch: pytest.MonkeyPatch, **faults: object) -> int:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps(faults))
    run = queue_run(catalogue, model)
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch)
    assert_sound(catalogue)
    return run


def failures(catalogue: Path, run: int) -> dict[str, str]:
    """Texts of the responses without a score, with the code of their error."""
    reader = sqlite3.connect(catalogue)
    rows = reader.execute(
        "SELECT responses.text, code FROM run_items JOIN responses ON responses.digest = run_items.response"
        " WHERE run = ? AND state = 'error'",
        (run,),
    ).fetchall()
    reader.close()
    return dict(rows)


def told(catalogue: Path, run: int) -> str:
    return "\n".join(event.text for event in events(open_reader(catalogue), run))


def engines(catalogue: Path) -> dict[str, int]:
    reader = sqlite3.connect(catalogue)
    rows = reader.execute("SELECT engine, count(*) FROM scores GROUP BY engine").fetchall()
    reader.close()
    return dict(rows)


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        ("exit_75_on", "device", "code 75"),
        ("device_error_on", "device", "CUDA error: an illegal memory access"),
        ("crash_on", "crashed", "SIGSEGV"),
    ],
)
def test_a_response_that_ends_the_process_is_named_and_the_run_goes_on(
    fault: str, code: str, word: str, catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(catalogue, stand_in_model, monkeypatch, **{fault: [POISON]})
    ended = run_now(catalogue, run)
    assert (ended.state, ended.done, ended.errors) == (RunState.DONE, 2 * QUESTIONS, 1)
    assert failures(catalogue, run) == {POISON: code}
    # Once with others in a commit, at most; twice in its chunk, twice alone; and the attempt that came through.
    assert ended.attempt in (5, 6)
    assert word in told(catalogue, run)


def test_several_of_them_even_the_first_and_in_one_chunk(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(catalogue, stand_in_model, monkeypatch, kill_on=[FIRST], exit_75_on=[OTHER], nonfinite=["is 8."])
    assert run_now(catalogue, run).state is RunState.DONE
    assert failures(catalogue, run) == {FIRST: "crashed", OTHER: "device", "It is 8.": "nonfinite"}


def test_the_other_scores_are_the_same_and_those_from_smaller_passes_are_marked(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = run_with(catalogue, stand_in_model, monkeypatch, crash_on=[POISON])
    marked = engines(catalogue)
    assert set(marked) == {"fake", "fake, smaller pass"}
    assert 0 < marked["fake, smaller pass"] < QUESTIONS
    assert f"{marked['fake, smaller pass']} scores come from smaller forward passes" in told(catalogue, bad)
    monkeypatch.setenv("SAP_TUI_FAKE", "")
    with sqlite3.connect(catalogue) as connection:
        connection.execute("DELETE FROM scores")
        connection.execute("DELETE FROM token_scores")
    before = all_scores(catalogue, bad)
    good = run_with(catalogue, stand_in_model, monkeypatch)
    assert engines(catalogue) == {"fake": 2 * QUESTIONS}
    assert [row[:3] for row in before] == [row[:3] for row in all_scores(catalogue, good)]


def test_a_model_that_dies_of_every_response_fails_the_run(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(catalogue, stand_in_model, monkeypatch, crash_on=["It is", "makes"])
    ended = run_now(catalogue, run)
    assert ended.state is RunState.FAILED
    assert ended.attempt <= 9
    assert "SIGSEGV" in ended.why
    assert "every one of the last samples" in ended.why
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish_resume(connection, run)
    monkeypatch.setenv("SAP_TUI_FAKE", "")
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch)
    assert run_now(catalogue, run).state is RunState.DONE
    assert_sound(catalogue)


def test_a_scorer_that_hangs_is_ended_and_its_response_is_named(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_path().write_text("keep_warm_minutes = 0\nhang_minutes = 0.01\n")
    monkeypatch.setattr(runner, "CANCEL_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(silence, "HANG_CHUNKS", 2)
    run = run_with(catalogue, stand_in_model, monkeypatch, hang_on=[POISON])
    assert run_now(catalogue, run).state is RunState.DONE
    assert failures(catalogue, run) == {POISON: "crashed"}
    assert "no sign of life" in told(catalogue, run)


@pytest.mark.parametrize("seed", range(6))
def test_every_sample_ends_as_a_score_or_a_named_error(seed: int, catalogue: Path, stand_in_model: Path) -> None:
    """Memory that suffices for some passes only, overflow, and both, whatever the budget."""
    faults = Faults(
        token_budget=200 * (1 + seed), memory_tokens=(90, 130, 400)[seed % 3], nonfinite=("is 1",),
        out_of_memory=("makes 4",),
    )  # fmt: skip
    run = queue_run(catalogue, stand_in_model, metrics=("nll", "ppl", "sap"), answer_filter=False)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        Worker(writer, claim, lambda *_: FakeEngine(faults), lambda: False).work()
    assert_sound(catalogue)
    found = all_scores(catalogue, run)
    assert len(found) == 2 * 2 * QUESTIONS
    assert {row[3] for row in found} == {"ok", "error"}
    codes = set(failures(catalogue, run).values())
    assert codes <= {"nonfinite", "out_of_memory"}
    assert "out_of_memory" in codes


def run_with_examples(catalogue: Path, model: Path, monkeypatch: pytest.MonkeyPatch, *questions: str) -> int:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"answer_kill_on": questions}))
    run = queue_run(catalogue, model, metrics=("sap", "ifd"), answer_filter=False)
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch)
    assert_sound(catalogue)
    return run


def answered(catalogue: Path) -> int:
    reader = sqlite3.connect(catalogue)
    (count,) = reader.execute("SELECT count(*) FROM generated_predictions").fetchone()
    reader.close()
    return int(count)


def test_a_question_whose_answer_ends_the_process_is_named_and_the_run_goes_on(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_examples(catalogue, stand_in_model, monkeypatch, "What is 7 plus 7?")
    ended = run_now(catalogue, run)
    assert (ended.state, ended.errors) == (RunState.DONE, 0)
    assert answered(catalogue) == QUESTIONS - 1
    # Twice together, twice alone, and the attempt that came through.
    assert ended.attempt == 5
    assert "question 8 has no answer of the target model: answering it alone ended the process 2 times" in (
        said := told(catalogue, run)
    )
    assert "SIGKILL" in said
    assert said.count("question 8 has no answer") == 1
    monkeypatch.setenv("SAP_TUI_FAKE", "")
    later = queue_run(catalogue, stand_in_model, metrics=("sap",), answer_filter=False)
    supervise(catalogue, lambda: run_now(catalogue, later).state.ended, monkeypatch)
    assert answered(catalogue) == QUESTIONS


def test_several_such_questions_with_others_between(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_examples(
        catalogue, stand_in_model, monkeypatch, "What is 0 plus", "is 9 plus", "is 22 plus", "is 23"
    )
    assert run_now(catalogue, run).state is RunState.DONE
    assert answered(catalogue) == QUESTIONS - 4


def test_a_model_that_dies_of_every_question_fails_the_run_and_can_be_resumed(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_examples(catalogue, stand_in_model, monkeypatch, "What is")
    ended = run_now(catalogue, run)
    assert ended.state is RunState.FAILED
    assert "every one of the last samples" in ended.why
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish_resume(connection, run)
    monkeypatch.setenv("SAP_TUI_FAKE", "")
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch)
    assert run_now(catalogue, run).state is RunState.DONE
    assert answered(catalogue) == QUESTIONS
