"""The command of the settings that runs when a run ends: once per end, whether or not the app is open.

Whoever ends a run, or a runner that finds it ended, starts it as `python -m core.processes.on_done CATALOGUE RUN`.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from core.domain import Run
from core.processes.launcher import OWN_ENVIRONMENT, logs_folder, start_detached
from core.settings import settings_or_defaults
from core.store.db import Writer
from core.store.runs import add_event, run_by_id
from core.text import visible

DEADLINE_SECONDS = 600.0

_UNTOLD = "ended_at IS NOT NULL AND told_end IS NOT ended_at"


def has_untold(reader: sqlite3.Connection) -> bool:
    """Whether a run has ended without anybody being told."""
    return reader.execute(f"SELECT 1 FROM runs WHERE {_UNTOLD} LIMIT 1").fetchone() is not None


def tell_ends(writer: Writer) -> None:
    """Start the command for every end that was not told yet, and do not wait for it.

    An end is marked as told first, with or without a command: it is never told twice, and never later on.
    """
    if not has_untold(writer.connection):
        return
    with writer.transaction() as connection:
        ended = connection.execute(f"UPDATE runs SET told_end = ended_at WHERE {_UNTOLD} RETURNING id").fetchall()
    if not settings_or_defaults().on_done:
        return
    for (run,) in ended:
        try:
            start_detached("core.processes.on_done", str(writer.path), str(run), log=_log(writer.path, run))
        except OSError as error:
            with writer.transaction() as connection:
                add_event(connection, run, "warning", f"the on_done command could not be started ({error})")


def run_command(catalogue: Path, number: int, command: str, seconds: float = DEADLINE_SECONDS) -> str:
    """Run the command about a run to its end; returns what went wrong, which is an event of the run then.

    The shell gets the user's words as they stand in the settings; what is in the catalogue comes as variables only.
    """
    with Writer(catalogue) as writer:
        run = run_by_id(writer.connection, number)
        problem = _outcome(command, {**_inherited(), **variables(catalogue, run)}, seconds)
        if problem:
            with writer.transaction() as connection:
                text = f"the on_done command {problem}, its output: {_log(catalogue, number)}"
                add_event(connection, number, "warning", text)
    return problem


def variables(catalogue: Path, run: Run) -> dict[str, str]:
    """What the command is told, by name of the environment variable; hidden characters in names are made visible."""
    seconds = (run.ended_at or 0) - (run.started_at or run.ended_at or 0)
    told: dict[str, object] = {
        "CATALOGUE": catalogue, "RUN": run.id, "STATE": run.state, "WHY": visible(run.why), "TASK": visible(run.task),
        "MODEL": visible(run.model), "STRATEGIES": len(run.strategies), "QUESTIONS": run.questions,
        "DONE": run.done, "TOTAL": run.total, "ERRORS": run.errors, "SECONDS": round(seconds),
    }  # fmt: skip
    return {f"SAP_TUI_{name}": str(value) for name, value in told.items()}


def _outcome(command: str, environment: dict[str, str], seconds: float) -> str:
    try:
        code = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL, cwd=Path.home(), env=environment, timeout=seconds, check=False,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"was ended after {seconds:g} s"
    except (OSError, ValueError) as error:
        return f"could not be started ({error})"
    return f"ended with code {code}" if code else ""


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OWN_ENVIRONMENT}


def _log(catalogue: Path, run: int) -> Path:
    return logs_folder(catalogue) / f"run-{run}-on-done.log"


def main(arguments: list[str]) -> int:
    command = settings_or_defaults().on_done
    return int(bool(command and run_command(Path(arguments[0]), int(arguments[1]), command)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
