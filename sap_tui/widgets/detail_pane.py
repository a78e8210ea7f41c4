"""The pane beside a table: what is under the cursor, in full."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from sap_tui.text import MUTED, plain

EMPTY = Content()
LONGEST_TEXT = 4_000


class DetailPane(VerticalScroll, can_focus=False):
    """Two texts, one under the other or, where there is room, side by side; drawn again only when they changed."""

    DEFAULT_CSS = """
    DetailPane {
        scrollbar-size: 0 1;
        & > Container { height: auto; layout: vertical; }
        & Static { height: auto; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._shown = [Content(), Content()]

    def compose(self) -> ComposeResult:
        with Container():
            yield Static(Content())
            yield Static(Content())

    def show(self, title: Content, first: Content, second: Content = EMPTY) -> None:
        retitle(self, title)
        for place, (static, content) in enumerate(zip(self.query(Static), (first, second), strict=True)):
            if not content.is_same(self._shown[place]):
                self._shown[place] = content
                static.update(content, layout=len(content.wrap(max(1, static.size.width))) != static.size.height)


def retitle(widget: Widget, title: Content) -> None:
    """Set a border title; setting the same one again would redraw everything inside the border."""
    if widget.border_title != title.markup:
        widget.border_title = title


def fields(pairs: Iterable[tuple[str, Content]]) -> Content:
    """A line for every field that holds something, names in one column."""
    filled = [(name, value) for name, value in pairs if value.plain]
    width = max((len(name) for name, _ in filled), default=0) + 2
    return Content("\n").join(Content.assemble((name.ljust(width), MUTED), value) for name, value in filled)


def section(heading: str, text: str) -> Content:
    """A heading with a text of foreign origin under it, cut when very long; nothing for an empty text."""
    if not text:
        return Content()
    rest = len(text) - LONGEST_TEXT
    cut = Content.styled(f"\n… {rest:,} more characters", MUTED) if rest > 0 else Content()
    return Content.assemble((f"\n{heading}\n", "$primary bold"), plain(text[:LONGEST_TEXT], multiline=True), cut)
