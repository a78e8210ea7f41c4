"""Help: how to read the screen one comes from, and every key that works there."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from sap_tui.keys import PLACES, Place, actions_of, bindings
from sap_tui.text import MUTED
from sap_tui.widgets.dialogs import Dialog

LASTING = (
    "Everything here has a twin on the command line: sap-tui --help. To keep a theme, or to set a model, samples or "
    "device once for all, write them to config.toml; sap-tui paths says where it lies."
)


class HelpScreen(Dialog[None]):
    """Made for the screen below it."""

    BINDINGS = bindings("dialog", "help")

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._place: Place = getattr(screen, "PLACE", "app")
        self._prose: str = getattr(screen, "PROSE", "")

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window", can_focus=False) as window:
            window.border_title = Content(f"Help: {PLACES[self._place]}")
            yield Static(Content(self._prose))
            places: list[Place] = [self._place, "table", "app"]
            for place in dict.fromkeys(places):
                yield Static(_keys(place))
            yield Static(Content.styled(f"\n{LASTING}", MUTED))
        yield Footer(show_command_palette=False)

    def action_scroll_help_up(self) -> None:
        self.query_one(VerticalScroll).scroll_up()

    def action_scroll_help_down(self) -> None:
        self.query_one(VerticalScroll).scroll_down()


def _keys(place: Place) -> Content:
    lines = [Content.styled(f"\nKeys {PLACES[place]}" if place in ("table", "app") else "\nKeys here", "$primary bold")]
    for action in actions_of(place):
        keys = " ".join(action.shown_keys)
        lines.append(Content.assemble((f"{keys:<14}", "bold"), action.description))
    return Content("\n").join(lines)
