"""The page of promises names tests that exist, and its figures are those that were measured last."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import ROOT
from tests.torture.page import figures_part

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
MEASURED = json.loads((ROOT / "docs" / "reliability.json").read_text(encoding="utf-8"))


def test_its_figures_are_those_measured_last() -> None:
    shown = re.search(r"<!-- figures: [^\n]* -->\n(.*?)\n<!-- end of figures -->", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] == figures_part(MEASURED)


def test_nothing_failed_when_it_was_measured() -> None:
    assert {name: test["outcome"] for name, test in MEASURED["tests"].items() if test["outcome"] == "failed"} == {}
    assert MEASURED["mutants"]["found"] == MEASURED["mutants"]["of"] >= 12


def test_every_promise_names_tests() -> None:
    promises = re.split(r"\n(?=\d+\. )", PAGE.partition("## Promises")[2].partition("\nAfter every kill")[0].strip())
    assert len(promises) == 12
    assert all("tests/" in promise for promise in promises)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"tests/[\w/]+\.py(?:::\w+)?", PAGE))))
def test_a_named_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    assert f"def {function}" in (ROOT / file).read_text(encoding="utf-8")


def test_failures_and_what_was_not_tested_are_shown() -> None:
    tests = {
        "tests/torture/torture_x.py::test_a": {
            "outcome": "failed",
            "seconds": 3,
            "what": "a thing",
            "figures": {"n": 1000},
        },
        "tests/torture/torture_x.py::test_b": {"outcome": "skipped", "seconds": 0},
    }
    part = figures_part({"date": "today", "seconds": 9, "machine": {"cores": "2"}, "versions": {}, "tests": tests})
    assert "| a thing (`torture_x.py::test_a`) | n: 1,000 | 3 | **failed** |" in part
    assert "| test_b (`torture_x.py::test_b`) |  | 0 | **not tested here** |" in part
