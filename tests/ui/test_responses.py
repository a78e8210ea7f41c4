"""The list of a strategy's responses: read page by page, sorted and filtered in SQL, copied, marked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.store.db import Writer, prepare
from core.store.importing import import_file
from sap_tui.screens.responses import ResponsesScreen
from sap_tui.screens.sample import SampleScreen
from sap_tui.widgets.paged_rows import MOST_PAGES, PAGE_ROWS, NotRead, PagedRows
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Record
from tests.conftest import write_strategy
from tests.hostile import SOME_PAYLOADS as PAYLOADS
from tests.ui.conftest import Opener, Session, change
from tests.ui.test_hostile_text import assert_clean

ROWS = 1000


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A catalogue with a strategy of a thousand responses; the higher its number the shorter a response."""
    path = tmp_path / "long.db"
    prepare(path)
    texts = [f"Response {n} {'x' * (ROWS - n)}" for n in range(ROWS)]
    with Writer(path) as writer:
        import_file(writer, write_strategy(tmp_path / "long.jsonl", texts), task="sums", strategy="long")
    return path


@asynccontextmanager
async def listed(opened: Opener, catalogue: Path, *keys: str, **options: object) -> AsyncIterator[Session]:
    """The responses of the strategy that the keys lead to."""
    async with opened(catalogue, **options) as session:
        await session.press(*(keys or ("down",)), "enter")
        await session.until(lambda: isinstance(session.app.screen, ResponsesScreen))
        await drawn(session)
        yield session


async def drawn(session: Session) -> None:
    screen = session.app.screen
    assert isinstance(screen, ResponsesScreen)
    await session.until(lambda: screen.is_drawn and (screen._finished or not screen._query.contains))
    await session.pilot.pause()


def lines(session: Session) -> list[str]:
    """The lines of the table that are seen, without its header."""
    table = session.table
    return [table.render_line(y).text.strip() for y in range(1, table.size.height)]


async def test_enter_on_a_strategy_lists_its_responses(scored: Path, opened: Opener) -> None:
    async with listed(opened, scored) as session:
        await session.sees("sums / chatty · 24 responses · scores of run 1")
        assert lines(session)[0].split()[:2] == ["1", "What"]
        await session.until(lambda: "Gold answer" in session.text())
        await session.sees("Well, let me see, that makes 0 altogether!")
        await session.press("j")
        await session.until(lambda: "that makes 2 altogether!" in session.words)
        await session.press("escape")
        await session.until(lambda: not isinstance(session.app.screen, ResponsesScreen))


async def test_without_a_run_there_are_no_columns_for_scores(catalogue: Path, opened: Opener) -> None:
    async with listed(opened, catalogue) as session:
        await session.sees("length")
        assert "nll" not in session.text()
        await session.press("enter")
        assert session.said == ["No run has scored this strategy yet, so there are no surprisals to show."]


async def test_enter_shows_a_scored_response_with_its_tokens(scored: Path, opened: Opener) -> None:
    async with listed(opened, scored) as session:
        await session.press("j", "enter")
        await session.until(lambda: isinstance(session.app.screen, SampleScreen))


