"""Options to choose one or several from, with the arrow keys and space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.actions import SkipAction
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from sap_tui.keys import bindings
from sap_tui.text import MUTED, plain

GAP = "  "
SIGN_AND_SPACE = "☐ "


class Choices(Widget, can_focus=True):
    """Options as (value, label). Of one kind the cursor is the choice; with `several`, space takes and leaves each."""

    BINDINGS = bindings("choices")
    DEFAULT_CSS = "Choices { height: auto; width: 1fr; } Choices:focus { background: $row-cursor; }"

    class Moved(Message):
        """The cursor is on another option; of one kind, that is a change too."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

        @property
        def control(self) -> Choices:
            return self.choices

    class Changed(Moved):
        """Something else is chosen."""

    def __init__(
        self, options: Sequence[tuple[str, str]], field: str, *, chosen: Iterable[str] = (), several: bool = False
    ) -> None:
        super().__init__(id=field)
        self._several = several
        self._cursor = 0
        self.chosen: set[str] = set()
        self.set_options(options, chosen)

    def set_options(self, options: Sequence[tuple[str, str]], chosen: Iterable[str] = ()) -> None:
        self._options = tuple(options)
        self.chosen = set(chosen)
        if not self._several:
            places = [place for place, (value, _) in enumerate(options) if value in self.chosen]
            self._cursor = places[0] if places else 0
        self.refresh(layout=True)

    @property
    def values(self) -> list[str]:
        """What is chosen, in the order of the options."""
        if self._several:
            return [value for value, _ in self._options if value in self.chosen]
        return [self._options[self._cursor][0]] if self._options else []

    @property
    def value(self) -> str:
        return next(iter(self.values), "")

    def render(self) -> Content:
        lines = self._lines(self.size.width)
        return Content("\n").join([Content(GAP).join([self._option(place) for place in line]) for line in lines])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self._lines(width)))

    def _lines(self, width: int) -> list[list[int]]:
        """The places of the options in lines of at most `width` cells; an option is never broken."""
        lines: list[list[int]] = []
        free = 0
        for place in range(len(self._options)):
            cells = self._cells(place)
            if not lines or cells > free:
                lines.append([])
                free = width
            lines[-1].append(place)
            free -= cells + len(GAP)
        return lines

    def _cells(self, place: int) -> int:
        return len(SIGN_AND_SPACE) + plain(self._options[place][1]).cell_length

    def _option(self, place: int) -> Content:
        value, label = self._options[place]
        taken = value in self.chosen if self._several else place == self._cursor
        style = "$primary bold" if taken else MUTED
        if self._several and self.has_focus and place == self._cursor:
            style += " underline"
        sign = ("☑ " if taken else "☐ ") if self._several else ("● " if taken else "○ ")
        return Content.assemble((sign, style), plain(label, style))

    @property
    def at_cursor(self) -> str:
        """The value of the option with the cursor."""
        return self._options[self._cursor][0] if self._options else ""

    def action_previous_choice(self) -> None:
        self._move(-1)

    def action_next_choice(self) -> None:
        self._move(1)

    def action_choice_above(self) -> None:
        self._move_line(-1)

    def action_choice_below(self) -> None:
        self._move_line(1)

    def _move(self, step: int) -> None:
        place = max(0, min(len(self._options) - 1, self._cursor + step))
        if place != self._cursor:
            self._cursor = place
            self.refresh()
            self.post_message(self.Moved(self) if self._several else self.Changed(self))

    def _move_line(self, step: int) -> None:
        """To the option above or below; where there is no such line the key is the form's."""
        lines = self._lines(self.size.width)
        line = next((number for number, places in enumerate(lines) if self._cursor in places), 0)
        if not 0 <= line + step < len(lines):
            raise SkipAction
        here = self._start(lines[line], self._cursor)
        places = lines[line + step]
        self._move(min(places, key=lambda place: abs(self._start(places, place) - here)) - self._cursor)

    def _start(self, line: Sequence[int], place: int) -> int:
        """The cell of the line in which the option starts."""
        return sum(self._cells(before) + len(GAP) for before in line if before < place)

    def action_take_choice(self) -> None:
        if self._several and self._options:
            self.chosen ^= {self._options[self._cursor][0]}
            self.refresh()
            self.post_message(self.Changed(self))

    def on_click(self, event: events.Click) -> None:
        lines = self._lines(self.size.width)
        start = 0
        for place in lines[event.y] if event.y < len(lines) else ():
            end = start + self._cells(place)
            if start <= event.x < end:
                self._move(place - self._cursor)
                self.action_take_choice()
            start = end + len(GAP)
