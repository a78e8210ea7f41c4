"""sap-tui outcomes and sap-tui judge as a user's shell runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.command_line import CommandLine

SCORES = """target_model,task,strategy,metric,value
one,sums,a,nll,1
one,sums,b,nll,2
one,sums,c,nll,3
one,sums,a,mine,1
one,sums,b,mine,2
one,sums,c,mine,nan
one,more,a,nll,3
one,more,b,nll,2
one,more,a,mine,1
one,more,b,mine,1
"""
OUTCOMES = """target_model,task,strategy,accuracy
one,sums,a,0.9
one,sums,b,0.5
one,sums,c,0.1
one,more,a,0.6
one,more,b,0.7
"""


@pytest.fixture
def sap_tui(catalogue: Path) -> CommandLine:
    return CommandLine(catalogue)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The options that name two small files."""
    (tmp_path / "metrics.csv").write_text(SCORES)
    (tmp_path / "accuracy.csv").write_text(OUTCOMES)
    return ["--scores", str(tmp_path / "metrics.csv"), "--outcomes", str(tmp_path / "accuracy.csv")]


def test_json_of_two_files(sap_tui: CommandLine, files: list[str]) -> None:
    result = sap_tui.run("judge", *files, "--json")
    found = json.loads(result.stdout)
    assert found["pairs"] == 2
    assert found["upper_bound"] == pytest.approx(0.8)
    assert found["random"] == pytest.approx((0.5 + 0.65) / 2)
    assert found["fixed"] == {
        "a": {"chosen": pytest.approx(0.75), "by_target": {"one": pytest.approx(0.75)}},
        "b": {"chosen": pytest.approx(0.6), "by_target": {"one": pytest.approx(0.6)}},
    }
    assert found["metrics"]["nll"] == {
        "chosen": pytest.approx(0.8), "by_target": {"one": pytest.approx(0.8)}, "regret": pytest.approx(0.0),
        "weighted_spearman": pytest.approx(1.0), "weighted_spearman_tie_corrected": pytest.approx(1.0),
        "spearman": pytest.approx(1.0), "kendall": pytest.approx(1.0), "pairwise": pytest.approx(1.0),
    }  # fmt: skip
    # In `more` its scores are tied: the pick is the mean, there is no correlation, a pair counts half.
    mine = found["metrics"]["mine"]
    assert mine["chosen"] == pytest.approx((0.9 + 0.65) / 2)
    assert mine["spearman"] == pytest.approx(1.0)
    assert mine["pairwise"] == pytest.approx(0.75)
    low, high = found["details"]["metrics"]["mine"]["intervals"]["chosen"]
    assert (low, high) == (pytest.approx(0.65), pytest.approx(0.9))
    assert "Values of mine that are not finite do not count: line 7: c, sums." in result.stderr
    assert "mine is not known: lower counts as better" in result.stderr
    assert "mine has no correlation in 1 of 2 pairs" in result.stderr


def test_tables_fit_and_show_no_control_characters(sap_tui: CommandLine, tmp_path: Path) -> None:
    hostile = "\x1b[31m\u202e" + "名" * 60
    for name, header, value in (("metrics", "metric,value", f"{hostile},1"), ("accuracy", "accuracy", "0.5")):
        rows = [f"{hostile},{task},{strategy},{value}" for task in "xyz" for strategy in (hostile, "b")]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"target_model,task,strategy,{header}", *rows, ""]))
    result = sap_tui.run("judge", "--scores", tmp_path / "metrics.csv", "--outcomes", tmp_path / "accuracy.csv")
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    assert "\u202e" not in result.stdout + result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "always ␛[31m" in result.stdout


def test_a_direction_turns_a_metric(sap_tui: CommandLine, files: list[str]) -> None:
    found = json.loads(sap_tui("judge", *files, "--direction", "nll=higher", "--json"))
    assert found["metrics"]["nll"]["spearman"] == pytest.approx(-1.0)
    assert found["metrics"]["nll"]["chosen"] == pytest.approx((0.1 + 0.6) / 2)
    assert found["details"]["metrics"]["nll"]["direction"] == "higher"


