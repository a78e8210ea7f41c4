"""What a table shows: columns, records and where they come from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from textual.content import Content

GAP = 2
MARK_WIDTH = 2
SORT_ARROW = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `width` cells; those with `stretch` have at least that many and share what is left.

    Of a name that is wider both ends stay.
    """

    id: str
    title: str
    width: int
    align: Literal["left", "right"] = "left"
    stretch: bool = False
    sortable: bool = True
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A row. `key` keeps cursor and marks on it when rows move; a `heading` is set off and takes no mark.

    With fewer cells than columns the first cell stretches over the columns that have none.
    """

    key: Hashable
    cells: tuple[Content, ...]
    heading: bool = False

    def looks_like(self, other: Record) -> bool:
        return len(self.cells) == len(other.cells) and all(
            one.is_same(two) for one, two in zip(self.cells, other.cells, strict=True)
        )


class RowSource(Protocol):
    """The rows of a table; only those on the screen are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Record: ...

    def position(self, key: Hashable) -> int | None:
        """Where the row with this key stands; None when it is gone."""
        ...


class Rows:
    """Rows held in memory."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self._records = records
        self._positions = {record.key: position for position, record in enumerate(records)}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int, /) -> Record:
        return self._records[index]

    def position(self, key: Hashable) -> int | None:
        return self._positions.get(key)


def fitted(columns: Sequence[Column], records: Sequence[Record]) -> list[Column]:
    """The columns no wider than what stands in them; those that stretch stay as they are."""
    rows = [record.cells for record in records if len(record.cells) == len(columns)]
    needed = [
        max([len(column.title) + SORT_ARROW if column.title else 1, *(row[place].cell_length for row in rows)])
        for place, column in enumerate(columns)
    ]
    return [
        column if column.stretch else replace(column, width=min(column.width, width))
        for column, width in zip(columns, needed, strict=True)
    ]
