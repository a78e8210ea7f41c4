"""The home screen: tasks and strategies, what is known of them, and what an empty one says."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

import pytest

from core.store.db import prepare
from sap_tui.screens.new_run import NewRunForm
from sap_tui.widgets.dialogs import Confirm
from sap_tui.widgets.records import Record
from sap_tui.words import within
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, Session, change, score_here, value_of


async def test_an_empty_catalogue_says_what_to_do(tmp_path: Path, opened: Opener) -> None:
    empty = tmp_path / "empty.db"
    prepare(empty)
    async with opened(empty) as session:
        await session.sees("Press i to import")
        await session.press("2")
        await session.sees("1 and then i to import")
        await session.press("3")
        await session.sees("Press n to start one, or 1 to import")
        await session.press("n")
        assert session.said == ["There is nothing to score yet. Press 1 and then i to import a file first."]


async def test_strategies_stand_under_their_task(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        assert session.names == ["sums  24 questions", "chatty", "plain"]
        await session.press("down")
        text = await session.until(lambda: "Well, let me see" in session.text() and session.text())
        assert "What is 0 plus 0?" in text
        assert "chatty.jsonl" in text


async def test_rank_and_score_come_from_a_finished_run(scored: Path, opened: Opener) -> None:
    async with opened(scored, size=(140, 30)) as session:
        await session.until(lambda: "ranked by" in session.text())
        line = next(line for line in session.text().splitlines() if " chatty " in line)
        assert "#1 ✓ done" in line


async def test_a_filter_keeps_what_matches_and_escape_shows_all(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("slash", *"chat")
        assert session.names[1:] == ["chatty"]
        await session.press("enter")
        assert session.app.focused is session.table
        await session.press("slash", "escape")
        assert len(session.names) == 3
        await session.press("slash", *"nothing")
        await session.sees("No strategy holds that text")


async def test_sorting_goes_round_the_columns(catalogue: Path, opened: Opener) -> None:
    change(catalogue, "UPDATE strategies SET responses = 5 WHERE name = 'plain'")
    async with opened(catalogue) as session:
        await session.press("s", "s")
        assert session.table.sort_column == "responses"
        assert session.names[1:] == ["plain", "chatty"]
        await session.sees("responses ▲")
        await session.press("S")
        assert session.names[1:] == ["chatty", "plain"]


async def test_a_task_row_marks_all_its_strategies(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("space")
        await session.sees("2 marked")
        await session.press("space")
        assert "marked" not in session.text()


async def test_a_run_takes_the_marked_strategies(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("down", "space", "n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        await session.sees("--strategy chatty")
        assert "--strategy plain" not in session.text()


async def test_deleting_asks_and_keeps_on_no(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("down", "d")
        await session.until(lambda: isinstance(session.app.screen, Confirm))
        await session.sees("Delete chatty of sums with its 24 responses?")
        await session.press("enter")
        assert value_of(catalogue, "SELECT count(*) FROM strategies WHERE deleted_at IS NULL") == 2
        await session.press("d")
        await session.press("tab", "enter")
        await session.until(lambda: session.names[1:] == ["plain"])
        await session.until(lambda: session.said)
        assert session.said == ["Deleted chatty. u brings it back."]


async def test_what_another_program_imports_appears_by_itself(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        change(catalogue, "INSERT INTO strategies (task, name, created_at, updated_at) VALUES (1, 'later', 1, 1)")
        await session.until(lambda: "later" in session.names)


async def test_the_cursor_stays_on_its_row_when_rows_come_before_it(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("G")
        before = session.table.cursor_key
        change(catalogue, "INSERT INTO strategies (task, name, created_at, updated_at) VALUES (1, 'aaa', 1, 1)")
        await session.until(lambda: "aaa" in session.names)
        assert session.table.cursor_key == before


async def test_a_ranking_that_does_not_exist_yet_is_not_shown(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("r")
        assert session.app.current_mode == "catalogue"
        assert session.said == ["No run has scored this task yet. Press n to start one."]


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (100, 30), (200, 60)])
async def test_every_size_shows_the_names(size: tuple[int, int], scored: Path, opened: Opener) -> None:
    async with opened(scored, size=size) as session:
        await session.sees("chatty")
        await session.pilot.resize_terminal(80, 24)
        await session.until(lambda: session.table.size.width < 80)
        await session.sees("chatty")
        for mode in ("2", "3"):
            await session.press(mode)
            await session.until(lambda: len(session.table.source))
            await session.pilot.resize_terminal(*size)


async def test_a_catalogue_that_breaks_is_said_and_not_fatal(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        change(catalogue, "ALTER TABLE responses RENAME TO gone")
        change(catalogue, "ALTER TABLE strategies RENAME TO gone_too")
        await session.until(lambda: session.app.snapshot.problem)
        change(catalogue, "ALTER TABLE gone RENAME TO responses")
        change(catalogue, "ALTER TABLE gone_too RENAME TO strategies")
        await session.until(lambda: not session.app.snapshot.problem)
        await session.sees("chatty")


async def test_ranks_come_from_the_fullest_run_and_the_heading_names_it(
    scored: Path, opened: Opener, stand_in_model: Path
) -> None:
    score_here(scored, queue_run(scored, stand_in_model, samples=6, strategies=("plain",)))
    async with opened(scored, size=(140, 30)) as session:
        await session.sees("ranked by nll, run 1, stand-in-model")
        cells = {row.cells[0].plain.strip(): [cell.plain for cell in row.cells[1:5]] for row in rows(session)[1:]}
        assert all(all(values) for values in cells.values()), cells
        assert {values[2] for values in cells.values()} == {"1-2"}
        await session.press("down")
        await session.sees("run 1, stand-in-model", "a response", "of 2")
        await session.press("up", "r")
        await session.sees("Run 1 ·")


async def test_a_strategy_ranked_alone_has_a_score_and_no_rank(
    catalogue: Path, opened: Opener, stand_in_model: Path
) -> None:
    score_here(catalogue, queue_run(catalogue, stand_in_model, samples=6, strategies=("plain",)))
    async with opened(catalogue, size=(140, 30)) as session:
        await session.sees("ranked by nll, run 1", "plain is the only strategy ranked")
        assert [column.id for column in session.table._columns][:5] == ["name", "responses", "tokens", "score", "run"]


def test_a_number_gives_up_decimals_before_it_is_cut() -> None:
    values = (1.23456, 130121.1234, 12345678.9, 1234567890.0, 1.5e300, -130121.1234)
    shown = [within(value, 3, 9) for value in values]
    assert shown == ["1.235", "130121.12", "12345679", "1.235e+09", "1.50e+300", "-130121.1"]
    assert [within(value, 3, 9) for value in (inf, nan)] == ["inf", "nan"]


def rows(session: Session) -> list[Record]:
    return [session.table.source[place] for place in range(len(session.table.source))]
