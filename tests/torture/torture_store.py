"""Readers, writers and a backup side by side, and a catalogue of a million responses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from core.store.backups import backups
from tests.conftest import ROOT
from tests.jobs.helpers import assert_sound
from tests.torture.runs import prepared, times

SECONDS = times(60)
READERS, WRITERS = 8, 2
RESPONSES = times(1_000_000)


def test_readers_and_writers(tmp_path: Path, stand_in_model: Path, figures: dict[str, object]) -> None:
    """8 readers, 2 writers and a backup on one catalogue for a minute"""
    catalogue = prepared(tmp_path, stand_in_model).copy(tmp_path / "load")
    roles = ["read"] * READERS + ["write"] * WRITERS + ["back-up"]
    outputs = [tmp_path / f"{number}-{role}" for number, role in enumerate(roles)]
    processes = [start(role, catalogue, output) for role, output in zip(roles, outputs, strict=True)]
    largest = 0
    while any(process.poll() is None for process in processes):
        largest = max(largest, log_bytes(catalogue))
        time.sleep(0.05)
    errors = [error for output in outputs if (error := output.with_suffix(".err").read_text())]
    taken: dict[str, list[float]] = {}
    for role, output in zip(roles, outputs, strict=True):
        taken.setdefault(role, []).extend(json.loads(output.with_suffix(".json").read_text() or "[]"))
    figures.update({"locked or busy": sum("locked" in error or "busy" in error for error in errors)})
    for role, milliseconds in taken.items():
        figures[f"{role}: times, p50, p99, longest (ms)"] = [len(milliseconds), *summary(milliseconds)]
    figures["largest log (MB)"] = round(largest / 1e6, 1)
    assert errors == []
    assert_sound(catalogue)
    assert_sound(backups(catalogue)[0].path)
    assert summary(taken["read"])[1] < 20
    assert summary(taken["write"])[1] < 100
    assert largest < 64e6


def test_a_million_responses(tmp_path: Path, figures: dict[str, object]) -> None:
    """the app on a strategy of a million responses: opened, paged to both ends, sorted and filtered"""
    catalogue = tmp_path / "million.db"
    make = (
        "import sys; from pathlib import Path; from benchmarks.ui_pages import make_catalogue;"
        f" make_catalogue(Path(sys.argv[1]), {RESPONSES}, {RESPONSES // 10})"
    )
    subprocess.run([sys.executable, "-c", make, str(catalogue)], cwd=ROOT, check=True)
    measure = [
        sys.executable,
        "-m",
        "benchmarks.ui_pages",
        "--catalogue",
        str(catalogue),
        "--responses",
        str(RESPONSES),
    ]
    measured = json.loads(subprocess.run(measure, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    app = measured["app_ms"]
    figures.update(
        {"responses": measured["responses"], "open (ms)": app["open"],
         "page p50, p99 (ms)": [app["page_p50"], app["page_p99"]],
         "first page of the slowest sort (ms)": max(each["first_page"] for each in sorts(measured)),
         "memory of the app (MB)": measured["peak_mb"]}
    )  # fmt: skip
    assert app["open"] < 3_000
    assert app["page_p99"] < 1_000
    assert measured["peak_mb"] < 600


def start(role: str, catalogue: Path, output: Path) -> subprocess.Popen[bytes]:
    """Into files: a pipe that nobody empties meanwhile would stop it."""
    command = [sys.executable, "-m", "tests.torture.load", role, str(catalogue), str(SECONDS)]
    with output.with_suffix(".json").open("wb") as printed, output.with_suffix(".err").open("wb") as errors:
        return subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=errors)


def log_bytes(catalogue: Path) -> int:
    try:
        return os.stat(f"{catalogue}-wal").st_size
    except FileNotFoundError:
        return 0


def summary(milliseconds: list[float]) -> list[float]:
    """Median, 99th percentile and longest."""
    ordered = sorted(milliseconds)
    return [round(ordered[int(share * len(ordered))], 2) for share in (0.5, 0.99)] + [round(ordered[-1], 2)]


def sorts(measured: dict[str, dict[str, object]]) -> list[dict[str, float]]:
    return [each for each in measured["store_ms"].values() if isinstance(each, dict)]
