"""The table asks only for the rows that are seen, and redraws only those that changed."""

from __future__ import annotations

from collections.abc import Hashable

from textual.app import App, ComposeResult
from textual.content import Content

from sap_tui.themes import DARK
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Column, Record, Rows, fitted

COLUMNS = (Column("name", "name", 12), Column("wide", "wide", 40), Column("end", "end", 40, "right"))


class Numbers:
    """A million rows that are made when they are asked for."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int, /) -> Record:
        self.asked.add(index)
        return Record(index, tuple(Content(f"{name} {index}") for name in ("row", "wide", "end")))

    def position(self, key: Hashable) -> int | None:
        return key if isinstance(key, int) else None


class TableApp(App[None]):
    CSS = "RecordTable { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.messages: list[object] = []

    def compose(self) -> ComposeResult:
        yield RecordTable(COLUMNS, table_id="table")

    @property
    def table(self) -> RecordTable:
        return self.query_one(RecordTable)

    def on_record_table_opened(self, message: RecordTable.Opened) -> None:
        self.messages.append(message.key)

    def line(self, y: int) -> str:
        return self.table.render_line(y).text


async def test_of_a_million_rows_only_the_seen_ones_are_asked_for() -> None:
    async with (app := TableApp()).run_test(size=(60, 20)) as pilot:
        source = Numbers()
        app.table.show(source, empty=Content())
        await pilot.pause()
        assert len(source.asked) < 40
        await pilot.press("G")
        assert app.table.cursor_key == 999_999
        assert "row 999999" in app.line(19)
        await pilot.press("pageup", "k", "enter")
        assert app.messages == [999_999 - 18 - 1]
        assert len(source.asked) < 120


async def test_a_row_far_down_comes_into_sight_as_soon_as_there_are_rows() -> None:
    async with (app := TableApp()).run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.table.show(Numbers(), empty=Content())
        app.table.move_to(500)
        await pilot.pause()
        assert "row 500" in "".join(app.line(y) for y in range(1, 20))


class EarlyApp(TableApp):
    """Rows come, and the cursor goes to one, before anything is laid out."""

    def on_mount(self) -> None:
        assert not self.table.size
        self.table.show(Numbers(), empty=Content())
        self.table.move_to(500)


async def test_rows_that_come_before_the_first_layout_scroll_as_far_as_later_ones() -> None:
    async with (app := EarlyApp()).run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert "row 500" in app.line(19)


async def test_the_sign_for_more_columns_stands_beside_the_scrollbar() -> None:
    async with (app := TableApp()).run_test(size=(60, 10)) as pilot:
        app.table.show(Rows([Numbers()[0]]), empty=Content())
        await pilot.pause()
        assert app.line(0).endswith(" ›")
        app.table.show(Numbers(), empty=Content())
        await pilot.pause()
        assert app.table.show_vertical_scrollbar
        assert app.line(0).endswith(" › ")
        assert len(app.line(0)) == 60


async def test_the_first_columns_can_be_shown_again() -> None:
    async with (app := TableApp()).run_test(size=(60, 10)) as pilot:
        app.table.show(Numbers(), empty=Content())
        await pilot.press(*["right"] * 9)
        assert "wide 0" not in app.line(1)
        app.table.show_first_columns()
        assert "wide 0" in app.line(1)


async def test_the_first_column_stays_when_the_others_scroll() -> None:
    async with (app := TableApp()).run_test(size=(60, 10)) as pilot:
        app.table.show(Numbers(), empty=Content())
        await pilot.pause()
        assert "end" not in app.line(0)
        await pilot.press(*["right"] * 9)
        assert "row 0" in app.line(1)
        assert app.line(1).rstrip().endswith("end 0")
        assert len(app.line(1)) == 60
        await pilot.press(*["left"] * 9)
        assert "wide 0" in app.line(1)


async def test_only_lines_that_changed_are_drawn_again() -> None:
    async with (app := TableApp()).run_test(size=(60, 10)) as pilot:
        rows = [Record(number, (Content(f"r{number}"), Content("w"), Content("e"))) for number in range(5)]
        app.table.show(Rows(rows), empty=Content())
        await pilot.pause()
        drawn: list[int] = []
        original = app.table._refresh_row
        app.table._refresh_row = lambda index: (drawn.append(index), original(index))[1]  # type: ignore[method-assign]
        rows = [*rows[:3], Record(3, (Content("other"), Content("w"), Content("e"))), rows[4]]
        app.table.show(Rows(rows), empty=Content())
        assert drawn == [3]


async def test_wide_characters_keep_the_columns_aligned() -> None:
    async with (app := TableApp()).run_test(size=(60, 10)) as pilot:
        rows = [
            Record(name, (Content(name), Content("|"), Content("")))
            for name in ("plain", "漢字漢字漢字漢字漢字", "e\u0301e\u0301")
        ]
        app.table.show(Rows(rows), empty=Content())
        await pilot.pause()
        lines = [app.table.render_line(y) for y in (1, 2, 3)]
        assert [line.cell_length for line in lines] == [60, 60, 60]
        assert [line.crop(16, 17).text for line in lines] == ["|", "|", "|"]


async def test_a_click_chooses_a_row_and_a_title_sorts() -> None:
    async with (app := TableApp()).run_test(size=(120, 10)) as pilot:
        app.table.show(Numbers(), empty=Content())
        await pilot.pause()
        await pilot.click(RecordTable, offset=(5, 4))
        assert app.table.cursor_key == 3
        await pilot.click(RecordTable, offset=(20, 0))
        assert app.table.sort_column == "wide"
        await pilot.click(RecordTable, offset=(20, 0))
        assert app.table.sort_backwards


async def test_a_row_with_fewer_cells_spans_the_columns() -> None:
    async with (app := TableApp()).run_test(size=(100, 10)) as pilot:
        heading = Record("h", (Content("a heading that is longer than its column"),), heading=True)
        app.table.show(Rows([heading]), empty=Content())
        await pilot.pause()
        assert "a heading that is longer than its column" in app.line(1)


def test_columns_are_no_wider_than_needed() -> None:
    records = [Record(1, (Content("abc"), Content("x" * 99), Content("")))]
    assert [column.width for column in fitted(COLUMNS, records)] == [6, 40, 5]
