"""What a table shows: columns, records and where they come from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from textual.content import Content


@dataclass(frozen=True, slots=True)
class Column:
    """A column of at least `width` cells; those with `stretch` share what is left."""

    id: str
    title: str
    width: int
    align: Literal["left", "right"] = "left"
    stretch: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A row. `key` keeps cursor and marks on it when rows move; `heading` sets it off and takes no mark."""

    key: Hashable
    cells: tuple[Content, ...]
    heading: bool = False

    def looks_like(self, other: Record) -> bool:
        return self.heading == other.heading and all(
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
