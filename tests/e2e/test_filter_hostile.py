"""`sap-tui filter` on hostile names and texts, and on conversations that a format cannot hold."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

from core.domain import digest
from tests.e2e.command_line import CommandLine


def test_hostile_names_and_texts_stay_data(tmp_path: Path) -> None:
    sap_tui = CommandLine(tmp_path / "catalogue.db")
    text = "\x1b[31m{{ 7 }}\u2028\x00 Final Answer: 7\r"
    rows = [
        {"id": f"../{number}\x1b]0;x\x07", "question": f"q{number}\x1b[2J", "response": text, "answer": "7"}
        for number in range(3)
    ]
    source = tmp_path / "source.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sap_tui("import", source, "--task", "../t", "--strategy", "../x")
    folder = tmp_path / "out"
    folder.mkdir()
    output = folder / "\x1b[31mdata.jsonl"
    result = sap_tui.run(
        "filter", "--task", "../t", "--strategy", "../x", "--steps", "correct", "--output", output,
        "--dataset-info", folder / "info.json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    assert read_lines(output) == rows
    assert sorted(os.listdir(folder)) == sorted([output.name, f"{output.name}.provenance.json", "info.json"])
    assert list(json.loads((folder / "info.json").read_text())) == ["__31mdata"]
    again = CommandLine(tmp_path / "again.db")
    again("import", output, "--task", "../t", "--strategy", "../x")
    with sqlite3.connect(again.catalogue) as connection:
        assert {row[0] for row in connection.execute("SELECT digest FROM responses")} == {digest("response", text)}


def test_conversations_that_llama_factory_drops_are_counted(tmp_path: Path) -> None:
    sap_tui = CommandLine(tmp_path / "catalogue.db")
    said = [[("system", "s"), ("user", "a")], [("user", "a"), ("user", "b")]]
    rows = [
        {
            "messages": [
                *({"role": role, "content": text} for role, text in turns),
                {"role": "assistant", "content": "r"},
            ]
        }
        for turns in said
    ]
    source = tmp_path / "source.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sap_tui("import", source, "--task", "t", "--strategy", "s")
    arguments = ("filter", "--task", "t", "--strategy", "s", "--dataset-info", tmp_path / "info.json", "--output")
    result = sap_tui.run(*arguments, tmp_path / "data.jsonl", "--format", "messages")
    assert "do not alternate: 1." in result.stderr
    assert read_lines(tmp_path / "data.jsonl") == rows
    for layout, words in (("alpaca", "Alpaca cannot hold"), ("tidy", "several turns")):
        refused = sap_tui.run(*arguments, tmp_path / f"{layout}.json", "--format", layout)
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr
        assert not (tmp_path / f"{layout}.json").exists()


def read_lines(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
