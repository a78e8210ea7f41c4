"""The only way by which text of foreign origin becomes something drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter, Monochrome, NoColor

from core.text import visible, visible_characters

MUTED = "$foreground-muted"


def plain(text: str, style: str = "", *, multiline: bool = False) -> Content:
    """The text without any meaning as markup, every hidden character made visible; `multiline` keeps line breaks."""
    return Content.styled(visible(text, multiline=multiline), style)


def joined(parts: Iterable[Content], separator: str = " · ") -> Content:
    """The parts that hold something, with a muted separator between them."""
    return Content.styled(separator, MUTED).join([part for part in parts if part.plain])


class OutputGuard(LineFilter):
    """The last stop before the terminal: no control or hidden character passes, whatever a widget drew."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [segment if segment.control else _guarded(segment) for segment in segments]


class OutputFilters:
    """What every line passes before it is written; always the same objects, since lines that were filtered once are
    kept by them."""

    def __init__(self) -> None:
        self._no_colour, self._guard = NoColor(), OutputGuard()

    def added_to(self, filters: Sequence[LineFilter]) -> list[LineFilter]:
        """Textual's; but where no colour is wanted no grey is either. The guard is the last."""
        return [*(self._no_colour if isinstance(each, Monochrome) else each for each in filters), self._guard]


def _guarded(segment: Segment) -> Segment:
    text = segment.text
    if visible(text) == text:
        return segment
    # A hidden character that was counted as a cell leaves its cell blank, so that no column moves.
    shown = zip(text, visible_characters(text), strict=True)
    return Segment("".join(old if old == new else " " * cell_len(old) for old, new in shown), segment.style)
