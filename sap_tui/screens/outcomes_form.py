"""The form that imports what fine-tuning gave, for one task and target model or those that the file names."""

from __future__ import annotations

import json
from collections.abc import Iterator

from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input

from sap_tui.screens.file_form import FileForm
from sap_tui.twin import ask, option
from sap_tui.widgets.form import labelled
from sap_tui.widgets.preview_words import outcome_words


class OutcomesForm(FileForm):
    """Nothing is kept unless every line is right."""

    TITLE = "Import outcomes"
    ABOUT = (
        "A CSV, JSON Lines or Parquet file with a column strategy, a column accuracy from 0 to 1, and maybe seed. A "
        "column target_model names models, which must be called as their runs call them; leave the model empty to "
        "take all. Earlier outcomes of the same model, strategy and seed are replaced."
    )
    LOOKED_AT = ("path", "task", "model")

    def __init__(self, task: str, model: str) -> None:
        super().__init__()
        self._first = {"task": task, "model": model}

    def fields(self) -> Iterator[Widget]:
        tasks = [task.name for task in self.app.snapshot.tasks]
        models = list(dict.fromkeys(run.model for run in self.app.snapshot.runs))
        yield labelled("file", self.path_field("", "outcomes.csv; → completes"))
        for name, known in (("task", tasks), ("model", models)):
            field = Input(self._first[name], id=name, compact=True, suggester=SuggestFromList(known))
            yield labelled(name if name == "task" else "target model", field)

    async def preview(self) -> Content | None:
        *verb, separator, file = self.arguments()
        answer = await ask(self.app.catalogue, *verb, "--dry-run", "--json", separator, file)
        if not answer.stdout:
            self.say(answer.problem, "$error")
            return None
        models = {run.model for run in self.app.snapshot.runs if run.task == self.text("task")}
        return outcome_words(json.loads(answer.stdout), models)

    def missing(self) -> tuple[str, str] | None:
        if not self.text("path"):
            return "path", "Which file? It needs the columns strategy and accuracy."
        return None if self.text("task") else ("task", "Name the task that the strategies belong to.")

    def arguments(self) -> list[str]:
        model = option("model", self.text("model")) if self.text("model") else []
        return ["outcomes", *option("task", self.text("task")), *model, "--", self.path]
