"""The command palette: everything of keys.py that can be done now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from sap_tui.keys import Action, actions_of
from sap_tui.text import MUTED
from sap_tui.widgets.record_table import RecordTable

if TYPE_CHECKING:
    from sap_tui.app import SapApp


class ValidActions(Provider):
    """The actions of the app and of the screen below the palette, without those that make no sense at the moment."""

    async def discover(self) -> Hits:
        for action, owner in self._valid():
            do = partial(self.app.run_action, action.id, default_namespace=owner)
            yield DiscoveryHit(self._shown(Content(action.description), action), do, text=action.description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action, owner in self._valid():
            text = action.description
            score = max(matcher.match(text), matcher.match(action.label))
            if score > 0:
                do = partial(self.app.run_action, action.id, default_namespace=owner)
                yield Hit(score, self._shown(matcher.highlight(text), action), do, text=text)

    def _valid(self) -> Iterator[tuple[Action, DOMNode]]:
        """Every action that the screen, the app or the table in focus would do now, and which of them does it."""
        owners: list[DOMNode] = [self.screen, self.app]
        if isinstance(self.focused, RecordTable):
            owners.append(self.focused)
        for action in (*actions_of(getattr(self.screen, "PLACE", "app")), *actions_of("app"), *actions_of("table")):
            owner = next((owner for owner in owners if hasattr(owner, f"action_{action.id}")), None)
            if action.id != "command_palette" and owner is not None and owner.check_action(action.id, ()):
                yield action, owner

    def _shown(self, text: Content, action: Action) -> Content:
        app = cast("SapApp", self.app)
        return Content.assemble(text, (f"  {' '.join(app.keymap.shown(action))}", MUTED))
