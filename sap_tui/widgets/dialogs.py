"""Small windows over a screen: a question, a choice."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from sap_tui.keys import bindings


class Dialog[Result](ModalScreen[Result | None]):
    """A window that escape closes without a result."""
