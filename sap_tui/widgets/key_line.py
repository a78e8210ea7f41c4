"""The line at the bottom with the keys that do something now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from sap_tui.keys import ACTIONS, shown_key

if TYPE_CHECKING:
    from sap_tui.app import SapApp

BLANKS = 3
# With these one finds what had no room.
ALWAYS_SHOWN = ("close", "help", "command_palette", "quit")
ACTION = {action.id: action for action in ACTIONS}
Shown = tuple[str, str, bool]
"""Name of an action, the key that is shown for it, and whether it can be done now."""


class KeyLine(Footer):
    """Textual's footer, but in the order of keys.py whatever the keys are, made anew only when it has something else to
    show, and without the keys that have no room."""

    if TYPE_CHECKING:
        app: SapApp

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown: list[Shown] | None = None
        self._room = 0

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        self._room = self.app.size.width
        kept = with_room(self._possible(self.screen), self._room)
        self.styles.grid_size_columns = len(kept)
        for action, key, enabled in kept:
            made = ACTION[action]
            yield FooterKey(
                key, shown_key(key), made.label, action, disabled=not enabled, tooltip=made.description
            ).data_bind(compact=Footer.compact)

    def _possible(self, screen: Screen[object]) -> list[Shown]:
        """The actions of keys.py for this line that the screen knows now, each with the first of its keys that does
        it."""
        active = {(each.binding.action, key): each.enabled for key, each in screen.active_bindings.items()}
        possible = []
        for action in ACTIONS:
            keys = [key for key in self.app.keymap.keys(action) if (action.id, key) in active]
            if action.footer and keys:
                possible.append((action.id, keys[0], active[action.id, keys[0]]))
        return possible

    def on_resize(self) -> None:
        if self._room and self._room != self.app.size.width:
            self.call_after_refresh(self.recompose)

    def bindings_changed(self, screen: Screen[object]) -> None:
        shown = self._possible(screen)
        if shown != self._shown:
            is_taken = screen.app.app_focus and self.is_attached and screen is self.screen
            self._shown = shown if is_taken else None
            super().bindings_changed(screen)


def with_room(possible: Sequence[Shown], room: int) -> list[Shown]:
    """What fits into so many cells: the first ones, and always those with which one finds the others."""
    kept = list(possible)
    for each in reversed(possible):
        if sum(map(_width, kept)) > room and each[0] not in ALWAYS_SHOWN:
            kept.remove(each)
    return kept


def _width(shown: Shown) -> int:
    action, key, _ = shown
    return len(shown_key(key)) + len(ACTION[action].label) + BLANKS
