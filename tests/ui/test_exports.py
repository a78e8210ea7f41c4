"""Every screen with numbers writes them to a CSV file, the same as its twin on the command line does."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from sap_tui.widgets.dialogs import AskPath
from tests.e2e.command_line import CommandLine
from tests.ui.compare_keys import come_to
from tests.ui.conftest import Opener, Session
from tests.ui.test_outcomes import judged, loaded, unjudged

__all__ = ["judged", "unjudged"]


async def export(session: Session, target: Path) -> str:
    await session.press("E")
    await session.until(lambda: isinstance(session.app.screen, AskPath))
    session.app.screen.query_one(Input).value = str(target)
    await session.press("enter")
    await session.until(lambda: session.said == [f"Written: {target}"])
    return target.read_text()


async def test_a_comparison(scored: Path, opened: Opener, tmp_path: Path) -> None:
    async with opened(scored, screen="ranking") as session:
        await come_to(session, "compare")
        pair = session.app.screen.pair  # type: ignore[attr-defined]
        text = await export(session, tmp_path / "pair.csv")
    assert text == CommandLine(scored)("compare", "1", pair.a, pair.b, "--by", "nll", "--format", "csv")


@pytest.mark.parametrize(
    ("views", "twin"),
    [(0, ("judge", "--run", "1", "--points")), (1, ("agree", "1")), (2, ("converge", "1", "--by", "nll"))],
)
async def test_the_views_of_outcomes(
    views: int, twin: tuple[str, ...], judged: Path, opened: Opener, tmp_path: Path
) -> None:
    async with opened(judged, screen="outcomes") as session:
        await session.press(*["v"] * views)
        await loaded(session)
        text = await export(session, tmp_path / "view.csv")
    assert text == CommandLine(judged)(*twin, "--format", "csv")
