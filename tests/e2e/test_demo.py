"""The demo ends with how well each metric's pick did, and the README shows what it printed."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ROOT
from tests.e2e.command_line import CommandLine


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    """Mend with: python scripts/update_docs.py --demo"""
    printed = CommandLine(tmp_path / "demo.db")("demo", "--plain").strip()
    assert printed.startswith("Run 1: arithmetic under tiny-model (float32), 50 questions, by sap\n")
    shown = (ROOT / "README.md").read_text().partition("<!-- demo: ")[2].partition("<!-- end of demo -->")[0]
    table = shown.partition("```\n")[2].partition("\n```")[0]
    assert table.startswith("What fine-tuning on each metric's pick gave")
    assert printed.rpartition("\n\n")[2] == table
