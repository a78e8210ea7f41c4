"""Two strategies question by question: the list of differences, and both texts with their surprisals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from core.text import visible
from sap_tui.comparisons import NoComparison, Pair, Questions, ShownQuestion, ShownSample, compared
from sap_tui.exports import ask_and_write
from sap_tui.keys import Place, bindings
from sap_tui.pace import focus_without_repaint
from sap_tui.text import MUTED, joined, plain
from sap_tui.twin import option
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.heat import scale
from sap_tui.widgets.heat_text import HeatText
from sap_tui.widgets.key_line import KeyLine
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Rows
from sap_tui.widgets.sample_rows import (
    PairRows,
    comparison_summary,
    pair_columns,
    sample_title,
    sorted_pairs,
    token_line,
    why_no_tokens,
)
from sap_tui.widgets.title_bar import TitleBar

if TYPE_CHECKING:
    from sap_tui.app import SapApp

READING = Content("Reading …")
COMPARING = Content("Comparing …")
CONTEXTS = ("plain", "self_aligned", "alone")


class CompareScreen(Screen[None]):
    """A and B by a metric of a run."""

    CSS_PATH = "compare.tcss"
    PLACE: ClassVar[Place] = "compare"
    BINDINGS = bindings("compare")
    PROSE = (
        "Questions with the largest difference come first; A ahead says by how much A is better, in the metric's "
        "direction, and is negative where B is. Below stand both responses. The colour of a token is its surprisal, "
        "-ln of the probability that the target model gave it, in nats: the colder a text, the more it is what the "
        "model would have written itself. The line at the bottom has the numbers of the token under the cursor: its "
        "probability, its rank among all tokens (1 is the one the model would have chosen) and the entropy of the "
        "model's choice; a high surprisal at a low entropy is where the model was sure of something else. "
        "Press {worst_token} for the worst token, again for the next less bad one. Interval and p value in the "
        "summary are those of this pair alone; the ranking corrects for all strategies."
    )
    focused = focus_without_repaint()
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self._comparison: Mapping[str, Any] | None = None
        self._questions: Questions | None = None
        self._shown: ShownQuestion | None = None
        self._behind = CONTEXTS[0]
        self._side = "a"
        self._together = False

    def compose(self) -> ComposeResult:
        yield TitleBar(self.PLACE, self.app.catalogue)
        with Vertical(id="list"):
            yield RecordTable(pair_columns(None), table_id="questions")
        yield Static(id="summary")
        yield Static(id="asked")
        with Container(id="texts"):
            for side in ("a", "b"):
                with Vertical(id=f"side-{side}", classes="side"):
                    yield HeatText(text_id=side)
        yield Static(id="token")
        yield Static(id="scale")
        yield KeyLine()

    def on_mount(self) -> None:
        self._questions = Questions(self.app.catalogue, self.pair.run, (self.pair.a, self.pair.b))
        self.table.show(Rows(), empty=COMPARING)
        retitle(self.query_one("#list"), self._title())
        self._show_scale()
        self._text("a").focus()
        self.watch(self.app, "snapshot", self._show_snapshot)
        self.watch(self.app, "theme", self._show_scale, init=False)
        self._compare()

    def on_unmount(self) -> None:
        if self._questions:
            self._questions.stop()

    @property
    def table(self) -> RecordTable:
        return self.query_one(RecordTable)

    def _text(self, side: str) -> HeatText:
        return self.query_one(f"#{side}", HeatText)

    def _show_snapshot(self) -> None:
        if self.is_current:
            self.query_one(TitleBar).show(self.app.snapshot)

    def _show_scale(self) -> None:
        self.query_one("#scale", Static).update(scale(self.app))

    def _title(self) -> Content:
        found = self._comparison
        by = f"by {found['metric']['id']}, {found['metric']['direction']} is better" if found else ""
        names = Content.assemble(
            ("A ", MUTED), plain(self.pair.a, "$primary bold"), ("  B ", MUTED), plain(self.pair.b, "$accent bold")
        )
        return joined([Content(f"Run {self.pair.run}"), names, Content(by)])

    @work(group="compare", exclusive=True)
    async def _compare(self) -> None:
        found = await compared(self.app.catalogue, self.pair)
        # The screen may have been left meanwhile.
        if not self.query(HeatText):
            return
        if isinstance(found, NoComparison):
            self.table.show(Rows(), empty=plain(found, "$error"))
            return
        self._comparison = found
        # What the values in the list are made of.
        self._behind = next(iter(found["metric"]["contexts"]), self._behind)
        retitle(self.query_one("#list"), self._title())
        self.query_one("#summary", Static).update(comparison_summary(found))
        self.table.use_columns(pair_columns(found))
        self._show_questions()
        self.refresh_bindings()

    def _show_questions(self) -> None:
        if self._comparison:
            rows = sorted_pairs(self._comparison["rows"], self.table.sort_column, self.table.sort_backwards)
            self.table.show(
                PairRows(rows, self._comparison["metric"]["decimals"]), empty=Content("No question has a score yet.")
            )

    def on_record_table_sorted(self) -> None:
        self._show_questions()

    def on_record_table_highlighted(self) -> None:
        self._show_question()

    def _show_question(self) -> None:
        position = self.table.cursor_key
        if not isinstance(position, int) or self._questions is None:
            return
        known = self._questions.known(position, self._behind)
        self._draw(known)
        self._questions.stop(but=(position, *self._next_positions()))
        self._read(position, self._behind)

    @work(group="question", exclusive=True)
    async def _read(self, position: int, context: str) -> None:
        """Have the question read and shown, and the next one read after it."""
        if self._questions is None:
            return
        found = await self._questions.get(position, context)
        if not self.query(HeatText):
            return
        if self._shown is not found and (position, context) == (self.table.cursor_key, self._behind):
            self._draw(found)
        for each in self._next_positions():
            await self._questions.get(each, context)

    def _next_positions(self) -> list[int]:
        source = self.table.source
        place = source.position(self.table.cursor_key)
        following = [] if place is None else range(place + 1, min(place + 2, len(source)))
        return [key for each in following if isinstance(key := source[each].key, int)]

    def _draw(self, found: ShownQuestion | NoComparison | None) -> None:
        """Both texts of a question, or why they are not there."""
        if isinstance(found, ShownQuestion):
            self._shown = found
            with self.app.batch_update():
                for side, sample in zip(("a", "b"), found.samples, strict=True):
                    self._draw_side(side, sample)
                self._show_asked(found)
                self._show_token()
        else:
            self._shown = None
            for side in ("a", "b"):
                self._text(side).show("")
            self.query_one("#token", Static).update(READING if found is None else plain(found, "$error"))

    def _draw_side(self, side: str, sample: ShownSample) -> None:
        retitle(self.query_one(f"#side-{side}"), sample_title(sample, side))
        tokens = sample.tokens
        if tokens is None or tokens.ends is None:
            self._text(side).show(sample.text)
        else:
            self._text(side).show(sample.text, tokens.ends, tokens.surprisal)

    def _show_asked(self, found: ShownQuestion) -> None:
        name = f"#{found.position}" if found.key is None else found.key
        gold = Content()
        if found.answer is not None:
            gold = Content.assemble(("  gold answer ", MUTED), plain(found.answer, "bold"))
        question = plain(found.turns[-1][1] if found.turns else "")
        self.query_one("#asked", Static).update(Content.assemble(plain(f"{name}  ", MUTED), question, gold))

    def _sample(self, side: str) -> ShownSample | None:
        return self._shown.samples["ab".index(side)] if self._shown else None

    def _show_token(self) -> None:
        sample, text = self._sample(self._side), self._text(self._side)
        if sample is None:
            return
        if sample.tokens is None or not text.tokens:
            line = why_no_tokens(sample) or Content.styled("No tokens behind this context.", MUTED)
        else:
            letter = (f"{self._side.upper()} ", "$primary bold" if self._side == "a" else "$accent bold")
            line = Content.assemble(letter, token_line(sample.text, sample.tokens, text.cursor))
        shown = self.query_one("#token", Static)
        shown.set_class(not text.tokens, "-why")
        shown.update(line)

    def on_heat_text_moved(self) -> None:
        self._show_token()

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, HeatText) and self.focused.id:
            self._side = self.focused.id
            self._show_token()

    def on_heat_text_scrolled(self, message: HeatText.Scrolled) -> None:
        other = self._text("b" if message.text.id == "a" else "a")
        if self._together and message.text.id == self._side and message.text.max_scroll_y:
            share = message.text.scroll_offset.y / message.text.max_scroll_y
            other.scroll_to_row(round(share * other.max_scroll_y))

    def on_heat_text_opened(self) -> None:
        self._open_sample()

    def on_record_table_opened(self) -> None:
        self._open_sample()

    def _open_sample(self) -> None:
        from sap_tui.screens.sample import SampleScreen

        if self._shown:
            strategy = self.pair.a if self._side == "a" else self.pair.b
            self.app.push_screen(SampleScreen(self.pair.run, strategy, self._shown.position, self._behind))

    def action_next_question(self) -> None:
        self.table.action_cursor_down()

    def action_previous_question(self) -> None:
        self.table.action_cursor_up()

    def action_worst_token(self) -> None:
        self._text(self._side).next_worst(1)

    def action_back_to_worse(self) -> None:
        self._text(self._side).next_worst(-1)

    def action_next_pane(self) -> None:
        order = [self._text("a"), self._text("b"), self.table]
        here = order.index(self.focused) if self.focused in order else -1
        order[(here + 1) % len(order)].focus()

    def action_numbers(self) -> None:
        for side in ("a", "b"):
            self._text(side).show_numbers(not self._text(side).numbers)

    def action_scroll_together(self) -> None:
        self._together = not self._together
        self.app.say("Both texts scroll together." if self._together else "Each text scrolls for itself.")

    def action_next_context(self) -> None:
        """To the next context that one of the two has a score behind."""
        samples = self._shown.samples if self._shown else ()
        scored = {score["context"] for sample in samples for score in sample.scores if score["mean_nll"] is not None}
        contexts = [each for each in CONTEXTS if each in scored]
        if len(contexts) > 1:
            place = contexts.index(self._behind) if self._behind in contexts else -1
            self._behind = contexts[(place + 1) % len(contexts)]
            self._show_question()
        else:
            self.app.say("The run scored these responses behind one context only.")

    def action_copy_text(self) -> None:
        sample = self._sample(self._side)
        if sample:
            self.app.copy(visible(sample.text, multiline=True))

    def action_export_csv(self) -> None:
        """Every question with both values and their difference."""
        pair = self.pair
        by = option("by", pair.metric) if pair.metric else []
        arguments = ["compare", *by, "--", str(pair.run), pair.a, pair.b]
        ask_and_write(self.app, "the comparison", f"{pair.a}-{pair.b}-run-{pair.run}", arguments)

    def action_back(self) -> None:
        self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("worst_token", "back_to_worse", "numbers", "copy_text", "next_context", "scroll_together",
                      "next_question", "previous_question", "export_csv"):  # fmt: skip
            return self._comparison is not None or None
        return True
