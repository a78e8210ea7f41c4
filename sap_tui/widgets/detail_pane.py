"""The pane beside a table: what is under the cursor, in full."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from sap_tui.text import MUTED, plain

LONGEST_TEXT = 4_000


class DetailPane(VerticalScroll, can_focus=False):
    """Scrolls with the mouse; its text is drawn again only when it changed."""

    DEFAULT_CSS = "DetailPane { scrollbar-size: 0 1; } DetailPane > Static { height: auto; }"

    def __init__(self, id: str = "detail") -> None:
        super().__init__(id=id)
        self._shown = Content()

    def compose(self) -> ComposeResult:
        yield Static(Content())

    def show(self, title: Content, content: Content) -> None:
        self.border_title = title
        if not content.is_same(self._shown):
            self._shown = content
            self.query_one(Static).update(content)


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
