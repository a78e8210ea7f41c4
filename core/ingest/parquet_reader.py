"""The process that unpacks a Parquet file, started as `python -m core.ingest.parquet_reader [COLUMN ...]`.

A few kilobytes can unpack to terabytes, so it has a limit of memory, and what is unpacked a limit by the file's size.
It reads the file from standard input and writes a JSON line for every row, `{"row": ...}` or `{"bad": why}`, and at the
end `{"end": why}`, which is empty where all was read.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MEMORY_BYTES = 1 << 30
BATCH_ROWS, BATCH_BYTES = 500, 8 << 20
READ_BYTES = 4 << 20
LONGEST_ROW = 128 << 20
UNPACKED_BYTES, UNPACKED_TIMES = 1 << 30, 200
"""What any file may unpack to, and how many times its size a larger one."""

Line = dict[str, Any]


def lines(stream: BinaryIO, wanted: Collection[str] | None) -> Iterator[str]:
    """The lines of the module's description, with the wanted columns."""
    import pyarrow as pa

    size = stream.seek(0, 2)
    most, unpacked = max(UNPACKED_BYTES, UNPACKED_TIMES * size), 0
    try:
        for line in _rows(stream, wanted):
            text = json.dumps(line, default=_other)
            unpacked += len(text)
            if unpacked > most:
                yield json.dumps({"end": f"it unpacks to more than {most >> 20:,} MiB from {size:,} bytes"})
                return
            yield text if len(text) <= LONGEST_ROW else json.dumps({"bad": f"longer than {LONGEST_ROW >> 20} MiB"})
    except MemoryError:
        yield json.dumps({"end": f"it takes more than {MEMORY_BYTES >> 30} GiB of memory to unpack"})
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
        yield json.dumps({"end": f"damaged or not Parquet ({type(error).__name__})"})
    else:
        yield json.dumps({"end": ""})


def _rows(stream: BinaryIO, wanted: Collection[str] | None) -> Iterator[Line]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream, page_checksum_verification=True, buffer_size=READ_BYTES)
    columns = [name for name in file.schema_arrow.names if wanted is None or name in wanted]
    for batch in file.iter_batches(_batch_rows(file), columns=columns, use_threads=False):
        yield from _rows_of(batch)


def _batch_rows(file: pq.ParquetFile) -> int:
    metadata = file.metadata
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    longest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1.0)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1.0, longest))))


def _rows_of(batch: pa.RecordBatch) -> Iterator[Line]:
    try:
        yield from ({"row": fields} for fields in batch.to_pylist())
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield {"bad": "not UTF-8"}
            return
        for offset in range(batch.num_rows):
            yield from _rows_of(batch.slice(offset, 1))


def _other(value: object) -> object:
    """What JSON has no word for is no text either, and must not become one."""
    return float(value) if isinstance(value, Decimal) else {"type": type(value).__name__}


def main(arguments: list[str]) -> int:
    # The other pools reserve more than they use, which counts here.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    import pyarrow.parquet  # noqa: F401

    with open("/proc/self/statm", encoding="ascii") as file:
        memory = int(file.read().split()[0]) * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in lines(sys.stdin.buffer, arguments or None):
        sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
