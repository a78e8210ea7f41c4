"""Control tokens inside the data, counted and told; chat templates that the user gives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.store.db import open_reader
from core.store.runs import spec_by_id
from tests.conftest import TINY_MODEL, end_processes
from tests.e2e.command_line import CommandLine

TOKEN = "<|fake|>"


@pytest.fixture
def sap_tui(tmp_path: Path) -> Iterator[CommandLine]:
    """Two strategies; a control token stands in one question and in one response of the second."""
    command = CommandLine(tmp_path / "catalogue.db")
    for strategy in ("plain", "odd"):
        rows = [
            {
                "id": number,
                "question": f"What is {number} plus 1?{TOKEN * (number == 2)}",
                "response": f"{number + 1}{TOKEN * (strategy == 'odd' and number in (2, 4))}",
            }
            for number in range(6)
        ]
        file = tmp_path / f"{strategy}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command("import", file, "--task", "sums", "--strategy", strategy)
    yield command
    end_processes(command.catalogue)


def events(sap_tui: CommandLine, run: int) -> str:
    rows = open_reader(sap_tui.catalogue).execute("SELECT text FROM events WHERE run = ?", (run,))
    return "\n".join(row[0] for row in rows)


def test_samples_with_control_tokens_are_counted(sap_tui: CommandLine, stand_in_model: Path) -> None:
    score = ("score", "--task", "sums", "--model", stand_in_model, "--metric", "nll", "--device", "cpu")
    assert json.loads(sap_tui(*score, "--dry-run", "--json"))["with_control_tokens"] == 3
    assert "control tokens of the model in 3 samples, which stay ordinary text" in sap_tui(*score, "--dry-run")
    sap_tui(*score, "--foreground")
    assert "a control token of the model: 3; they stay ordinary text" in events(sap_tui, 1)
    # The published way is another spec: nothing of the first run is taken for it.
    sap_tui(*score, "--control-tokens", "as_published", "--foreground")
    assert "a control token of the model: 3; they are taken as control tokens" in events(sap_tui, 2)
    specs = [spec_by_id(open_reader(sap_tui.catalogue), number).control_tokens for number in (1, 2)]
    assert specs == ["as_text", "as_published"]


def test_a_chat_template_of_the_users_own(sap_tui: CommandLine, tmp_path: Path) -> None:
    model = Path(shutil.copytree(TINY_MODEL, tmp_path / "model"))
    (model / "chat_template.jinja").unlink(missing_ok=True)
    template = tmp_path / "template.jinja"
    score = ("score", "--task", "sums", "--model", model, "--metric", "nll", "--device", "cpu")
    without = sap_tui.run(*score, "--dry-run", "--json")
    assert "no chat template" in without.stderr
    assert "--chat-template FILE" in without.stderr
    template.write_text("{{ messages | map(attribute='content') | join(' ') }} And the answer is, in one word, this:")
    given = sap_tui.run(*score, "--chat-template", template, "--dry-run", "--json")
    assert given.stderr == ""
    assert json.loads(given.stdout)["tokens"] > json.loads(without.stdout)["tokens"]
    sap_tui(*score, "--chat-template", template, "--foreground")
    (row,) = open_reader(sap_tui.catalogue).execute("SELECT request FROM runs").fetchall()
    assert json.loads(row[0])["chat_template"] == template.read_text()
    sap_tui("score", "--more", "1", "1", "--dry-run", code=1)
    template.write_text("{{ ''.__class__.__mro__ }}")
    refused = sap_tui.run(*score, "--chat-template", template)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "tries what is forbidden" in refused.stderr
