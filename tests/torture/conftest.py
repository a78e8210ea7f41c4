"""The long proofs, started by `make torture` alone; `--figures FILE` keeps what they measured, for docs/reliability.md.

The modules are called torture_*.py, so that a plain pytest run does not collect them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import describe, library_versions
from tests.torture.runs import SHARE

FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", metavar="FILE", type=Path, help="write what was measured there, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--figures", None)
    if path:
        config.pluginmanager.register(Recorder(path))


class Recorder:
    """Gathers outcome, seconds and figures of every test and writes them when all have ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[str, dict[str, Any]] = {}
        self._started = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        entry = self._tests.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0})
        entry["seconds"] = round(entry["seconds"] + report.duration)
        if not report.passed:
            entry["outcome"] = report.outcome
        entry.update(dict(report.user_properties))

    def pytest_sessionfinish(self) -> None:
        old = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}
        measured = {
            "date": str(date.today()), "seconds": round(time.monotonic() - self._started), "machine": describe(),
            "versions": library_versions() | {"SQLite": sqlite3.sqlite_version}, "share": SHARE, "tests": self._tests,
        }  # fmt: skip
        measured |= {"mutants": old["mutants"]} if "mutants" in old else {}
        self._path.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A run over all of tests asks here too, although nothing of this folder is collected then.
    for item in items:
        if not item.path.is_relative_to(FOLDER):
            continue
        told = getattr(getattr(item, "function", None), "__doc__", None) or item.getparent(pytest.Module).obj.__doc__
        item.user_properties.append(("what", " ".join(told.partition("\n\n")[0].split())))


@pytest.fixture
def figures(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[dict[str, object]]:
    """What the test measured, by words for the page; the test's docstring says what it does."""
    values: dict[str, object] = {}
    yield values
    record_property("figures", values)
    print("", request.node.name, *(f"{name}: {value}" for name, value in values.items()), sep="\n  ")
