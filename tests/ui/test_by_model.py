"""The rankings of a task under its target models side by side, and rankings after a column was imported."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from textual.widgets import Input

from sap_tui.widgets.dialogs import AskPath
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, score_here
from tests.ui.test_hostile_text import assert_clean


@pytest.fixture
def two_models(scored: Path, tmp_path: Path) -> Path:
    """The catalogue with run 1 under one model and run 2 under another."""
    other = tmp_path / "other-model"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (other / "model.safetensors").write_bytes(b"other weights")
    score_here(scored, queue_run(scored, other, samples=8))
    return scored


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_every_model_has_a_column(two_models: Path, opened: Opener, size: tuple[int, int]) -> None:
    answer = json.loads(CommandLine(two_models)("rank", "--task", "sums", "--by-model", "--format", "json"))
    assert [ranking["model"]["name"] for ranking in answer["rankings"]] == ["other-model", "stand-in-model"]
    async with opened(two_models, size=size, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("b")
        await session.sees("other-model float32", "stand-in-model float32", answer["sentences"][0])
        for place, name in enumerate(answer["strategies"]):
            cells = [cell.plain.split() for cell in session.table.source[place].cells]
            assert cells[0] == [name]
            for cell, ranking in zip(cells[1:], answer["rankings"], strict=True):
                row = next(row for row in ranking["strategies"] if row["strategy"] == name)
                assert cell[1] == f"{row['scores'][ranking['metric']]['value']:.3f}"
        assert_clean(session)
        await session.press("b")
        await session.sees("Run 2 ·")


async def test_the_metric_goes_round_under_all_models(two_models: Path, opened: Opener) -> None:
    async with opened(two_models, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("b")
        await session.sees("by nll · every target model")
        await session.press("m")
        await session.sees("by ppl · every target model")


async def test_the_rankings_of_all_models_are_exported(two_models: Path, opened: Opener, tmp_path: Path) -> None:
    target = tmp_path / "both.csv"
    async with opened(two_models, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("b")
        await session.sees("every target model", "other-model")
        await session.press("E")
        await session.until(lambda: isinstance(session.app.screen, AskPath))
        session.app.screen.query_one(Input).value = str(target)
        await session.press("enter")
        await session.until(lambda: session.said == [f"Written: {target}"])
        rows = list(csv.DictReader(target.open()))
        assert {(row["model"], row["strategy"]) for row in rows} == {
            (model, name) for model in ("other-model", "stand-in-model") for name in ("plain", "chatty")
        }


async def test_one_model_alone_is_said(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("b")
        await session.sees("Only one target model has ranked them yet")


async def test_an_imported_column_is_ranked_at_once(scored: Path, opened: Opener, tmp_path: Path) -> None:
    def column(values: dict[str, float]) -> Path:
        file = tmp_path / "quality.csv"
        lines = [f"{name},{question},{value}" for name, value in values.items() for question in range(24)]
        file.write_text("\n".join(["strategy,id,value", *lines]) + "\n")
        return file

    command = CommandLine(scored)
    async with opened(scored, size=(150, 40), screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        assert "quality" not in session.words
        command("column", str(column({"plain": 1.25, "chatty": 2.5})), "--task", "sums", "--name", "quality")
        await session.sees("quality", "1.250")
        command("column", str(column({"plain": 7.75, "chatty": 2.5})), "--task", "sums", "--name", "quality")
        await session.sees("7.750")
        for metric in ("ppl", "quality"):
            await session.press("m")
            await session.sees(f"by {metric}")
        command("column", "--delete", "--task", "sums", "--name", "quality")
        await session.until(lambda: "quality" not in session.words and "by nll" in session.words)
