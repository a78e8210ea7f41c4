"""How a row becomes a line: as few pieces as possible, since tables are drawn while a key waits for its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.content import Content
from textual.strip import Strip
from textual.style import Style

from sap_tui.text import shortened
from sap_tui.widgets.records import GAP, MARK_WIDTH, Column

Piece = str | Content
"""A part of a line; a string has the line's style, and every character of it takes one cell."""


def row_pieces(
    mark: Content, cells: Sequence[Content], columns: Sequence[Column], widths: Sequence[int]
) -> Iterator[Piece]:
    """A whole row: the mark, then every cell at its column's width. Where cells are missing the first one is wider."""
    spare = len(columns) - len(cells)
    yield from _fitted(mark, MARK_WIDTH, "left", 0)
    yield from _fitted(cells[0], sum(widths[: spare + 1]) + GAP * spare, "left", GAP, columns[0].is_name and not spare)
    for cell, column, width in zip(cells[1:], columns[spare + 1 :], widths[spare + 1 :], strict=True):
        yield from _fitted(cell, width, column.align, GAP, column.is_name)


def _fitted(cell: Content, width: int, align: str, gap: int, is_name: bool = False) -> Iterator[Piece]:
    if cell.cell_length > width and is_name:
        cell = shortened(cell, width)
    elif cell.cell_length > width:
        # Cutting takes as long as the text is; what is far beyond the edge need not be looked at.
        start = cell[: 2 * width]
        cell = (start if start.cell_length > width else cell).truncate(width, ellipsis=True)
    blank = width - cell.cell_length
    if align == "right":
        yield " " * blank
        yield cell
        yield " " * gap
    else:
        yield cell
        yield " " * (blank + gap)


def drawn(pieces: Iterable[Piece], style: Style, parse_style: Callable[[str | Style], Style]) -> Strip:
    """The pieces one after another on a line of this style; neighbours that look alike become one."""
    base, width = style.rich_style, 0
    parts: list[tuple[RichStyle, str]] = []
    for piece in pieces:
        if isinstance(piece, str):
            width += len(piece)
            parts.append((base, piece))
        elif piece.spans:
            width += piece.cell_length
            parts.extend(
                (_on_line(own, style), text) for text, own in piece.render(style, end="", parse_style=parse_style)
            )
        else:
            width += piece.cell_length
            parts.append((base, piece.plain))
    together = [list(group) for _, group in groupby(parts, lambda part: id(part[0]))]
    return Strip([Segment("".join(text for _, text in group), group[0][0]) for group in together], width)


@lru_cache(maxsize=1024)
def _on_line(part: Style, line: Style) -> RichStyle:
    # Reversed colours would be patches of background.
    over = Style(foreground=line.foreground, background=line.background) if line.reverse else Style()
    return (line + part + over).rich_style
