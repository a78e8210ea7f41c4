"""The entry of a file in LLaMA-Factory's `dataset_info.json` (its data/README.md: formatting, columns, tags)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import InputError, NotFoundError, SapError, UsageError
from core.export.files import write_atomically
from core.export.training import Row
from core.ingest.files import open_file
from core.ingest.records import Unreadable, quoted
from core.ingest.strict_json import StrictDecoder, skip_space
from core.text import visible

_TAGS = {
    "sharegpt": {
        "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system",
    },
    "messages": {
        "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "system_tag": "system",
    },
}  # fmt: skip
_COLUMNS = {
    "tidy": {"prompt": "question", "response": "response"},
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"},
    "sharegpt": {"messages": "conversations"},
    "messages": {"messages": "messages"},
}


class DatasetInfo:
    """A `dataset_info.json`, which need not exist yet. Its other entries stay as they are.

    Raises InputError where the file is no JSON object, and SapError where `data` cannot have an entry of its own.
    """

    def __init__(self, path: Path, data: Path) -> None:
        self._path = path
        self._entries = _read(path)
        folder, file = Path(os.path.realpath(path)).parent, Path(os.path.realpath(data))
        self._file_name = str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
        self.name = self._name(folder, file)

    def _name(self, folder: Path, file: Path) -> str:
        for name, entry in self._entries.items():
            known = entry.get("file_name") if isinstance(entry, dict) else None
            if isinstance(known, str) and os.path.realpath(folder / known) == str(file):
                return name
        # A training configuration lists names with commas between them.
        name = re.sub(r"[^A-Za-z0-9._-]", "_", file.stem)
        if name in self._entries:
            raise SapError(
                f"{visible(self._path.name)} has an entry '{name}' already, for another file.", "Rename --output."
            )
        return name

    def write(self, layout: str, rows: Sequence[Row]) -> None:
        """Add or replace the file's entry."""
        entries = {**self._entries, self.name: _entry(self._file_name, layout, rows)}
        write_atomically(self._path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def check_described(layout: str, rows: Sequence[Row]) -> None:
    """Raises UsageError for rows that no entry can describe: tidy ones whose questions are lists of turns."""
    if layout == "tidy" and any(not isinstance(row["question"], str) for row in rows):
        raise UsageError("LLaMA-Factory cannot read tidy questions of several turns.", "Write --format sharegpt.")


def _entry(file_name: str, layout: str, rows: Sequence[Row]) -> dict[str, Any]:
    columns = dict(_COLUMNS[layout])
    columns |= {name: name for name in ("system", "history") if layout == "alpaca" and name in rows[0]}
    if layout not in _TAGS:
        return {"file_name": file_name, "formatting": "alpaca", "columns": columns}
    return {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": _TAGS[layout]}


def _read(path: Path) -> dict[str, Any]:
    name = visible(str(path))
    try:
        with open_file(path) as stream:
            text = stream.read().decode("utf-8-sig")
        decoded = StrictDecoder().decode(text)
    except NotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8.", "Mend it first.") from error
    except Unreadable as error:
        raise InputError(f"{name}: {error.reason}.", "Mend it first.") from error
    if decoded.problem or skip_space(text, decoded.end) < len(text):
        raise InputError(f"{name}: {decoded.problem or 'more text follows the object'}.", "Mend it first.")
    if not isinstance(decoded.value, dict):
        raise InputError(f"{name} is no JSON object but {quoted(decoded.value)}.", "Name a dataset_info.json.")
    return decoded.value
