"""A prompt that is longer than the model's context: said before the start, skipped, and told with every mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.store.db import open_reader
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import assert_sound

QUESTIONS = 6
LONG_QUESTION, LONG_RESPONSE = 2, 4


@pytest.fixture
def sap_tui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Two strategies; one question is too long for the model, and one response of the second."""
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"max_context_tokens": 200}))
    command = CommandLine(tmp_path / "catalogue.db")
    for strategy in ("brief", "wordy"):
        lines = []
        for number in range(QUESTIONS):
            question = f"What is {number} plus 1?" + " Take your time." * 20 * (number == LONG_QUESTION)
            response = f"{number + 1}" + " of course" * 20 * (strategy == "wordy" and number == LONG_RESPONSE)
            lines.append(json.dumps({"id": number, "question": question, "response": response}))
        file = tmp_path / f"{strategy}.jsonl"
        file.write_text("\n".join(lines))
        command("import", file, "--task", "sums", "--strategy", strategy)
    return command


def test_too_long_prompts_are_counted_skipped_and_told(sap_tui: CommandLine, stand_in_model: Path) -> None:
    score = ("score", "--task", "sums", "--model", stand_in_model, "--metric", "nll", "--device", "cpu")
    assert json.loads(sap_tui(*score, "--dry-run", "--json"))["failed"] == {"too_long": 3}
    assert "left out     3 too long" in sap_tui(*score, "--dry-run")

    run = json.loads(sap_tui(*score, "--foreground", "--json"))
    assert (run["state"], run["done"], run["errors"]) == ("done", 2 * QUESTIONS, 3)
    reader = open_reader(sap_tui.catalogue)
    details = reader.execute("SELECT detail FROM run_items WHERE code = 'too_long' AND state = 'error'").fetchall()
    assert len(details) == 3
    assert all("tokens, the model takes 200" in row[0] for row in details)

    ranking = json.loads(sap_tui("rank", "--format", "json"))
    assert [row["n"] for row in ranking["strategies"]] == [QUESTIONS - 2] * 2
    assert ranking["failed"] == {"brief": 1, "wordy": 2}
    warnings = " ".join(ranking["warnings"])
    assert "2 of 6 questions are left out of nll" in warnings
    assert "1 of brief without a score (plain context): too long." in warnings
    assert "2 of wordy without a score (plain context): too long." in warnings
    assert_sound(sap_tui.catalogue)
