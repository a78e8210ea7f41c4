"""Help: how to read the screen one comes from, what the widget in focus is for, and every key that works there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static

from sap_tui.keys import ACTIONS, OVER_OTHERS, PLACES, Place, actions_of, bindings, shown_key
from sap_tui.text import MUTED
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.heat_text import HeatText
from sap_tui.widgets.key_line import KeyLine
from sap_tui.widgets.record_table import RecordTable

if TYPE_CHECKING:
    from sap_tui.app import SapApp

LASTING = (
    "Everything here has a twin on the command line: sap-tui --help. Theme, model, samples, device and more are kept "
    "in the settings ({settings}); other keys too, see sap-tui keys."
)
KEYS_WIDTH = 14
# What has the focus, by the widget: its name, and what one does there. A widget's own HELP comes first.
WIDGETS: tuple[tuple[type[Widget], str, str], ...] = (
    (RecordTable, "the table", "The pane and the keys are about the row with the cursor. Click a title to sort by it; "
     "marked rows have a ● before them; › at the right end of the titles says that there are more columns."),
    (HeatText, "a response", "The cursor is on one token; the line at the bottom has its numbers. A click goes to a "
     "token, up and down to the one above or below."),
    (Choices, "a choice", "● is what is chosen. Where there are boxes several can be taken; ☑ is taken."),
    (Input, "a line to type in", "Letters are typed here, so the keys of letters work again when you leave the line."),
    (OptionList, "a list", "enter takes the line with the cursor."),
    (Button, "a button", "enter presses it, tab goes on to the next."),
)  # fmt: skip
# Widgets whose keys are those of a place.
DECLARED: Sequence[tuple[type[Widget], Place]] = ((RecordTable, "table"), (HeatText, "text"), (Choices, "choices"))


class HelpScreen(Dialog[None]):
    """Made for the screen below it and the widget that has the focus there."""

    BINDINGS = bindings("dialog", "help")
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._below = screen
        self._place: Place = getattr(screen, "PLACE", "dialog" if screen.is_modal else "app")
        self._prose: str = getattr(screen, "PROSE", "")

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window", can_focus=False) as window:
            window.border_title = Content(f"Help: {PLACES[self._place]}")
            if self._prose:
                yield Static(Content(self.app.keymap.in_words(self._prose)))
            for part in self._parts():
                yield Static(part)
            yield Static(Content.styled(f"\n{self.app.keymap.in_words(LASTING)}", MUTED))
        yield KeyLine()

    def _parts(self) -> Iterator[Content]:
        """The keys here, the widget in focus, the keys everywhere."""
        if self._place != "app":
            yield _listed("Keys here", self._declared(self._place))
        focused = self._below.focused
        if focused is not None:
            name, about = described(focused)
            place = next((place for kind, place in DECLARED if isinstance(focused, kind)), None)
            keys = self._declared(place) if place else self._of_widget(focused)
            yield _listed(f"In focus: {name}", keys, about)
        if self._place not in OVER_OTHERS:
            yield _listed("Keys everywhere", self._declared("app"))

    def _declared(self, place: Place) -> list[tuple[str, str]]:
        places: tuple[Place, ...] = ("dialog", place) if place in OVER_OTHERS else (place,)
        return [(" ".join(self.app.keymap.shown(action)), action.description) for action in actions_of(*places)]

    def _of_widget(self, focused: Widget) -> list[tuple[str, str]]:
        """The keys that the widget itself brings, those of one action together."""
        own: dict[str, list[ActiveBinding]] = {}
        for binding in self._below.active_bindings.values():
            if binding.node is focused and binding.binding.action not in {action.id for action in ACTIONS}:
                own.setdefault(binding.binding.action, []).append(binding)
        return [
            (" ".join(shown_key(each.binding.key) for each in same), same[0].binding.description)
            for same in own.values()
            if same[0].binding.description
        ]

    def action_scroll_help_up(self) -> None:
        self.query_one(VerticalScroll).scroll_up(animate=False, immediate=True)

    def action_scroll_help_down(self) -> None:
        self.query_one(VerticalScroll).scroll_down(animate=False, immediate=True)

    def action_help_page_up(self) -> None:
        self.query_one(VerticalScroll).scroll_page_up(animate=False)

    def action_help_page_down(self) -> None:
        self.query_one(VerticalScroll).scroll_page_down(animate=False)

    async def action_help(self) -> None:
        """The same key that opened it."""
        self.action_close()


def described(widget: Widget) -> tuple[str, str]:
    """The name of a widget in words, and what one does there."""
    found = next(((name, about) for kind, name, about in WIDGETS if isinstance(widget, kind)), ("", ""))
    return found[0] or type(widget).__name__, widget.HELP or found[1]


def _listed(heading: str, keys: Iterable[tuple[str, str]], about: str = "") -> Content:
    lines = [Content.styled(f"\n{heading}", "$primary bold"), *([Content(about)] if about else [])]
    lines += [Content.assemble((f"{shown:<{KEYS_WIDTH}}", "bold"), f" {description}") for shown, description in keys]
    return Content("\n").join(lines)
