"""Writing what a screen shows to a file, by the command-line twin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.export.files import export_path
from sap_tui.twin import ask, option
from sap_tui.widgets.dialogs import AskPath

if TYPE_CHECKING:
    from sap_tui.app import SapApp


def ask_and_write(app: SapApp, what: str, name: str, arguments: Sequence[str]) -> None:
    """Ask for a path and have the command write there; `name` is that of the file in the current folder."""
    path = export_path(Path(), name, ".csv")
    app.push_screen(AskPath(f"Write {what} as CSV to", str(path)), partial(write, app, arguments))


def write(app: SapApp, arguments: Sequence[str], path: str | None) -> None:
    """Have the command write to this path; None when the user left the question."""
    if path:
        app.run_worker(_write(app, arguments, path), group="export")


async def _write(app: SapApp, arguments: Sequence[str], path: str) -> None:
    verb, *rest = arguments
    # The question said whether there is a file to replace.
    answer = await ask(app.catalogue, verb, "--format", "csv", "--force", *option("output", path), *rest)
    app.say(answer.problem or f"Written: {path}", "error" if answer.code else "information")
