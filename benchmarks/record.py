"""What a benchmark run measured, as the JSON that the page is made from."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.cases import Case, read_case
from benchmarks.cost import ModelShape, operations
from benchmarks.driver import Entry

Row = dict[str, Any]


def entry_row(entry: Entry, folder: Path, shape: ModelShape) -> Row:
    """Everything about one entry; seconds are those of each round, bytes are peaks."""
    case = read_case(folder / f"{entry.spec.name}.json")
    found = entry.difference
    return {
        "contestant": entry.contestant.name, "case": entry.spec.name, "kind": entry.spec.kind,
        "strategies": entry.spec.strategies, **_sizes(case),
        "operations": operations(shape, case, entry.contestant.computes),
        "cpu_seconds": entry.cpu_seconds, "wall_seconds": entry.wall_seconds, "load_seconds": entry.load_seconds,
        "load_peak_bytes": entry.load_peak_bytes, "peak_bytes": entry.peak_bytes,
        "mean_difference": _finite(found.mean if found else None),
        "token_difference": _finite(found.token if found else None),
        "note": entry.note, "versions": entry.versions,
    }  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _sizes(case: Case) -> dict[str, int]:
    """Tokens of the longest context, of a response on average, and of all that is scored."""
    longest = max(case.groups, key=lambda group: len(group.context))
    response = round(mean(map(len, longest.responses)))
    return {
        "prompt_tokens": len(longest.context), "response_tokens": response, "scored_tokens": case.scored_tokens(),
    }  # fmt: skip


def typical(seconds: list[float]) -> float | None:
    return median(seconds) if seconds else None


def short_rows(rows: list[Row]) -> list[Row]:
    """The in-context passes in few words, with medians."""
    return [_short(row) for row in rows if row["kind"] == "in-context"]


def _short(row: Row) -> Row:
    differences = [row[name] for name in ("mean_difference", "token_difference") if row[name] is not None]
    kept = ("contestant", "strategies", "prompt_tokens", "response_tokens")
    return {name: row[name] for name in kept} | {
        "cpu_seconds": typical(row["cpu_seconds"]),
        "wall_seconds": typical(row["wall_seconds"]),
        "peak_mb": row["peak_bytes"] and row["peak_bytes"] / 1e6,
        "max_abs_difference": max(differences, default=None),
    }


def key_of(record: dict[str, Any]) -> str:
    """What a record stands under: `cpu`, or `gpu` with its precision, so that several fit on one page."""
    return "cpu" if record["device"] == "cpu" else f"gpu {record['dtype']} {record['quantization']}"


def read_records(path: Path) -> dict[str, Any]:
    """All records that were kept, by their keys."""
    if not path.is_file():
        return {}
    records: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return records


def write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
