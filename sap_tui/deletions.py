"""Deleting after a question, by the command-line twin, and bringing back what was deleted last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from core.domain import Run, Strategy, Task
from sap_tui.text import plain
from sap_tui.twin import ask, option
from sap_tui.widgets.dialogs import Confirm
from sap_tui.words import counted

if TYPE_CHECKING:
    from sap_tui.app import SapApp

COMES_BACK = "\nu brings it back, for a week."


@dataclass(frozen=True, slots=True)
class Deletion:
    """What to ask, and the commands that do it and undo it."""

    what: str
    question: Content
    command: tuple[str, ...]
    undo: tuple[str, ...]


def of_strategy(strategy: Strategy) -> Deletion:
    named = (*option("task", strategy.task), "--", strategy.name)
    question = Content.assemble(
        "Delete ", plain(strategy.name, "bold"), " of ", plain(strategy.task, "bold"),
        f" with its {counted(strategy.responses, 'response')}?\nRuns that scored it keep what they scored.{COMES_BACK}",
    )  # fmt: skip
    command = ("strategy", "delete", *named)
    return Deletion(strategy.name, question, command, ("strategy", "restore", *named))


def of_task(task: Task, strategies: int, runs: int) -> Deletion:
    question = Content.assemble(
        "Delete the task ", plain(task.name, "bold"),
        f" with its {counted(strategies, 'strategy')} and {counted(runs, 'run')}?{COMES_BACK}",
    )  # fmt: skip
    return Deletion(task.name, question, ("task", "delete", "--", task.name), ("task", "restore", "--", task.name))


def of_run(run: Run) -> Deletion:
    number = str(run.id)
    question = Content.assemble(
        f"Delete run {number} of ", plain(run.task, "bold"), " from the list?\nIts scores stay, and other runs go on "
        f"using them.{COMES_BACK}",
    )  # fmt: skip
    return Deletion(f"run {number}", question, ("runs", "--delete", number), ("runs", "--restore", number))


async def delete(app: SapApp, deletion: Deletion) -> bool:
    """Ask, and do it; whether it was done."""
    if not await app.push_screen_wait(Confirm(deletion.question, "Delete")):
        return False
    if not await command_done(app, deletion.command, f"Deleted {deletion.what}. u brings it back."):
        return False
    app.deletions.append(deletion)
    return True


async def undo(app: SapApp) -> None:
    """Bring back what was deleted last in this session."""
    if not app.deletions:
        return app.say("Nothing was deleted since the app was opened. Earlier: sap-tui task restore, strategy restore.")
    deletion = app.deletions.pop()
    if not await command_done(app, deletion.undo, f"{deletion.what} is back."):
        app.deletions.append(deletion)


async def command_done(app: SapApp, command: tuple[str, ...], said: str) -> bool:
    """Run a command and say what came of it."""
    try:
        answer = await ask(app.catalogue, *command)
    except (OSError, ValueError) as error:
        app.say(f"The command cannot be started: {error}.", "error")
        return False
    app.say(answer.problem or said, "error" if answer.code else "information")
    return answer.code == 0
