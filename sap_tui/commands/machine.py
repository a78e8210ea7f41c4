"""sap-tui free and paths: the memory in use, and where things lie."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from core.processes.scorers import ScorerRow

FREE_DEADLINE_SECONDS = 20.0


def add_parsers(verbs: Any) -> None:
    text = "free the memory of models that stay loaded after their runs"
    parser = verbs.add_parser("free", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=free)
    parser = verbs.add_parser("paths", help="where catalogue, settings and logs lie", description="Paths in use.")
    parser.set_defaults(run=paths)


def free(arguments: argparse.Namespace) -> int:
    """Prints one line a model, once its process is gone; models at work are left alone."""
    from core.processes.scorers import sweep, wish_end
    from core.store.db import Writer, prepare
    from core.text import visible

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        with writer.transaction() as connection:
            asked = wish_end(connection)
        for scorer in asked:
            _await_end(scorer)
            print(f"{visible(scorer.model)} is no longer loaded on {visible(scorer.device)}.")
        sweep(writer)
        if not asked:
            print(_nothing_to_free(writer.connection), file=sys.stderr)
    return 0


def _await_end(scorer: ScorerRow) -> None:
    import time

    from core.errors import RunError
    from core.processes.identity import is_alive

    deadline = time.monotonic() + FREE_DEADLINE_SECONDS
    while is_alive(scorer.identity):
        if time.monotonic() > deadline:
            pid = scorer.identity.pid
            raise RunError(f"{scorer.model} is still loaded: process {pid} does not end.", f"End it: kill -9 {pid}")
        time.sleep(0.05)


def _nothing_to_free(reader: sqlite3.Connection) -> str:
    from core.processes.scorers import living_scorers
    from core.text import visible

    names = ", ".join(visible(scorer.model) for scorer in living_scorers(reader))
    if names:
        return f"No model is loaded without a run. At work: {names} (pause or cancel its run)."
    return "No model is loaded."


def paths(arguments: argparse.Namespace) -> int:
    from core.settings import config_path, models_folder, state_folder

    print(f"catalogue  {arguments.catalogue}")
    print(f"logs       {state_folder(arguments.catalogue) / 'logs'}")
    print(f"settings   {config_path()}")
    print(f"models     {models_folder()}")
    return 0
