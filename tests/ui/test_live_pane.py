"""What stands beside the runs: phase, speed, memory, time left, ranking so far, and models that stay loaded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region

from core.domain import Interval, Ranking, RankRow, RunState
from core.export.report import RankingReport
from core.metrics.registry import metric
from core.settings import Settings
from core.store.db import open_reader
from core.store.runs import run_by_id
from sap_tui.live_rankings import LEAST_SECONDS, LiveRankings
from sap_tui.rankings import Rankings
from sap_tui.widgets.detail_pane import DetailPane, Lines, hanging
from sap_tui.widgets.live_ranking import steady_scale
from tests.conftest import keep_warm
from tests.jobs.helpers import queue_run, run_now, start_scorer
from tests.ui.conftest import Opener, change, stay_loaded
from tests.ui.test_live import score_some


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("starting", "now starting"),
        ("rewarding", "the reward model judges the responses, 3 of 12 responses"),
        ("sampling", "the target model answers every question several times, 3 of 12 answers"),
        ("predicting", "the target model answers the questions, 3 of 12 answers"),
        ("choosing examples", "trying which examples help most, 3 of 12 examples"),
        ("checking answers", "comparing final answers with the gold answers, 3 of 12 responses"),
        ("planning", "now planning what is to be scored took"),
        ("loading", "now loading the model took"),
        ("scoring", "scoring responses, 30 of 96 scores"),
        ("finding tokens", "finding where the tokens end in the texts, 3 of 12 responses"),
    ],
)
async def test_every_phase_is_said_in_words_with_its_own_counts(
    phase: str, words: str, running: Path, opened: Opener
) -> None:
    change(running, "UPDATE runs SET phase = ?, phase_done = 3, phase_total = 12, tokens_per_second = 0 WHERE id = 2",
           phase)  # fmt: skip
    async with opened(running, size=(90, 50), screen="live") as session:
        await session.until(lambda: words in session.words)


async def test_speed_and_memory_have_a_history_that_survives_the_app(running: Path, opened: Opener) -> None:
    now = time.time()
    for back, speed, memory in ((6, 250, 2), (4, 500, 3), (2, 1000, 4)):
        change(running, "INSERT INTO run_speeds VALUES (2, ?, 'scoring', 1, ?, ?)", now - back, speed, memory << 30)
    change(running, "UPDATE runs SET peak_memory = ? WHERE id = 2", 5 << 30)
    for _ in range(2):
        async with opened(running, screen="live") as session:
            await session.until(lambda: "▃▅█ 1,234 tokens/s" in session.text())
            await session.sees("▅▇█ 4.0 GiB, 5.0 GiB at most")


async def test_the_time_left_of_another_phase_comes_from_its_own_pace(running: Path, opened: Opener) -> None:
    change(running, "UPDATE runs SET phase = 'predicting', phase_done = 10, phase_total = 40 WHERE id = 2")
    for at, done in ((100, 0), (110, 10)):
        change(running, "INSERT INTO run_speeds VALUES (2, ?, 'predicting', ?, 0, 0)", at, done)
    async with opened(running, screen="live") as session:
        await session.until(lambda: "0:30, then scoring" in session.text())


@pytest.fixture
def until_decided(running: Path) -> Path:
    """Run 2 ends when it is decided; `chatty` is out."""
    change(running, "UPDATE runs SET request = json_set(request, '$.until_decided', json('true')) WHERE id = 2")
    change(running, "UPDATE run_strategies SET out = 'out after 16 questions, behind plain by nll' WHERE run = 2 AND"
                    " strategy = (SELECT id FROM strategies WHERE name = 'chatty')")  # fmt: skip
    change(running, "INSERT INTO chunks (run, number, tokens, stage) VALUES (2, 0, 12345, 0)")
    return running


async def test_a_run_until_decided_says_who_is_out_and_when_the_next_look_comes(
    until_decided: Path, opened: Opener
) -> None:
    async with opened(until_decided, size=(160, 40), screen="live") as session:
        await session.until(lambda: "at question 24 of 24, in 0:10" in session.words)
        await session.sees("out chatty, after 16 questions, behind plain by nll")


async def test_the_ranking_so_far_has_its_intervals(scored: Path, stand_in_model: Path, opened: Opener) -> None:
    run = queue_run(scored, stand_in_model, samples=24)
    score_some(scored, run)
    change(scored, "UPDATE run_strategies SET out = 'out after 8 questions' WHERE run = ? AND position = 0", run)
    out = run_by_id(open_reader(scored), run).strategies[0]
    async with opened(scored, size=(160, 40), screen="live") as session:
        await session.until(lambda: "Ranking so far: nll, 16 questions" in session.text())
        lines = [line for line in session.text().splitlines() if "±" in line]
        assert len(lines) == 2
        assert all("●" in line and "├" in line for line in lines)
        assert [("×" in line) for line in lines] == [(out in line) for line in lines]
        await session.press("j")
        await session.until(lambda: "Ranking: nll, 12 questions" in session.text())


async def test_a_run_without_scores_has_no_ranking(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        await session.press("g")
        assert session.table.cursor_key == 3
        assert "Ranking" not in session.words.partition("Run 3")[2]


async def test_a_ranking_is_computed_when_the_run_went_on_and_not_all_the_time(
    scored: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(scored, stand_in_model, samples=24)
    score_some(scored, run)
    rankings = LiveRankings(Rankings(scored))
    assert rankings.is_due(run_now(scored, run))
    await rankings.compute(run_now(scored, run))
    assert not rankings.is_due(run_now(scored, run))
    change(scored, "UPDATE runs SET done = done + 1 WHERE id = ?", run)
    assert not rankings.is_due(run_now(scored, run)), "too soon"
    later = time.monotonic() + 100 * LEAST_SECONDS
    monkeypatch.setattr("sap_tui.live_rankings.time.monotonic", lambda: later)
    assert rankings.is_due(run_now(scored, run))


async def test_models_that_stay_loaded_are_named_and_freed(
    catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    keep_warm(5)
    run = queue_run(catalogue, stand_in_model)
    scorer = start_scorer(catalogue, run)
    async with opened(catalogue, size=(80, 24), screen="live") as session:
        await session.until(lambda: run_now(catalogue, run).state is RunState.DONE)
        await session.until(
            lambda: "stand-in-model stays loaded on cpu for 5 more minutes · F frees it" in session.words
        )
        await session.press("F")
        assert scorer.wait(30) == 0
        await session.until(lambda: "stays loaded" not in session.text())
        await session.until(lambda: "stand-in-model is no longer loaded on cpu." in session.said)


async def test_nothing_is_freed_where_nothing_is_loaded(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        await session.press("F")
        assert not session.said
        stay_loaded(running, minutes=0.1)
        await session.until(lambda: "for 1 more minute ·" in session.words)


async def test_quitting_is_said_to_be_safe_while_runs_go_on(running: Path, opened: Opener) -> None:
    async with opened(running, size=(80, 24), screen="live") as session:
        await session.until(lambda: "Quit is safe: runs go on." in session.text())
        change(running, "UPDATE runs SET state = 'done' WHERE state IN ('queued', 'running')")
        await session.until(lambda: "Quit is safe" not in session.text())


@pytest.mark.parametrize("rings", [True, False])
async def test_the_bell_rings_once_when_runs_end(
    rings: bool, running: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(running) as session:
        rung: list[None] = []
        monkeypatch.setattr(session.app, "settings", Settings(bell=rings))
        monkeypatch.setattr(session.app, "bell", lambda: rung.append(None))
        change(running, "UPDATE runs SET state = 'done', ended_at = 1 WHERE state IN ('queued', 'running')")
        await session.until(lambda: "Run 3 is done." in session.said)
        assert "Run 2 is done." in session.said
        assert len(rung) == rings


async def test_all_of_the_pane_can_be_read_at_80_by_24(running: Path, opened: Opener) -> None:
    change(running, "INSERT INTO events (run, at, level, text) VALUES (2, 0, 'error', 'the very first of all')")
    change(running, "UPDATE events SET id = 0 WHERE text LIKE 'the very%'")
    async with opened(running, size=(80, 24), screen="live") as session:
        assert "the very first" not in session.text()
        await session.press("z", *["right_square_bracket"] * 8)
        await session.until(lambda: "the very first of all" in session.words)
        await session.sees("#2")


async def test_only_the_lines_that_changed_are_drawn_again(
    running: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(running, size=(160, 40), screen="live") as session:
        await session.until(lambda: "30 of 96 scores" in session.words)
        lines = session.screen.pane.query(Lines).first()
        before = lines.render()
        changed = before.plain.replace("30 of 96", "31 of 96")
        place = next(place for place, line in enumerate(changed.splitlines()) if "31 of 96" in line)
        drawn: list[Region] = []
        refresh = lines.refresh

        def remember(*regions: Region, **options: bool) -> Lines:
            drawn.extend(regions)
            return refresh(*regions, **options)

        monkeypatch.setattr(lines, "refresh", remember)
        lines.show(Content(changed, spans=list(before.spans)))
        assert drawn == [Region(0, place, lines.size.width, 1)]
        await session.until(lambda: "31 of 96" in session.words)


def test_wrapped_lines_stand_under_their_beginning() -> None:
    start, text = Content("name  "), Content("some words that are long")
    lines = hanging(start, text, 18).plain.splitlines()
    assert [line.rstrip() for line in lines] == ["name  some words", "      that are", "      long"]
    assert hanging(start, text, None).plain == "name  some words that are long"


def report_of(half: float) -> RankingReport:
    """Two strategies with intervals of so much to either side."""
    scores = [{"sap": Interval(value, value - half, value + half)} for value in (2.0, 2.5)]
    rows = tuple(RankRow(1, 1, 2, name, 9, 0.5, None, False, each) for name, each in zip("ab", scores, strict=True))
    return RankingReport(1, "t", "m", "d", "float32", "none", (metric("sap"),), Ranking("sap", "undecided", 9, rows))


def test_a_scale_stays_while_intervals_shrink_on_it_and_is_made_anew_when_they_are_small() -> None:
    first = steady_scale(None, report_of(1.0), 20)
    assert steady_scale(first, report_of(0.6), 20) is first
    assert steady_scale(first, report_of(0.6), 30) is not first
    assert steady_scale(first, report_of(1.5), 20) is not first
    new = steady_scale(first, report_of(0.05), 20)
    assert new.high - new.low < (first.high - first.low) / 2


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_long_names_that_differ_at_the_end_are_told_apart(
    scored: Path, opened: Opener, size: tuple[int, int]
) -> None:
    for number, name in enumerate(("plain", "chatty"), start=1):
        change(scored, "UPDATE strategies SET name = ? WHERE name = ?", f"step_by_step_temperature_0.7_v{number}", name)
    async with opened(scored, size=size, screen="live") as session:
        await session.press(*(["z"] if size[0] == 80 else []))
        await session.until(lambda: session.text().count("±") == 2)
        lines = [line for line in session.text().splitlines() if "±" in line]
        names = [next(word for word in line.split() if word.startswith("step_")) for line in lines]
        assert {name[-2:] for name in names} == {"v1", "v2"}
        assert all(len(name) >= 14 for name in names)


async def test_a_scrollbar_takes_no_width_from_the_texts() -> None:
    """Wrapped for another width they could need a scrollbar no more, and then need it again, for ever."""

    class OnePane(App[None]):
        def compose(self) -> ComposeResult:
            yield DetailPane(1)

    async with OnePane().run_test(size=(60, 20)) as pilot:
        pane = pilot.app.query_one(DetailPane)
        widths = []
        for lines in (1, 100):
            pane.show(Content(), Content("\n").join([Content("word " * 20)] * lines))
            await pilot.pause()
            assert pane.show_vertical_scrollbar == (lines == 100)
            widths.append(pilot.app.query_one(Lines).size.width)
        assert widths[0] == widths[1] > 0
