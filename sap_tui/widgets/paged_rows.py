"""Rows of a table that are read page by page when they are seen, by somebody else, while the table goes on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from textual.content import Content

from sap_tui.text import MUTED
from sap_tui.widgets.records import Record

PAGE_ROWS = 64
MOST_PAGES = 48
_WAITING = (Content.styled("…", MUTED),)


@dataclass(frozen=True, slots=True)
class NotRead:
    """The key of a row that is not read yet."""

    index: int


class PagedRows:
    """`want` is called with the number of a page that is seen and not there; `keep` brings it later."""

    def __init__(self, count: int, want: Callable[[int], None]) -> None:
        self.count = count
        self._want = want
        self._pages: OrderedDict[int, Sequence[Record]] = OrderedDict()
        self._places: dict[Hashable, int] = {}
        self._stale: set[int] = set()
        self._ahead: set[int] = set()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Record:
        number, place = divmod(index, PAGE_ROWS)
        page = self._pages.get(number)
        self._want_neighbours(number)
        if page is None:
            self._want(number)
            return Record(NotRead(index), _WAITING)
        self._pages.move_to_end(number)
        if number in self._stale:
            self._stale.discard(number)
            self._want(number)
        return page[place] if place < len(page) else Record(NotRead(index), _WAITING)

    def position(self, key: Hashable) -> int | None:
        """Where a row stands that was read; others are not looked for."""
        return key.index if isinstance(key, NotRead) else self._places.get(key)

    def holds(self, first: int, last: int) -> bool:
        """Whether all rows from first up to before last are read."""
        return all(number in self._pages for number in range(first // PAGE_ROWS, (last - 1) // PAGE_ROWS + 1))

    def keep(self, number: int, records: Sequence[Record]) -> None:
        """Put a page, and forget the one that was not seen for longest when there are many."""
        self._drop(number)
        self._ahead.discard(number)
        self._pages[number] = records
        self._places.update({record.key: number * PAGE_ROWS + place for place, record in enumerate(records)})
        if len(self._pages) > MOST_PAGES:
            self._drop(next(iter(self._pages)))

    def grow_old(self) -> None:
        """Have every page read again when it is seen next; until then it is shown as it was."""
        self._stale = set(self._pages)

    def _want_neighbours(self, number: int) -> None:
        """So that a page is there before somebody turns to it."""
        for near in (number - 1, number + 1):
            if 0 <= near * PAGE_ROWS < self.count and near not in self._pages and near not in self._ahead:
                self._ahead.add(near)
                self._want(near)

    def _drop(self, number: int) -> None:
        for record in self._pages.pop(number, ()):
            self._places.pop(record.key, None)
