"""sap-tui converge, and the points of sap-tui judge, as a user's shell runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command_line import CommandLine
from tests.unit.scored_runs import change, scored_run


@pytest.fixture
def sap_tui(catalogue: Path, stand_in_model: Path) -> CommandLine:
    """With run 1 done: 24 questions of two strategies, nll and ppl."""
    scored_run(catalogue, stand_in_model, ("nll", "ppl"))
    return CommandLine(catalogue)


def test_the_last_step_is_the_ranking(sap_tui: CommandLine) -> None:
    for metric in ("nll", "ppl"):
        found = json.loads(sap_tui("converge", "1", "--by", metric, "--json"))
        ranking = json.loads(sap_tui("rank", "1", "--by", metric, "--format", "json"))
        assert found["questions"] == [10, 12, 14, 17, 20, 24]
        for each, row in zip(found["strategies"], ranking["strategies"], strict=True):
            score = row["scores"][metric]
            assert each["strategy"] == row["strategy"]
            assert (each["values"][-1], each["low"][-1], each["high"][-1]) == pytest.approx(
                (score["value"], score["low"], score["high"])
            )
        assert found["metrics"][:2] == ["nll", "ppl"]
        assert found["state"] == "done"


def test_the_table_has_the_steps_that_fit(sap_tui: CommandLine) -> None:
    found = json.loads(sap_tui("converge", "--json"))
    text = sap_tui("converge")
    assert max(map(len, text.splitlines())) <= 100
    header = next(line for line in text.splitlines() if line.startswith("questions"))
    assert header.split()[1:] == [f"{size}" for size in found["questions"]]
    for each in found["strategies"]:
        line = next(line for line in text.splitlines() if line.startswith(each["strategy"]))
        cells = line.removeprefix(each["strategy"]).split("±")
        assert cells[0].strip() == f"{each['values'][0]:.3f}"
        assert cells[-1] == f"{(each['high'][-1] - each['low'][-1]) / 2:.3f}"
    assert found["sentences"][0] in text


def test_hostile_names_are_shown_and_do_nothing(sap_tui: CommandLine) -> None:
    change(sap_tui.catalogue, "UPDATE strategies SET name = ? WHERE name = 'plain'", "\x1b[31m\u202e" + "名" * 60)
    text = sap_tui("converge")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "␛[31m⟨U+202E⟩" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["converge", "7"], 3, "7"),
        (["converge", "--by", "nonsense"], 2, "nonsense"),
        (["converge", "--by", "ifd"], 1, "ifd"),
        (["judge", "--points"], 2, "--points belongs to --json or --format csv."),
        (["judge", "--run", "1", "--task", "sums"], 2, "--run has its task and model."),
        (["judge", "--run", "9"], 3, "9"),
        (["judge", "--run", "1"], 3, "no outcomes"),
    ],
)
def test_wrong_use_is_one_line(sap_tui: CommandLine, arguments: list[str], code: int, message: str) -> None:
    result = sap_tui.run(*arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_points_are_the_scores_and_outcomes_of_the_run_that_was_asked_for(
    sap_tui: CommandLine, stand_in_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "outcomes.csv").write_text("strategy,seed,accuracy\nplain,0,0.4\nplain,1,0.6\nchatty,0,0.9\n")
    sap_tui("outcomes", tmp_path / "outcomes.csv", "--task", "sums", "--model", "stand-in-model")
    scored_run(sap_tui.catalogue, stand_in_model, ("nll",), samples=6)
    for run in ("1", "2"):
        found = json.loads(sap_tui("judge", "--run", run, "--points", "--json"))
        (pair,) = found["points"]
        assert pair["outcomes"] == {"chatty": pytest.approx(0.9), "plain": pytest.approx(0.5)}
        ranking = json.loads(sap_tui("rank", run, "--by", "nll", "--format", "json"))["strategies"]
        scores = {row["strategy"]: pytest.approx(row["scores"]["nll"]["value"]) for row in ranking}
        assert pair["metrics"]["nll"] == {"scores": scores, "picks": [ranking[0]["strategy"]]}
    assert "points" not in json.loads(sap_tui("judge", "--json"))


def test_points_of_files_leave_out_what_is_not_finite(sap_tui: CommandLine, tmp_path: Path) -> None:
    scores, outcomes = tmp_path / "scores.csv", tmp_path / "outcomes.csv"
    scores.write_text("target_model,task,strategy,metric,value\none,t,a,nll,1\none,t,b,nll,2\none,t,c,nll,nan\n")
    outcomes.write_text("target_model,task,strategy,accuracy\none,t,a,0.5\none,t,b,0.7\none,t,c,0.1\n")
    found = json.loads(sap_tui("judge", "--scores", scores, "--outcomes", outcomes, "--json", "--points"))
    assert found["points"] == [
        {
            "target_model": "one", "task": "t", "outcomes": {"a": 0.5, "b": 0.7, "c": 0.1},
            "metrics": {"nll": {"scores": {"a": 1.0, "b": 2.0}, "picks": ["a"]}},
        }
    ]  # fmt: skip
