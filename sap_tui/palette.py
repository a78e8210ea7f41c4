"""The command palette: everything of keys.py that can be done now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from sap_tui.keys import Action, actions_of
from sap_tui.text import MUTED


class ValidActions(Provider):
    """The actions of the app and of the screen below the palette, without those that make no sense at the moment."""

    async def discover(self) -> Hits:
        for action in self._valid():
            yield DiscoveryHit(_display(action), partial(self._do, action), text=action.description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._valid():
            text = action.description
            score = max(matcher.match(text), matcher.match(action.label))
            if score > 0:
                shown = Content.assemble(matcher.highlight(text), (f"  {' '.join(action.shown_keys)}", MUTED))
                yield Hit(score, shown, partial(self._do, action), text=text)

    def _valid(self) -> Iterator[Action]:
        place = getattr(self.screen, "PLACE", None)
        for action in (*(actions_of(place) if place else ()), *actions_of("app")):
            if action.id != "command_palette" and self.screen.check_action(action.id, ()):
                yield action

    async def _do(self, action: Action) -> None:
        owner = self.screen if "app" not in action.places else self.app
        await self.app.run_action(action.id, default_namespace=owner)


def _display(action: Action) -> Content:
    return Content.assemble(action.description, (f"  {' '.join(action.shown_keys)}", MUTED))
