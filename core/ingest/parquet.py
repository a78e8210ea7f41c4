"""Parquet, unpacked by a process that may not take much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from typing import BinaryIO

from core.ingest.records import BadLine, Row, Unreadable, bad_line

NAME = "Parquet"
_COMMAND = [sys.executable, "-m", "core.ingest.parquet_reader"]


def rows(stream: BinaryIO, wanted: Collection[str] | None = None) -> Iterator[Row | BadLine]:
    """One row a table row, numbered from 1, with the wanted columns. Raises Unreadable where the file is damaged."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    process = subprocess.Popen(
        [*_COMMAND, *(name for name in wanted or () if name)],
        stdin=stream.fileno(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**kept, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"},
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield from decoded_rows(process.stdout)
        finally:
            process.kill()
            process.wait()


def decoded_rows(lines: Iterator[bytes]) -> Iterator[Row | BadLine]:
    """The rows in what the process writes. Raises Unreadable with the reason it gives, or where it broke off."""
    number = 0
    for line in lines:
        if not line.endswith(b"\n"):
            break
        told = json.loads(line)
        if "end" in told:
            if told["end"]:
                raise Unreadable(told["end"], number + 1)
            return
        number += 1
        yield Row(number, told["row"]) if "row" in told else bad_line(number, told["bad"])
    raise Unreadable("damaged, or it takes too much memory to unpack", number + 1)
