"""`sap-tui compare` and `show` on a real run of the bundled tiny model, and on hostile text."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.text import visible
from tests.conftest import ROOT, TINY_MODEL, end_processes
from tests.e2e.command_line import CommandLine
from tests.hostile import SOME_PAYLOADS as PAYLOADS

SAMPLE = ROOT / "sample_data" / "arithmetic"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    folder = tmp_path_factory.mktemp("compare")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    sap_tui = CommandLine(folder / "catalogue.db")
    sap_tui("import", SAMPLE / "chatty.jsonl", SAMPLE / "terse.jsonl", "--task", "sums")
    done = sap_tui("score", "--task", "sums", "--model", TINY_MODEL, "--samples", "9", "--metric", "nll",
                   "--metric", "ifd", "--device", "cpu", "--foreground", "--json")  # fmt: skip
    assert json.loads(done)["state"] == "done"
    yield sap_tui
    end_processes(sap_tui.catalogue)


def test_the_table_and_the_json_say_the_same(scored: CommandLine) -> None:
    data = json.loads(scored("compare", "1", "terse", "chatty", "--json"))
    lines = scored("compare", "1", "terse", "chatty", "--limit", "4").splitlines()
    assert lines[0] == "Run 1: terse (A) and chatty (B) by nll, lower is better; tiny-model"
    for line, row in zip(lines[2:6], data["rows"][:4], strict=True):
        assert line.split()[:6] == [row["key"], f"{row['a']:.3f}", f"{row['b']:.3f}", f"{row['ahead']:+.3f}",
                                    *map(str, row["tokens"])]  # fmt: skip
    assert lines[6] == "(5 more with smaller differences; --limit 0 lists all)"
    assert " ".join(lines[8:]) == data["summary"]
    assert len(data["rows"]) == data["questions"] == 9
    assert [abs(row["ahead"]) for row in data["rows"]] == sorted(
        (abs(row["ahead"]) for row in data["rows"]), reverse=True
    )
    assert len(json.loads(scored("compare", "1", "terse", "chatty", "--json", "--limit", "2"))["rows"]) == 2
    assert len(scored("compare", "1", "terse", "chatty", "--limit", "0").splitlines()) > 11


def test_the_comparison_agrees_with_the_ranking(scored: CommandLine) -> None:
    first, second = json.loads(scored("rank", "1", "--by", "ppl", "--format", "json"))["strategies"]
    data = json.loads(scored("compare", "1", first["strategy"], second["strategy"], "--by", "ppl", "--json"))
    assert data["ahead"] == second["difference"]
    assert data["p_value"] == second["p_value"]


def test_a_question_shows_both_texts_and_the_worst_tokens(scored: CommandLine) -> None:
    text = scored("compare", "1", "terse", "chatty", "--question", "arithmetic-003")
    data = json.loads(scored("compare", "1", "terse", "chatty", "--question", "#3", "--json"))
    assert data["question"]["key"] == "arithmetic-003"
    for sample in data["samples"]:
        assert sample["text"] in text
        tokens = sample["tokens"]
        assert tokens["ends"][-1] == len(sample["text"])
        assert f"{max(tokens['surprisal']):.3f}" in text
        mean = sum(tokens["surprisal"]) / len(tokens["surprisal"])
        assert mean == pytest.approx(sample["scores"][0]["mean_nll"], rel=1e-4)


def test_a_sample_in_full(scored: CommandLine) -> None:
    data = json.loads(scored("show", "1", "chatty", "#2", "--json"))
    (sample,) = data["samples"]
    lines = scored("show", "1", "chatty", "#2", "--tokens").splitlines()
    assert data["question"]["turns"][-1]["content"] in lines
    assert data["question"]["answer"] in lines
    assert "chatty, right:" in lines
    header = next(number for number, line in enumerate(lines) if line.startswith("token"))
    assert len(lines) - header - 1 == len(sample["tokens"]["surprisal"])
    assert any(line.split() == ["alone", *f"{len(sample['tokens']['surprisal'])}".split(),
                                f"{sample['scores'][1]['mean_nll']:.4f}"] for line in lines)  # fmt: skip
    alone = json.loads(scored("show", "1", "chatty", "#2", "--context", "alone", "--json"))["samples"][0]["tokens"]
    assert (alone["context"], alone["rank"], alone["entropy"]) == ("alone", None, None)
    assert alone["ends"] == sample["tokens"]["ends"]


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("compare", "1", "terse", "terse"), 2, "cannot be compared with itself"),
    (("compare", "1", "terse", "gone"), 3, "has no strategy 'gone'"),
    (("compare", "7", "terse", "chatty"), 3, "There is no run 7"),
    (("compare", "1", "terse", "chatty", "--by", "sap"), 1, "which sap needs"),
    (("compare", "1", "terse", "chatty", "--limit", "-1"), 2, "-1 is less than 0"),
    (("show", "1", "terse", "#0"), 3, "has no question '#0'"),
    (("show", "1", "terse"), 2, "QUESTION"),
])  # fmt: skip
def test_wrong_use_is_said_in_one_line(scored: CommandLine, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = scored.run(*arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert result.stdout == ""


def test_hostile_text_acts_on_no_terminal(scored: CommandLine, tmp_path: Path) -> None:
    for name in ("one", "two"):
        lines = [{"id": f"{payload} {number}", "question": payload, "response": f"{payload} {name}", "answer": payload}
                 for number, payload in enumerate(PAYLOADS)]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    scored("import", tmp_path / "one.jsonl", tmp_path / "two.jsonl", "--task", "bad [2J] [/b]")
    scored(
        "score", "--task", "bad [2J] [/b]", "--model", TINY_MODEL, "--metric", "nll", "--device", "cpu", "--foreground"
    )
    run = json.loads(scored("runs", "--json"))[0]["run"]
    printed = [scored("compare", str(run), "one", "two", "--limit", "0")]
    for place in range(1, len(PAYLOADS) + 1):
        printed.append(scored("show", str(run), "one", f"#{place}", "--tokens"))
        json.loads(scored("compare", str(run), "one", "two", "--question", f"#{place}", "--json"))
    for text in printed:
        assert visible(text, multiline=True) == text
    assert len(printed[0].splitlines()) > len(PAYLOADS)