def test_the_least_spread(sap_tui: CommandLine, files: list[str]) -> None:
    assert json.loads(sap_tui("judge", *files, "--min-spread", "0.1", "--json"))["pairs"] == 1
    result = sap_tui.run("judge", *files, "--min-spread", "0.5")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "sap-tui: No pair has a spread above 0.5; the largest is 0.4000. Lower --min-spread.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--direction", "nlll=higher"], 2, "--direction: there is no metric 'nlll'. Metrics: nll, mine."),
        (["--planning"], 2, "Add --protocol sap-paper."),
        (["--min-spread", "nan"], 2, "--min-spread must be 0 or more."),
        (["--task", "sums"], 2, "--task, --model and --run are for the catalogue."),
        (["--protocol", "sap-paper"], 1, "no pair of target model and task for this protocol"),
    ],
)
def test_wrong_use_is_one_line(
    sap_tui: CommandLine, files: list[str], arguments: list[str], code: int, message: str
) -> None:
    result = sap_tui.run("judge", *files, *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_one_file_is_not_enough(sap_tui: CommandLine, files: list[str]) -> None:
    assert "go together" in sap_tui.run("judge", *files[:2]).stderr


def test_a_bad_line_is_named(sap_tui: CommandLine, files: list[str]) -> None:
    Path(files[1]).write_text(f"{SCORES}one,sums,d,nll,low\n")
    result = sap_tui.run("judge", *files)
    assert result.returncode == 1
    assert result.stderr == "sap-tui: metrics.csv:12: value 'low' is not a number. Nothing was kept.\n"


def test_outcomes_of_the_catalogue_judge_its_runs(sap_tui: CommandLine, stand_in_model: Path, tmp_path: Path) -> None:
    result = sap_tui.run("judge")
    assert (result.returncode, result.stdout) == (3, "")
    assert "The catalogue has no outcomes" in result.stderr

    table = tmp_path / "outcomes.csv"
    table.write_text("strategy,seed,accuracy\nplain,0,0.4\nplain,1,0.6\nchatty,0,0.9\n")
    said = sap_tui("outcomes", table, "--task", "sums", "--model", stand_in_model)
    assert said == "sums: 3 outcomes of 2 strategies under stand-in-model\n"
    assert "replaced: 3" in sap_tui.run("outcomes", table, "--task", "sums", "--model", "stand-in-model").stderr
    assert [row["accuracy"] for row in json.loads(sap_tui("outcomes", "--json"))] == [0.9, 0.4, 0.6]
    assert "chatty" in sap_tui("outcomes", "--task", "sums", "--model", stand_in_model)

    result = sap_tui.run("judge")
    assert result.returncode == 1
    assert "do not count (sap-tui score, or sap-tui outcomes --delete): sums under stand-in-model." in result.stderr

    score = ["score", "--task", "sums", "--model", stand_in_model, "--metric", "ppl", "--device", "cpu", "--wait"]
    sap_tui(*score)
    found = json.loads(sap_tui("judge", "--json"))
    ranking = json.loads(sap_tui("rank", "--format", "json"))
    leader = ranking["strategies"][0]["strategy"]
    assert found["metrics"]["ppl"]["chosen"] == pytest.approx({"plain": 0.5, "chatty": 0.9}[leader])
    assert found["metrics"]["ppl"]["spearman"] == (1.0 if leader == "chatty" else -1.0)
    # Computed from the same pass, although the run did not ask for it.
    assert "nll" in found["metrics"]
    result = sap_tui.run("judge", "--task", "sums", "--model", stand_in_model)
    assert "One task only" in result.stderr
    assert "always chatty" in result.stdout
    assert sap_tui.run("judge", "--model", "other").returncode == 3


def test_outcomes_of_a_model_without_a_run_are_pointed_out(sap_tui: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "outcomes.csv").write_text("strategy,accuracy\nplain,0.5\n")
    result = sap_tui.run("outcomes", tmp_path / "outcomes.csv", "--task", "sums", "--model", "mistyped")
    assert result.returncode == 0
    assert result.stdout == "sums: 1 outcome of 1 strategy under mistyped\n"
    assert result.stderr.startswith("! No finished run of sums under mistyped yet")
    command = "sap-tui outcomes --delete --task sums --model mistyped"
    assert result.stderr.endswith(f"  If the name is wrong: {command}\n")
    done = sap_tui.run(*command.split()[1:])
    assert (done.returncode, done.stderr) == (0, "sums: 1 outcome under mistyped deleted.\n")
    assert json.loads(sap_tui("outcomes", "--json")) == []
    for arguments, code, words in (
        (("--task", "sums", "--model", "mistyped"), 3, "no outcome of mistyped"),
        (("--task", "sums"), 2, "needs --task and --model"),
        (("outcomes.csv", "--task", "sums", "--model", "mistyped"), 2, "takes no FILE"),
    ):
        result = sap_tui.run("outcomes", "--delete", *arguments)
        assert (result.returncode, words in result.stderr) == (code, True), result.stderr
    assert sap_tui.run("outcomes", "--task", "sums", "--strategy", "plain").returncode == 2


def test_outcomes_of_unknown_strategies_are_refused(sap_tui: CommandLine, tmp_path: Path) -> None:
    table = tmp_path / "outcomes.csv"
    table.write_text("strategy,accuracy\nplain,0.4\nhuman,0.6\n")
    result = sap_tui.run("outcomes", table, "--task", "sums", "--model", "tiny")
    assert (result.returncode, result.stdout) == (1, "")
    assert "outcomes.csv:3: the task 'sums' has no strategy 'human'; nothing was kept." in result.stderr
    assert sap_tui("outcomes", "--json") == "[]\n"
    assert sap_tui.run("outcomes", table).returncode == 2


def test_the_demos_last_table(tmp_path: Path, stand_in_model: Path) -> None:
    """The bundled sample and its outcomes, with stand-in scores for three of its strategies."""
    from sap_tui.commands.demo import outcome_table

    sap_tui, sample = CommandLine(tmp_path / "demo.db"), ROOT / "sample_data"
    model = stand_in_model.rename(tmp_path / "tiny-model")
    names = ("terse", "step_by_step", "chatty")
    sap_tui("import", *(sample / "arithmetic" / f"{name}.jsonl" for name in names), "--task", "arithmetic")
    outcomes = [line for line in (sample / "outcomes.csv").read_text().splitlines() if "," in line]
    kept = [line for line in outcomes if line.split(",")[1] in ("strategy", *names)]
    (tmp_path / "outcomes.csv").write_text("\n".join(kept))
    sap_tui("outcomes", tmp_path / "outcomes.csv", "--task", "arithmetic")
    sap_tui(
        "score", "--task", "arithmetic", "--model", model, "--metric", "nll", "--samples", "4", "--device", "cpu",
        "--wait",
    )  # fmt: skip
    title, header, best, *rows = outcome_table(sap_tui.catalogue).splitlines()
    assert title == "What fine-tuning on each metric's pick gave (accuracy in %):"
    assert header.split() == ["strategy", "chosen", "by", "better", "picked", "outcome", "regret", "Spearman"]
    assert best.split() == ["the", "best", "one,", "known", "afterwards", "step_by_step", "74.2", "0.0"]
    found = {row.split("  ")[0]: row.split() for row in rows}
    means = {"terse": 14.8, "step_by_step": 74.2, "chatty": 55.3}
    assert float(found["any one, at random"][4]) == pytest.approx(sum(means.values()) / 3, abs=0.1)
    _, better, picked, outcome, regret, _ = found["nll"]
    assert (better, float(outcome)) == ("lower", means[picked])
    assert float(regret) == pytest.approx(means["step_by_step"] - means[picked], abs=0.1)
    assert max(map(len, rows)) <= 100
