"""The pane beside a table: what is under the cursor, in full."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Static

from sap_tui.text import MUTED, plain

EMPTY = Content()
LONGEST_TEXT = 4_000
LEAST_WRAPPED = 10


class Lines(Static):
    """A text of which only those lines are drawn again that changed."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = Content()

    def render(self) -> Content:
        return self._shown

    def show(self, content: Content) -> None:
        if content.is_same(self._shown):
            return
        width = max(1, self.size.width)
        before, after = self._shown.wrap(width), content.wrap(width)
        self._shown = content
        if len(before) != len(after):
            self.refresh(layout=True)
            return
        changed = [place for place, pair in enumerate(zip(before, after, strict=True)) if not pair[0].is_same(pair[1])]
        if changed:
            self.refresh(*(Region(0, place, width, 1) for place in changed))


class DetailPane(VerticalScroll, can_focus=False):
    """Some texts, one under the other or, where there is room, side by side."""

    DEFAULT_CSS = """
    DetailPane {
        scrollbar-size: 0 1;
        /* Texts are wrapped for their width: a scrollbar that took some of it could come and go for ever. */
        scrollbar-gutter: stable;
        & > Container { height: auto; layout: vertical; }
        & Static { height: auto; }
    }
    """

    def __init__(self, parts: int = 2) -> None:
        super().__init__(id="detail")
        self._parts = parts

    def compose(self) -> ComposeResult:
        with Container():
            for _ in range(self._parts):
                yield Lines()

    def show(self, title: Content, *contents: Content) -> None:
        """Show a text in every part; those that have none are empty."""
        retitle(self, title)
        filled = (*contents, *[EMPTY] * (self._parts - len(contents)))
        for lines, content in zip(self.query(Lines), filled, strict=True):
            lines.show(content)


def retitle(widget: Widget, title: Content) -> None:
    """Set a border title; setting the same one again would redraw everything inside the border."""
    if widget.border_title != title.markup:
        widget.border_title = title


def fields(pairs: Iterable[tuple[str, Content]], width: int | None = None) -> Content:
    """A line for every field that holds something, names in one column; with a width, values are wrapped beside it."""
    filled = [(name, value) for name, value in pairs if value.plain]
    names_width = max((len(name) for name, _ in filled), default=0) + 2
    lines = [hanging(Content.styled(name.ljust(names_width), MUTED), value, width) for name, value in filled]
    return Content("\n").join(lines)


def hanging(start: Content, text: Content, width: int | None) -> Content:
    """A text after what starts it; lines that follow, if there is a width to wrap at, stand under its beginning."""
    room = 0 if width is None else width - start.cell_length
    if room < LEAST_WRAPPED:
        return start + text
    return start + Content("\n" + " " * start.cell_length).join(text.wrap(room))


def section(heading: str, text: str) -> Content:
    """A heading with a text of foreign origin under it, cut when very long; nothing for an empty text."""
    if not text:
        return Content()
    rest = len(text) - LONGEST_TEXT
    cut = Content.styled(f"\n… {rest:,} more characters", MUTED) if rest > 0 else Content()
    return Content.assemble((f"\n{heading}\n", "$primary bold"), plain(text[:LONGEST_TEXT], multiline=True), cut)
