"""What files of responses hold, before anything is imported: `python -m sap_tui.preview CATALOGUE TASK MAP PATH`, in a
process of its own.

Prints a JSON list with an object for every file; a folder stands for the files of known formats in it. TASK may be
empty, and so may MAP, which says what `--map` of an import does.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import SapError
from core.ingest.fields import FieldMap, parse_field_map
from core.ingest.files import FORMAT_OF_SUFFIX
from core.ingest.source import detect
from core.store.staging import BadLines, described, stage
from core.store.trial import known_task, refuse_ids, staged_records, trial

SUFFIXES = (*FORMAT_OF_SUFFIX, ".json")
SHOWN_BAD_LINES = 50
SHOWN_CHARACTERS = 2_000


def previews(catalogue: Path, task: str, field_map: FieldMap, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Of every file its layout, how many records it has, the first one, and what is wrong with which line."""
    with trial(catalogue) as connection:
        known = known_task(connection, task)
        read: list[BadLines] = []
        found = []
        for path in paths:
            read.append(BadLines(path))
            found.append(_preview(connection, known, field_map, read))
        return found


def _preview(
    connection: sqlite3.Connection, task: int | None, field_map: FieldMap, read: Sequence[BadLines]
) -> dict[str, Any]:
    """That of the last of the files."""
    number, bad = len(read) - 1, read[-1]
    found: dict[str, Any] = {"file": str(bad.path), "detected": "", "records": 0, "stop": ""}
    try:
        source = detect(bad.path, field_map)
        stage(connection, number, source, bad)
        refuse_ids(connection, task, read)
        count, question, response = staged_records(connection, number)
        found |= {"detected": described(connection, number, source), "records": count}
        if count:
            found |= {"question": question[:SHOWN_CHARACTERS], "response": response[:SHOWN_CHARACTERS]}
    except (SapError, sqlite3.Error) as error:
        found["stop"] = str(error)
    return found | {"bad": bad.count, "problems": bad.messages[:SHOWN_BAD_LINES]}


def files_of(path: Path) -> list[Path]:
    """The file itself, or the files of known formats in a folder, by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES)


def main(catalogue: str, task: str, written_map: str, path: str) -> int:
    try:
        field_map = parse_field_map(written_map) if written_map else {}
        found = previews(Path(catalogue), task, field_map, files_of(Path(path)))
    except (SapError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
