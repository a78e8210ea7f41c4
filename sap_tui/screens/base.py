"""What the three main screens have in common: title bar, footer, snapshots, and what is done to runs and rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from core.domain import Run
from sap_tui.bridge import Snapshot
from sap_tui.keymap import KEY_FIELD, Keymap
from sap_tui.keys import Place, actions_of
from sap_tui.pace import focus_without_repaint
from sap_tui.text import plain
from sap_tui.widgets.detail_pane import DetailPane
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.key_line import KeyLine
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.scroll_signs import use_scroll_signs
from sap_tui.widgets.title_bar import TitleBar

if TYPE_CHECKING:
    from sap_tui.app import SapApp


READING = Content("Reading …")
use_scroll_signs()


class MainScreen(Screen[None]):
    """A table with a pane beside it. `PLACE` names its keys, `PROSE` is its page of the help, `PANE_PARTS` counts the
    texts of the pane."""

    PLACE: ClassVar[Place]
    PROSE: ClassVar[str]
    PANE_PARTS: ClassVar[int] = 2
    focused = focus_without_repaint()
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self) -> None:
        super().__init__()
        self._valid: list[bool | None] = []
        # The footer, or a key typed ahead, may ask what can be done before the screen is composed.
        self._no_table = RecordTable((), table_id="not-yet")

    def compose(self) -> ComposeResult:
        yield TitleBar(self.PLACE, self.app.catalogue)
        with Container(id="body"):
            with Vertical(id="main"):
                yield from self.compose_main()
            yield DetailPane(self.PANE_PARTS)
        yield KeyLine()

    def compose_main(self) -> Iterable[Widget]:
        """The table and what stands with it."""
        raise NotImplementedError

    def show_rows(self, snapshot: Snapshot) -> None:
        """Draw the table from what was read."""
        raise NotImplementedError

    def show_selection(self, snapshot: Snapshot) -> None:
        """Draw what belongs to the row under the cursor."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.table.focus()
        self.watch(self.app, "snapshot", self.show_snapshot)

    def on_screen_resume(self) -> None:
        self.show_snapshot()

    def show_snapshot(self) -> None:
        """Draw everything; screens that are not seen wait until they are."""
        if self.is_current and self.is_mounted and self.table is not self._no_table:
            with self.app.batch_update():
                self.query_one(TitleBar).show(self.app.snapshot)
                self.show_rows(self.app.snapshot)
                self.show_selection(self.app.snapshot)
            self._refresh_footer()

    def _refresh_footer(self) -> None:
        """Only when other actions are valid now: a footer is made anew each time."""
        valid = [self.check_action(action.id, ()) for action in actions_of(self.PLACE) if action.footer]
        if valid != self._valid:
            self._valid = valid
            self.refresh_bindings()

    def empty_text(self, snapshot: Snapshot, otherwise: Content) -> Content:
        """What a table without rows says: why nothing can be read, that nothing was read yet, or what to do."""
        if snapshot.problem:
            return plain(snapshot.problem, "$error")
        return otherwise if snapshot.read_at else READING

    def hint(self, text: str) -> Content:
        return hint(self.app.keymap, text)

    def tell(self, text: str) -> None:
        """Say a text of the app's own in which {name_of_an_action} stands for its key."""
        self.app.say(self.app.keymap.in_words(text))

    @property
    def table(self) -> RecordTable:
        try:
            return self.query_one(RecordTable)
        except NoMatches:
            return self._no_table

    @property
    def pane(self) -> DetailPane:
        return self.query_one(DetailPane)

    @property
    def filter_text(self) -> str:
        return self.query_one(FilterBar).value.casefold()

    def action_filter(self) -> None:
        self.query_one(FilterBar).open()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self.show_snapshot()

    def on_filter_bar_left(self) -> None:
        self.table.focus()

    def on_record_table_highlighted(self) -> None:
        # The cursor moves at once, the pane follows in the next frame.
        self.call_after_refresh(self._show_highlighted)

    def _show_highlighted(self) -> None:
        if self.is_current and self.is_mounted:
            self.show_selection(self.app.snapshot)
            self._refresh_footer()

    def on_record_table_sorted(self) -> None:
        self.show_snapshot()

    def on_record_table_resized(self) -> None:
        self.show_snapshot()

    def action_copy_row(self) -> None:
        if len(self.table.source):
            position = self.table.source.position(self.table.cursor_key)
            cells = self.table.source[position or 0].cells
            self.app.copy("\t".join(cell.plain.strip() for cell in cells if cell.plain.strip()))

    def open_ranking(self, run: Run) -> None:
        self.app.show_ranking_of(run.id)


def hint(keymap: Keymap, text: str) -> Content:
    """Text for an empty screen; {name_of_an_action} becomes the key that the user has for it, drawn as one."""
    parts = enumerate(KEY_FIELD.split(text))
    return Content.assemble(
        *((keymap.shown_first(part), "$primary bold") if number % 2 else part for number, part in parts)
    )
