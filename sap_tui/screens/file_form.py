"""What the forms that import a file have in common: the file is looked into while one types, before it is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from sap_tui.text import MUTED, plain
from sap_tui.twin import Answer, ask
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.form import PathSuggester, buttons, picked
from sap_tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from sap_tui.app import SapApp

TYPING_PAUSE_SECONDS = 0.4
MOVES = "tab next · → complete · enter import"


class FileForm(Dialog[None]):
    """A path and more fields, what was found in the file, and the buttons. `LOOKED_AT` are the fields that matter."""

    CSS_PATH = "file_form.tcss"
    TITLE: ClassVar[str]
    ABOUT: ClassVar[str]
    LOOKED_AT: ClassVar[tuple[str, ...]] = ("path",)
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self) -> None:
        super().__init__()
        self._typing_pause: Timer | None = None
        self._looked = False

    def fields(self) -> Iterator[Widget]:
        """The lines of the form, among them the one with the id path."""
        raise NotImplementedError

    def missing(self) -> tuple[str, str] | None:
        """The field that must be filled in before anything can be kept, and what to say."""
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """The equal command."""
        raise NotImplementedError

    def in_form(self, text: str) -> str:
        """What a command says, for somebody who has the form before him."""
        return text

    def done_words(self, answer: Answer) -> str:
        """What to say when the file was kept."""
        return " ".join(f"{answer.stdout} {answer.stderr}".split())

    async def preview(self) -> Content | None:
        """What is in the file; None where nothing of it can be kept, after saying why."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content(self.TITLE)
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self.fields()
            with VerticalScroll(id="looked"):
                yield Static(id="found")
            yield buttons(MOVES, ("import", "Import"), ("browse", "Browse"), ("cancel", "Cancel"))
        yield KeyLine()

    def path_field(self, start: str, placeholder: str) -> Input:
        return Input(start, id="path", compact=True, select_on_focus=False, suggester=PathSuggester(),
                     placeholder=placeholder)  # fmt: skip

    def on_mount(self) -> None:
        path = self.query_one("#path", Input)
        path.focus()
        path.cursor_position = len(path.value)
        self.look_soon()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id in self.LOOKED_AT:
            self.look_soon()

    def look_soon(self, *, anew: bool = True) -> None:
        """Look into the file when the typing pauses; `anew` where nothing that was found before holds any more."""
        self.workers.cancel_group(self, "look")
        if anew:
            self._looked = False
        if self._typing_pause:
            self._typing_pause.stop()
        self._typing_pause = self.set_timer(TYPING_PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        if self.text("path"):
            if not self._looked:
                self.say("Reading …")
            self._look_now()
        else:
            self.say(self.ABOUT)

    @work(exclusive=True, group="look")
    async def _look_now(self) -> None:
        found = await self.preview()
        if found is not None:
            self._looked = True
            self.query_one("#found", Static).update(found)

    @property
    def path(self) -> str:
        return os.path.expanduser(self.text("path"))

    def text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def say(self, text: str, style: str = MUTED) -> None:
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
        chosen = await picked(self.app, self.text("path"))
        if chosen is not None:
            self.query_one("#path", Input).value = chosen

    def _import(self) -> None:
        if lacking := self.missing():
            # What would be said when the typing pauses must not take the place of this.
            if self._typing_pause:
                self._typing_pause.stop()
            self.say(lacking[1], "$error")
            self.query_one(f"#{lacking[0]}", Input).focus()
        elif not self._looked:
            self._look()
        elif not any(worker.group == "import" and not worker.is_finished for worker in self.app.workers):
            self.run_worker(self._keep(), group="import")

    async def _keep(self) -> None:
        self.say("Importing …")
        answer = await ask(self.app.catalogue, *self.arguments())
        if answer.code:
            return self.say(self.in_form(answer.stderr.replace("sap-tui: ", "").strip() or answer.problem), "$error")
        self.app.say(self.done_words(answer))
        self.dismiss(None)
