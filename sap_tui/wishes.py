"""What a user wants of a run, left in the catalogue in one short transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import SapError
from core.lingering import WARNING, Logout, logout
from core.processes.launcher import ensure_runner
from core.store.damage import explained
from core.store.db import Writer
from core.store.runs import wish_cancel, wish_pause, wish_resume

if TYPE_CHECKING:
    from sap_tui.app import SapApp

WISHES: dict[str, tuple[Callable[[sqlite3.Connection, int], None], str]] = {
    "cancel": (wish_cancel, "Run {} ends; what is scored is kept."),
    "pause": (wish_pause, "Run {} pauses after its chunk."),
    "resume": (wish_resume, "Run {} goes on."),
}


def leave_wish(app: SapApp, verb: str, run: int) -> None:
    """Called in a thread, because the catalogue may be locked for a moment."""
    change, words = WISHES[verb]
    try:
        with Writer(app.catalogue) as writer, writer.transaction() as connection:
            change(connection, run)
        ensure_runner(app.catalogue)
    except (SapError, sqlite3.Error, OSError) as error:
        app.call_from_thread(app.say, str(explained(error, app.catalogue) or error), "warning")
    else:
        app.call_from_thread(app.say, words.format(run))


def warn_of_logout(app: SapApp) -> None:
    """Called in a thread, because the machine is asked."""
    if logout() is Logout.ENDS:
        app.call_from_thread(app.say, WARNING, "warning")
