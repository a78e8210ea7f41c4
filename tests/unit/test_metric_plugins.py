"""Metrics of installed packages, found by their entry points, and the command that lists all metrics."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.domain import ContextKind
from core.metrics.base import Input, Metric
from core.metrics.needs import CONTEXT_MEANINGS, CONTEXT_WORDS, HOW_TO_GET, INPUT_WORDS
from core.metrics.registry import all_metrics
from sap_tui.cli import build_parser

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = """
from core.domain import ContextKind
from core.metrics.base import Metric

METRIC = Metric(
    id="surprise_squared", label="Squared", description="Mean squared L.", direction="lower",
    contexts=(ContextKind.PLAIN,), source="ours\\x1b[31m", contested="Nobody knows\\x1b[31m.",
    numerator=lambda arrays: arrays.mean_nll(ContextKind.PLAIN) ** 2,
)
TWICE = Metric(
    id="ppl", label="", description="", direction="lower", contexts=(), source="", numerator=METRIC.numerator
)
NOTHING = 5
"""


def install(folder: Path, target: str, module: str = PLUGIN) -> Path:
    """A package with one entry point, as an installer would leave it."""
    (folder / "our_metrics.py").write_text(module)
    (folder / "our_list.py").write_text("METRICS = 5\n")
    information = folder / "our_metrics-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: our-metrics\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[sap_tui.metrics]\nours = {target}\n")
    return folder


def list_metrics(*folders: Path, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sap_tui.cli", "metrics", *arguments],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
    )  # fmt: skip


@pytest.mark.parametrize("target", ["our_metrics", "our_metrics:METRIC"])
def test_an_installed_plugin_is_listed(tmp_path: Path, target: str) -> None:
    result = list_metrics(install(tmp_path, target))
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("surprise_squared"))
    assert line.split()[1:5] == ["lower", "?", "plain", "scores"]
    assert "\x1b" not in result.stdout
    assert "Nobody knows" in result.stdout
    listed = json.loads(list_metrics(tmp_path, arguments=("--json",)).stdout)
    assert [each["id"] for each in listed] == [*all_metrics(), "surprise_squared"]


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("our_metrics:TWICE", "there is a metric 'ppl' already"),
        ("our_metrics:NOTHING", "names no Metric"),
        ("our_list", "does not load"),
        ("our_metrics:missing", "does not load"),
        ("no_such_module", "does not load"),
    ],
)
def test_a_broken_plugin_is_one_line(tmp_path: Path, target: str, complaint: str) -> None:
    result = list_metrics(install(tmp_path, target))
    assert result.returncode == 1
    assert result.stdout == ""
    assert complaint in result.stderr
    assert "ours" in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_a_plugin_that_fails_to_import_is_one_line(tmp_path: Path) -> None:
    result = list_metrics(install(tmp_path, "our_metrics", "raise RuntimeError('two\\nlines \\x1b[31m')"))
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "\x1b" not in result.stderr


def table() -> list[str]:
    result = list_metrics()
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_every_metric_has_a_line_with_direction_needs_and_source() -> None:
    lines = table()
    for each in all_metrics().values():
        line = next(line for line in lines if line.split()[:1] == [each.id])
        assert each.source in line
        assert line.split()[1] == each.direction
        assert ("?" in line.split()[2]) == bool(each.contested)
        for words in (*map(CONTEXT_WORDS.get, each.contexts), *map(INPUT_WORDS.get, each.inputs)):
            assert words is not None
            assert words in line


def test_how_to_get_every_input_is_said_once() -> None:
    lines = table()
    for kind in Input:
        assert lines.count(f"  {INPUT_WORDS[kind]}: {HOW_TO_GET[kind]}") == 1
    for context in ContextKind:
        assert lines.count(f"  {CONTEXT_WORDS[context]}: {CONTEXT_MEANINGS[context]}") == 1


def test_json_has_everything_about_a_metric() -> None:
    listed = {each["id"]: each for each in json.loads(list_metrics(arguments=("--json",)).stdout)}
    assert list(listed) == list(all_metrics())
    weight = listed["ds_weight"]
    assert (weight["better"], weight["statistic"], weight["default"]) == ("lower", "median", False)
    assert weight["contexts"] == ["plain"]
    assert weight["inputs"] == [
        {"id": "valid_nll", "needs": INPUT_WORDS[Input.VALID_NLL], "how_to_get": HOW_TO_GET[Input.VALID_NLL]}
    ]
    assert listed["ifd"]["contested"]
    assert listed["rsr"]["contested"] is None
    assert all(each["description"] and each["label"] and each["source"] for each in listed.values())


def test_declarations_are_complete() -> None:
    for each in all_metrics().values():
        assert isinstance(each, Metric)
        assert each.contexts or each.inputs, each.id
        assert each.token_value is not None or not each.needs_token_ends
        assert "arXiv" in each.source or each.source == "control"


def test_commands_that_get_an_input_exist() -> None:
    verbs = next(action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)).choices
    commands = re.findall(r"'sap-tui (\w+)([^']*)'", " ".join(HOW_TO_GET.values()))
    assert len(commands) == 6
    for verb, rest in commands:
        options = {option for action in verbs[verb]._actions for option in action.option_strings}
        assert set(re.findall(r"--[\w-]+", rest)) <= options, (verb, rest)
