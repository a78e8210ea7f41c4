"""What every key of the compare and sample screens does, and how to come there."""

from __future__ import annotations

from collections.abc import Callable

from sap_tui.keys import Place
from sap_tui.screens.compare import CompareScreen
from sap_tui.screens.ranking import RankingScreen
from sap_tui.screens.sample import SampleScreen
from sap_tui.widgets.dialogs import AskPath
from sap_tui.widgets.heat_text import HeatText
from tests.ui.conftest import Session

Effect = Callable[[Session], object]
# So narrow that the chatty response has several lines.
TEXT_SIZE = (40, 40)


async def come_to(session: Session, place: Place) -> None:
    """From the ranking of a scored run to the screen, or to the longer text of it."""
    await session.until(lambda: "decided" in session.words)
    await session.press("g", "down", "c")
    screen = await session.until(lambda: isinstance(session.app.screen, CompareScreen) and session.app.screen)
    await session.until(lambda: screen._shown is not None)
    if place == "text":
        await session.focus("#a" if screen.pair.a == "chatty" else "#b")
    if place == "sample":
        await session.press("enter")
        sample = await session.until(lambda: isinstance(session.app.screen, SampleScreen) and session.app.screen)
        await session.until(lambda: sample._sample is not None)


def text(session: Session) -> HeatText:
    return next(each for each in session.app.screen.query(HeatText) if each.has_focus)


def line(number: int) -> Effect:
    def reached(session: Session) -> bool:
        lines = text(session).layout_lines
        return lines.line_of(lines.start(text(session).cursor)) == number

    return reached


def at_token(number: int) -> Effect:
    return lambda session: text(session).cursor == number % text(session).tokens


def worst(number: int) -> Effect:
    return lambda session: text(session)._worst == number


def row(number: int) -> Effect:
    return lambda session: session.table.source.position(session.table.cursor_key) == number


def says(words: str) -> Effect:
    return lambda session: any(words in line for line in session.said)


def on(screen: type) -> Effect:
    return lambda session: isinstance(session.app.screen, screen)


COMPARE_EFFECTS: dict[tuple[str, Place], tuple[tuple[str, ...], Effect]] = {
    ("compare", "catalogue"): (("a",), on(CompareScreen)),
    ("compare", "ranking"): (("down",), on(CompareScreen)),
    ("mark", "ranking"): ((), lambda session: len(session.table.marks) == 1),
    ("next_question", "compare"): ((), row(1)),
    ("previous_question", "compare"): (("n",), row(0)),
    ("worst_token", "compare"): ((), worst(0)),
    ("worst_token", "sample"): ((), worst(0)),
    ("back_to_worse", "compare"): (("w", "w"), worst(0)),
    ("back_to_worse", "sample"): (("w", "w"), worst(0)),
    ("next_pane", "compare"): ((), lambda session: session.app.focused is session.app.screen.query_one("#b")),
    ("next_pane", "sample"): ((), lambda session: session.table.has_focus),
    ("numbers", "compare"): ((), lambda session: text(session).numbers),
    ("numbers", "sample"): ((), lambda session: text(session).numbers),
    ("scroll_together", "compare"): ((), says("Both texts scroll together.")),
    ("next_context", "compare"): ((), says("behind one context only")),
    ("next_context", "sample"): ((), says("behind one context only")),
    ("export_csv", "compare"): ((), on(AskPath)),
    ("copy_text", "compare"): ((), lambda session: session.app.clipboard.endswith((".", "!"))),
    ("copy_text", "sample"): ((), lambda session: session.app.clipboard.endswith((".", "!"))),
    ("back", "compare"): ((), on(RankingScreen)),
    ("back", "sample"): ((), on(CompareScreen)),
    ("previous_token", "text"): (("right",), at_token(0)),
    ("next_token", "text"): ((), at_token(1)),
    ("cursor_up", "text"): (("down",), line(0)),
    ("cursor_down", "text"): ((), line(1)),
    ("page_up", "text"): (("down",), line(0)),
    ("page_down", "text"): ((), line(1)),
    ("first_row", "text"): (("G",), at_token(0)),
    ("last_row", "text"): ((), at_token(-1)),
    ("open_row", "text"): ((), on(SampleScreen)),
}
