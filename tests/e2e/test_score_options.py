"""The options of `sap-tui score` beyond the usual run, as a user's shell gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command_line import CommandLine


@pytest.fixture
def sap_tui(catalogue: Path) -> CommandLine:
    return CommandLine(catalogue)


def ranking(sap_tui: CommandLine, *arguments: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(sap_tui("rank", *arguments, "--format", "json"))
    return found


def test_a_run_is_extended_and_nothing_is_scored_twice(sap_tui: CommandLine, stand_in_model: Path) -> None:
    score = "score", "--task", "sums", "--model", stand_in_model, "--device", "cpu", "--no-answer-filter"
    assert sap_tui(*score, "--samples", "8", "--foreground").strip() == "1"
    dry = json.loads(sap_tui("score", "--more", "6", "1", "--dry-run", "--json"))
    assert (dry["questions"], dry["reused"], dry["predictions"]) == (14, 32, 0)
    assert sap_tui("score", "--more", "6", "1", "--foreground").strip() == "2"
    assert ranking(sap_tui, "2")["questions"] == 14
    assert ranking(sap_tui, "1")["questions"] == 8


def test_an_extension_takes_no_option_of_a_new_run(sap_tui: CommandLine) -> None:
    result = sap_tui.run("score", "--more", "6", "1", "--json", "--metric", "rsr")
    assert result.returncode == 2
    assert "takes no --metric" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_a_metric_lacks_is_said_before_anything_is_computed(
    sap_tui: CommandLine, stand_in_model: Path, tmp_path: Path
) -> None:
    score = [
        "score", "--task", "sums", "--model", stand_in_model, "--dry-run",
        *("--metric", "car", "--metric", "ds_weight", "--metric", "learnability", "--metric", "nll"),
    ]  # fmt: skip
    said = sap_tui.run(*score).stderr.splitlines()
    assert [line.split()[1] for line in said] == ["car", "ds_weight", "learnability"]
    assert "--reward-model" in said[0]
    (tmp_path / "rewards.csv").write_text("strategy,id,value\nplain,0,1\n")
    sap_tui("column", tmp_path / "rewards.csv", "--task", "sums", "--name", "reward")
    said = sap_tui.run(*score, "--valid", "sums/plain").stderr.splitlines()
    assert [line.split()[1] for line in said] == ["learnability"]


def test_an_option_without_effect_is_said(sap_tui: CommandLine, stand_in_model: Path) -> None:
    score = "score", "--task", "sums", "--model", stand_in_model, "--dry-run", "--examples", "3", "--votes", "5"
    assert [line.split()[1] for line in sap_tui.run(*score, "--metric", "nll").stderr.splitlines()] == [
        "--examples", "--votes",
    ]  # fmt: skip
    assert [line.split()[1] for line in sap_tui.run(*score).stderr.splitlines()] == ["--votes"]


def test_a_template_votes_and_orders_are_taken_from_the_command_line(
    sap_tui: CommandLine, stand_in_model: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template.jinja"
    template.write_text("{{ question }}\n{% for example in examples %}\n* {{ example }}\n{% endfor %}\n")
    sap_tui(
        "score", "--task", "sums", "--model", stand_in_model, "--device", "cpu", "--no-answer-filter",
        "--samples", "4", "--prompt-template", template, "--example-orders", "2", "--example-choice", "usefulness",
        "--metric", "sap", "--metric", "self_consistency", "--votes", "3", "--vote-temperature", "0.8", "--foreground",
    )  # fmt: skip
    (run,) = json.loads(sap_tui("runs", "--json"))
    assert (run["state"], run["done"]) == ("done", 2 * 2 * 4)
    strategies = ranking(sap_tui, "--by", "self_consistency")["strategies"]
    assert isinstance(strategies, list)
    assert len(strategies) == 2


def test_an_empty_template_is_not_taken_for_none(sap_tui: CommandLine, stand_in_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jinja").touch()
    score = "score", "--task", "sums", "--model", stand_in_model, "--prompt-template", tmp_path / "empty.jinja"
    result = sap_tui.run(*score, "--dry-run")
    assert result.returncode == 1
    assert "template is empty" in result.stderr


def test_until_decided_takes_more_questions_by_default(sap_tui: CommandLine, stand_in_model: Path) -> None:
    sap_tui(
        "score", "--task", "sums", "--model", stand_in_model, "--device", "cpu", "--metric", "nll",
        "--until-decided", "--foreground",
    )  # fmt: skip
    report = ranking(sap_tui)
    assert report["verdict"] in ("decided", "undecided")
    (run,) = json.loads(sap_tui("runs", "--json"))
    assert run["state"] == "done"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["score"], 2, "--task and --model"),
        (["score", "--more", "5"], 2, "go together"),
        (["score", "7"], 2, "go together"),
        (["score", "--more", "5", "7"], 3, "There is no run 7"),
        (["score", "--task", "sums", "--model", "MODEL", "--valid", "sums/nobody"], 3, "TASK/STRATEGY"),
        (["score", "--task", "sums", "--model", "MODEL", "--small-model-run", "9"], 3, "no run 9"),
        (["score", "--task", "sums", "--model", "MODEL", "--votes", "1"], 2, "--votes"),
        (["score", "--task", "sums", "--model", "MODEL", "--prompt-template", "none.jinja"], 3, "not found"),
        (["score", "--task", "sums", "--model", "MODEL", "--samples", "0"], 2, "--samples"),
    ],
)
def test_what_is_wrong_is_one_line(
    sap_tui: CommandLine, stand_in_model: Path, arguments: list[str], code: int, message: str
) -> None:
    result = sap_tui.run(*[str(stand_in_model) if each == "MODEL" else each for each in arguments])
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
