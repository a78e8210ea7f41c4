"""What files of responses hold, before anything is imported: `python -m sap_tui.preview PATH`, in a process of its own.

Prints a JSON list with an object for every file; a folder stands for the files of known formats in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.errors import SapError
from core.ingest.files import FORMAT_OF_SUFFIX
from core.ingest.records import BadLine, Record
from core.ingest.source import Source, detect

SUFFIXES = (*FORMAT_OF_SUFFIX, ".json")
SHOWN_BAD_LINES = 50
SHOWN_CHARACTERS = 2_000


def preview(path: Path) -> dict[str, object]:
    """The file's layout, how many records it has, its first one, and what is wrong with which line."""
    found: dict[str, object] = {"file": str(path), "detected": "", "records": 0, "bad": 0, "problems": [], "stop": ""}
    try:
        source = detect(path)
        found["detected"] = source.description
        _read(source, found)
    except SapError as error:
        found["stop"] = str(error)
    return found


def _read(source: Source, found: dict[str, object]) -> None:
    records, problems, bad = 0, [], 0
    for record in source.records():
        if isinstance(record, BadLine):
            bad += 1
            problems += [record.message(source.path)] if bad <= SHOWN_BAD_LINES else []
            continue
        records += 1
        if records == 1:
            found |= _first(record)
    found.update(records=records, bad=bad, problems=problems)


def _first(record: Record) -> dict[str, object]:
    return {
        "question": record.turns[-1].content[:SHOWN_CHARACTERS],
        "response": record.response[:SHOWN_CHARACTERS],
    }


def files_of(path: Path) -> list[Path]:
    """The file itself, or the files of known formats in a folder, by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES)


if __name__ == "__main__":
    print(json.dumps([preview(file) for file in files_of(Path(sys.argv[1]))]))
