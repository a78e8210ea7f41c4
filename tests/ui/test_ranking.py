"""The ranking screen shows what `sap-tui rank` computes, no more and no less."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from textual.widgets import Input

from sap_tui.exports import write
from sap_tui.widgets.dialogs import AskPath, Choose
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, change, score_here


async def test_rows_values_and_intervals_are_those_of_the_command_line(scored: Path, opened: Opener) -> None:
    ranking = json.loads(CommandLine(scored)("rank", "1", "--format", "json"))
    async with opened(scored, size=(150, 40), screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        assert [name.split()[-1] for name in session.names] == [row["strategy"] for row in ranking["strategies"]]
        text = session.text()
        for row in ranking["strategies"]:
            score = row["scores"][ranking["metric"]]
            assert f"{score['value']:.3f}" in text
            assert f"[{score['low']:.3f}, {score['high']:.3f}]" in text
        assert ranking["verdict"].capitalize() in text
        for warning in ranking["warnings"]:
            assert " ".join(warning.split()[:5]) in text


async def test_intervals_lie_on_one_scale_over_the_axis(scored: Path, opened: Opener) -> None:
    async with opened(scored, size=(150, 40), screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        bars = [session.table.source[row].cells[2].plain for row in range(len(session.table.source))]
        assert len({len(bar) for bar in bars}) == 1
        values = [float(session.table.source[row].cells[1].plain) for row in range(len(bars))]
        assert sorted(bar.index("●") for bar in bars) == [bar.index("●") for bar in bars]
        assert values == sorted(values)


async def test_the_metric_goes_round(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: "by nll" in session.text())
        await session.press("m")
        await session.until(lambda: "by ppl" in session.text())
        await session.press("m")
        await session.until(lambda: "by nll" in session.text())


async def test_another_run_can_be_chosen(scored: Path, stand_in_model: Path, opened: Opener) -> None:
    score_here(scored, queue_run(scored, stand_in_model, samples=6))
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: "Run 2 ·" in session.text())
        await session.press("o")
        await session.until(lambda: isinstance(session.app.screen, Choose))
        await session.press("down", "enter")
        await session.until(lambda: "Run 1 ·" in session.text() and "12 questions" in session.text())


async def test_another_run_is_ranked_by_its_own_metric(scored: Path, stand_in_model: Path, opened: Opener) -> None:
    score_here(scored, queue_run(scored, stand_in_model, samples=6))
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: "Run 2 ·" in session.text() and "by nll" in session.text())
        await session.press("l", "m")
        await session.until(lambda: "by ppl" in session.text())
        assert session.table.scroll_offset.x == 0
        await session.press("o")
        await session.until(lambda: isinstance(session.app.screen, Choose))
        await session.press("down", "enter")
        await session.until(lambda: "Run 1 ·" in session.text() and "by nll" in session.text())


async def test_a_run_without_scores_says_so(catalogue: Path, stand_in_model: Path, opened: Opener) -> None:
    queue_run(catalogue, stand_in_model)
    async with opened(catalogue, screen="ranking") as session:
        await session.until(lambda: "Run 1 has no scores to rank yet" in session.text())
        await session.sees("Press o to rank another run.")


async def test_the_csv_is_written_where_the_user_says(scored: Path, opened: Opener, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("E")
        await session.until(lambda: isinstance(session.app.screen, AskPath))
        session.app.screen.query_one(Input).value = str(target)
        await session.press("enter")
        await session.until(lambda: session.said == [f"Written: {target}"])
        rows = list(csv.DictReader(target.open()))
        assert {row["strategy"] for row in rows} == {"plain", "chatty"}


async def test_a_file_that_exists_is_not_replaced_unseen(scored: Path, opened: Opener, tmp_path: Path) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        target = tmp_path / "there.csv"
        target.write_text("mine")
        session.app.push_screen(AskPath("Write to", str(target)))
        await session.until(lambda: "That file exists; enter replaces it." in session.text())
        await session.press("escape")
        assert target.read_text() == "mine"


async def test_a_failed_export_says_why(scored: Path, opened: Opener, tmp_path: Path) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        write(session.app, ["rank", "1"], str(tmp_path / "no" / "such" / "folder.csv"))
        await session.until(lambda: session.said)
        assert session.said[0].startswith("Cannot write")


async def test_a_renamed_strategy_is_ranked_under_its_new_name(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        change(scored, "UPDATE strategies SET name = 'renamed', updated_at = updated_at + 1 WHERE name = 'chatty'")
        await session.until(lambda: any("renamed" in name for name in session.names))


async def test_the_pane_explains_the_strategy_under_the_cursor(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("down")
        await session.until(lambda: "vs leader" in session.text() and "Holm-adjusted" in session.text())
        await session.sees("Lower is better.")


async def test_enter_shows_the_responses_as_the_ranked_run_scored_them(
    scored: Path, stand_in_model: Path, opened: Opener
) -> None:
    score_here(scored, queue_run(scored, stand_in_model, samples=6))
    async with opened(scored, screen="ranking", run=1) as session:
        await session.sees("Run 1 ·", "decided")
        name = session.table.cursor_key
        await session.press("enter")
        await session.sees(f"sums / {name} · 24 responses · scores of run 1")
        await session.press("escape")
        await session.sees("Run 1 ·")


async def test_enter_on_a_strategy_that_was_deleted_says_so(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        change(scored, "UPDATE strategies SET deleted_at = 1")
        await session.until(lambda: not session.app.snapshot.strategies)
        await session.press("enter")
        assert session.said == ["This strategy is not in the catalogue any more."]


async def test_at_first_the_fullest_run_of_the_task_is_ranked(
    scored: Path, stand_in_model: Path, opened: Opener
) -> None:
    score_here(scored, queue_run(scored, stand_in_model, samples=6, strategies=("plain",)))
    async with opened(scored, screen="ranking") as session:
        await session.sees("Run 1 ·", "12 questions")


async def test_the_whole_reason_of_a_run_that_failed_is_read(
    catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    queue_run(catalogue, stand_in_model)
    reason = "memory ran out " + "while the weights were being read " * 5 + "to the very end"
    change(catalogue, "UPDATE runs SET state = 'failed', why = ?", reason)
    async with opened(catalogue, screen="ranking") as session:
        await session.sees(reason)
