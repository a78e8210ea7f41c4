"""Rows as lines: every column begins where it should, whatever stands in the cells."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.color import Color
from textual.content import Content
from textual.strip import Strip
from textual.style import Style

from sap_tui.text import plain
from sap_tui.widgets.records import GAP, MARK_WIDTH, Column
from sap_tui.widgets.row_drawing import drawn, row_pieces

LINE = Style(background=Color(10, 20, 30), foreground=Color(200, 200, 200))
RED = Style(foreground=Color(255, 0, 0))
COLUMNS = (Column("name", "name", 8), Column("text", "text", 12), Column("number", "number", 6, "right"))
WIDTHS = [column.width for column in COLUMNS]
WHOLE = MARK_WIDTH + sum(WIDTHS) + GAP * len(WIDTHS)


def row(*cells: Content, mark: Content = Content()) -> Strip:  # noqa: B008
    return drawn(row_pieces(mark, cells, COLUMNS, WIDTHS), LINE, lambda style: RED if style == "red" else Style())


def test_cells_stand_in_their_columns() -> None:
    strip = row(Content("one"), Content("two"), Content("3"))
    assert strip.text == "  one       two                3  "
    assert [(segment.text, segment.style) for segment in strip] == [(strip.text, LINE.rich_style)]


def test_a_cut_cell_says_so() -> None:
    assert row(Content("a long name"), Content("x" * 500), Content("1,234,567")).text == (
        "  a long …  xxxxxxxxxxx…  1,234…  "
    )


def test_a_row_without_all_cells_is_wider_at_first() -> None:
    assert row(Content("a name that is long"), Content("3")).text == "  a name that is long          3  "


def test_only_what_is_coloured_is_a_piece_of_its_own() -> None:
    strip = row(Content.styled("one", "red"), Content("two"), Content("3"), mark=Content.styled("●", "red"))
    assert [segment.text for segment in strip] == ["●", " ", "one", "       two                3  "]
    red = (LINE + RED).rich_style
    assert [segment.style for segment in strip] == [red, LINE.rich_style, red, LINE.rich_style]


def test_a_reversed_line_keeps_its_two_colours() -> None:
    line = LINE + Style(reverse=True)
    strip = drawn([Content.styled("one", "red"), " "], line, lambda style: RED)
    assert {(segment.style.color, segment.style.bgcolor) for segment in strip if segment.style} == {
        (line.rich_style.color, line.rich_style.bgcolor)
    }


SIGNS = st.text(alphabet="a\u0301\u200c\u200d\ufe0f漢👩☂⚕\u0dca\u0dbb")


@settings(max_examples=1_000)
@given(st.lists(st.text(max_size=60) | SIGNS, min_size=3, max_size=3))
def test_whatever_stands_there_the_line_is_as_wide_as_its_columns(texts: list[str]) -> None:
    strip = row(*(plain(text) for text in texts))
    assert strip.cell_length == cell_len(strip.text) == WHOLE


@settings(max_examples=1_000)
@given(st.text(alphabet="a\u0301\u200d\ufe0f漢👩☂", min_size=40, max_size=200))
def test_a_cut_text_is_cut_as_if_it_had_been_looked_at_whole(text: str) -> None:
    shown = plain(text)
    cut = shown.truncate(12, ellipsis=True)
    assert row(Content(), shown, Content()).text[12:].startswith(cut.plain)
