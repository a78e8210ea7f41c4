"""The line at the top: where one is, what else there is, and how the runs go."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from sap_tui.bridge import Snapshot
from sap_tui.keys import PLACES, Place
from sap_tui.text import MUTED, joined, plain
from sap_tui.widgets.progress import STATES

if TYPE_CHECKING:
    from sap_tui.app import SapApp

NARROW = 100
TABS = (("catalogue", "Catalogue"), ("live", "Runs"), ("ranking", "Ranking"), ("outcomes", "Outcomes"))
COUNTED = ("running", "queued", "paused", "interrupted", "stalled", "waiting", "failed")


class Tab(Static):
    """The name of a mode, and of what was opened from it; a click goes there."""

    def __init__(self, mode: str, key: str, label: str) -> None:
        super().__init__(Content.assemble((key, MUTED), f" {label}"), classes="tab")
        self.mode = mode

    def on_click(self) -> None:
        self.app.switch_mode(self.mode)


class TitleBar(Horizontal):
    """Name, tabs, machine and catalogue, and how many runs are in which state."""

    DEFAULT_CSS = """
    TitleBar {
        dock: top; height: 1; background: $panel;
        & > .name { width: auto; padding: 0 2 0 1; text-style: bold; color: $primary; }
        & > .tab { width: auto; padding: 0 1; color: $foreground-muted; }
        & > .tab.-here { color: $foreground; background: $surface; text-style: bold; }
        & > .tab:hover { color: $foreground; }
        & > .place { width: 1fr; padding: 0 1; text-align: right; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .counts { width: auto; padding: 0 1; }
    }
    """

    def __init__(self, place: Place, catalogue: Path) -> None:
        super().__init__()
        self._here = place
        self._place = plain(f"{socket.gethostname()}:{_short(catalogue)}", MUTED)

    def compose(self):  # type: ignore[no-untyped-def]
        yield Static(Content("sap-tui"), classes="name")
        app = cast("SapApp", self.app)
        for mode, label in TABS:
            is_here = mode == app.current_mode
            opened = f" › {PLACES[self._here]}" if is_here and self._here != mode else ""
            tab = Tab(mode, app.keymap.shown_first(f"show_{mode}"), f"{label}{opened}")
            tab.set_class(is_here, "-here")
            yield tab
        yield Static(self._place, classes="place")
        yield Static(Content(), classes="counts")

    def show(self, snapshot: Snapshot) -> None:
        words = [run.shown for run in snapshot.runs]
        counts = [self._count(word, words.count(word)) for word in COUNTED if word in words]
        content, shown = joined(counts), self.query_one(".counts", Static)
        if not isinstance(shown.content, Content) or not content.is_same(shown.content):
            shown.display = bool(counts)
            shown.update(content)

    def _count(self, word: str, number: int) -> Content:
        sign, colour = STATES[word]
        return Content.styled(f"{sign} {number}" if self.app.size.width < NARROW else f"{number} {word}", colour)


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
