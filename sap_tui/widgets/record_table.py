"""The one table of the app: draws only the lines that are seen, redraws only those that changed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from sap_tui.keymap import Keymap
from sap_tui.keys import ACTIONS, bindings
from sap_tui.widgets.records import GAP, MARK_WIDTH, Column, Record, Rows, RowSource
from sap_tui.widgets.row_drawing import drawn, row_pieces

LONGEST_EMPTY_LINE = 90
COLUMNS_RIGHT = next(action for action in ACTIONS if action.id == "columns_right")


class RecordTable(ScrollView, can_focus=True):
    """A table with a cursor row, marks, a sorted column and a first column that stays."""

    BINDINGS = bindings("table")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "record-table--header",
        "record-table--cursor",
        "record-table--heading",
        "record-table--empty",
    }
    DEFAULT_CSS = """
    RecordTable {
        background: $surface; scrollbar-size: 0 1; overflow-x: hidden; overflow-y: auto;
        & .record-table--header { color: $foreground-muted; text-style: none; }
        & .record-table--cursor { background: $row-cursor-blurred; }
        &:focus .record-table--cursor { background: $row-cursor; }
        & .record-table--heading { text-style: bold; }
        & .record-table--empty { color: $foreground-muted; }
    }
    """

    class Highlighted(Message):
        """The cursor came to another row; `key` is None in an empty table."""

        def __init__(self, table: RecordTable, key: Hashable | None) -> None:
            super().__init__()
            self.table, self.key = table, key

        @property
        def control(self) -> RecordTable:
            return self.table

    class Opened(Highlighted):
        """A row was chosen with enter or a double click."""

    class Moved(Highlighted):
        """The user moved the cursor."""

    class Resized(Message):
        """Columns that stretch may have another width now."""

    class Sorted(Message):
        """Another order is wanted; `column` is None for the natural one."""

        def __init__(self, table: RecordTable, column: str | None, backwards: bool) -> None:
            super().__init__()
            self.table, self.column, self.backwards = table, column, backwards

    def __init__(self, columns: Sequence[Column], *, table_id: str, sortable: bool = True, numbered: str = "") -> None:
        """`numbered` says what the rows are where their keys are numbers that people know, such as "run"."""
        super().__init__(id=table_id)
        self._columns = tuple(columns)
        self._source: RowSource = Rows()
        self._painted: dict[int, Record] = {}
        self._cursor = 0
        self._sortable = sortable
        self._numbered = numbered
        self.sort_column: str | None = None
        self.sort_backwards = False
        self.marks: set[Hashable] = set()
        self.empty = Content()

    @property
    def cursor_key(self) -> Hashable | None:
        return self._source[self._cursor].key if len(self._source) else None

    @property
    def source(self) -> RowSource:
        return self._source

    def use_columns(self, columns: Sequence[Column]) -> None:
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._painted.clear()
            self.refresh()

    def show(self, source: RowSource, *, empty: Content) -> None:
        """Put other rows, the cursor staying on its row where that still exists, and redraw what looks different."""
        before, key = len(self._source), self.cursor_key
        self._source = source
        redraw = before != len(source) or not self.empty.is_same(empty)
        self.empty = empty
        kept = source.position(key) if key is not None else None
        redraw |= self._place_cursor(self._cursor if kept is None else kept)
        self.virtual_size = Size(self._full_width, len(source) + 1)
        if redraw:
            self.refresh()
        else:
            self._redraw_changed()
        if self.cursor_key != key:
            self.post_message(self.Highlighted(self, self.cursor_key))

    def move_to(self, key: Hashable) -> None:
        """Put the cursor on a row, if it is there."""
        position = self._source.position(key)
        if position is not None:
            self._move(position, by_user=False)

    def set_marks(self, keys: set[Hashable]) -> None:
        if keys != self.marks:
            self.marks = keys
            self.refresh()

    def _redraw_changed(self) -> None:
        top = self.scroll_offset.y
        for index in range(top, min(top + self.size.height - 1, len(self._source))):
            painted = self._painted.get(index)
            if painted is None or painted.key != self._source[index].key or not painted.looks_like(self._source[index]):
                self._refresh_row(index)

    def _refresh_row(self, index: int) -> None:
        self.refresh(Region(0, index - self.scroll_offset.y + 1, self.size.width, 1))

    def _place_cursor(self, index: int) -> bool:
        index = max(0, min(index, len(self._source) - 1))
        moved, self._cursor = index != self._cursor, index
        return moved

    def _move(self, index: int, *, by_user: bool = True) -> None:
        old = self._cursor
        if self._place_cursor(index):
            self._refresh_row(old)
            self._refresh_row(self._cursor)
            self._scroll_to_cursor()
            self.post_message(self.Highlighted(self, self.cursor_key))
            if by_user:
                self.post_message(self.Moved(self, self.cursor_key))

    def _scroll_to_cursor(self) -> None:
        if not self.size:
            # Not laid out yet; the first size brings the cursor into sight.
            return
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        # A heading above the first row that one can reach stays in sight.
        wanted = min(max(top, self._cursor - height + 1), self._cursor)
        if wanted != top:
            # Until the next layout there is no scrollbar yet, without which Textual does not scroll unless forced.
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    def action_cursor_up(self) -> None:
        self._move(self._cursor - 1)

    def action_cursor_down(self) -> None:
        self._move(self._cursor + 1)

    def action_page_up(self) -> None:
        self._move(self._cursor - self.size.height + 2)

    def action_page_down(self) -> None:
        self._move(self._cursor + self.size.height - 2)

    def action_first_row(self) -> None:
        self._move(0)

    def action_last_row(self) -> None:
        self._move(len(self._source) - 1)

    def action_columns_left(self) -> None:
        self._scroll_columns(-12)

    def action_columns_right(self) -> None:
        self._scroll_columns(12)

    def show_first_columns(self) -> None:
        self.scroll_x = 0

    def _scroll_columns(self, cells: int) -> None:
        furthest = max(0, self._full_width - self.size.width)
        self.scroll_x = max(0, min(furthest, self.scroll_offset.x + cells))

    def action_jump(self) -> None:
        """Ask for a number and go to the row that has it; rows without numbers of their own are counted from 1."""
        from sap_tui.widgets.dialogs import AskNumber

        if len(self._source):
            title = f"Go to {self._numbered}" if self._numbered else "Go to row"
            self.app.push_screen(AskNumber(title, 1, self._highest_number()), self._jump)

    def _highest_number(self) -> int:
        if not self._numbered:
            return len(self._source)
        return max(int(str(self._source[place].key)) for place in range(len(self._source)))

    def _jump(self, number: int | None) -> None:
        if number is None:
            return
        position = self._source.position(number) if self._numbered else number - 1
        if position is None:
            self.app.notify(f"There is no {self._numbered} {number} here.", markup=False)
        else:
            self._move(position)

    def action_open_row(self) -> None:
        if len(self._source):
            self.post_message(self.Opened(self, self.cursor_key))

    def action_next_sort(self) -> None:
        titled = (column for column in self._columns if column.title.strip() and column.sortable)
        names: list[str | None] = [None, *(column.id for column in titled)]
        place = names.index(self.sort_column) if self.sort_column in names else 0
        self._sort(names[(place + 1) % len(names)], False)

    def action_reverse_sort(self) -> None:
        self._sort(self.sort_column, not self.sort_backwards)

    def _sort(self, column: str | None, backwards: bool) -> None:
        if not self._sortable:
            return
        self.sort_column, self.sort_backwards = column, backwards
        self.post_message(self.Sorted(self, column, backwards))
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._sort_by_title(event.x)
            return
        index = self.scroll_offset.y + event.y - 1
        if index < len(self._source):
            self._move(index)
            if event.chain == 2:
                self.action_open_row()

    def _sort_by_title(self, x: int) -> None:
        end = MARK_WIDTH
        for column, width in zip(self._columns, self.widths(self._columns), strict=True):
            end += width + GAP
            if x + (self.scroll_offset.x if column is not self._columns[0] else 0) < end and column.title.strip():
                again = column.id == self.sort_column
                return self._sort(column.id, again and not self.sort_backwards) if column.sortable else None

    def on_resize(self) -> None:
        self.virtual_size = Size(self._full_width, len(self._source) + 1)
        self._scroll_columns(0)
        self._scroll_to_cursor()
        self.post_message(self.Resized())

    def widths(self, columns: Sequence[Column]) -> list[int]:
        """Cells that columns would have in this table now."""
        fixed = MARK_WIDTH + sum(column.width + GAP for column in columns)
        stretching = [column for column in columns if column.stretch]
        spare = max(0, self.size.width - fixed) // max(1, len(stretching))
        return [column.width + (spare if column.stretch else 0) for column in columns]

    def width_of(self, column_id: str, columns: Sequence[Column]) -> int:
        """Cells that one of these columns would have."""
        widths = self.widths(columns)
        return next(width for column, width in zip(columns, widths, strict=True) if column.id == column_id)

    @property
    def _full_width(self) -> int:
        return MARK_WIDTH + sum(width + GAP for width in self.widths(self._columns))

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._header()
        index = self.scroll_offset.y + y - 1
        if not len(self._source):
            return self._empty_line(y)
        if index >= len(self._source):
            return Strip.blank(self.size.width, self._style().rich_style)
        record = self._painted[index] = self._source[index]
        parts = ["heading"] * record.heading + ["cursor"] * (index == self._cursor)
        return self._strip(self._mark(record), record.cells, self._style(*parts))

    def _header(self) -> Strip:
        """The titles; while there are more columns the right end has a sign and the key that shows them."""
        style = self._style("header")
        line = self._strip(Content(), self._titles(), style)
        if self._full_width - GAP - self.scroll_offset.x <= self.size.width:
            return line
        keymap: Keymap = getattr(self.app, "keymap", Keymap())
        key = keymap.shown(COLUMNS_RIGHT)[-1]
        more = self._drawn(Content.styled(f" {key} ›{' ' * self.show_vertical_scrollbar}", "$primary"), style)
        return Strip.join([line.crop(0, self.size.width - more.cell_length), more])

    def _style(self, *parts: str) -> Style:
        names = [f"record-table--{part}" for part in parts]
        style = self.get_visual_style(*names)
        # Textual's visual styles leave this attribute out.
        is_reversed = any(self.get_component_styles(name).text_style.reverse for name in names)
        return style + Style(reverse=True) if is_reversed else style

    def _mark(self, record: Record) -> Content:
        return Content.styled("●", "$accent") if record.key in self.marks else Content()

    def _titles(self) -> list[Content]:
        arrow = " ▼" if self.sort_backwards else " ▲"
        return [
            Content(f"{column.title}{arrow}").stylize("$foreground")
            if column.id == self.sort_column
            else Content(column.title)
            for column in self._columns
        ]

    def _empty_line(self, y: int) -> Strip:
        lines = self.empty.wrap(max(1, min(self.size.width - 2, LONGEST_EMPTY_LINE)))
        place = y - max(1, (self.size.height - len(lines)) // 2)
        line = lines[place] if 0 <= place < len(lines) else Content()
        wide = line.truncate(self.size.width).center(self.size.width)
        return self._drawn(wide.truncate(self.size.width, pad=True), self._style("empty"))

    def _strip(self, mark: Content, cells: Sequence[Content], style: Style) -> Strip:
        """The line: mark and first column stay, the others are cut at the scrolled place."""
        widths = self.widths(self._columns)
        pieces = row_pieces(mark, cells, self._columns, widths)
        line = drawn(pieces, style, self.app.stylesheet.parse_style)
        if self.scroll_offset.x:
            stays = MARK_WIDTH + widths[0] + GAP
            line = Strip.join([line.crop(0, stays), line.crop(stays + self.scroll_offset.x)])
        return line.adjust_cell_length(self.size.width, style.rich_style)

    def _drawn(self, content: Content, style: Style) -> Strip:
        return drawn([content], style, self.app.stylesheet.parse_style)
