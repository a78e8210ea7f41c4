"""Colours and numbers of the tokens: those of the pass that is measured, told apart, and there before a run ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.scoring.fake import Faults
from sap_tui.screens.sample import SampleScreen
from sap_tui.widgets.heat_text import _number
from tests.jobs.helpers import queue_run, run_now
from tests.jobs.test_plan import RecordingEngine, work
from tests.ui.conftest import Opener, change, score_here
from tests.ui.test_compare import as_json, compared, static, tokens_of


@pytest.mark.parametrize(("metric", "context", "words"), [
    ("sap_nll", "self_aligned", "behind examples and the question"), ("nll", "plain", "behind the question"),
])  # fmt: skip
async def test_the_texts_begin_with_the_pass_that_the_list_is_made_of(
    metric: str, context: str, words: str, catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    metrics = [metric, *({"sap_nll", "nll"} - {metric})]
    score_here(catalogue, queue_run(catalogue, stand_in_model, metrics, samples=6, answer_filter=False))
    async with opened(catalogue, screen="ranking") as session:
        screen = await compared(session)
        assert tokens_of(screen, "a").context == context
        assert words in static(session, "#token")
        sample = screen._sample("a")
        assert sample is not None
        found = as_json(catalogue, "compare", "1", screen.pair.a, screen.pair.b)
        assert sample.mean_nll == pytest.approx(found["rows"][0]["a"])
        await session.press("enter")
        await session.until(lambda: words in static(session, "#token"))
        await session.press("escape", "v")
        await session.until(lambda: screen._shown is not None and tokens_of(screen, "a").context != context)


async def test_a_sample_that_was_scored_behind_one_context_is_shown_behind_that(
    catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    score_here(catalogue, queue_run(catalogue, stand_in_model, ("sap_nll",), samples=6, answer_filter=False))
    async with opened(catalogue) as session:
        session.app.push_screen(SampleScreen(1, "plain", 1))
        await session.sees("behind examples and the question")


async def test_tokens_are_there_while_a_run_is_unfinished(
    catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    run = queue_run(catalogue, stand_in_model)
    work(catalogue, run, RecordingEngine(Faults()), commits=1)
    assert 0 < run_now(catalogue, run).done < run_now(catalogue, run).total
    async with opened(catalogue) as session:
        session.app.push_screen(SampleScreen(run, "plain", 1))
        await session.sees("token 1 of 8", "behind the question")


async def test_why_there_are_no_tokens_is_said_in_full(scored: Path, opened: Opener) -> None:
    change(scored, "DELETE FROM token_ends")
    async with opened(scored) as session:
        session.app.push_screen(SampleScreen(1, "plain", 1))
        await session.sees("and nothing is scored twice: sap-tui score --task sums --model stand-in-model")


async def test_numbers_that_touch_are_told_apart_without_colours(
    scored: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        await session.press("number_sign")
        segments = list(screen._text("a").render_line(1))[1:9]
        assert [bool(segment.style and segment.style.bold) for segment in segments] == [False, True] * 4


@pytest.mark.parametrize(("surprisal", "token", "number"), [
    (10.44, " stamps", " 10.4  "), (0.26, "both", "0.3 "), (0.26, "a", " "), (2.6, " is", " 3 "),
    (3.14, " the", " 3.1"), (12.3, " the", " +  "), (123.4, "four", "+   "), (7.0, " ", "7"), (1.2, "\u6f22", "1 "),
    (0.01, "nothing", " " * 7), (4.0, "", ""),
])  # fmt: skip
def test_a_number_stands_below_the_first_letter_and_never_beyond_its_token(
    surprisal: float, token: str, number: str
) -> None:
    assert _number(surprisal, token) == number
