"""Scrollbars of characters for terminals without colour, where a bar of backgrounds could not be seen."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style
from textual._context import active_app
from textual.scrollbar import ScrollBar, ScrollBarRender

HANDLE, TRACK = "█", "░"


class ScrollSigns(ScrollBarRender):
    """Textual's scrollbar; where no colour is wanted the same one, its handle and its track drawn as signs."""

    @classmethod
    def render_bar(
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: Color = Color.default(),  # noqa: B008
        bar_color: Color = Color.default(),  # noqa: B008
    ) -> Segments:
        bar = super().render_bar(size, virtual_size, window_size, position, thickness, vertical, back_color, bar_color)
        return Segments(list(map(_signed, bar.segments)), bar.new_lines) if active_app.get().no_color else bar


def _signed(segment: Segment) -> Segment:
    if not segment.text.strip("\n"):
        return segment
    meta = segment.style.meta if segment.style else {}
    sign = HANDLE if meta.get("@mouse.down") == "grab" else TRACK
    return Segment(sign * len(segment.text), Style(meta=meta))


def use_scroll_signs() -> None:
    ScrollBar.renderer = ScrollSigns
