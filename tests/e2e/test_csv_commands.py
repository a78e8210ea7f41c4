"""compare, agree, converge and judge as CSV: the same numbers as JSON, to stdout or whole into a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.e2e.command_line import CommandLine
from tests.ui.test_outcomes import judged, unjudged

__all__ = ["judged", "unjudged"]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_question_of_a_comparison(judged: Path) -> None:
    command = CommandLine(judged)
    data = json.loads(command("compare", "1", "chatty", "terse", "--json"))
    found = rows(command("compare", "1", "chatty", "terse", "--format", "csv"))
    assert [(int(row["position"]), float(row["ahead"])) for row in found] == [
        (row["position"], row["ahead"]) for row in data["rows"]
    ]
    assert len(rows(command("compare", "1", "chatty", "terse", "--format", "csv", "--limit", "3"))) == 3


def test_every_pair_of_metrics(judged: Path) -> None:
    command = CommandLine(judged)
    pairs = json.loads(command("agree", "1", "--json"))["pairs"]
    found = rows(command("agree", "1", "--format", "csv"))
    assert [[row["first"], row["second"]] for row in found] == [pair["metrics"] for pair in pairs]
    for row, pair in zip(found, pairs, strict=True):
        assert row["spearman"] == ("" if pair["spearman"] is None else str(pair["spearman"]["value"]))


def test_every_step_of_a_convergence(judged: Path) -> None:
    command = CommandLine(judged)
    data = json.loads(command("converge", "1", "--json"))
    found = rows(command("converge", "1", "--format", "csv"))
    for series in data["strategies"]:
        own = [row for row in found if row["strategy"] == series["strategy"]]
        assert [float(row["score"]) for row in own] == series["values"]
        assert [int(row["questions"]) for row in own] == data["questions"][: len(own)]


def test_every_metric_and_every_point_of_a_judgement(judged: Path) -> None:
    command = CommandLine(judged)
    data = json.loads(command("judge", "--run", "1", "--points", "--json"))
    metrics = rows(command("judge", "--run", "1", "--format", "csv"))
    assert {row["metric"]: float(row["regret"]) for row in metrics} == {
        name: judgement["regret"] for name, judgement in data["metrics"].items()
    }
    points = rows(command("judge", "--run", "1", "--points", "--format", "csv"))
    (pair,) = data["points"]
    assert {(row["metric"], row["strategy"]): float(row["score"]) for row in points} == {
        (metric, name): score for metric, each in pair["metrics"].items() for name, score in each["scores"].items()
    }
    assert {row["strategy"]: float(row["outcome"]) for row in points} == pair["outcomes"]
    picked = {(row["metric"], row["strategy"]) for row in points if row["picked"] == "1"}
    assert picked == {(metric, name) for metric, each in pair["metrics"].items() for name in each["picks"] or ()}


@pytest.mark.parametrize(
    "arguments",
    [("compare", "1", "chatty", "terse"), ("agree", "1"), ("converge", "1"), ("judge", "--run", "1", "--points"),
     ("rank", "--task", "arithmetic", "--by-model")],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_a_file_holds_what_stdout_would(arguments: tuple[str, ...], judged: Path, tmp_path: Path) -> None:
    command = CommandLine(judged)
    text = command(*arguments, "--format", "csv")
    assert command(*arguments, "--format", "csv", "--output", tmp_path / "out.csv") == ""
    assert (tmp_path / "out.csv").read_text() == text


def test_cells_are_no_formulas(judged: Path) -> None:
    command = CommandLine(judged)
    command("strategy", "edit", "chatty", "--task", "arithmetic", "--rename==1+1")
    for arguments in (("converge", "1"), ("judge", "--run", "1", "--points"),
                      ("rank", "--task", "arithmetic", "--by-model")):  # fmt: skip
        assert "'=1+1" in command(*arguments, "--format", "csv")


@pytest.mark.parametrize(
    "arguments",
    [("agree", "1", "--pairs", "--json"), ("judge", "--points"),
     ("compare", "1", "chatty", "terse", "--question", "#1", "--format", "csv")],
)  # fmt: skip
def test_options_that_contradict_each_other(arguments: tuple[str, ...], judged: Path) -> None:
    assert CommandLine(judged).run(*arguments).returncode == 2


def test_outcomes_are_looked_into_before_they_are_kept(judged: Path, tmp_path: Path) -> None:
    command, file = CommandLine(judged), tmp_path / "new.csv"
    file.write_text("strategy,accuracy\nchatty,0.5\nchaty,0.5\n")
    before = command("outcomes", "--json")
    result = command.run("outcomes", file, "--task", "arithmetic", "--model", "tiny-model", "--dry-run", "--json")
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert data["outcomes"] == [{"model": "tiny-model", "strategy": "chatty", "accuracies": [0.5]}]
    assert [problem.split(" ")[0] for problem in data["problems"]] == ["new.csv:3:"]
    assert command("outcomes", "--json") == before
