"""The main job through the command line with the bundled tiny model, held against a plain loop of this test's own."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path

import jinja2
import pytest

from tests.conftest import ROOT, TINY_MODEL, end_processes
from tests.e2e.command_line import CommandLine

SAMPLE = ROOT / "sample_data" / "arithmetic"
STRATEGIES = ("chatty", "terse", "wrong_answers")
QUESTIONS = 6
TEMPLATE = ROOT / "core" / "scoring" / "self_aligned_prompt.jinja"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Three strategies of the bundled sample, own predictions from a file, six questions scored in the background."""
    folder = tmp_path_factory.mktemp("main-job")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    sap_tui = CommandLine(folder / "catalogue.db")
    sap_tui("import", *(SAMPLE / f"{name}.jsonl" for name in STRATEGIES), "--task", "arithmetic")
    sap_tui("predictions", SAMPLE / "step_by_step.jsonl", "--task", "arithmetic", "--model", TINY_MODEL)
    done = sap_tui(
        "score", "--task", "arithmetic", "--model", TINY_MODEL, "--samples", str(QUESTIONS),
        "--device", "cpu", "--wait", "--json",
    )  # fmt: skip
    assert json.loads(done)["state"] == "done"
    yield sap_tui
    end_processes(sap_tui.catalogue)


