"""A form in a window: labelled lines, a remark under them, and the button that does it."""

from __future__ import annotations

import os
from pathlib import Path

from textual.app import App
from textual.containers import Horizontal
from textual.content import Content
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Button, Label, Static


def labelled(label: str, *values: Widget) -> Horizontal:
    """A line of a form."""
    for value in values:
        value.add_class("value")
    return Horizontal(Label(Content(label), classes="label"), *values, classes="line")


def buttons(moves: str, *names: tuple[str, str]) -> Horizontal:
    """The last line: how to move in the form, and its buttons as (id, label), the first of which does it."""
    made = [
        Button(Content(label), id=name, variant="default" if place else "primary", compact=True)
        for place, (name, label) in enumerate(names)
    ]
    return Horizontal(Static(Content(moves), classes="moves"), *made, classes="buttons")


async def picked(app: App[None], typed: str, *, folder: bool = False) -> str | None:
    """Let the user pick a file or a folder, beginning where the typed path is; None without a choice."""
    from textual_fspicker import FileOpen, SelectDirectory

    path = Path(os.path.expanduser(typed or "."))
    start = path if path.is_dir() else path.parent
    chosen = await app.push_screen_wait(SelectDirectory(start) if folder else FileOpen(start, must_exist=True))
    return None if chosen is None else str(chosen)


class PathSuggester(Suggester):
    """Completes paths of files and folders, after those that were given."""

    def __init__(self, first: tuple[str, ...] = ()) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._first = first

    async def get_suggestion(self, value: str) -> str | None:
        known = next((path for path in self._first if path.startswith(value)), None)
        return known or _completed(value)


def _completed(value: str) -> str | None:
    folder, _, start = value.rpartition("/")
    where = os.path.expanduser(f"{folder}/") if folder or value.startswith("/") else "."
    if not start:
        return None
    try:
        with os.scandir(where) as entries:
            names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    except (OSError, ValueError):
        return None
    found = next((name for name in names if name.startswith(start)), None)
    return None if found is None else value[: len(value) - len(start)] + found
