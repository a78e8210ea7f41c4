"""The import form: a file or a folder of files, what is found in them, and every bad line before anything is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input

from sap_tui.screens.file_form import FileForm
from sap_tui.twin import Answer, ask_module, option
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.form import labelled
from sap_tui.widgets.preview_words import preview_words

OPTIONS = (("skip-bad", "leave out bad lines"), ("replace", "replace strategies that exist"))


class ImportForm(FileForm):
    """Files become strategies of `task`, which is made if it is new."""

    TITLE = "Import responses"
    ABOUT = "JSON Lines, JSON arrays, CSV or Parquet with questions and responses; the layout is detected."

    def __init__(self, task: str) -> None:
        super().__init__()
        self._task_name = task
        self._files: list[str] = []

    def fields(self) -> Iterator[Widget]:
        tasks = [task.name for task in self.app.snapshot.tasks]
        start = "" if tasks else _bundled_sample()
        for label, field in (
            ("file or folder", self.path_field(start, "one file is one strategy; → completes")),
            ("task", Input(self._task_name or Path(start).name, id="task", compact=True,
                           suggester=SuggestFromList(tasks), placeholder="the set of questions")),
            ("strategy", Input(id="strategy", compact=True, placeholder="named after the file")),
            ("teacher", Input(id="teacher", compact=True, placeholder="who wrote the responses (optional)")),
            ("note", Input(id="note", compact=True, placeholder="optional")),
            ("options", Choices(OPTIONS, "options", several=True)),
        ):  # fmt: skip
            yield labelled(label, field)

    async def preview(self) -> Content | None:
        self._files = []
        answer = await ask_module("sap_tui.preview", self.path)
        if answer.code:
            self.say(answer.problem, "$error")
            return None
        previews = json.loads(answer.stdout)
        self._files = [preview["file"] for preview in previews]
        self.query_one("#strategy", Input).disabled = len(previews) > 1
        return preview_words(previews)

    def missing(self) -> tuple[str, str] | None:
        if not self.text("path"):
            return "path", "Which file, or which folder of files?"
        if not self.text("task"):
            return "task", "Name the task: the set of questions that the strategies answer."
        return None

    def done_words(self, answer: Answer) -> str:
        """What was found in the files has been shown; what comes next is what one may not know yet."""
        lines = answer.stdout.strip().splitlines()
        kept = lines[0] if len(lines) == 1 else f"{self.text('task')}: {len(lines)} strategies imported"
        return f"{kept}. {self.app.keymap.shown_first('new_run')} scores them."

    def arguments(self) -> list[str]:
        arguments = ["import", *option("task", self.text("task"))]
        for name in ("strategy", "teacher", "note"):
            if self.text(name) and not self.query_one(f"#{name}", Input).disabled:
                arguments += option(name, self.text(name))
        flags = [f"--{flag}" for flag in self.query_one("#options", Choices).values]
        return [*arguments, *flags, "--", *self._files]


def _bundled_sample() -> str:
    from sap_tui.commands.demo import TASK, sample_data

    return str(sample_data() / TASK)
