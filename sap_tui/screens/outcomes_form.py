"""The form that imports what fine-tuning gave, for one task and target model or those that the file names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Footer, Input, Static

from sap_tui.text import MUTED, plain
from sap_tui.twin import ask, option
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.form import PathSuggester, buttons, labelled

if TYPE_CHECKING:
    from sap_tui.app import SapApp

MOVES = "tab next · → complete · enter import"
ABOUT = (
    "A CSV, JSON Lines or Parquet file with a column strategy, a column accuracy from 0 to 1, and maybe seed. A column "
    "target_model names models, which must be called as their runs call them; leave the model empty to take all. "
    "Earlier outcomes of the same model, strategy and seed are replaced."
)


class OutcomesForm(Dialog[None]):
    """Nothing is kept unless every line is right."""

    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, task: str, model: str) -> None:
        super().__init__()
        self._first = {"task": task, "model": model}

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content("Import outcomes")
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self._fields()
                yield Static(plain(ABOUT, MUTED), id="found", classes="remark")
            yield buttons(MOVES, ("import", "Import"), ("browse", "Browse"), ("cancel", "Cancel"))
        yield Footer(show_command_palette=False)

    def _fields(self) -> Iterator[Widget]:
        tasks = [task.name for task in self.app.snapshot.tasks]
        models = list(dict.fromkeys(run.model for run in self.app.snapshot.runs))
        yield labelled("file", Input(id="path", compact=True, select_on_focus=False, suggester=PathSuggester(),
                                     placeholder="outcomes.csv; → completes"))  # fmt: skip
        for name, known in (("task", tasks), ("model", models)):
            field = Input(self._first[name], id=name, compact=True, suggester=SuggestFromList(known))
            yield labelled(name if name == "task" else "target model", field)

    def on_mount(self) -> None:
        self.query_one("#path", Input).focus()

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _say(self, text: str, style: str = MUTED) -> None:
        self.query_one("#found", Static).update(plain(text, style, multiline=True))

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
        if not self._text("path"):
            self._say("Which file? It needs the columns strategy and accuracy.", "$error")
            self.query_one("#path", Input).focus()
        elif not any(worker.group == "import" and not worker.is_finished for worker in self.app.workers):
            self.run_worker(self._keep(), group="import")

    async def _keep(self) -> None:
        self._say("Importing …")
        arguments = ["outcomes", *option("task", self._text("task"))]
        arguments += option("model", self._text("model")) if self._text("model") else []
        answer = await ask(self.app.catalogue, *arguments, "--", str(Path(self._text("path")).expanduser()))
        if answer.code:
            return self._say(answer.stderr.replace("sap-tui: ", "").strip() or answer.problem, "$error")
        self.app.say(" ".join([*answer.stdout.split("\n"), *answer.stderr.split("\n")]).strip())
        self.dismiss(None)
