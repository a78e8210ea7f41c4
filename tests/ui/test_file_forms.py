"""Importing outcomes from the app: what is in the file is shown, line by line where it is wrong, before it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from sap_tui.screens.outcomes_form import OutcomesForm
from tests.ui.conftest import Opener, Session, value_of
from tests.ui.test_outcomes import SAMPLE, judged, unjudged

__all__ = ["judged", "unjudged"]


async def outcomes_form(session: Session, file: Path) -> None:
    await session.press("i")
    await session.until(lambda: isinstance(session.app.screen, OutcomesForm))
    session.app.screen.query_one("#path", Input).value = str(file)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_outcomes_are_shown_and_then_kept(unjudged: Path, opened: Opener, size: tuple[int, int]) -> None:
    async with opened(unjudged, size=size, screen="outcomes") as session:
        await session.sees("No outcomes yet of arithmetic under tiny-model.")
        await outcomes_form(session, SAMPLE / "outcomes.csv")
        await session.sees("tiny-model: 18 outcomes of 6 strategies", "step_by_step", "74.2%", "mean of 3 seeds")
        assert value_of(unjudged, "SELECT count(*) FROM outcomes") == 0
        await session.press("enter")
        await session.until(lambda: not isinstance(session.app.screen, OutcomesForm))
        assert value_of(unjudged, "SELECT count(*) FROM outcomes") == 18


async def test_every_bad_outcome_is_named_before_anything_is_kept(
    unjudged: Path, opened: Opener, tmp_path: Path
) -> None:
    file = tmp_path / "mixed.csv"
    file.write_text("strategy,accuracy\nchatty,0.5\nchaty,0.5\nterse,50\n")
    async with opened(unjudged, screen="outcomes") as session:
        await outcomes_form(session, file)
        await session.sees("mixed.csv:3:", "Did you mean 'chatty'?", "mixed.csv:4:", "divide by 100",
                           "Nothing is kept of a file with bad lines.", "1 outcome of 1 strategy")  # fmt: skip
        await session.press("enter")
        await session.until(lambda: "Importing" not in session.words and "mixed.csv:" in session.words)
        assert isinstance(session.app.screen, OutcomesForm)
        assert value_of(unjudged, "SELECT count(*) FROM outcomes") == 0


async def test_a_model_without_runs_and_what_is_replaced_are_said(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await session.until(lambda: len(session.table.source))
        await outcomes_form(session, SAMPLE / "outcomes.csv")
        await session.sees("18 earlier outcomes will be replaced.")
        assert "no run under this model yet" not in session.words


async def test_a_file_without_outcomes_says_why(judged: Path, opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("x,y\n1,2\n")
    async with opened(judged, screen="outcomes") as session:
        await session.until(lambda: len(session.table.source))
        await outcomes_form(session, tmp_path / "odd.csv")
        await session.sees("odd.csv:2: there is no column 'strategy'")
        session.app.screen.query_one("#path", Input).value = str(tmp_path / "gone.csv")
        await session.sees("There is no file")
