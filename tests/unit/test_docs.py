"""The README's generated parts equal what the program says today. Mend with: python scripts/update_docs.py"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_parts_are_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, "scripts/update_docs.py", "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_verb_and_option_has_help() -> None:
    from sap_tui.cli import build_parser

    def check(parser: argparse.ArgumentParser) -> None:
        assert parser.description, parser.prog
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for child in action.choices.values():
                    check(child)
            elif not isinstance(action, argparse._HelpAction):
                assert action.help or action.metavar == "NAME", (parser.prog, action.dest)

    check(build_parser())


def test_every_verb_is_found_by_its_module_alone() -> None:
    from sap_tui.cli import VERBS, build_parser

    def verbs(*arguments: str) -> set[str]:
        parser = build_parser(arguments)
        return next(set(each.choices) for each in parser._actions if isinstance(each, argparse._SubParsersAction))

    assert all(verbs(verb) == own for own in VERBS.values() for verb in own)
    assert verbs() == verbs("--help") == set().union(*VERBS.values())


def test_every_linked_file_exists() -> None:
    import re

    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link
