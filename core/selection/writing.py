"""A selection as files: the data, its provenance, and its entry in a `dataset_info.json`."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.domain import Run
from core.errors import SapError, UsageError
from core.export.dataset_info import DatasetInfo, check_described
from core.export.files import check_target, write_atomically
from core.export.training import CONTAINERS, TrainingSample, alternates, training_rows, training_text
from core.selection.select import Selection, StrategyReport
from core.store.runs import spec_by_id
from core.text import visible


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a selection goes: `layout` one of LAYOUTS, `dataset_info` the file that gets an entry, if any."""

    path: Path
    layout: str = "tidy"
    dataset_info: Path | None = None
    force: bool = False

    @property
    def provenance(self) -> Path:
        return self.path.with_name(f"{self.path.name}.provenance.json")


def check_destination(destination: Destination, catalogue: Path) -> None:
    """Raises UsageError or SapError for files that must not or cannot be written, before anything is computed."""
    if destination.path.suffix not in CONTAINERS:
        raise UsageError(
            f"{visible(destination.path.name)} ends neither in .json nor in .jsonl.",
            "Name it .jsonl for one object a line, .json for one array.",
        )
    for path in (destination.path, destination.provenance):
        check_target(path, catalogue=catalogue, force=destination.force)
    if destination.dataset_info is not None:
        check_target(destination.dataset_info, catalogue=catalogue, force=True)
        if destination.dataset_info.resolve() == destination.path.resolve():
            raise UsageError("--output and --dataset-info name the same file.", "Name two files.")
        DatasetInfo(destination.dataset_info, destination.path)
    for file in filter(None, (destination.path, destination.dataset_info)):
        folder = file.resolve().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SapError(f"{visible(str(folder))} is no folder that can be written to.", "Name another file.")


def write_selection(
    reader: sqlite3.Connection, selection: Selection, destination: Destination, version: str
) -> list[str]:
    """Write the data, then its provenance, then its entry, each wholly or not at all; what to know about them.

    Raises SapError, with nothing written, where nothing is kept or the layout cannot hold it.
    """
    if not selection.kept:
        raise SapError("No response is left; nothing was written.", "Loosen the steps, or score more responses.")
    by_strategy = bool(selection.request.best_of)
    samples = [
        TrainingSample(one.sample.question, one.sample.response.text, one.strategy if by_strategy else "")
        for one in selection.kept
    ]
    rows = training_rows(samples, destination.layout)
    if destination.dataset_info is not None:
        check_described(destination.layout, rows)
    text = training_text(rows, destination.path.suffix)
    provenance = _provenance(reader, selection, destination, text, version)
    write_atomically(destination.path, text)
    write_atomically(destination.provenance, json.dumps(provenance, indent=2) + "\n")
    if destination.dataset_info is None:
        return []
    DatasetInfo(destination.dataset_info, destination.path).write(destination.layout, rows)
    broken = sum(not alternates(sample.question) for sample in samples)
    return [f"LLaMA-Factory leaves out conversations that do not alternate: {broken:,}."] if broken else []


def _provenance(
    reader: sqlite3.Connection, selection: Selection, destination: Destination, text: str, version: str
) -> dict[str, Any]:
    request = selection.request
    return {
        "program": {"name": "sap-tui", "version": version},
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": {
            "name": destination.path.name,
            "format": destination.layout,
            "records": len(selection.kept),
            "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        },
        "task": request.task,
        "steps": [step.text for step in request.steps],
        "best_of": request.best_of or None,
        "questions_without_value": selection.undecided,
        "questions_tied": selection.tied,
        "strategies": [_strategy_object(reader, request.task, report) for report in selection.reports],
        "run": None if selection.run is None else _run_object(reader, selection.run),
    }


def _strategy_object(reader: sqlite3.Connection, task: str, report: StrategyReport) -> dict[str, Any]:
    """The report with the file that the responses came from; its digest is 16-byte BLAKE2b."""
    row = reader.execute(
        "SELECT s.source, s.source_digest, s.teacher FROM strategies s JOIN tasks t ON t.id = s.task"
        " WHERE t.name = ? AND s.name = ? AND s.deleted_at IS NULL",
        (task, report.strategy),
    ).fetchone()
    source = {"name": Path(row[0]).name, "blake2b": row[1].hex()} if row[1] else None
    return {**asdict(report), "teacher": row[2], "source": source}


def _run_object(reader: sqlite3.Connection, run: Run) -> dict[str, Any]:
    """What the scores belong to. The model's folder on this machine is left out: the digest says which model it is."""
    request = json.loads(run.request.to_json())
    return {
        "number": run.id,
        "state": run.state,
        "model": run.model,
        "weights_digest": run.weights_digest,
        "settings": asdict(spec_by_id(reader, run.spec)),
        "request": {name: value for name, value in request.items() if name != "path"},
        "engine": run.engine,
        "questions": run.questions,
    }
