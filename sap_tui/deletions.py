"""Deleting after a question, by the command-line twin, and bringing back what was deleted last, even long ago."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content

from core.domain import Run, Strategy, Task
from core.errors import SapError
from core.store.damage import explained
from core.store.db import open_reader
from core.store.deletion import Deleted, last_deleted
from sap_tui.text import plain
from sap_tui.twin import ask, option
from sap_tui.widgets.dialogs import Confirm
from sap_tui.words import ago, counted

if TYPE_CHECKING:
    from sap_tui.app import SapApp

MOST_NAMES = 6
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What to ask, and the commands that do it, each with the one that undoes it."""

    what: str
    question: Content
    commands: tuple[tuple[Command, Command], ...]


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
    return Deletion(what, question, tuple(_for_strategy(one.task, one.name) for one in strategies))


def _names(strategies: Sequence[Strategy]) -> Content:
    rest = len(strategies) - MOST_NAMES
    shown = [plain(one.name, "bold") for one in strategies[:MOST_NAMES]]
    return Content(", ").join([*shown, *([Content(f"{rest} more")] if rest > 0 else [])])


def of_task(task: Task, strategies: int, runs: int) -> Deletion:
    question = Content.assemble(
        "Delete the task ", plain(task.name, "bold"),
        f" with its {counted(strategies, 'strategy')} and {counted(runs, 'run')}?",
    )  # fmt: skip
    return Deletion(task.name, question, (_for_task(task.name),))


def of_run(run: Run) -> Deletion:
    question = Content.assemble(
        f"Delete run {run.id} of ", plain(run.task, "bold"), " from the list?\nIts scores stay, and other runs go on "
        "using them.",
    )  # fmt: skip
    return Deletion(f"run {run.id}", question, (_for_run(run.id),))


def _for_strategy(task: str, name: str) -> tuple[Command, Command]:
    names = (*option("task", task), "--", name)
    return ("strategy", "delete", *names), ("strategy", "restore", *names)


def _for_task(name: str) -> tuple[Command, Command]:
    return ("task", "delete", "--", name), ("task", "restore", "--", name)


def _for_run(number: int) -> tuple[Command, Command]:
    return ("runs", "--delete", str(number)), ("runs", "--restore", str(number))


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
    """Bring back what was deleted last; what was deleted before the app was opened only after a question."""
    deletion = app.deletions.pop() if app.deletions else await _earlier(app)
    if deletion is None:
        return
    # The last one first: a task goes, and comes back, with its last strategy.
    left = list(deletion.commands)
    while left:
        if not await command_done(app, left[-1][1]):
            app.deletions.append(replace(deletion, commands=tuple(left)))
            return
        left.pop()
    app.say(f"{deletion.what} {'are' if len(deletion.commands) > 1 else 'is'} back.")


async def _earlier(app: SapApp) -> Deletion | None:
    """What was deleted last of what the catalogue still holds, if the user wants it back."""
    try:
        found = await asyncio.to_thread(_last_deleted, app.catalogue)
    except (SapError, sqlite3.Error) as error:
        app.say(str(explained(error, app.catalogue) or error), "error")
        return None
    if found is None:
        app.say("Nothing was deleted that could be brought back.")
        return None
    deletion = _of_earlier(found)
    return deletion if await app.push_screen_wait(Confirm(deletion.question, "Bring back", "Leave")) else None


def _last_deleted(catalogue: Path) -> Deleted | None:
    with closing(open_reader(catalogue)) as reader:
        return last_deleted(reader)


def _of_earlier(found: Deleted) -> Deletion:
    task = plain(found.task, "bold")
    when = f"?\nIt was deleted {ago(time.time() - found.at)}."
    if found.kind == "task":
        what, named, commands = found.task, Content.assemble("the task ", task), _for_task(found.task)
    elif found.kind == "strategy":
        what, named = found.strategy, Content.assemble(plain(found.strategy, "bold"), " of ", task)
        commands = _for_strategy(found.task, found.strategy)
    else:
        what, named = f"run {found.run}", Content.assemble(f"run {found.run} of ", task)
        commands = _for_run(found.run)
    return Deletion(what, Content.assemble("Bring back ", named, when), (commands,))


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