def rows_of(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SAMPLE / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def plain_loop() -> dict[str, dict[str, float]]:
    """Scores by one model call a sequence and a float64 log-softmax over everything."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL)
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL, dtype=torch.float32).eval()
    examples = [row["response"] for row in rows_of("step_by_step")]
    template = jinja2.Template(TEMPLATE.read_text(), trim_blocks=True, lstrip_blocks=True)

    def mean_nll(prompt: str, response: str) -> float:
        messages = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        context = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = tokenizer(response, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([context + ids])).logits[0].double()
        surprisals = -torch.log_softmax(logits, -1)[torch.arange(len(context) - 1, len(context) + len(ids) - 1), ids]
        return float(surprisals.mean())

    def scores(name: str) -> dict[str, float]:
        rows = rows_of(name)[:QUESTIONS]
        plain = [mean_nll(row["question"], row["response"]) for row in rows]
        aligned = []
        for place, row in enumerate(rows):
            # Every question has a prediction of its own at its own place, so the rotation never meets it.
            chosen = [examples[(place + step) % len(examples)] for step in (1, 2)]
            aligned.append(mean_nll(template.render(question=row["question"], examples=chosen), row["response"]))
        return {
            "nll": sum(plain) / QUESTIONS,
            "ppl": sum(map(math.exp, plain)) / QUESTIONS,
            "sap": sum(map(math.exp, aligned)) / QUESTIONS,
        }

    return {name: scores(name) for name in STRATEGIES}


def test_scores_equal_a_plain_loop(scored: CommandLine, plain_loop: dict[str, dict[str, float]]) -> None:
    ranking = json.loads(scored("rank", "--format", "json"))
    assert {row["strategy"] for row in ranking["strategies"]} == set(STRATEGIES)
    for row in ranking["strategies"]:
        for metric, expected in plain_loop[row["strategy"]].items():
            assert row["scores"][metric]["value"] == pytest.approx(expected, rel=1e-5), (row["strategy"], metric)


def test_the_ranking_keeps_its_contract(scored: CommandLine) -> None:
    ranking = json.loads(scored("rank", "1", "--format", "json"))
    assert list(ranking)[:7] == ["run", "task", "model", "questions", "metric", "verdict", "strategies"]
    assert (ranking["run"], ranking["task"], ranking["questions"], ranking["metric"]) == (1, "arithmetic", 6, "sap")
    assert ranking["model"]["dtype"] == "float32"
    assert ranking["model"]["quantization"] == "none"
    assert ranking["verdict"] in ("decided", "undecided")
    values = [row["scores"]["sap"]["value"] for row in ranking["strategies"]]
    assert values == sorted(values)
    for row in ranking["strategies"]:
        assert row["rank_low"] <= row["rank"] <= row["rank_high"]
        for interval in row["scores"].values():
            assert interval["low"] <= interval["value"] <= interval["high"]


def test_ranking_by_another_metric_as_csv(scored: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "ranking.csv"
    assert scored("rank", "--by", "nll", "--format", "csv", "--output", file) == ""
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert list(rows[0])[:9] == [
        "rank",
        "rank_low",
        "rank_high",
        "strategy",
        "n",
        "p_best",
        "sap",
        "sap_low",
        "sap_high",
    ]
    assert list(rows[0])[-3:] == ["mean_tokens", "share_right", "same_family"]
    assert [row["strategy"] for row in rows] == [
        row["strategy"] for row in sorted(rows, key=lambda row: float(row["nll"]))
    ]
    unnamed = json.loads(scored("rank", "--by", "rsr", "--column", "lark", "--format", "json"))
    assert unnamed["metric"] == "rsr"
    assert {"rsr", "lark"} <= {each["id"] for each in unnamed["metrics"]}
    assert all(row["scores"].keys() >= {"rsr", "lark"} and row["mean_tokens"] > 0 for row in unnamed["strategies"])
    for name in ("table", "markdown", "latex"):
        assert all(strategy.split("_")[0] in scored("rank", "--format", name) for strategy in STRATEGIES)


def test_a_second_run_scores_nothing_again(scored: CommandLine) -> None:
    dry = json.loads(
        scored(
            "score",
            "--task",
            "arithmetic",
            "--model",
            TINY_MODEL,
            "--samples",
            "6",
            "--device",
            "cpu",
            "--dry-run",
            "--json",
        )
    )
    assert (dry["samples"], dry["reused"], dry["to_score"], dry["tokens"]) == (36, 36, 0, 0)
    again = json.loads(
        scored(
            "score",
            "--task",
            "arithmetic",
            "--model",
            TINY_MODEL,
            "--samples",
            "6",
            "--device",
            "cpu",
            "--foreground",
            "--json",
        )
    )
    assert (again["state"], again["reused"], again["done"]) == ("done", 36, 36)
    first, second = (json.loads(scored("rank", str(run), "--format", "json")) for run in (1, again["run"]))
    assert first["strategies"] == second["strategies"]


def test_a_dry_run_says_what_is_to_come(scored: CommandLine) -> None:
    dry = json.loads(
        scored(
            "score",
            "--task",
            "arithmetic",
            "--model",
            TINY_MODEL,
            "--samples",
            "8",
            "--device",
            "cpu",
            "--dry-run",
            "--json",
        )
    )
    assert dry["questions"] == 8
    assert dry["to_score"] == 12
    assert dry["tokens"] > 0
    assert dry["memory_bytes"] > 6_000_000
    assert dry["seconds"] is not None


def test_doctor_and_paths(scored: CommandLine) -> None:
    assert "BAD" not in scored("doctor")
    assert str(scored.catalogue) in scored("paths")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("rank", "99"), 3, "no run 99"),
        (("score", "--task", "nothing", "--model", "m"), 3, "nothing"),
        (("score", "--task", "arithmetic", "--model", "/no/such/folder"), 3, "/no/such/folder"),
        (("score", "--task", "arithmetic", "--model", "owner/not-here"), 3, "--download"),
        (("score", "--task", "arithmetic", "--model", str(TINY_MODEL), "--metric", "magic"), 2, "magic"),
        (("score", "--task", "arithmetic", "--model", str(TINY_MODEL), "--strategy", "ghost"), 3, "ghost"),
        (("score", "--task", "arithmetic", "--model", str(TINY_MODEL), "--samples", "few"), 2, "few"),
        (("cancel", "1"), 2, "ended"),
        (("rank", "--by", "magic"), 2, "magic"),
        (("import", "/no/such/file.jsonl", "--task", "t"), 3, "/no/such/file.jsonl"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)
def test_errors_are_one_line_with_a_code(
    scored: CommandLine, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = scored.run(*arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    if not result.stderr.startswith("usage:"):
        assert len(result.stderr.splitlines()) == 1


def test_quantized_scores_are_scores_of_their_own(scored: CommandLine) -> None:
    options = ("--task", "arithmetic", "--model", TINY_MODEL, "--samples", "6", "--metric", "nll", "--device", "cpu")
    done = json.loads(scored("score", *options, "--quantization", "nf4", "--foreground", "--json"))
    assert (done["state"], done["reused"]) == ("done", 0)
    quantized = json.loads(scored("rank", str(done["run"]), "--format", "json"))
    assert quantized["model"]["quantization"] == "nf4"
    full = json.loads(scored("rank", "1", "--by", "nll", "--format", "json"))
    in_full = {row["strategy"]: row["scores"]["nll"]["value"] for row in full["strategies"]}
    for row in quantized["strategies"]:
        value = row["scores"]["nll"]["value"]
        assert value != in_full[row["strategy"]]
        assert value == pytest.approx(in_full[row["strategy"]], rel=0.5)
