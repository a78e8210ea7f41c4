"""The settings, made from their declaration: what is changed here holds at once and is kept in config.toml."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from core.errors import UsageError
from core.settings import SETTINGS, Setting, Value, config_path
from sap_tui.config_file import parsed
from sap_tui.keys import Place, bindings
from sap_tui.preferences import apply_setting
from sap_tui.text import MUTED, plain
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.form import buttons, labelled
from sap_tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from sap_tui.app import SapApp

MOVES = "tab next · {previous_choice} {next_choice} choose · enter keep"
YES_AND_NO = [("true", "yes"), ("false", "no")]


class SettingsScreen(Dialog[None]):
    """A line for every setting; below them what the one in focus is for, and what is wrong with what was typed."""

    CSS_PATH = "settings.tcss"
    PLACE: ClassVar[Place] = "settings"
    PROSE: ClassVar[str] = (
        "What you choose holds at once and is written to config.toml, in which your comments and all else stay as they "
        "are. A text or number is taken over when you press enter or go on to the next line; an empty line stands for "
        "the default. Keys are set in the same file, in the table [keys], by the names that sap-tui keys prints."
    )
    BINDINGS = bindings("settings")
    if TYPE_CHECKING:
        app: SapApp

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content("Settings")
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self._lines()
            yield Static(id="about", classes="remark")
            yield buttons(self.app.keymap.in_words(MOVES), ("close", "Close"))
        yield KeyLine()

    def _lines(self) -> Iterable[Widget]:
        for declared in SETTINGS.values():
            yield labelled(declared.name.replace("_", " "), _field(declared, self._value(declared)))

    def _value(self, declared: Setting) -> Value:
        value = getattr(self.app.settings, declared.name)
        assert isinstance(value, (str, bool, int, float))
        return value

    def on_mount(self) -> None:
        self.query_one(f"#{next(iter(SETTINGS))}").focus()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if event.widget.id and event.widget.id in SETTINGS:
            self._explain(SETTINGS[event.widget.id])

    def _explain(self, declared: Setting, problem: str = "") -> None:
        default = f"default {_text(declared.default) or 'empty'}"
        limits = default if _options(declared) else f"{declared.wanted}; {default}"
        lines = [
            plain(problem, "$error") if problem else Content.styled(declared.rule.description, "$foreground"),
            plain(f"{declared.name}: {limits}", MUTED),
            plain(f"in {config_path()}", MUTED),
        ]
        self.query_one("#about", Static).update(Content("\n").join(lines))

    def on_choices_changed(self, event: Choices.Changed) -> None:
        self._take(SETTINGS[str(event.choices.id)], event.choices.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        declared = SETTINGS[str(event.input.id)]
        if event.input.has_focus:
            self._explain(declared, _problem(declared, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._take(SETTINGS[str(event.input.id)], event.value)

    def on_input_blurred(self, event: Input.Blurred) -> None:
        if self.is_current:
            self._take(SETTINGS[str(event.input.id)], event.value)

    def _take(self, declared: Setting, text: str) -> None:
        """Have the value used and kept; one that is wrong is only named."""
        try:
            value = parsed(declared, text.strip()) if text.strip() else None
        except UsageError as error:
            self._explain(declared, str(error))
            return
        if (declared.default if value is None else value) != self._value(declared):
            apply_setting(self.app, declared.name, value)
            self.app.say(f"{declared.name} is now {_text(self._value(declared)) or 'empty'}.")

    def action_unset_setting(self) -> None:
        """The setting in focus gets its default again, and leaves the file."""
        field = self.focused
        if field is not None and field.id and field.id in SETTINGS:
            declared = SETTINGS[field.id]
            apply_setting(self.app, declared.name, None)
            self.app.say(f"{declared.name} has its default again: {_text(declared.default) or 'empty'}.")
            if isinstance(field, Choices):
                field.set_options(_options(declared), [_text(declared.default)])
            elif isinstance(field, Input):
                field.value = _text(declared.default)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_close()


def _field(declared: Setting, value: Value) -> Widget:
    options = _options(declared)
    if options:
        return Choices(options, declared.name, chosen=[_text(value)])
    return Input(_text(value), id=declared.name, compact=True, select_on_focus=False,
                 placeholder=_text(declared.default))  # fmt: skip


def _options(declared: Setting) -> list[tuple[str, str]]:
    """What there is to choose from, as value and label; nothing where one types."""
    return YES_AND_NO if declared.type is bool else [(each, each) for each in declared.rule.allowed]


def _problem(declared: Setting, text: str) -> str:
    try:
        if text.strip():
            parsed(declared, text.strip())
    except UsageError as error:
        return str(error)
    return ""


def _text(value: Value) -> str:
    """As it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
