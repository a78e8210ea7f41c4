"""Where the tokens of a response end is known as soon as its score is, whatever becomes of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.compare import question_samples
from core.domain import RunState
from core.scoring.fake import FakeEngine, Faults
from core.store.db import Writer, open_reader
from core.store.runs import wish_cancel
from tests.jobs.helpers import assert_sound, queue_run, run_now
from tests.jobs.test_metric_inputs import rows
from tests.jobs.test_plan import RecordingEngine, work
from tests.ui.conftest import change

SCORED = (
    "SELECT DISTINCT run_items.response, ends IS NOT NULL FROM run_items JOIN runs ON runs.id = run"
    " LEFT JOIN token_ends ON token_ends.spec = runs.spec AND token_ends.response = run_items.response"
    " WHERE run_items.run = ? AND run_items.state IN ('ok', 'reused')"
)


class CountingEngine(RecordingEngine):
    """Remembers the texts whose tokens were looked at."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.looked_at: list[str] = []

    def token_ends(self, text: str) -> tuple[int, ...]:
        self.looked_at.append(text)
        return super().token_ends(text)


@pytest.mark.parametrize("metric", ["nll", "sap_nll"])
def test_a_run_that_was_cancelled_has_the_places_of_all_that_it_scored(
    metric: str, catalogue: Path, stand_in_model: Path
) -> None:
    run = queue_run(catalogue, stand_in_model, (metric,), answer_filter=False)
    work(catalogue, run, RecordingEngine(Faults()), commits=2)
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish_cancel(connection, run)
    assert run_now(catalogue, run).state is RunState.CANCELLED
    scored = rows(catalogue, SCORED, run)
    assert 0 < len(scored) < run_now(catalogue, run).total
    assert all(has_ends for _, has_ends in scored)
    assert_sound(catalogue)


def test_no_text_is_looked_at_twice(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model, ("nll", "ifd"))
    first, second = CountingEngine(Faults()), CountingEngine(Faults())
    work(catalogue, run, first, commits=2)
    work(catalogue, run, second)
    assert run_now(catalogue, run).state is RunState.DONE
    assert first.looked_at
    assert len({*first.looked_at, *second.looked_at}) == len(first.looked_at) + len(second.looked_at) == 48


def test_scores_of_an_earlier_version_get_their_places_before_anything_is_scored(
    catalogue: Path, stand_in_model: Path
) -> None:
    work(catalogue, queue_run(catalogue, stand_in_model, samples=6), FakeEngine(Faults()))
    change(catalogue, "DELETE FROM token_ends")
    run = queue_run(catalogue, stand_in_model)
    work(catalogue, run, RecordingEngine(Faults()), commits=1)
    assert run_now(catalogue, run).reused
    assert all(has_ends for _, has_ends in rows(catalogue, SCORED, run))


def test_a_run_that_goes_on_finds_missing_places_itself(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    work(catalogue, run, RecordingEngine(Faults()), commits=1)
    change(catalogue, "DELETE FROM token_ends")
    number = rows(catalogue, "SELECT position + 1 FROM run_items JOIN questions ON questions.id = question"
                             " WHERE run = ? AND state = 'ok' LIMIT 1", run)[0][0]  # fmt: skip

    def note() -> str:
        (sample,) = question_samples(open_reader(catalogue), run, ["plain"], f"#{number}").samples
        return " ".join(sample.notes)

    assert note() == "The places of the tokens in the text are not known yet; run 1 finds them when it goes on."
    change(catalogue, "UPDATE runs SET state = 'cancelled' WHERE id = ?", run)
    assert "Score again, and nothing is scored twice: sap-tui score --task sums" in note()
    change(catalogue, "UPDATE runs SET state = 'queued' WHERE id = ?", run)
    work(catalogue, run, RecordingEngine(Faults()))
    assert note() == ""
