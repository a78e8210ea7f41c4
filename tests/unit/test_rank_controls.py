"""Which responses a ranking compares, and the controls that stand beside its scores, on real catalogues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from core.domain import ContextKind, response_digest
from core.errors import SapError
from core.metrics import nll
from core.metrics.registry import all_metrics, metric
from core.rank import ranking_report, run_arrays
from core.scoring.fake import Faults
from core.store.answer_checks import insert_answer_checks
from core.store.db import Writer, open_reader
from core.store.importing import import_file
from tests.conftest import write_strategy
from tests.unit.scored_runs import change, plain_contexts, scored_run

QUESTIONS = 24


def test_a_plugin_that_is_gone_does_not_take_the_others(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(all_metrics(), "theirs", replace(nll.METRIC, id="theirs"))
    run = scored_run(catalogue, stand_in_model, ("theirs", "nll"))
    monkeypatch.delitem(all_metrics(), "theirs")
    report = ranking_report(open_reader(catalogue), run.id)
    assert report.ranking.metric == "nll"
    assert "theirs is missing: its plugin is not installed any more." in report.ranking.warnings


def test_accuracy_comes_from_stored_checks_and_else_is_judged_now(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model)
    change(catalogue, "DELETE FROM answer_checks")
    assert [row.accuracy for row in ranking_report(open_reader(catalogue), run.id).ranking.rows] == [1.0, 1.0]
    with Writer(catalogue) as writer, writer.transaction() as connection:
        insert_answer_checks(connection, [(response_digest("It is 0."), "0", False)])
        insert_answer_checks(connection, [(response_digest("It is 2."), "2", None)])
    rows = {row.strategy: row for row in ranking_report(open_reader(catalogue), run.id).ranking.rows}
    assert rows["plain"].accuracy == pytest.approx(22 / 23)
    assert rows["chatty"].accuracy == 1.0


def test_without_gold_answers_there_is_no_accuracy(catalogue: Path, stand_in_model: Path) -> None:
    change(catalogue, "UPDATE questions SET answer = CASE position WHEN 0 THEN 'def f():\n    return 1' END")
    run = scored_run(catalogue, stand_in_model)
    assert {row.accuracy for row in ranking_report(open_reader(catalogue), run.id).ranking.rows} == {None}
    with pytest.raises(SapError, match="No question has a gold answer that can be checked"):
        ranking_report(open_reader(catalogue), run.id, "response_accuracy")


def test_questions_that_were_planned_for_some_only_are_not_finished(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model)
    change(catalogue, "DELETE FROM run_items WHERE number IN (0, 5, 6, 7)")
    arrays = run_arrays(open_reader(catalogue), run, [metric("nll")])
    assert len(arrays.questions) == QUESTIONS - 3
    assert not np.isnan(arrays.mean_nll(ContextKind.PLAIN)).any()


def test_controls_stand_in_every_row(catalogue: Path, stand_in_model: Path) -> None:
    change(catalogue, "UPDATE strategies SET teacher = 'Qwen2.5-72B-Instruct' WHERE name = 'plain'")
    change(catalogue, "UPDATE strategies SET teacher = 'a human\x1b[2J' WHERE name = 'chatty'")
    run = scored_run(catalogue, stand_in_model)
    rows = {row.strategy: row for row in ranking_report(open_reader(catalogue), run.id).ranking.rows}
    assert rows["plain"].mean_tokens == mean(len(f"It is {2 * number}.") for number in range(QUESTIONS))
    assert {row.same_family for row in rows.values()} == {None}
    Path(run.request.path, "config.json").write_text('{"model_type": "qwen2"}')
    report = ranking_report(open_reader(catalogue), run.id)
    assert {row.strategy: row.same_family for row in report.ranking.rows} == {"plain": True, "chatty": False}
    assert any(
        warning.startswith("Teacher and target model are of one family: 'plain'") for warning in report.ranking.warnings
    )


def test_a_strategy_that_is_the_targets_own_output_is_named(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    scored_run(catalogue, stand_in_model, ("self_margin",))
    reader = open_reader(catalogue)
    own = dict(reader.execute("SELECT context, text FROM generated_predictions").fetchall())
    texts = [own[context] for context in plain_contexts(catalogue)]
    texts[:8] = ["Something else."] * 8
    change(catalogue, "UPDATE generated_predictions SET text = ' ' || text || char(10)")
    with Writer(catalogue) as writer:
        import_file(writer, write_strategy(tmp_path / "own.jsonl", texts), task="sums", strategy="own")
    run = scored_run(catalogue, stand_in_model, ("nll",))
    warnings = ranking_report(open_reader(catalogue), run.id).ranking.warnings
    (warning,) = (each for each in warnings if "own output: " in each)
    assert warning.startswith("'own' is the target model's own output: 16 of 24 responses")


def test_failed_samples_do_not_hide_the_rest(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, faults=Faults(nonfinite=("It is 4",)))
    report = ranking_report(open_reader(catalogue), run.id, "rsr")
    failed = sum(f"It is {2 * number}".startswith("It is 4") for number in range(QUESTIONS))
    assert report.ranking.failed["plain"] >= failed > 0
    rows = {row.strategy: row for row in report.ranking.rows}
    assert rows["chatty"].n == report.ranking.questions == QUESTIONS - report.ranking.failed["plain"]
