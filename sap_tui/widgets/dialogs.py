"""Small windows over a screen: a question, a choice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from sap_tui.keys import bindings
from sap_tui.pace import focus_without_repaint
from sap_tui.text import MUTED, plain
from sap_tui.widgets.key_line import KeyLine

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """A window that escape closes without a result."""

    # What is selected is copied before ctrl+c means to quit; a window would keep that from the app.
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dialog"),
        Binding("ctrl+c", "screen.copy_text", show=False),
        Binding("ctrl+c", "app.help_quit", show=False),
    ]
    focused = focus_without_repaint()

    def action_close(self) -> None:
        self.dismiss(None)

    async def action_help(self) -> None:
        await self.app.run_action("help", default_namespace=self.app)


class Confirm(Dialog[bool]):
    """A question whose safe answer has the focus."""

    def __init__(self, question: Content, yes: str, no: str = "Keep") -> None:
        super().__init__()
        self._question = question
        self._yes, self._no = yes, no

    def compose(self) -> ComposeResult:
        with Vertical(classes="window small"):
            yield Static(self._question)
            with Horizontal(classes="buttons"):
                yield Button(Content(self._no), id="no", compact=True)
                yield Button(Content(self._yes), id="yes", variant="error", compact=True)
        yield KeyLine()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class Choose(Dialog[int]):
    """A list of lines; the result is the number of the chosen one."""

    def __init__(self, title: str, lines: Sequence[Content], highlighted: int = 0) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._highlighted = highlighted

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content(self._title)
            choices = OptionList(*(Option(line) for line in self._lines), markup=False, compact=True)
            choices.highlighted = self._highlighted
            yield choices
        yield KeyLine()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class AskNumber(Dialog[int]):
    """A whole number between two others."""

    def __init__(self, title: str, low: int, high: int) -> None:
        super().__init__()
        self._title = title
        self._low, self._high = low, high

    def compose(self) -> ComposeResult:
        with Vertical(classes="window small") as window:
            window.border_title = Content(self._title)
            yield Input(type="integer", compact=True, placeholder=f"{self._low:,} to {self._high:,}")
        yield KeyLine()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip().isdecimal():
            self.dismiss(max(self._low, min(self._high, int(event.value))))


class AskPath(Dialog[str]):
    """Where to write a file; says so when one would be replaced."""

    def __init__(self, title: str, path: str) -> None:
        super().__init__()
        self._title = title
        self._path = path

    def compose(self) -> ComposeResult:
        with Vertical(classes="window small") as window:
            window.border_title = Content(self._title)
            yield Input(self._path, compact=True, select_on_focus=False)
            yield Static(classes="remark")
        yield KeyLine()

    def on_input_changed(self, event: Input.Changed) -> None:
        path = Path(os.path.expanduser(event.value))
        words = "That file exists; enter replaces it." if path.is_file() else "enter writes it"
        where = Content.assemble(plain(str(path.absolute()), MUTED), "\n")
        self.query_one(".remark", Static).update(where + Content.styled(words, "$warning" if path.is_file() else ""))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(str(Path(os.path.expanduser(event.value.strip())).absolute()))
