"""Rankings of a task under several target models: the newest run of each, never mixed, the same in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from core.errors import NotFoundError, SapError, UsageError
from core.export.by_model import by_model_csv, by_model_json, by_model_sentences
from core.rank import ranking_report
from core.rank.by_model import rankings_by_model
from core.store.db import Writer, open_reader
from core.store.runs import fullest_run, run_by_id, runs
from sap_tui.commands.model_table import model_table
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import queue_run
from tests.ui.conftest import score_here


def model(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture
def three_runs(catalogue: Path, tmp_path: Path) -> Path:
    """Run 1 and 3 under the model one, run 2 under the model two."""
    one, two = model(tmp_path / "one", b"1"), model(tmp_path / "two", b"2")
    for folder, samples in ((one, 6), (two, 8), (one, 10)):
        score_here(catalogue, queue_run(catalogue, folder, samples=samples))
    return catalogue


def test_the_newest_run_of_every_model_is_taken(three_runs: Path) -> None:
    reader = open_reader(three_runs)
    found = rankings_by_model(reader, "sums")
    assert [(report.run, report.model) for report in found.reports] == [(3, "one"), (2, "two")]
    assert found.reports == (ranking_report(reader, 3), ranking_report(reader, 2))


def test_all_are_ranked_by_one_metric(three_runs: Path) -> None:
    found = rankings_by_model(open_reader(three_runs), "sums", "ppl")
    assert {report.ranking.metric for report in found.reports} == {found.metric.id} == {"ppl"}


def test_json_and_csv_and_table_hold_the_same(three_runs: Path) -> None:
    found = rankings_by_model(open_reader(three_runs), "sums")
    data, rows = json.loads(by_model_json(found)), list(csv.DictReader(io.StringIO(by_model_csv(found))))
    expected = [
        (ranking["run"], row["rank"], row["strategy"], row["scores"][ranking["metric"]]["value"])
        for ranking in data["rankings"]
        for row in ranking["strategies"]
    ]
    assert [(int(row["run"]), int(row["rank"]), row["strategy"], float(row["score"])) for row in rows] == expected
    table = model_table(found)
    for _, _, strategy, score in expected:
        line = next(line for line in table.splitlines() if line.startswith(strategy))
        assert f"{score:.3f}" in line
    assert data["sentences"] == by_model_sentences(found)


def test_a_deleted_run_gives_way_to_the_one_before(three_runs: Path) -> None:
    CommandLine(three_runs)("runs", "--delete", "3")
    found = rankings_by_model(open_reader(three_runs), "sums")
    assert [report.run for report in found.reports] == [2, 1]


def test_a_metric_that_no_run_can_give_is_refused(three_runs: Path) -> None:
    with pytest.raises(SapError, match="sap"):
        rankings_by_model(open_reader(three_runs), "sums", "sap")
    with pytest.raises(UsageError):
        rankings_by_model(open_reader(three_runs), "sums", "no_such_metric")


def test_a_run_that_cannot_give_the_metric_is_left_out_and_named(three_runs: Path) -> None:
    with Writer(three_runs) as writer, writer.transaction() as connection:
        connection.execute("DELETE FROM run_items WHERE run = 2")
    found = rankings_by_model(open_reader(three_runs), "sums")
    assert [report.run for report in found.reports] == [3]
    assert set(found.missing) == {2}
    assert any(sentence.startswith("Run 2 is left out: ") for sentence in by_model_sentences(found))


def test_what_cannot_be_ranked(catalogue: Path) -> None:
    with pytest.raises(NotFoundError):
        rankings_by_model(open_reader(catalogue), "gone")
    with pytest.raises(SapError, match="No run of the task 'sums' has finished yet"):
        rankings_by_model(open_reader(catalogue), "sums")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--by-model",), 2),
        (("--task", "sums"), 2),
        (("1", "--task", "sums", "--by-model"), 2),
        (("--task", "sums", "--by-model", "--format", "latex"), 2),
        (("--task", "gone", "--by-model"), 3),
        (("--task", "sums", "--by-model"), 1),
    ],
)
def test_wrong_use_on_the_command_line(arguments: tuple[str, ...], code: int, catalogue: Path) -> None:
    result = CommandLine(catalogue).run("rank", *arguments)
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith("sap-tui: ")


def test_a_later_run_of_fewer_strategies_does_not_take_the_place_of_a_fuller_one(three_runs: Path) -> None:
    model_one = three_runs.parent / "one"
    score_here(three_runs, queue_run(three_runs, model_one, samples=5, strategies=("chatty",)))
    reader = open_reader(three_runs)
    assert [report.run for report in rankings_by_model(reader, "sums").reports] == [3, 2]
    assert fullest_run(runs(reader), {"chatty"}) == run_by_id(reader, 4)
    assert fullest_run([], {"chatty"}) is None
