"""What the catalogue says about a strategy, or a task's name, or the tags of several strategies, to be changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Static, TextArea

from core.domain import Strategy, Task
from sap_tui.text import MUTED, plain
from sap_tui.twin import ask, option
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.form import buttons, labelled
from sap_tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from sap_tui.app import SapApp

MOVES = "tab next · enter save"


class EditForm(Dialog[bool]):
    """Fields with a button that saves them; the result is whether something was changed."""

    CSS_PATH = "edit_form.tcss"
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._heading = heading

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading)
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self.fields()
                yield Static(id="found", classes="remark")
            yield buttons(MOVES, ("save", "Save"), ("cancel", "Cancel"))
        yield KeyLine()

    def fields(self) -> Iterator[Widget]:
        """The lines of the form."""
        raise NotImplementedError

    def commands(self) -> list[list[str]]:
        """What is to be run to save the fields as they are now; none where nothing was changed."""
        raise NotImplementedError

    def on_input_submitted(self) -> None:
        self._save()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "save":
            self._save()
        else:
            self.action_close()

    def _save(self) -> None:
        if not any(worker.group == "save" and not worker.is_finished for worker in self.app.workers):
            self.run_worker(self._run(self.commands()), group="save")

    async def _run(self, commands: list[list[str]]) -> None:
        for command in commands:
            try:
                answer = await ask(self.app.catalogue, *command)
            except (OSError, ValueError) as error:
                return self._say(f"This cannot be saved: {error}.", "$error")
            if answer.code:
                return self._say(answer.problem, "$error")
        if commands:
            self.app.say("Saved.")
        self.dismiss(bool(commands))

    def _say(self, text: str, style: str = MUTED) -> None:
        self.query_one("#found", Static).update(plain(text, style, multiline=True))

    def text_of(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()


class EditTask(EditForm):
    def __init__(self, task: Task) -> None:
        super().__init__(f"Edit the task {task.name}")
        self._known = task.name

    def fields(self) -> Iterator[Widget]:
        yield labelled("name", Input(self._known, id="name", compact=True, select_on_focus=False))

    def commands(self) -> list[list[str]]:
        name = self.text_of("name")
        return [] if name == self._known.strip() else [["task", "rename", "--", self._known, name]]


class EditStrategy(EditForm):
    def __init__(self, strategy: Strategy) -> None:
        super().__init__(f"Edit {strategy.name} of {strategy.task}")
        self._strategy = strategy

    def fields(self) -> Iterator[Widget]:
        strategy = self._strategy
        for label, value, placeholder in (
            ("name", strategy.name, ""),
            ("teacher", strategy.teacher, "who wrote the responses"),
            ("tags", ", ".join(strategy.tags), "divided by commas"),
            ("note", strategy.note, ""),
        ):
            field = Input(value, id=label, compact=True, select_on_focus=False, placeholder=placeholder)
            yield labelled(label, field)
        yield labelled("prompt", TextArea(strategy.prompt, id="prompt", compact=True, tab_behavior="focus"))

    def on_mount(self) -> None:
        self._before = self._values()

    def _values(self) -> dict[str, str]:
        names = {"rename": "name", "teacher": "teacher", "tags": "tags", "note": "note"}
        texts = {name: self.text_of(field) for name, field in names.items()}
        return {**texts, "prompt": self.query_one("#prompt", TextArea).text}

    def commands(self) -> list[list[str]]:
        changed = {name: text for name, text in self._values().items() if text != self._before[name]}
        if not changed:
            return []
        options = [part for name, text in changed.items() for part in option(name, text)]
        named = [*option("task", self._strategy.task), "--", self._strategy.name]
        return [["strategy", "edit", *options, *named]]


class EditTags(EditForm):
    """The tags that all these strategies share; others of theirs stay."""

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        super().__init__(f"Tags of {strategies[0].name if len(strategies) == 1 else f'{len(strategies)} strategies'}")
        self._strategies = strategies
        shared = set.intersection(*(set(one.tags) for one in strategies))
        self._shared = [tag for tag in strategies[0].tags if tag in shared]

    def fields(self) -> Iterator[Widget]:
        tags = Input(", ".join(self._shared), id="tags", compact=True, select_on_focus=False)
        tags.placeholder = "divided by commas"
        yield labelled("tags", tags)
        if len(self._strategies) > 1:
            yield Static(Content.styled("Tags that only some of them have stay.", MUTED))

    def commands(self) -> list[list[str]]:
        wanted = [tag.strip() for tag in self.text_of("tags").split(",") if tag.strip()]
        commands = []
        for one in self._strategies if wanted != self._shared else ():
            own = [tag for tag in one.tags if tag not in self._shared and tag not in wanted]
            tags = option("tags", ",".join([*wanted, *own]))
            commands.append(["strategy", "edit", *tags, *option("task", one.task), "--", one.name])
        return commands
