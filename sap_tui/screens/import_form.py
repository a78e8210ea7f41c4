"""The import form: a file or a folder of files, what is found in them, and every bad line before anything is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Button, Footer, Input, Static

from sap_tui.text import MUTED, plain
from sap_tui.twin import ask, ask_module, option
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.form import PathSuggester, buttons, labelled
from sap_tui.widgets.preview_words import preview_words

if TYPE_CHECKING:
    from sap_tui.app import SapApp

TYPING_PAUSE_SECONDS = 0.4
OPTIONS = (("skip-bad", "leave out bad lines"), ("replace", "replace strategies that exist"))
MOVES = "tab next · → complete · enter import"


class ImportForm(Dialog[None]):
    """Files become strategies of `task`, which is made if it is new."""

    CSS_PATH = "import_form.tcss"
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, task: str) -> None:
        super().__init__()
        self._task_name = task
        self._typing_pause: Timer | None = None
        self._files: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content("Import responses")
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self._fields()
                yield Static(id="found", classes="remark")
            yield buttons(MOVES, ("import", "Import"), ("browse", "Browse"), ("cancel", "Cancel"))
        yield Footer(show_command_palette=False)

    def _fields(self) -> Iterator[Widget]:
        tasks = [task.name for task in self.app.snapshot.tasks]
        start = "" if tasks else _bundled_sample()
        for label, field in (
            ("file or folder", Input(start, id="path", compact=True, select_on_focus=False, suggester=PathSuggester(),
                                     placeholder="one file is one strategy; → completes")),
            ("task", Input(self._task_name or Path(start).name, id="task", compact=True,
                           suggester=SuggestFromList(tasks), placeholder="the set of questions")),
            ("strategy", Input(id="strategy", compact=True, placeholder="named after the file")),
            ("teacher", Input(id="teacher", compact=True, placeholder="who wrote the responses (optional)")),
            ("note", Input(id="note", compact=True, placeholder="optional")),
            ("options", Choices(OPTIONS, "options", several=True)),
        ):  # fmt: skip
            yield labelled(label, field)

    def on_mount(self) -> None:
        path = self.query_one("#path", Input)
        path.focus()
        path.cursor_position = len(path.value)
        self._look_soon()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "path":
            self._look_soon()

    def _look_soon(self) -> None:
        self.workers.cancel_group(self, "look")
        self._files = []
        if self._typing_pause:
            self._typing_pause.stop()
        self._typing_pause = self.set_timer(TYPING_PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        if self._text("path"):
            self._say("Reading …")
            self.run_worker(self._preview(), group="look", exclusive=True)
        else:
            self._say("JSON Lines, JSON arrays, CSV or Parquet with questions and responses; the layout is detected.")

    async def _preview(self) -> None:
        answer = await ask_module("sap_tui.preview", str(Path(self._text("path")).expanduser()))
        if answer.code:
            return self._say(answer.problem, "$error")
        previews = json.loads(answer.stdout)
        self._files = [preview["file"] for preview in previews]
        self.query_one("#strategy", Input).disabled = len(previews) > 1
        self.query_one("#found", Static).update(preview_words(previews))

    def _say(self, text: str, style: str = MUTED) -> None:
        self.query_one("#found", Static).update(plain(text, style, multiline=True))

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def on_input_submitted(self) -> None:
        self._import()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "import":
            self._import()
        elif event.button.id == "browse":
            self.run_worker(self._browse(), group="browse")
        else:
            self.action_close()

    async def _browse(self) -> None:
        from textual_fspicker import FileOpen

        typed = Path(self._text("path") or ".").expanduser()
        chosen = await self.app.push_screen_wait(FileOpen(typed if typed.is_dir() else typed.parent, must_exist=True))
        if chosen is not None:
            self.query_one("#path", Input).value = str(chosen)

    def _import(self) -> None:
        if not self._text("task"):
            self._say("Name the task: the set of questions that the strategies answer.", "$error")
            self.query_one("#task", Input).focus()
        elif not self._files:
            self._look()
        elif not any(worker.group == "import" and not worker.is_finished for worker in self.app.workers):
            self.run_worker(self._keep(), group="import")

    def _arguments(self) -> list[str]:
        arguments = ["import", *option("task", self._text("task"))]
        for name in ("strategy", "teacher", "note"):
            if self._text(name) and not self.query_one(f"#{name}", Input).disabled:
                arguments += option(name, self._text(name))
        flags = [f"--{flag}" for flag in self.query_one("#options", Choices).values]
        return [*arguments, *flags, "--", *self._files]

    async def _keep(self) -> None:
        self._say("Importing …")
        answer = await ask(self.app.catalogue, *self._arguments())
        if answer.code:
            return self._say(answer.stderr.replace("sap-tui: ", "").strip() or answer.problem, "$error")
        self.app.say(answer.stdout.strip())
        self.dismiss(None)


def _bundled_sample() -> str:
    from sap_tui.commands.demo import TASK, sample_data

    return str(sample_data() / TASK)
