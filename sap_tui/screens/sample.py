"""One sample in full: the question, a strategy's response with its surprisals, and the table of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from core.text import visible
from sap_tui.comparisons import NoComparison, Questions, ShownQuestion, ShownSample
from sap_tui.keys import Place, bindings
from sap_tui.pace import focus_without_repaint
from sap_tui.screens.compare import CONTEXTS
from sap_tui.text import joined, plain
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.heat import scale
from sap_tui.widgets.heat_text import HeatText
from sap_tui.widgets.key_line import KeyLine
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Rows
from sap_tui.widgets.sample_rows import TOKEN_COLUMNS, TokenRows, sample_facts, sample_title, token_line, why_no_tokens
from sap_tui.widgets.title_bar import TitleBar
from sap_tui.words import counted

if TYPE_CHECKING:
    from sap_tui.app import SapApp

READING = Content("Reading …")


class SampleScreen(Screen[None]):
    """What a run found out about a strategy's response to the task's question at a position, from 1.

    It begins with the tokens behind a context, or where they have no score, behind the first one that they have.
    """

    CSS_PATH = "sample.tcss"
    PLACE: ClassVar[Place] = "sample"
    BINDINGS = bindings("sample")
    PROSE = (
        "The question as the target model saw it, the response with every token on the colour of its surprisal, and "
        "all tokens with their numbers. Cursor and table follow each other. Sort the table with {next_sort} to find "
        "the most surprising tokens, or go through them with {worst_token}."
    )
    focused = focus_without_repaint()
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, run: int, strategy: str, position: int, behind: str = CONTEXTS[0]) -> None:
        super().__init__()
        self._run = run
        self._strategy = strategy
        self._position = position
        self._behind = behind
        self._questions: Questions | None = None
        self._sample: ShownSample | None = None

    def compose(self) -> ComposeResult:
        yield TitleBar(self.PLACE, self.app.catalogue)
        with Container(id="body"):
            with Vertical(id="left"):
                with VerticalScroll(id="asked", can_focus=False):
                    yield Static()
                with Vertical(id="response"):
                    yield HeatText(text_id="text")
            with Vertical(id="right"):
                yield RecordTable(TOKEN_COLUMNS, table_id="tokens")
        yield Static(id="token")
        yield Static(id="scale")
        yield KeyLine()

    def on_mount(self) -> None:
        self._questions = Questions(self.app.catalogue, self._run, (self._strategy,))
        self.table.show(Rows(), empty=READING)
        self.text.focus()
        self._show_scale()
        self.watch(self.app, "snapshot", self._show_snapshot)
        self.watch(self.app, "theme", self._show_scale, init=False)
        self._read()

    def on_unmount(self) -> None:
        if self._questions:
            self._questions.stop()

    @property
    def table(self) -> RecordTable:
        return self.query_one(RecordTable)

    @property
    def text(self) -> HeatText:
        return self.query_one(HeatText)

    def _show_snapshot(self) -> None:
        if self.is_current:
            self.query_one(TitleBar).show(self.app.snapshot)

    def _show_scale(self) -> None:
        self.query_one("#scale", Static).update(scale(self.app))

    @work(group="sample", exclusive=True)
    async def _read(self) -> None:
        if self._questions is None:
            return
        found = await self._questions.get(self._position, self._behind)
        # The screen may have been left meanwhile.
        if not self.query(HeatText):
            return
        if isinstance(found, NoComparison):
            self.table.show(Rows(), empty=plain(found, "$error"))
            return
        scored = _scored_contexts(found.samples[0])
        if scored and self._behind not in scored:
            self._behind = scored[0]
            self._read()
        else:
            with self.app.batch_update():
                self._draw(found)

    def _draw(self, found: ShownQuestion) -> None:
        sample = self._sample = found.samples[0]
        name = f"#{found.position}" if found.key is None else f"#{found.position} ({found.key})"
        retitle(self.query_one("#asked"), joined([Content(f"Run {self._run}"), plain(f"question {name}")]))
        self.query_one("#asked Static", Static).update(sample_facts(found))
        retitle(self.query_one("#response"), sample_title(sample))
        retitle(
            self.query_one("#right"), Content(counted(len(sample.tokens.surprisal) if sample.tokens else 0, "token"))
        )
        tokens = sample.tokens
        if tokens is None or tokens.ends is None:
            self.text.show(sample.text)
        else:
            self.text.show(sample.text, tokens.ends, tokens.surprisal)
        self._show_tokens()
        self._show_token()
        self.refresh_bindings()

    def _show_tokens(self) -> None:
        sample = self._sample
        if sample and sample.tokens:
            rows = TokenRows(sample.text, sample.tokens, self.table.sort_column, self.table.sort_backwards)
            self.table.show(rows, empty=Content())
        elif sample:
            self.table.show(Rows(), empty=Content("No tokens behind this context."))

    def _show_token(self) -> None:
        sample = self._sample
        if sample is None:
            return
        line = why_no_tokens(sample)
        if sample.tokens is not None and self.text.tokens:
            line = token_line(sample.text, sample.tokens, self.text.cursor)
        shown = self.query_one("#token", Static)
        shown.set_class(not self.text.tokens, "-why")
        shown.update(line)

    def on_heat_text_moved(self) -> None:
        if not self.table.has_focus:
            self.table.move_to(self.text.cursor)
        self._show_token()

    def on_record_table_highlighted(self, message: RecordTable.Highlighted) -> None:
        if self.table.has_focus and isinstance(message.key, int):
            self.text.move_to(message.key)

    def on_record_table_sorted(self) -> None:
        self._show_tokens()

    def action_worst_token(self) -> None:
        self.text.next_worst(1)
        self.table.move_to(self.text.cursor)

    def action_back_to_worse(self) -> None:
        self.text.next_worst(-1)
        self.table.move_to(self.text.cursor)

    def action_next_pane(self) -> None:
        (self.text if self.table.has_focus else self.table).focus()

    def action_numbers(self) -> None:
        self.text.show_numbers(not self.text.numbers)

    def action_next_context(self) -> None:
        contexts = _scored_contexts(self._sample) if self._sample else []
        if len(contexts) > 1:
            place = contexts.index(self._behind) if self._behind in contexts else -1
            self._behind = contexts[(place + 1) % len(contexts)]
            self._read()
        else:
            self.app.say("The run scored this response behind one context only.")

    def action_copy_text(self) -> None:
        if self._sample:
            self.app.copy(visible(self._sample.text, multiline=True))

    def action_back(self) -> None:
        self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("worst_token", "back_to_worse", "numbers", "copy_text", "next_context"):
            return self._sample is not None or None
        return True


def _scored_contexts(sample: ShownSample) -> list[str]:
    return [score["context"] for score in sample.scores if score["mean_nll"] is not None]
