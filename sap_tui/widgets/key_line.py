"""The line at the bottom with the keys that do something now."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

BLANKS = 3
# Help, menu and quit: with these one finds what had no room.
ALWAYS_SHOWN = 3


class KeyLine(Footer):
    """Textual's footer, but made anew only when it has something else to show, not at every move of the focus, and
    without the keys that have no room."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown: list[tuple[str, str, bool]] | None = None
        self._room = 0

    def compose(self) -> ComposeResult:
        self._room = self.app.size.width
        yield from with_room(super().compose(), self._room)

    def on_resize(self) -> None:
        if self._room and self._room != self.app.size.width:
            self.call_after_refresh(self.recompose)

    def bindings_changed(self, screen: Screen[object]) -> None:
        shown = [
            (binding.key, binding.description, enabled)
            for _, binding, enabled, _ in screen.active_bindings.values()
            if binding.show
        ]
        if shown != self._shown:
            is_taken = screen.app.app_focus and self.is_attached and screen is self.screen
            self._shown = shown if is_taken else None
            super().bindings_changed(screen)


def with_room(keys: Iterable[Widget], room: int) -> list[Widget]:
    """The keys that fit into so many cells: the first ones, and always the last three."""
    kept = list(keys)
    while len(kept) > ALWAYS_SHOWN and sum(map(_width, kept)) > room:
        del kept[-ALWAYS_SHOWN - 1]
    return kept


def _width(key: Widget) -> int:
    return len(key.key_display) + len(key.description) + BLANKS if isinstance(key, FooterKey) else 0
