"""Deleting after a question, by the command-line twin, and bringing back what was deleted last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.content import Content

from core.domain import Run, Strategy, Task
from sap_tui.text import plain
from sap_tui.twin import ask, option
from sap_tui.widgets.dialogs import Confirm
from sap_tui.words import counted

if TYPE_CHECKING:
    from sap_tui.app import SapApp

MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Deletion:
    """What to ask, and the commands that do it, each with the one that undoes it."""

    what: str
    question: Content
    commands: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def of_strategies(strategies: Sequence[Strategy]) -> Deletion:
    """One strategy, or all that are marked."""
    responses = counted(sum(one.responses for one in strategies), "response")
    if len(strategies) == 1:
        (one,) = strategies
        what, its, it = one.name, "its", "it"
        asked = Content.assemble(plain(one.name, "bold"), " of ", plain(one.task, "bold"))
    else:
        what, its, it = f"{len(strategies)} strategies", "their", "them"
        asked = Content.assemble(f"the {len(strategies)} marked strategies ", _names(strategies))
    kept = f"\nRuns that scored {it} keep what they scored."
    question = Content.assemble("Delete ", asked, f" with {its} {responses}?{kept}")
    named = [(*option("task", one.task), "--", one.name) for one in strategies]
    return Deletion(what, question, tuple((("strategy", "delete", *n), ("strategy", "restore", *n)) for n in named))


def _names(strategies: Sequence[Strategy]) -> Content:
    rest = len(strategies) - MOST_NAMES
    shown = [plain(one.name, "bold") for one in strategies[:MOST_NAMES]]
    return Content(", ").join([*shown, *([Content(f"{rest} more")] if rest > 0 else [])])


def of_task(task: Task, strategies: int, runs: int) -> Deletion:
    question = Content.assemble(
        "Delete the task ", plain(task.name, "bold"),
        f" with its {counted(strategies, 'strategy')} and {counted(runs, 'run')}?",
    )  # fmt: skip
    return Deletion(task.name, question, ((("task", "delete", "--", task.name), ("task", "restore", "--", task.name)),))


def of_run(run: Run) -> Deletion:
    number = str(run.id)
    question = Content.assemble(
        f"Delete run {number} of ", plain(run.task, "bold"), " from the list?\nIts scores stay, and other runs go on "
        "using them.",
    )  # fmt: skip
    return Deletion(f"run {number}", question, ((("runs", "--delete", number), ("runs", "--restore", number)),))


async def delete(app: SapApp, deletion: Deletion) -> bool:
    """Ask, and do it; whether all of it was done. What was done can be undone in any case."""
    back = f"{app.keymap.shown_first('undo')} brings it back"
    question = deletion.question + Content(f"\n{back}, for a week.")
    if not await app.push_screen_wait(Confirm(question, "Delete")):
        return False
    done = []
    for command in deletion.commands:
        if not await command_done(app, command[0]):
            break
        done.append(command)
    if done:
        app.deletions.append(replace(deletion, commands=tuple(done)))
    if len(done) == len(deletion.commands):
        app.say(f"Deleted {deletion.what}. {back}.")
    return len(done) == len(deletion.commands)


async def undo(app: SapApp) -> None:
    """Bring back what was deleted last in this session."""
    if not app.deletions:
        return app.say("Nothing was deleted since the app was opened. Earlier: sap-tui task restore, strategy restore.")
    deletion = app.deletions.pop()
    # The last one first: a task goes, and comes back, with its last strategy.
    left = list(deletion.commands)
    while left:
        if not await command_done(app, left[-1][1]):
            app.deletions.append(replace(deletion, commands=tuple(left)))
            return
        left.pop()
    app.say(f"{deletion.what} {'are' if len(deletion.commands) > 1 else 'is'} back.")


async def command_done(app: SapApp, command: tuple[str, ...]) -> bool:
    """Run a command; where it fails, say why."""
    try:
        answer = await ask(app.catalogue, *command)
    except (OSError, ValueError) as error:
        app.say(f"The command cannot be started: {error}.", "error")
        return False
    if answer.code:
        app.say(answer.problem, "error")
    return answer.code == 0
