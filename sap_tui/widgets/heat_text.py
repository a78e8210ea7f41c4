"""A response with every token on the colour of its surprisal; draws only the lines that are seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sap_tui.keys import bindings
from sap_tui.widgets.heat import GLYPHS, heat_level, heat_style, is_coloured
from sap_tui.widgets.token_lines import TokenLines, token_lines

MARGIN = 1
WIDE_ENOUGH_FOR_DECIMALS = 4
LEAST_DECIMAL = 0.05
LEAST_DIGIT = 0.5
LARGEST_DIGIT = 9.5
CURSOR = RichStyle(reverse=True, bold=True)
BLURRED_CURSOR = RichStyle(underline=True, bold=True)


class HeatText(ScrollView, can_focus=True):
    """A text with a cursor token. Under its lines stand glyphs where there is no colour, or numbers."""

    BINDINGS = bindings("text")
    COMPONENT_CLASSES: ClassVar[set[str]] = {"heat-text--under", "heat-text--between"}
    DEFAULT_CSS = """
    HeatText {
        background: $surface; scrollbar-size: 0 1; scrollbar-gutter: stable; overflow-x: hidden; overflow-y: auto;
        & .heat-text--under { color: $foreground-muted; }
        & .heat-text--between { color: $foreground; text-style: bold; }
    }
    """

    class Moved(Message):
        """The cursor came to another token."""

        def __init__(self, text: HeatText) -> None:
            super().__init__()
            self.text = text

        @property
        def control(self) -> HeatText:
            return self.text

    class Opened(Moved):
        """More of this text is wanted."""

    class Scrolled(Moved):
        """Other lines are seen now."""

    def __init__(self, *, text_id: str) -> None:
        super().__init__(id=text_id)
        self._raw = ""
        self._raw_ends: Sequence[int] | None = None
        self._surprisal: Sequence[float] = ()
        self._levels: Sequence[int] = ()
        self._worst_first: Sequence[int] = ()
        self._worst = -1
        self._layout = token_lines("", None, 2)
        self.cursor = 0
        self.numbers = False
        # The cell that up and down keep to where lines allow it.
        self._wanted_cell: int | None = None

    @property
    def tokens(self) -> int:
        """How many tokens are known with their places."""
        return len(self._layout.ends)

    @property
    def layout_lines(self) -> TokenLines:
        return self._layout

    def show(self, text: str, ends: Sequence[int] | None = None, surprisal: Sequence[float] = ()) -> None:
        """Put another text. Without the tokens' places, in characters, it has neither heat nor a cursor."""
        self._raw, self._raw_ends, self._surprisal = text, ends, surprisal
        self._levels = _levels(ends, surprisal) if ends else ()
        self._worst_first = sorted(range(len(ends or ())), key=lambda token: -surprisal[token])
        self.cursor, self._worst, self._wanted_cell = 0, -1, None
        self._lay_out()
        self.scroll_to_row(0)

    def show_numbers(self, numbers: bool) -> None:
        self.numbers = numbers
        self._lay_out()
        self._scroll_to_cursor()

    @property
    def _rows(self) -> int:
        """Rows of the screen that one line of the text takes."""
        return 2 if self._levels and (self.numbers or not is_coloured(self.app)) else 1

    def _lay_out(self) -> None:
        self._layout = token_lines(self._raw, self._raw_ends, self.size.width - 2 * MARGIN)
        self.virtual_size = Size(self.size.width, len(self._layout.lines) * self._rows)
        self.refresh()

    def on_resize(self) -> None:
        self._lay_out()
        self._scroll_to_cursor()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled(self))

    def render_line(self, y: int) -> Strip:
        line, under = divmod(self.scroll_offset.y + y, self._rows)
        ground = self.rich_style
        if line >= len(self._layout.lines):
            return Strip.blank(self.size.width, ground)
        pieces = self._layout.pieces(line)
        segments = self._under(pieces) if under else self._over(pieces, ground)
        strip = Strip([Segment(" " * MARGIN, ground), *segments])
        return strip.adjust_cell_length(self.size.width, ground)

    def _over(self, pieces: Iterable[tuple[int, str]], ground: RichStyle) -> Iterator[Segment]:
        """The text of a line; the cursor is reversed, and underlined while the focus is elsewhere."""
        coloured, dark = is_coloured(self.app), self.app.current_theme.dark
        marked = self._layout.token_at(self._layout.span(self.cursor)[0]) if self.tokens else -1
        for token, text in pieces:
            heat = heat_style(self._levels[token], dark) if coloured and token >= 0 else RichStyle()
            if token < 0 or token != marked:
                yield Segment(text, ground + heat)
            elif self.has_focus:
                yield Segment(text, ground + CURSOR)
            else:
                yield Segment(text, ground + heat + BLURRED_CURSOR)

    def _under(self, pieces: Iterable[tuple[int, str]]) -> Iterator[Segment]:
        """Below a line: the tokens' surprisals as numbers, every other one bold since they may touch, or as glyphs."""
        style, other = (self.get_visual_style(f"heat-text--{name}").rich_style for name in ("under", "between"))
        for token, text in pieces:
            if self.numbers:
                yield Segment(_number(self._surprisal[token], text), other if token % 2 else style)
            else:
                yield Segment(GLYPHS[self._levels[token]] * cell_len(text), style)

    def move_to(self, token: int) -> None:
        """Put the cursor on a token, which comes into sight."""
        token = max(0, min(token, self.tokens - 1))
        if self.tokens and token != self.cursor:
            before, self.cursor, self._wanted_cell = self.cursor, token, None
            self._refresh_token(before)
            self._refresh_token(token)
            self._scroll_to_cursor()
            self.post_message(self.Moved(self))

    def _refresh_token(self, token: int) -> None:
        start, end = self._layout.span(token)
        top, last, rows = self._layout.line_of(start), self._layout.line_of(max(start, end - 1)), self._rows
        self.refresh(Region(0, top * rows - self.scroll_offset.y, self.size.width, (last - top + 1) * rows))

    def _scroll_to_cursor(self) -> None:
        rows, top = self._rows, self.scroll_offset.y
        row = self._layout.line_of(self._layout.start(self.cursor)) * rows
        wanted = min(max(top, row + rows - max(1, self.size.height)), row)
        if wanted != top:
            self.scroll_to_row(wanted)

    def scroll_to_row(self, row: int) -> None:
        """Forced: until the next layout there is no scrollbar yet, without which Textual does not scroll."""
        self.scroll_to(y=row, animate=False, immediate=True, force=True)

    def next_worst(self, step: int) -> None:
        """To the token with the next less surprisal, or back to the one with the next more."""
        if self.tokens:
            self._worst = max(0, min(self._worst + step, self.tokens - 1))
            self.move_to(self._worst_first[self._worst])

    def action_next_token(self) -> None:
        self.move_to(self.cursor + 1)

    def action_previous_token(self) -> None:
        self.move_to(self.cursor - 1)

    def action_cursor_up(self) -> None:
        self._move_lines(-1)

    def action_cursor_down(self) -> None:
        self._move_lines(1)

    def action_page_up(self) -> None:
        self._move_lines(-max(1, self.size.height // self._rows - 1))

    def action_page_down(self) -> None:
        self._move_lines(max(1, self.size.height // self._rows - 1))

    def action_first_row(self) -> None:
        self.move_to(0)
        self.scroll_to_row(0)

    def action_last_row(self) -> None:
        self.move_to(self.tokens - 1)
        self.scroll_to_row(self.max_scroll_y)

    def _move_lines(self, step: int) -> None:
        """To the token that stands above or below; a text without tokens scrolls."""
        if not self.tokens:
            self.scroll_to_row(self.scroll_offset.y + step)
            return
        here = self._layout.line_of(self._layout.start(self.cursor))
        line = max(0, min(here + step, len(self._layout.lines) - 1))
        if line != here:
            cell = self._wanted_cell
            if cell is None:
                cell = cell_len(self._layout.text[self._layout.lines[here][0] : self._layout.start(self.cursor)])
            self.move_to(self._token_at(line, cell))
            self._wanted_cell = cell

    def _token_at(self, line: int, cell: int) -> int:
        """The token that stands on this cell of a line, or the line's last one."""
        for token, text in self._layout.pieces(line):
            cell -= cell_len(text)
            if cell < 0:
                return token
        return self._layout.token_at(max(self._layout.lines[line][0], self._layout.lines[line][1] - 1))

    def action_open_row(self) -> None:
        self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        line = (self.scroll_offset.y + event.y) // self._rows
        if self.tokens and line < len(self._layout.lines):
            self.move_to(self._token_at(line, event.x - MARGIN))
        if event.chain == 2:
            self.action_open_row()


def _number(surprisal: float, text: str) -> str:
    """A surprisal in the cells of its token, below the first letter: with a decimal where there is room, else a digit;
    blank near 0."""
    width = cell_len(text)
    blank = len(text) - len(text.lstrip(" ") or text)
    exact = f"{surprisal:.1f}"
    has_room = width >= WIDE_ENOUGH_FOR_DECIMALS and len(exact) <= width - blank
    if surprisal < (LEAST_DECIMAL if has_room else LEAST_DIGIT) or not width:
        return " " * width
    shown = exact if has_room else f"{surprisal:.0f}" if surprisal < LARGEST_DIGIT else "+"
    return f"{' ' * blank}{shown}".ljust(width)


def _levels(ends: Sequence[int], surprisal: Sequence[float]) -> list[int]:
    """Levels of the tokens; a character of several tokens is as hot as the hottest of them."""
    levels, waiting = [], 0
    before = 0
    for end, value in zip(ends, surprisal, strict=True):
        level = heat_level(value)
        waiting = max(waiting, level)
        levels.append(waiting)
        if end > before:
            waiting = 0
        before = end
    return levels
