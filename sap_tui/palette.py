"""The command palette: everything of keys.py that can be done now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from sap_tui.keys import PLACES, Action, Place, actions_of
from sap_tui.text import MUTED

if TYPE_CHECKING:
    from sap_tui.app import SapApp


class ValidActions(Provider):
    """The actions of the app and of the screen below the palette, without those that make no sense at the moment."""

    async def discover(self) -> Hits:
        for place, action, owner in self._valid():
            do = partial(self.app.run_action, action.id, default_namespace=owner)
            yield DiscoveryHit(self._shown(Content(action.description), place, action), do, text=action.description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for place, action, owner in self._valid():
            text = action.description
            score = max(matcher.match(text), matcher.match(action.label))
            if score > 0:
                do = partial(self.app.run_action, action.id, default_namespace=owner)
                yield Hit(score, self._shown(matcher.highlight(text), place, action), do, text=text)

    def _valid(self) -> Iterator[tuple[Place, Action, DOMNode]]:
        """Every action that the screen, the app or what has the focus would do now, its place, and who does it."""
        from sap_tui.screens.help import DECLARED

        owners: list[DOMNode] = [self.screen, self.app]
        places: list[Place] = [getattr(self.screen, "PLACE", "app"), "app"]
        for kind, place in DECLARED:
            if self.focused is not None and isinstance(self.focused, kind):
                owners.append(self.focused)
                places.append(place)
        for place in dict.fromkeys(places):
            for action in actions_of(place):
                owner = next((owner for owner in owners if hasattr(owner, f"action_{action.id}")), None)
                if action.id != "command_palette" and owner is not None and owner.check_action(action.id, ()):
                    yield place, action, owner

    def _shown(self, text: Content, place: Place, action: Action) -> Content:
        app = cast("SapApp", self.app)
        return Content.assemble(text, f"  {' '.join(app.keymap.shown(action))}", (f"  {PLACES[place]}", MUTED))
