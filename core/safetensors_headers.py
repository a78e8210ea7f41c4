"""What a folder's safetensors files hold, read from their headers alone."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

_LONGEST_HEADER = 100 << 20


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a file; `dtype` as the format names it (F32, BF16, I8, ...), `size` in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def stored_tensors(folder: Path) -> list[StoredTensor]:
    """All tensors of the folder's files; empty where a header cannot be read."""
    found: list[StoredTensor] = []
    for file in sorted(folder.glob("*.safetensors")):
        try:
            found += _tensors_of(file)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []
    return found


def _tensors_of(file: Path) -> list[StoredTensor]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("no safetensors header")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return [
        StoredTensor(
            name, entry["dtype"], tuple(map(int, entry["shape"])), entry["data_offsets"][1] - entry["data_offsets"][0]
        )
        for name, entry in header.items()
    ]
