"""Do the intervals cover, does "decided" name the right leader, what do the looks save, and how long does it take?

`python -m benchmarks.statistics [--quick] [--record FILE] [--json FILE]` writes docs/statistics.json and the page made
from it; with `--json` the figures only. FILE of `--record` is the per_sample_sppl.jsonl of the published record.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe, library_versions
from benchmarks.statistics_page import page
from benchmarks.statistics_simulations import coverage, read_record, stopping, wrong_leaders
from core.domain import ContextKind
from core.metrics.base import ContextScores, ScoreArrays
from core.metrics.registry import metric
from core.stats.ranking import rank_strategies

DOCS = Path(__file__).resolve().parents[1] / "docs"
TIMED = ("ppl", "rsr", "grape_share", "ifd")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes, with figures that mean little"
    )
    parser.add_argument("--record", type=Path, help="per_sample_sppl.jsonl of the published record")
    parser.add_argument("--json", type=Path, help="write the figures there and leave the page as it is")
    options = parser.parse_args()
    figures = measure(options.record, options.quick)
    text = json.dumps(figures, indent=1) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        (DOCS / "statistics.json").write_text(text, encoding="utf-8")
        (DOCS / "statistics.md").write_text(page(figures), encoding="utf-8")


def measure(record_file: Path | None, quick: bool) -> dict[str, Any]:
    started = time.perf_counter()
    record = read_record(record_file) if record_file else {}
    if quick:
        record = dict(list(record.items())[:2])
    figures: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": describe(),
        "versions": library_versions("numpy", "scipy"),
        "speed": speed(),
    }
    repeats, orders = (1, 1) if quick else (150, 20)
    figures["coverage"] = coverage(record, *((4, 1) if quick else (1_200, 20)))
    figures["verdicts"] = wrong_leaders(record, repeats)
    figures["stopping"] = stopping(record, orders)
    figures["orders"], figures["seconds"] = orders, round(time.perf_counter() - started)
    return figures


def speed() -> dict[str, Any]:
    """Seconds of a ranking of 20 strategies on 1,000 questions with 2,000 draws, and the process's peak memory."""
    generator = np.random.default_rng(0)
    surprisal = np.exp(0.3 * generator.normal(size=(20, 1_000))) + 0.02 * np.arange(20)[:, None]
    tokens = np.full_like(surprisal, 100.0)
    scores = ContextScores(tokens, surprisal * tokens, 500 * surprisal)
    strategies = tuple(f"strategy {number}" for number in range(20))
    arrays = ScoreArrays(strategies, tuple(range(1_000)), dict.fromkeys(ContextKind, scores))
    found = {}
    for name, ids in (("one metric", TIMED[:1]), (f"{len(TIMED)} metrics", TIMED)):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            rank_strategies(arrays, [metric(each) for each in ids], ids[0])
            times.append(time.perf_counter() - began)
        found[name] = sorted(times)[2]
    return {"seconds": found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000}


if __name__ == "__main__":
    main()
