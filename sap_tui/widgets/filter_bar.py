"""The line under a table where one types what its rows must hold."""

from __future__ import annotations

from textual.message import Message
from textual.widgets import Input

from sap_tui.keys import bindings


class FilterBar(Input):
    """Hidden until it is asked for; enter keeps the filter, escape takes it away."""

    BINDINGS = bindings("dialog")
    DEFAULT_CSS = "FilterBar { display: none; dock: bottom; background: $panel; }"

    class Left(Message):
        """The user is done here."""

    def __init__(self) -> None:
        super().__init__(placeholder="show only rows that hold …", compact=True, select_on_focus=False, id="filter")

    def open(self) -> None:
        self.display = True
        self.focus()

    def action_close(self) -> None:
        self.value = ""
        self.display = False
        self.post_message(self.Left())

    def on_input_submitted(self) -> None:
        self.display = bool(self.value)
        self.post_message(self.Left())
