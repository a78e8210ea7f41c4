"""The import form: a file or a folder of files, what is found in them, and every bad line before anything is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
# What the form calls the options that a command's messages name.
IN_FORM = {
    r"--map (?=[a-z]+=)": 'in "fields" ',
    r"--map\b": '"fields"',
    r"--strategy\b": '"strategy"',
    **{f"--{option}\\b": f'"{label}"' for option, label in OPTIONS},
}


class ImportForm(FileForm):
    """Files become strategies of `task`, which is made if it is new."""

    LOOKED_AT = ("path", "fields")
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
            ("fields", Input(id="fields", compact=True,
                             placeholder="question=NAME,response=NAME,answer=NAME,id=NAME where not found")),
            ("options", Choices(OPTIONS, "options", several=True)),
        ):  # fmt: skip
            yield labelled(label, field)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Ids are looked up in the task; what else was found in the files stays true."""
        if event.input.id == "task":
            self.look_soon(anew=False)

    def on_choices_changed(self) -> None:
        self.look_soon(anew=False)

    def in_form(self, text: str) -> str:
        for written, name in IN_FORM.items():
            text = re.sub(written, name, text)
        return text

    async def preview(self) -> Content | None:
        # The questions of a strategy that is replaced may go with it.
        task = "" if "replace" in self.query_one("#options", Choices).values else self.text("task")
        answer = await ask_module("sap_tui.preview", str(self.app.catalogue), task, self.text("fields"), self.path)
        if answer.code:
            self.say(self.in_form(answer.problem), "$error")
            return None
        previews = [self._named(preview) for preview in json.loads(answer.stdout)]
        self._files = [preview["file"] for preview in previews]
        self.query_one("#strategy", Input).disabled = len(previews) > 1
        return preview_words(previews)

    def _named(self, preview: dict[str, Any]) -> dict[str, Any]:
        problems = [self.in_form(problem) for problem in preview["problems"]]
        return preview | {"stop": self.in_form(preview["stop"]), "problems": problems}

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
        if self.text("fields"):
            arguments += option("map", self.text("fields"))
        for name in ("strategy", "teacher", "note"):
            if self.text(name) and not self.query_one(f"#{name}", Input).disabled:
                arguments += option(name, self.text(name))
        flags = [f"--{flag}" for flag in self.query_one("#options", Choices).values]
        return [*arguments, *flags, "--", *self._files]


def _bundled_sample() -> str:
    from sap_tui.commands.demo import TASK, sample_data

    return str(sample_data() / TASK)
