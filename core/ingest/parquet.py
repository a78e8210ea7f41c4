"""Parquet, read by batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, BinaryIO

from core.ingest.records import BadLine, Row, Unreadable, bad_line

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

NAME = "Parquet"
BATCH_ROWS = 500
MAX_ROW_GROUP_BYTES = 4 << 30


def rows(stream: BinaryIO, wanted: Collection[str] | None = None) -> Iterator[Row | BadLine]:
    """One row a table row, numbered from 1, with the wanted columns. Raises Unreadable where the file is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(stream, page_checksum_verification=True)
        for batch in file.iter_batches(BATCH_ROWS, columns=_columns(file, wanted), use_threads=False):
            yield from _rows_of(batch, number + 1)
            number += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"damaged or not Parquet ({type(error).__name__})", number + 1) from error


def _columns(file: pq.ParquetFile, wanted: Collection[str] | None) -> list[str]:
    metadata = file.metadata
    for index in range(metadata.num_row_groups):
        if metadata.row_group(index).total_byte_size > MAX_ROW_GROUP_BYTES:
            raise Unreadable(f"row group {index + 1} is over {MAX_ROW_GROUP_BYTES >> 30} GiB; write smaller row groups")
    return [name for name in file.schema_arrow.names if wanted is None or name in wanted]


def _rows_of(batch: pa.RecordBatch, first: int) -> Iterator[Row | BadLine]:
    try:
        for offset, fields in enumerate(batch.to_pylist()):
            yield Row(first + offset, fields)
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield bad_line(first, "not UTF-8")
            return
        for offset in range(batch.num_rows):
            yield from _rows_of(batch.slice(offset, 1), first + offset)
