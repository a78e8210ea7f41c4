"""Strategies that are renamed, replaced or deleted after a run named them: its numbers stay, and it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.domain import Run, RunRequest
from core.export.by_model import by_model_sentences
from core.rank import ranking_report
from core.rank.by_model import rankings_by_model
from core.run_report import run_report
from core.store.db import Writer, open_reader
from core.store.deletion import delete_run, delete_strategy, delete_task, rename_task, sweep_deleted
from core.store.importing import import_file
from core.store.strategies import StrategyFields, edit_strategy
from core.submission.extend import prepare_extension
from tests.conftest import write_strategy
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import assert_sound, queue_run
from tests.unit.scored_runs import change, do_here, scored_run

PAIRS = 40


@pytest.fixture
def trusting(catalogue: Path, tmp_path: Path) -> Path:
    """With the task `trusted`: the strategies `human` and `worse` of 40 pairs each."""
    bring(catalogue, tmp_path, "human", "= ")
    bring(catalogue, tmp_path, "worse", "Some say that it is ")
    return catalogue


def bring(catalogue: Path, folder: Path, strategy: str, start: str, task: str = "trusted", count: int = PAIRS) -> None:
    """Import responses with this start, in place of those that the strategy has."""
    file = write_strategy(folder / f"{task}.jsonl", [f"{start}{2 * number}" for number in range(count)])
    with Writer(catalogue) as writer:
        import_file(writer, file, task=task, strategy=strategy, replace=True)


def rename(catalogue: Path, name: str, new_name: str) -> None:
    with Writer(catalogue) as writer:
        edit_strategy(writer, "trusted", name, StrategyFields(), new_name=new_name)


def weights(catalogue: Path, run: Run) -> dict[str, float]:
    rows = ranking_report(open_reader(catalogue), run.id, "ds_weight").ranking.rows
    return {row.strategy: row.scores["ds_weight"].value for row in rows}


def warnings(catalogue: Path, run: Run) -> list[str]:
    found = ranking_report(open_reader(catalogue), run.id, "ppl").ranking.warnings
    return [warning for warning in found if " since; " in warning]


def scored(catalogue: Path, model: Path) -> Run:
    return scored_run(catalogue, model, ("ds_weight", "ppl"), samples=10, valid="trusted/human")


def test_another_name_of_the_valid_set_changes_no_number(trusting: Path, stand_in_model: Path) -> None:
    run = scored(trusting, stand_in_model)
    before = weights(trusting, run)
    rename(trusting, "human", "old")
    assert weights(trusting, run) == before
    rename(trusting, "worse", "human")
    with Writer(trusting) as writer:
        rename_task(writer, "trusted", "by hand")
    assert weights(trusting, run) == before
    assert run_report(open_reader(trusting), run.id, None, "test").run.request.valid == "by hand/old"


def test_a_valid_set_renamed_before_the_plan_is_scored(trusting: Path, stand_in_model: Path) -> None:
    number = queue_run(trusting, stand_in_model, ("ds_weight", "ppl"), samples=10, valid="trusted/human")
    rename(trusting, "human", "old")
    run = do_here(trusting, number)
    assert run.total == 20 + PAIRS
    assert len(weights(trusting, run)) == 2


def test_a_replaced_valid_set_changes_no_number(trusting: Path, stand_in_model: Path, tmp_path: Path) -> None:
    run = scored(trusting, stand_in_model)
    before = weights(trusting, run)
    bring(trusting, tmp_path, "human", "Now it is ")
    with Writer(trusting) as writer:
        sweep_deleted(writer, float("inf"))
    assert weights(trusting, run) == before
    assert warnings(trusting, run) == [
        f"The valid set 'human' was replaced since; run {run.id} has its earlier responses."
    ]
    assert_sound(trusting)


def test_a_deleted_valid_set_stays_as_long_as_the_run(trusting: Path, stand_in_model: Path) -> None:
    run = scored(trusting, stand_in_model)
    before = weights(trusting, run)
    with Writer(trusting) as writer:
        delete_strategy(writer, "trusted", "human")
        delete_task(writer, "trusted")
        sweep_deleted(writer, float("inf"))
        assert weights(trusting, run) == before
        assert warnings(trusting, run) == [
            f"The valid set 'human' was deleted since; run {run.id} has its earlier responses."
        ]
        delete_run(writer, run.id)
        for _ in range(2):
            sweep_deleted(writer, float("inf"))
        names = [row[0] for row in writer.connection.execute("SELECT name FROM tasks")]
    assert names == ["sums"]
    assert_sound(trusting)


def test_requests_of_earlier_versions_go_by_the_name(trusting: Path, stand_in_model: Path) -> None:
    run = scored(trusting, stand_in_model)
    before = weights(trusting, run)
    request = json.loads(run.request.to_json())
    del request["valid_strategy"]
    change(trusting, "UPDATE runs SET request = ? WHERE id = ?", json.dumps(request), run.id)
    assert RunRequest.from_json(json.dumps(request)).valid_strategy is None
    assert weights(trusting, run) == before


def test_a_run_of_replaced_responses_says_so(catalogue: Path, stand_in_model: Path, tmp_path: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("ppl",), samples=10)
    assert warnings(catalogue, run) == []
    bring(catalogue, tmp_path, "plain", "So: ", "sums", 24)
    line = f"The strategy 'plain' was replaced since; run {run.id} has its earlier responses."
    assert warnings(catalogue, run) == [line]
    reader = open_reader(catalogue)
    assert line in by_model_sentences(rankings_by_model(reader, "sums"))
    assert prepare_extension(reader, run.id, 3).notes == (line,)
    said = CommandLine(catalogue).run("score", "--more", "3", str(run.id), "--dry-run")
    assert f"! {line}" in said.stderr
    with Writer(catalogue) as writer:
        delete_strategy(writer, "sums", "plain")
    assert warnings(catalogue, run) == [line.replace("replaced", "deleted")]
