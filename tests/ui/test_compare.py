"""Compare and the sample screen show what `sap-tui compare` and `show` print, and find the worst tokens."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from core.domain import response_digest
from core.text import visible
from sap_tui.comparisons import Tokens
from sap_tui.screens.compare import CompareScreen
from sap_tui.screens.sample import SampleScreen
from sap_tui.widgets.heat_text import HeatText
from tests.e2e.command_line import CommandLine
from tests.hostile import SOME_PAYLOADS as PAYLOADS
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, Session, change, score_here
from tests.ui.test_hostile_text import assert_clean

SIZES = [(120, 36), (80, 24)]
HOSTILE_QUESTIONS = 3


async def compared(session: Session) -> CompareScreen:
    """From the ranking to both texts of the question with the largest difference."""
    await session.until(lambda: session.app.screen.query("RecordTable") and len(session.table.source))
    await session.press("down", "c")
    screen = await session.until(lambda: isinstance(session.app.screen, CompareScreen) and session.app.screen)
    await session.until(lambda: screen._shown is not None)
    await session.pilot.pause()
    return screen


async def sample(session: Session) -> SampleScreen:
    await compared(session)
    await session.press("enter")
    screen = await session.until(lambda: isinstance(session.app.screen, SampleScreen) and session.app.screen)
    await session.until(lambda: screen._sample is not None)
    await session.pilot.pause()
    return screen


def tokens_of(screen: CompareScreen, side: str) -> Tokens:
    shown = screen._sample(side)
    assert shown is not None
    assert shown.tokens is not None
    return shown.tokens


def static(session: Session, name: str) -> str:
    return str(session.app.screen.query_one(name, Static).content)


def as_json(catalogue: Path, *arguments: str) -> Any:
    return json.loads(CommandLine(catalogue)(*arguments, "--json"))


@pytest.mark.parametrize("size", SIZES)
async def test_the_screen_shows_what_the_command_line_prints(
    scored: Path, opened: Opener, size: tuple[int, int]
) -> None:
    async with opened(scored, size=size, screen="ranking") as session:
        screen = await compared(session)
        found = as_json(scored, "compare", "1", screen.pair.a, screen.pair.b)
        assert screen.pair.metric == "nll"
        assert session.names == [row["key"] for row in found["rows"]]
        first = session.table.source[0].cells
        assert [cell.plain for cell in first[1:4]] == [
            f"{found['rows'][0]['a']:.3f}", f"{found['rows'][0]['b']:.3f}", f"{found['rows'][0]['ahead']:+.3f}"
        ]  # fmt: skip
        summary = " ".join(static(session, "#summary").split())
        assert f"A better on {found['wins']}, B on {found['losses']} of 12 questions" in summary
        assert f"p {found['p']}" in summary
        question = as_json(scored, "compare", "1", screen.pair.a, screen.pair.b, "--question", found["rows"][0]["key"])
        text = session.text().replace("│", " ")
        for each in question["samples"]:
            assert each["text"].split()[0] in text
            assert f"{len(each['tokens']['surprisal'])} tokens" in text
        token = question["samples"][0]["tokens"]
        assert f"{token['surprisal'][0]:.2f} nats" in static(session, "#token")
        assert f"rank {token['rank'][0]}" in static(session, "#token")
        assert f"entropy {token['entropy'][0]:.2f}" in static(session, "#token")
        assert f"probability {token['probability'][0]:.3g}" in static(session, "#token")


async def test_w_goes_from_the_worst_token_on_and_back(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        surprisal = tokens_of(screen, "a").surprisal
        order = sorted(range(len(surprisal)), key=lambda token: -surprisal[token])
        text = screen._text("a")
        seen = []
        for key in ("w", "w", "w", "W"):
            await session.press(key)
            seen.append(text.cursor)
        assert seen == [order[0], order[1], order[2], order[1]]
        assert f"token {order[1] + 1:,} of" in static(session, "#token")
        await session.press("tab", "w")
        other = tokens_of(screen, "b").surprisal
        assert screen._text("b").cursor == max(range(len(other)), key=other.__getitem__)
        assert static(session, "#token").startswith("B ")


async def test_questions_go_on_and_back_and_the_next_one_is_read_ahead(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        keys = session.names
        second = session.table.source[1].key
        assert screen._questions is not None
        await session.until(lambda: screen._questions and screen._questions.known(second, "plain"))
        await session.press("n")
        assert screen._shown is not None
        assert screen._shown.key == keys[1]
        await session.press("n", "n", "N")
        await session.until(lambda: screen._shown is not None and screen._shown.key == keys[2])
        await session.sees(f"What is {keys[2]} plus {keys[2]}?")


async def test_the_questions_can_be_sorted(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await compared(session)
        await session.press("tab", "tab", "s")
        await session.until(lambda: session.names == sorted(session.names, key=int))
        await session.press("S")
        await session.until(lambda: session.names == sorted(session.names, key=int, reverse=True))
        await session.press("s", "s", "s", "S")
        values = [session.table.source[row].cells[3].plain for row in range(12)]
        assert session.table.sort_column == "ahead"
        assert [float(value) for value in values] == sorted(map(float, values), reverse=True)


async def test_numbers_stand_below_the_text(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        await session.press("number_sign")
        under = "".join(f"{value:.0f}" if 0.5 <= value < 9.5 else " " for value in tokens_of(screen, "a").surprisal)
        lines = [line.text for line in (screen._text("a").render_line(row) for row in range(2))]
        assert lines[1].strip() == under[: len(lines[1]) - 2].strip()
        await session.press("number_sign")
        assert not screen._text("b").numbers


async def test_both_texts_scroll_together(scored: Path, opened: Opener) -> None:
    long_texts(scored)
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        a, b = screen._text("a"), screen._text("b")
        await session.press("G")
        await session.until(lambda: a.scroll_offset.y == a.max_scroll_y > 0)
        assert b.scroll_offset.y == 0
        await session.press("g", "o")
        assert session.said[-1] == "Both texts scroll together."
        await session.press("G")
        await session.until(lambda: b.scroll_offset.y == b.max_scroll_y > 0)
        await session.press("o", "g")
        await session.until(lambda: a.scroll_offset.y == 0)
        assert b.scroll_offset.y == b.max_scroll_y


def long_texts(catalogue: Path) -> None:
    """The responses get long, with the places of their tokens and scores, as if they had been scored like that."""
    import numpy as np

    from core.domain import TokenScores
    from core.store.db import Writer
    from core.store.scores import insert_scores
    from core.store.token_ends import insert_token_ends

    with Writer(catalogue) as writer, writer.transaction() as connection:
        for strategy in (1, 2):
            text = "".join(f"token{number} " for number in range(8_000 if strategy == 1 else 4_000))
            key = response_digest(text)
            ends = [place + 1 for place, character in enumerate(text) if character == " "]
            values = -np.abs(np.sin(np.arange(len(ends), dtype=np.float32))) * 9
            ranks, rest = np.arange(1, len(ends) + 1, dtype=np.int32), np.ones(len(ends), dtype=np.float32)
            contexts = connection.execute(
                "SELECT DISTINCT context FROM run_items WHERE strategy = ?", (strategy,)
            ).fetchall()
            scores = TokenScores(values, ranks, rest, rest)
            insert_scores(connection, 1, "test", {(row[0], key): scores for row in contexts})
            insert_token_ends(connection, 1, {key: ends})
            connection.execute("UPDATE responses SET text = ?, digest = ? WHERE strategy = ?", (text, key, strategy))
            connection.execute("UPDATE run_items SET response = ? WHERE strategy = ?", (key, strategy))


async def test_eight_thousand_tokens_stay_quick(scored: Path, opened: Opener) -> None:
    long_texts(scored)
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        assert screen._shown is not None
        assert {screen._text("a").tokens, screen._text("b").tokens} == {4_000, 8_000}
        started = time.perf_counter()
        screen._draw(screen._shown)
        drawn = time.perf_counter() - started
        started = time.perf_counter()
        for _ in range(20):
            screen._text("a").next_worst(1)
            for row in range(screen._text("a").size.height):
                screen._text("a").render_line(row)
        stepped = (time.perf_counter() - started) / 20
        assert drawn < 0.5
        assert stepped < 0.05


async def test_marks_choose_what_is_compared(scored: Path, opened: Opener) -> None:
    async with opened(scored) as session:
        await session.press("c")
        assert session.said == ["Mark two strategies of one task with space, then press c."]
        await session.press("down", "space", "c")
        screen = await session.until(lambda: isinstance(session.app.screen, CompareScreen) and session.app.screen)
        assert {screen.pair.a, screen.pair.b} == {"plain", "chatty"}
        await session.press("escape")
        await session.until(lambda: session.app.current_mode == "catalogue" and len(session.app.screen_stack) == 1)


async def test_strategies_that_no_run_scored_together_are_refused(
    catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    queue_run(catalogue, stand_in_model)
    async with opened(catalogue) as session:
        await session.press("a", "c")
        assert session.said == ["No run has scored both strategies yet. Press n to start one."]


async def test_marks_in_the_ranking_go_with_the_run(scored: Path, stand_in_model: Path, opened: Opener) -> None:
    score_here(scored, queue_run(scored, stand_in_model, samples=6))
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await session.press("c")
        assert session.said == ["Mark two strategies with space, then press c."]
        await session.press("g", "space", "space")
        assert session.table.marks == {"plain", "chatty"}
        session.screen.choose(1)  # type: ignore[attr-defined]
        assert session.table.marks == set()


async def test_a_run_without_places_of_tokens_says_so(scored: Path, opened: Opener) -> None:
    change(scored, "DELETE FROM token_ends")
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        assert screen._text("a").tokens == 0
        assert "Score again, and nothing is scored twice" in static(session, "#token")
        await session.press("w", "W", "right", "down", "G", "g", "number_sign", "tab", "o")
        assert_clean(session)


async def test_what_cannot_be_compared_is_said(scored: Path, opened: Opener) -> None:
    async with opened(scored) as session:
        session.app.open_comparison(1, "plain", "gone")
        await session.until(lambda: "Run 1 has no strategy 'gone'" in session.words)
        await session.press("n", "w", "enter", "y", "v")
        assert isinstance(session.app.screen, CompareScreen)


async def test_contexts_go_round(catalogue: Path, stand_in_model: Path, opened: Opener) -> None:
    score_here(catalogue, queue_run(catalogue, stand_in_model, ("nll", "ifd"), samples=6))
    async with opened(catalogue, screen="ranking") as session:
        screen = await compared(session)
        before = list(tokens_of(screen, "a").surprisal)
        await session.press("v")
        await session.until(lambda: screen._shown is not None and tokens_of(screen, "a").context == "alone")
        assert list(tokens_of(screen, "a").surprisal) != before
        assert "by itself" in static(session, "#token")
        assert "rank" not in static(session, "#token")
        await session.press("v")
        await session.until(lambda: "behind the question" in static(session, "#token"))


async def test_the_sample_screen_shows_everything_of_a_sample(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await sample(session)
        found = as_json(scored, "show", "1", screen._strategy, f"#{screen._position}")
        tokens = found["samples"][0]["tokens"]
        text = session.words
        assert found["question"]["turns"][0]["content"] in text
        facts = static(session, "#asked Static")
        assert f"gold answer\n{found['question']['answer']}" in facts
        assert f"{found['samples'][0]['scores'][0]['mean_nll']:.3f} nats" in facts
        assert len(session.table.source) == len(tokens["surprisal"])
        shown = [cell.plain for cell in session.table.source[3].cells]
        assert shown[1:] == ["4", f"{tokens['surprisal'][3]:.3f}", f"{tokens['probability'][3]:.3g}",
                             f"{tokens['rank'][3]}", f"{tokens['entropy'][3]:.3f}"]  # fmt: skip
        await session.press("y")
        assert session.app.clipboard == found["samples"][0]["text"]


async def test_table_and_text_of_a_sample_follow_each_other(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await sample(session)
        await session.press("right", "right")
        assert session.table.cursor_key == 2
        await session.press("tab", "down")
        await session.until(lambda: screen.text.cursor == 3)
        await session.press("s", "s", "s")
        tokens = screen._sample and screen._sample.tokens
        assert tokens is not None
        worst = sorted(range(len(tokens.surprisal)), key=lambda token: -tokens.surprisal[token])
        assert session.table.sort_column == "surprisal"
        await session.press("w", "w")
        assert screen.text.cursor == session.table.cursor_key == worst[1]
        await session.press("escape")
        await session.until(lambda: isinstance(session.app.screen, CompareScreen))


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_responses_are_borne(
    catalogue: Path, stand_in_model: Path, opened: Opener, size: tuple[int, int]
) -> None:
    for number in range(1, HOSTILE_QUESTIONS + 1):
        payload = "\n".join(PAYLOADS[number - 1 :: HOSTILE_QUESTIONS])
        text = f"{payload}\tand\n\n{payload}"
        change(catalogue, "UPDATE responses SET text = ?, digest = ? WHERE question = ?",
               text, response_digest(text), number)  # fmt: skip
        change(catalogue, "UPDATE responses SET text = text || 'x', digest = ? WHERE question = ? AND strategy = 1",
               response_digest(f"{text}x"), number)  # fmt: skip
        change(catalogue, "UPDATE questions SET turns = json_array(json_array('user', ?)), answer = ?, key = ? "
                          "WHERE id = ?", payload, payload, f"{payload}{number}", number)  # fmt: skip
    change(catalogue, "UPDATE strategies SET name = name || ?", PAYLOADS[0])
    score_here(catalogue, queue_run(catalogue, stand_in_model, samples=HOSTILE_QUESTIONS))
    async with opened(catalogue, size=size, screen="ranking") as session:
        screen = await compared(session)
        for row in range(HOSTILE_QUESTIONS):
            await session.until(lambda: screen._shown is not None)
            await session.press("w", "right", "down", "tab", "w", "number_sign")
            assert_clean(session)
            await session.press("y", "number_sign")
            assert_clean(session)
            assert visible(session.app.clipboard, multiline=True) == session.app.clipboard
            await session.press("tab", "tab", *(["n"] * (row < HOSTILE_QUESTIONS - 1)))
        await session.press("enter")
        await session.until(lambda: isinstance(session.app.screen, SampleScreen) and session.app.screen._sample)
        await session.press("tab", "down", "s", "G")
        assert_clean(session)


async def test_without_colours_glyphs_stand_below_the_text(
    scored: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        text = screen._text("a")
        assert set(text.render_line(1).text.strip()) <= set("▁▂▃▅▆▇")
        await session.sees("▇ 8 nats")


async def test_colours_follow_the_theme(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)

        def grounds() -> set[Any]:
            return {segment.style.bgcolor.name for segment in screen._text("b").render_line(0)
                    if segment.style and segment.style.bgcolor}  # fmt: skip

        dark = grounds()
        await session.press("T")
        await session.until(lambda: session.app.theme == "sap-light")
        assert not dark & grounds()


async def test_a_click_goes_to_a_token(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        screen = await compared(session)
        await session.pilot.click("#b", offset=(4, 0))
        await session.until(lambda: screen._text("b").cursor == 3)
        assert screen._side == "b"


async def test_up_and_down_keep_the_cell(scored: Path, opened: Opener) -> None:
    long_texts(scored)
    async with opened(scored, screen="ranking") as session:
        text: HeatText = (await compared(session))._text("a")
        await session.press("right", "right", "down")
        line = text.layout_lines.line_of(text.layout_lines.start(text.cursor))
        assert line == 1
        await session.press("up")
        assert text.cursor == 2
        await session.press("pagedown", "pageup")
        assert text.cursor == 2
        await session.press("G")
        assert text.cursor == text.tokens - 1
