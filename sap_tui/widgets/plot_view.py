"""What the views of the outcomes screen have in common: each is made of one answer of the command-line twin."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from textual.content import Content

from core.domain import Run
from sap_tui.cells import on_screen, shortened
from sap_tui.text import MUTED, plain
from sap_tui.themes import PlotColour, style_of
from sap_tui.widgets.drawing import Drawing, letter_of
from sap_tui.widgets.records import Column, Record

NAME_CELLS = 28


class PlotView:
    """A plot or a matrix with its table and its words. `metrics` are those to go through, `metric` is the shown one."""

    metrics: Sequence[str] = ()
    metric: str = ""

    def __init__(self, answer: dict[str, Any], run: Run, colours: Sequence[PlotColour]) -> None:
        self.answer = answer
        self._places = {name: place for place, name in enumerate(run.strategies)}
        self._colours = colours

    def columns(self) -> tuple[Column, ...]:
        raise NotImplementedError

    def records(self) -> list[Record]:
        raise NotImplementedError

    def drawing(self, cursor: Hashable | None) -> Drawing | None:
        """The plot, with what the cursor is on set off; None for a view that is all table."""
        return None

    def verdict(self) -> Content:
        """The one or two sentences that matter most."""
        raise NotImplementedError

    def notes(self) -> Iterable[Content]:
        """Lines about what limits it."""
        return ()

    def details(self, key: Hashable | None) -> tuple[Content, Content, Content]:
        """Title and two texts about a row."""
        raise NotImplementedError

    def letter(self, strategy: str) -> str:
        return letter_of(self._places.get(strategy, len(self._places)))

    def place(self, strategy: str) -> int:
        return self._places.get(strategy, 0)

    def style(self, place: int) -> str:
        """The colour of a strategy or a side, as a style of text."""
        return style_of(self._colours[place % len(self._colours)])

    def lettered(self, strategy: str, coloured: bool = True) -> Content:
        """A strategy's name behind the letter that it has in the plot."""
        style = f"{self.style(self.place(strategy))} bold" if coloured else "bold"
        return Content.assemble((self.letter(strategy), style), " ", plain(strategy))


def cut(name: str) -> str:
    """A name short enough for a sentence."""
    return shortened(on_screen(name), NAME_CELLS)


def sentences(texts: Iterable[str], style: str = "") -> Content:
    return Content("\n").join([plain(text, style) for text in texts])


def note(text: str) -> Content:
    return plain(f"· {text}", MUTED)