async def test_only_seen_pages_are_read(long: Path, opened: Opener) -> None:
    async with listed(opened, long) as session:
        rows = session.table.source
        assert isinstance(rows, PagedRows)
        await session.press("G")
        await drawn(session)
        assert lines(session)[-1].startswith("1,000 ")
        await session.press("pageup", "pageup")
        await drawn(session)
        await session.press("g")
        await drawn(session)
        assert lines(session)[0].startswith("1 ")
        assert not rows.holds(ROWS // 2, ROWS // 2 + 1)


async def test_every_row_is_reached_once_and_in_order(long: Path, opened: Opener) -> None:
    async with listed(opened, long, size=(200, 60)) as session:
        seen = []
        for _ in range(ROWS):
            await drawn(session)
            top = session.table.scroll_offset.y
            seen += [(top + place, line.split()[0]) for place, line in enumerate(lines(session)) if line]
            if top + len(lines(session)) >= ROWS:
                break
            await session.press("pagedown")
        assert {number for _, number in seen} == {f"{n:,}" for n in range(1, ROWS + 1)}
        assert all(number == f"{place + 1:,}" for place, number in seen)


async def test_sorting_goes_round_what_sql_can_sort_by(long: Path, opened: Opener) -> None:
    async with listed(opened, long) as session:
        await session.press("s", "s")
        await drawn(session)
        assert session.table.sort_column == "characters"
        assert lines(session)[0].startswith("1,000 ")
        await session.press("S")
        await drawn(session)
        assert lines(session)[0].startswith("1 ")
        await session.press("s")
        await drawn(session)
        assert session.table.sort_column is None


async def test_sorting_by_a_score_leaves_what_has_none_at_the_end(scored: Path, opened: Opener) -> None:
    async with listed(opened, scored) as session:
        for backwards in (False, True):
            session.table._sort("nll", backwards)
            await drawn(session)
            values = [line.split()[-1] for line in lines(session)[:12]]
            assert values == sorted(values, key=float, reverse=backwards)
            await session.press("G")
            await drawn(session)
            assert not session.table.source[23].cells[-1].plain
            await session.press("g")


async def test_a_filter_finds_in_responses_and_questions(long: Path, opened: Opener) -> None:
    async with listed(opened, long) as session:
        await session.press("slash", *"response 99")
        await drawn(session)
        await session.until(lambda: "11 of 1,000 responses" in session.words)
        assert lines(session)[0].startswith("100 ")
        await session.press("enter", "s", "s")
        await drawn(session)
        assert lines(session)[0].startswith("1,000 ")
        await session.press("slash", "escape")
        await session.until(lambda: "1,000 responses" in session.words and "of 1,000" not in session.words)
        await session.press("slash", *"plus 998?", "enter")
        await session.until(lambda: "1 of 1,000" in session.words)
        await session.press("slash", *"nowhere")
        await session.until(lambda: "No response and no question holds that text" in session.text())


async def test_copying_the_response_and_marked_rows(catalogue: Path, opened: Opener) -> None:
    async with listed(opened, catalogue) as session:
        await session.until(lambda: "Gold answer" in session.text())
        await session.press("y")
        assert session.app.clipboard == "Well, let me see, that makes 0 altogether!"
        await session.press("space", "j", "space")
        await session.sees("2 marked")
        await session.press("Y")
        await session.until(lambda: "\n" in session.app.clipboard)
        copied = [json.loads(line) for line in session.app.clipboard.splitlines()]
        assert [(row["id"], row["answer"]) for row in copied] == [("0", "0"), ("2", "4")]
        assert copied[1]["response"] == "Well, let me see, that makes 4 altogether!"


async def test_scores_that_come_in_are_shown(scored: Path, opened: Opener) -> None:
    async with listed(opened, scored) as session:
        change(scored, "UPDATE scores SET nll_sum = tokens * 7.125")
        assert "7.125" not in session.text()
        change(scored, "UPDATE runs SET done = done - 1")
        await session.until(lambda: "7.125" in session.text())


async def test_a_catalogue_that_breaks_is_said(long: Path, opened: Opener) -> None:
    async with listed(opened, long) as session:
        change(long, "ALTER TABLE responses RENAME TO gone")
        await session.press("s", "s")
        await session.until(lambda: "no such table" in session.text())
        change(long, "ALTER TABLE gone RENAME TO responses")
        await session.press("s")
        await drawn(session)
        assert lines(session)[0].startswith("1 ")


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (200, 50)])
async def test_every_size_shows_texts(size: tuple[int, int], scored: Path, opened: Opener) -> None:
    async with listed(opened, scored, size=size) as session:
        assert "What is" in lines(session)[0]
        await session.sees("Well")
        await session.pilot.resize_terminal(100, 30)
        await drawn(session)
        assert "What is" in lines(session)[0]


async def test_hostile_texts_do_nothing(scored: Path, opened: Opener) -> None:
    for number, payload in enumerate(PAYLOADS, 1):
        change(scored, "UPDATE questions SET turns = json_array(json_array('user', ?)), answer = ? WHERE id = ?",
               payload, payload, number)  # fmt: skip
        change(scored, "UPDATE responses SET text = ? WHERE question = ?", payload, number)
    async with listed(opened, scored) as session:
        for key in (*["j"] * len(PAYLOADS), "y", "space", "Y", "G", "g", "s", "S", "right", "slash", "[", "slash", "]"):
            await session.press(key)
            await session.pilot.pause(0.02)
            assert_clean(session)


async def test_wide_characters_keep_the_columns_aligned(catalogue: Path, opened: Opener) -> None:
    wide = "漢字ひらがな 한국어 漢字ひらがな 한국어 漢字ひらがな"
    change(catalogue, "UPDATE responses SET text = ? WHERE question = 2", wide)
    async with listed(opened, catalogue) as session:
        widths = {session.table.render_line(y).cell_length for y in (1, 2, 3)}
        assert widths == {session.table.size.width}
        ends = [session.table.render_line(y).text.rstrip()[-2:] for y in (1, 2)]
        assert ends == ["42", str(len(wide))]


def test_pages_that_were_not_seen_for_long_are_forgotten() -> None:
    wanted: list[int] = []
    rows = PagedRows(PAGE_ROWS * 1000, wanted.append)
    assert rows[PAGE_ROWS * 5].key == NotRead(PAGE_ROWS * 5)
    assert wanted[-1] == 5
    for number in range(MOST_PAGES + 10):
        rows.keep(number, [Record((number, place), ()) for place in range(PAGE_ROWS)])
    assert not rows.holds(0, 1)
    assert rows.position((0, 0)) is None
    assert rows.position((MOST_PAGES, 3)) == MOST_PAGES * PAGE_ROWS + 3
    assert rows.holds((MOST_PAGES - 1) * PAGE_ROWS, (MOST_PAGES + 10) * PAGE_ROWS)


def test_what_has_grown_old_is_shown_until_it_was_read_again() -> None:
    wanted: list[int] = []
    rows = PagedRows(3, wanted.append)
    rows.keep(0, [Record(place, ()) for place in range(3)])
    assert rows[1].key == 1
    assert wanted == []
    rows.grow_old()
    assert rows[1].key == 1
    assert rows[2].key == 2
    assert wanted == [0]


async def test_a_table_of_responses_has_a_cursor_before_anything_is_read(long: Path, opened: Opener) -> None:
    async with opened(long) as session:
        await session.press("down")
        await session.press("enter")
        await session.until(lambda: isinstance(session.app.screen, ResponsesScreen))
        for key in ("G", "k", "space", "y", "Y", "s", "k", "S", "enter", "space"):
            session.app.simulate_key(key)
        await session.pilot.pause()
        await drawn(session)
        assert isinstance(session.app.screen.query_one(RecordTable).cursor_key, int)
        assert_clean(session)
