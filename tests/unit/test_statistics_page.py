"""The statistics page says what its figures say, and the script that makes them runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.statistics_page import page
from tests.conftest import ROOT

FIGURES = ROOT / "docs" / "statistics.json"


def test_the_page_is_made_from_its_figures() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8") == page(figures)


def test_the_figures_hold_what_was_to_be_reached() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert max(figures["speed"]["seconds"].values()) < 2
    assert figures["speed"]["peak_mb"] < 500
    separable = [row for row in figures["stopping"] if row["separable"]]
    assert sum(row["agreed"] for row in separable) >= 0.95 * len(separable)
    assert sum(row["scored"] for row in separable) <= len(separable) / 3


def test_the_script_runs_without_the_record(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.statistics", "--quick", "--json", str(tmp_path / "figures.json")]
    subprocess.run(command, cwd=ROOT, check=True)
    text = page(json.loads((tmp_path / "figures.json").read_text()))
    assert "The published record was not at hand." in text
    assert "| lognormal 0.5 | median |" in text
