"""sap-tui import, predictions, strategy and list, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sap_tui.cli import main
from tests.unit.catalogue_files import samples, write_lines


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAP_TUI_CATALOGUE", str(tmp_path / "catalogue.db"))
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "claude.jsonl", samples([1, 2]))
    write_lines(tmp_path / "gpt.jsonl", samples([2, 3]))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_import_and_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "claude.jsonl", "gpt.jsonl", "--task", "maths", "--teacher", "T"]) == 0
    said = capsys.readouterr()
    assert said.out == ("maths / claude: 2 responses, 2 new questions\nmaths / gpt: 2 responses, 1 new question\n")
    assert "claude.jsonl: JSON Lines; question from 'question'" in said.err
    (task,) = listed(capsys)
    assert (task["task"], task["questions"]) == ("maths", 3)
    assert isinstance(task["strategies"], list)
    assert [(s["name"], s["responses"], s["teacher"]) for s in task["strategies"]] == [
        ("claude", 2, "T"),
        ("gpt", 2, "T"),
    ]
    assert main(["list", "--task", "maths"]) == 0
    assert capsys.readouterr().out == (
        "task   questions  strategy  responses  teacher  tags\n"
        "maths          3  claude            2  T\n"
        "maths          3  gpt               2  T\n"
    )


def test_import_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(folder / "other.jsonl", [{"ask": "q", "say": "r", "n": 1}, {"ask": "q"}])
    (folder / "prompt.txt").write_bytes(b"Think.\r\n")
    command = ["import", "other.jsonl", "--task", "t", "--strategy", "s", "--map", "question=ask,response=say,id=n"]
    assert main([*command, "--prompt-file", "prompt.txt", "--note", "N"]) == 1
    assert capsys.readouterr().err == (
        "sap-tui: other.jsonl:2: no field 'say'. Nothing was kept. Mend it, or leave such lines out with --skip-bad.\n"
    )
    assert main([*command, "--prompt-file", "prompt.txt", "--note", "N", "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert said.out == "t / s: 1 response, 1 new question, 1 line skipped\n"
    assert "  skipped other.jsonl:2: no field 'say'\n" in said.err
    assert main(["strategy", "show", "s", "--task", "t", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["prompt"], shown["note"]) == ("Think.\r\n", "N")
    assert main(command) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*command, "--skip-bad", "--replace"]) == 0


def test_bad_lines_stand_above_the_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(folder / "gpt.jsonl", [*samples([1]), {"id": 2}, {"id": 3, "\x1b[2J": 1}, {"id": 1}])
    assert main(["import", "claude.jsonl", "gpt.jsonl", "--task", "t"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "gpt.jsonl:2: no field 'question'",
        "gpt.jsonl:3: no field 'question'",
        "gpt.jsonl:4: no field 'question'",
        "sap-tui: Bad lines: gpt.jsonl 3; all named above. Nothing was kept. Mend it, or leave such lines out with"
        " --skip-bad.",
    ]
    assert listed(capsys) == []


def test_dry_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["import", "claude.jsonl", "gpt.jsonl", "--task", "t", "--dry-run"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == "t / claude: 2 responses, 2 new questions\nt / gpt: 2 responses, 1 new question\n"
    assert said.err.splitlines()[:2] == [
        "claude.jsonl: JSON Lines; question from 'question', response from 'response'; ids from 'id'; no gold answers",
        "  fields: 'id', 'question', 'response'",
    ]
    assert said.err.splitlines()[-1] == "Nothing was kept."
    write_lines(folder / "gpt.jsonl", [*samples([1]), {"id": 2}])
    assert main([*command, "--skip-bad"]) == 0
    assert "  skipped gpt.jsonl:2: no field 'question'\n" in capsys.readouterr().err
    assert main([*command, "--replace"]) == 1
    said = capsys.readouterr()
    assert said.out.endswith("t / gpt: 1 response, 0 new questions, 1 line bad\n")
    assert "  bad gpt.jsonl:2: no field 'question'\n" in said.err
    assert said.err.splitlines()[-1] == "Nothing was kept, and an import would keep nothing of this."
    (folder / "gpt.jsonl").write_text("[]")
    assert main(command) == 1
    assert "\ngpt.jsonl holds no records. Check how it was made.\n" in capsys.readouterr().err
    assert listed(capsys) == []


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["import", "missing.jsonl", "--task", "t"], 3, "There is no file missing.jsonl"),
        (["import", "claude.jsonl", "gpt.jsonl", "--task", "t", "--strategy", "s"], 2, "several files"),
        (["import", "claude.jsonl", "--task", "t", "--map", "x"], 2, "--map cannot be read at 'x'"),
        (["import", "claude.jsonl", "--task", ""], 2, "The task's name is empty"),
        (["import", "claude.jsonl", "--task", "t", "--prompt-file", "no.txt"], 3, "There is no file no.txt"),
        (["list", "--task", "t"], 3, "There is no task 't'"),
        (["strategy", "show", "s", "--task", "t"], 3, "There is no task 't'"),
        (["strategy", "delete", "s", "--task", "t"], 3, "There is no task 't'"),
    ],
)
def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str], command: list[str], code: int, text: str) -> None:
    assert main(command) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sap-tui: ")
    assert said.err.count("\n") == 1
    assert text in said.err
    assert listed(capsys) == []


def test_list_of_an_empty_catalogue_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "sap-tui import FILE --task NAME" in said.err


def test_strategy_add_edit_show_delete(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strategy", "add", "claude", "--task", "t", "--tags", "a, b", "--teacher", "T"]) == 0
    assert main(["import", "claude.jsonl", "--task", "t"]) == 0
    assert main(["strategy", "edit", "claude", "--task", "t", "--rename", "mine", "--note", "N"]) == 0
    capsys.readouterr()
    assert main(["strategy", "show", "mine", "--task", "t"]) == 0
    shown = capsys.readouterr().out
    for line in ("strategy   mine", "responses  2", "teacher    T", "tags       a, b", "note       N", "question 1"):
        assert f"{line}\n" in shown
    assert main(["strategy", "delete", "mine", "--task", "t"]) == 0
    assert listed(capsys) == []


def test_foreign_text_never_steers_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]52;c;eA==\x07\u202e\x9b31m\r"
    records = [{"id": evil, "question": f"q{evil}", "response": f"r\n{evil}", "answer": evil}]
    name = f"evil{evil[0]}[2J.jsonl"
    write_lines(folder / name, [*records, {evil: 1}])
    assert (
        main(["import", name, "--task", "t", "--strategy", "s", "--skip-bad", "--note", evil, "--teacher", evil]) == 0
    )
    for command in (["list"], ["list", "--json"], ["strategy", "show", "s", "--task", "t"]):
        assert main(command) == 0
    assert main(["import", name, "--task", "t", "--strategy", "s"]) == 1
    assert main(["import", name, "--task", f"t{evil}", "--strategy", "s"]) == 2
    assert main(["strategy", "show", evil, "--task", "t"]) == 3
    said = capsys.readouterr()
    printed = said.out + said.err
    assert not any(character in printed for character in "\x1b\x07\u202e\x9b\r")
    assert "r\n␛]52" in said.out


def test_predictions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "config.json").write_text("{}")
    answered = [{**record, "answer": str(record["id"])} for record in samples([1, 2])]
    write_lines(folder / "claude.jsonl", answered)
    assert main(["import", "claude.jsonl", "--task", "t"]) == 0
    texts = {1: "so 1", 2: "so 7", 9: "so 9"}
    predictions = [{"id": n, "question": f"question {n}", "response": text} for n, text in texts.items()]
    write_lines(folder / "predictions.jsonl", predictions)
    capsys.readouterr()
    command = ["predictions", "predictions.jsonl", "--task", "t", "--model", str(model)]
    assert main(command) == 0
    assert capsys.readouterr().out == "t: 3 predictions of model\n"
    assert main([*command, "--check"]) == 0
    said = capsys.readouterr()
    assert said.out == "t: 2 predictions of model\n"
    assert "Dropped because their final answer is not the gold answer: 1" in said.err
    assert main([*command[:-1], str(folder / "nowhere")]) == 3
