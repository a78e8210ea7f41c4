"""Measure the app in a real terminal beside a busy scorer, correctness first. Run by `make bench-ui`.

It writes the section of docs/benchmarks.md about the app, unless only a part is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine, record, report
from benchmarks.ui_catalogue import ROOT, Catalogue
from benchmarks.ui_measure import KeyTimes, measure_bytes, measure_first_paint, measure_keys
from benchmarks.ui_million import measure_million
from benchmarks.ui_page import summary
from benchmarks.ui_plan import ROWS, SCREENS, ScreenPlan
from benchmarks.ui_terminal import COLUMNS, LINES, Terminal

DOCS = ROOT / "docs"
KEY = "ui"
LIVE_SECONDS_BEFORE = 6.0


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ui", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="few keys and 50,000 responses; docs/ stays as it is")
    add("--screen", action="append", choices=[plan.name for plan in SCREENS], metavar="NAME",
        help="only the keys of this one; repeatable")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the figures here")
    add("--docs", type=Path, metavar="FOLDER", help="write the page here (default: docs/ for a whole run)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    # So that the scorer beside is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        found = Benchmark(options.quick, options.screen or []).run()
    except (AssertionError, TimeoutError) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    print(summary(found))
    if options.json:
        record.write_json(options.json, found)
    whole = not options.quick and not options.screen
    if folder := options.docs or (DOCS if whole else None):
        records = record.read_records(folder / "benchmarks.json") | {KEY: found}
        record.write_json(folder / "benchmarks.json", records)
        (folder / "benchmarks.md").write_text(report.page(records), encoding="utf-8")
    return 0


class Benchmark:
    """One run of the benchmark: everything, or the keys of some screens alone."""

    def __init__(self, quick: bool, screens: list[str]) -> None:
        self._screens = [plan for plan in SCREENS if plan.name in screens] or list(SCREENS)
        self._everything = not screens
        self._least_keys, self._starts = (1, 3) if quick else (60, 9)
        # The run beside must last until everything is measured.
        self._copies = 120 if not quick else 50 if self._everything else 15
        self._live_seconds, self._responses, self._pages = (6, 50_000, 10) if quick else (20, 1_000_000, 50)
        self._started = time.monotonic()

    def run(self) -> dict[str, Any]:
        """The figures. Raises AssertionError where a screen shows the wrong, TimeoutError where nothing is scored."""
        with tempfile.TemporaryDirectory(prefix="sap-tui-bench-") as folder:
            catalogue = Catalogue(Path(folder))
            try:
                return self._measure(catalogue)
            finally:
                catalogue.end()

    def _measure(self, catalogue: Catalogue) -> dict[str, Any]:
        self._say("importing and scoring the sample")
        catalogue.fill(self._copies)
        found: dict[str, Any] = {
            "date": time.strftime("%Y-%m-%d"), "machine": machine.describe(), "lines": LINES, "columns": COLUMNS,
            "versions": machine.library_versions("sap-tui", "textual", "pyte"), "device": "terminal",
        }  # fmt: skip
        if self._everything:
            found["first_paint_alone"] = self._first_paints(catalogue, ROWS)
        self._say("starting the scorer beside")
        catalogue.start_scorer()
        with self._app(catalogue) as terminal:
            terminal.wait_for(*ROWS)
            found["keys"] = [self._keys(catalogue, terminal, plan) for plan in self._screens]
            if self._everything:
                found["live_bytes"] = self._live_bytes(catalogue, terminal)
                found["peak_bytes"] = terminal.peak_memory()
        if self._everything:
            found |= self._other_apps(catalogue)
        found["seconds"] = round(time.monotonic() - self._started)
        return found

    def _other_apps(self, catalogue: Catalogue) -> dict[str, Any]:
        with self._app(catalogue, true_colour=True) as terminal:
            terminal.wait_for(*ROWS)
            live = self._live_bytes(catalogue, terminal)
        paints = self._first_paints(catalogue, ROWS)
        before = catalogue.scored()
        self._say(f"a task of {self._responses:,} responses")
        million = measure_million(
            lambda environment: self._terminal(catalogue, environment),
            catalogue.folder, self._responses, self._responses // 10, self._pages,
        )  # fmt: skip
        _check_scoring(catalogue, before)
        return {"live_bytes_true_colour": live, "first_paint_beside": paints, "million": million}

    def _terminal(
        self, catalogue: Catalogue, environment: dict[str, str] | None = None, true_colour: bool = False
    ) -> Terminal:
        installed = Path(sys.executable).with_name("sap-tui")
        command = [str(installed)] if installed.exists() else [sys.executable, "-m", "sap_tui.cli"]
        return Terminal(command, catalogue.environment | (environment or {}), true_colour)

    @contextlib.contextmanager
    def _app(self, catalogue: Catalogue, true_colour: bool = False) -> Iterator[Terminal]:
        terminal = self._terminal(catalogue, true_colour=true_colour)
        try:
            yield terminal
        finally:
            terminal.close()

    def _first_paints(self, catalogue: Catalogue, shows: tuple[str, ...]) -> list[float]:
        """The first start is not counted: it reads the program from the disk."""
        self._say(f"{self._starts} starts")
        return [measure_first_paint(lambda: self._terminal(catalogue), shows) for _ in range(self._starts + 1)][1:]

    def _keys(self, catalogue: Catalogue, terminal: Terminal, plan: ScreenPlan) -> dict[str, Any]:
        self._say(f"keys of {plan.name}")
        before = catalogue.scored()
        times = measure_keys(terminal, plan, math.ceil(self._least_keys / plan.keys))
        return {"screen": plan.name, **quantiles(times), "scored": _check_scoring(catalogue, before)}

    def _live_bytes(self, catalogue: Catalogue, terminal: Terminal) -> list[int]:
        self._say("bytes of the live screen")
        terminal.press("2")
        terminal.wait_for("Events", "scoring")
        # The last run but one is the one at work; its pane has speed, ranking and events that change.
        for key in ("G", "up"):
            terminal.press(key)
        terminal.wait_for(f"─ Run {catalogue.busy_run} ─", "Ranking")
        terminal.wait_for_rest(LIVE_SECONDS_BEFORE, LIVE_SECONDS_BEFORE)
        before = catalogue.scored()
        counts = measure_bytes(terminal, self._live_seconds)
        _check_scoring(catalogue, before)
        terminal.wait_for("Events", "scoring")
        return counts

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s  {text}", file=sys.stderr, flush=True)


def quantiles(times: KeyTimes) -> dict[str, Any]:
    """Number, middle, ninth tenth and worst of the seconds, and the middle of the processor time."""
    tenths = statistics.quantiles(times.seconds, n=10, method="inclusive")
    return {
        "keys": len(times.seconds), "p50": tenths[4], "p90": tenths[8], "worst": max(times.seconds),
        "slowest_key": times.keys[times.seconds.index(max(times.seconds))],
        "computed_p50": statistics.median(times.computed), "beside": times.beside,
    }  # fmt: skip


def _check_scoring(catalogue: Catalogue, before: int) -> int:
    """How much the run beside scored meanwhile. Raises AssertionError when it did not score all the time."""
    scored = catalogue.scored() - before
    assert before > 0 < scored, "the scorer beside was not scoring all the time"
    return scored


if __name__ == "__main__":
    sys.exit(main())
