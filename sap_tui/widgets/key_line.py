"""The line at the bottom with the keys that do something now."""

from __future__ import annotations

from textual.screen import Screen
from textual.widgets import Footer


class KeyLine(Footer):
    """Textual's footer, but made anew only when it has something else to show, not at every move of the focus."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown: list[tuple[str, str, bool]] | None = None

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
