"""The only way by which text of foreign origin becomes something drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import set_cell_size, split_graphemes
from rich.segment import Segment
from textual.color import Color
from textual.content import Content, Span
from textual.filter import LineFilter, Monochrome, NoColor

from sap_tui.cells import ELLIPSIS, kept_ends, on_screen, on_screen_characters

MUTED = "$foreground-muted"


def plain(text: str, style: str = "", *, multiline: bool = False) -> Content:
    """The text without any meaning as markup, every hidden character made visible; `multiline` keeps line breaks."""
    return Content.styled(on_screen(text, multiline=multiline), style)


def joined(parts: Iterable[Content], separator: str = " · ") -> Content:
    """The parts that hold something, with a muted separator between them."""
    return Content.styled(separator, MUTED).join([part for part in parts if part.plain])


def shortened(name: Content, cells: int) -> Content:
    """As `sap_tui.cells.shortened`, with its styles."""
    start, end = kept_ends(name.plain, cells)
    if start == end:
        return name
    gone = end - start - len(ELLIPSIS)
    spans = [
        Span(
            each.start if each.start <= start else max(start, each.start - gone),
            each.end - gone if each.end >= end else min(start, each.end),
            each.style,
        )
        for each in name.spans
    ]
    return Content(
        f"{name.plain[:start]}{ELLIPSIS}{name.plain[end:]}", [span for span in spans if span.start < span.end]
    )


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
    if on_screen(text) == text:
        return segment
    graphemes, _ = split_graphemes(text)
    return Segment("".join(_in_its_cells(text[start:end], cells) for start, end, cells in graphemes), segment.style)


def _in_its_cells(grapheme: str, cells: int) -> str:
    """What may be drawn of it, and blank cells for the rest, so that no column moves."""
    signs = zip(grapheme, on_screen_characters(grapheme), strict=True)
    kept = "".join(old for old, new in signs if old == new)
    return set_cell_size(kept, cells)
