"""Initial predictions: every complete answer is kept, whatever ends the work, and nobody is asked twice."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.domain import Run
from core.errors import NotFoundError
from core.jobs.claim import Claim, LostClaimError, StopWorkError, claim_run
from core.run_work import steps
from core.run_work.predict import Predictor
from core.run_work.samples import scope_of
from core.run_work.steps import RunWork
from core.scoring.fake import FakeEngine, Faults
from core.scoring.protocol import Generation, Sampling
from core.store.db import Writer, open_reader
from core.store.deletion import rename_task
from core.store.runs import events, run_by_id
from tests.jobs.helpers import queue_run, run_now

QUESTIONS = 24


class TalkingEngine(FakeEngine):
    """Tells its answers one by one, the last question's first, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(Faults())
        self.asked: list[tuple[int, ...]] = []
        self.made: list[tuple[int, ...]] = []

    def generate(
        self,
        contexts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        on_answers: Callable[[Sequence[tuple[int, Generation]]], None],
        on_step: Callable[[], None] | None = None,
        sampling: Sampling | None = None,
    ) -> list[str]:
        self.asked += contexts
        for index in reversed(range(len(contexts))):
            assert on_step is not None
            on_step()
            super().generate(
                [contexts[index]], max_new_tokens, lambda answers, own=index: on_answers([(own, answers[0][1])])
            )
            self.made.append(contexts[index])
        return ["a note about how the answers were made"]


@dataclass
class Work:
    """A claimed run and what its predictor needs."""

    writer: Writer
    claim: Claim
    run: Run
    engine: TalkingEngine

    def predict(self, on_step: Callable[[], None] = lambda: None) -> int:
        """How many predictions the pool has."""
        work = RunWork(self.writer, self.claim, self.run, lambda: self.engine, on_step)
        return len(Predictor(work, 1).pool(scope_of(self.writer.connection, self.run.id, self.run.request)))

    def stored(self) -> dict[bytes, tuple[str, tuple[int, ...]]]:
        """Text and token ids by context, as another process sees them."""
        reader = open_reader(Path(self.writer.path))
        rows = reader.execute("SELECT context, text, token_ids FROM generated_predictions").fetchall()
        reader.close()
        return {row[0]: (row[1], tuple(array("i", row[2]))) for row in rows}


@pytest.fixture
def work(catalogue: Path, stand_in_model: Path) -> Iterator[Work]:
    run = queue_run(catalogue, stand_in_model, metrics=("sap",), answer_filter=False)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        yield Work(writer, claim, run_by_id(writer.connection, run), TalkingEngine())


def stop_after(work: Work, answers: int) -> Callable[[], None]:
    def on_step() -> None:
        if len(work.engine.made) == answers:
            raise StopWorkError("pause")

    return on_step


def test_every_question_is_answered_once_and_keeps_its_token_ids(work: Work) -> None:
    assert work.predict() == QUESTIONS
    assert len(work.stored()) == QUESTIONS
    assert all(text.encode() == bytes(ids) for text, ids in work.stored().values())
    assert work.predict() == QUESTIONS
    assert len(work.engine.asked) == QUESTIONS


def test_a_task_may_be_renamed_while_its_questions_are_answered(work: Work) -> None:
    def on_step() -> None:
        with suppress(NotFoundError), Writer(Path(work.writer.path)) as writer:
            rename_task(writer, "sums", "totals")

    assert work.predict(on_step) == QUESTIONS
    assert run_now(Path(work.writer.path), work.run.id).task == "totals"


@pytest.mark.parametrize("commit_seconds", [0.0, 100.0])
def test_a_stopped_run_goes_on_with_the_open_questions(
    work: Work, monkeypatch: pytest.MonkeyPatch, commit_seconds: float
) -> None:
    monkeypatch.setattr(steps, "COMMIT_SECONDS", commit_seconds)
    with pytest.raises(StopWorkError):
        work.predict(stop_after(work, 10))
    assert len(work.stored()) == 10
    assert run_now(Path(work.writer.path), work.run.id).phase_done == 10

    made, work.engine = work.engine.made, TalkingEngine()
    assert work.predict() == QUESTIONS
    assert set(work.engine.asked).isdisjoint(made)
    assert len(work.engine.asked) == QUESTIONS - 10


def test_progress_counts_answers(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "COMMIT_SECONDS", 0.0)
    seen: list[tuple[str, int, int]] = []

    def on_step() -> None:
        now = run_now(Path(work.writer.path), work.run.id)
        seen.append((now.phase, now.phase_done, now.phase_total))

    work.predict(on_step)
    assert seen[-QUESTIONS:] == [("predicting", done, QUESTIONS) for done in range(QUESTIONS)]


def test_quick_answers_share_a_commit_after_the_first(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    update = steps.update_claimed

    def counted(*arguments: object, **columns: object) -> str:
        commits.append(len(work.engine.made))
        return update(*arguments, **columns)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "update_claimed", counted)
    monkeypatch.setattr(steps, "COMMIT_SECONDS", 100.0)
    work.predict()
    assert commits == [0, QUESTIONS]


def test_whoever_lost_the_claim_stores_nothing_more(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "COMMIT_SECONDS", 0.0)

    def on_step() -> None:
        if len(work.engine.made) == 5:
            with work.writer.transaction() as connection:
                connection.execute("UPDATE runs SET fence = fence + 1")

    with pytest.raises(LostClaimError):
        work.predict(on_step)
    assert len(work.stored()) == 5


def test_the_engines_notes_become_events(work: Work) -> None:
    work.predict()
    texts = [event.text for event in events(work.writer.connection, work.run.id)]
    assert texts.count("a note about how the answers were made") == 1
