"""The screen of agreement and outcomes shows what judge, agree and converge compute, and says what to do without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from core.store.db import Writer, open_reader, prepare
from core.store.importing import import_file
from core.store.outcomes import import_outcomes
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue
from sap_tui.screens.outcomes import OutcomesScreen
from sap_tui.screens.outcomes_form import OutcomesForm
from sap_tui.widgets.dialogs import Choose
from tests.conftest import ROOT
from tests.e2e.command_line import CommandLine
from tests.hostile import SOME_PAYLOADS as PAYLOADS
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, Session, change, score_here, value_of
from tests.ui.test_hostile_text import assert_clean, pressed

SAMPLE = ROOT / "sample_data"
SIZES = ((120, 36), (80, 24))


@pytest.fixture
def unjudged(tmp_path: Path) -> Path:
    """The bundled strategies, scored by the stand-in engine under a model that is called as the bundled one."""
    model = tmp_path / "tiny-model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (model / "model.safetensors").write_bytes(b"no weights")
    catalogue = tmp_path / "judged.db"
    prepare(catalogue)
    with Writer(catalogue) as writer:
        for file in sorted((SAMPLE / "arithmetic").glob("*.jsonl")):
            import_file(writer, file, task="arithmetic", strategy=file.stem)
    score_arithmetic(catalogue, model, 30)
    return catalogue


def score_arithmetic(catalogue: Path, model: Path, samples: int) -> None:
    chosen = ScoreOptions(task="arithmetic", model=str(model), metrics=("nll", "ppl"), device="cpu", samples=samples)
    submission = prepare_submission(open_reader(catalogue), chosen)
    with Writer(catalogue) as writer:
        number = queue(writer, submission)
    score_here(catalogue, number)


@pytest.fixture
def judged(unjudged: Path) -> Path:
    """With the bundled outcomes."""
    with Writer(unjudged) as writer:
        import_outcomes(writer, SAMPLE / "outcomes.csv", task="arithmetic")
    return unjudged


async def loaded(session: Session) -> None:
    await session.until(lambda: len(session.table.source))
    await session.until(lambda: not session.app.screen.query("#plot").first().display or "└" in session.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_scatter_has_every_strategy_and_the_judgement(judged: Path, opened: Opener, size) -> None:  # type: ignore[no-untyped-def]
    answer = json.loads(CommandLine(judged)("judge", "--run", "1", "--points", "--json"))
    async with opened(judged, size=size, screen="outcomes") as session:
        await loaded(session)
        outcomes, metric = answer["points"][0]["outcomes"], answer["points"][0]["metrics"]["nll"]
        assert session.names == [f"{letter} {name}" for letter, name in ordered(outcomes, metric["scores"])]
        for place, (_, name) in enumerate(ordered(outcomes, metric["scores"])):
            cells = [cell.plain for cell in session.table.source[place].cells]
            assert cells[1:3] == [f"{metric['scores'][name]:.3f}", f"{100 * outcomes[name]:.1f}%"]
        await session.sees(f"nll picks {metric['picks'][0]}: {100 * answer['metrics']['nll']['chosen']:.1f}%")
        await session.sees(f"Spearman {answer['metrics']['nll']['spearman']:+.2f}")
        await session.sees("outcome, accuracy in %")
        assert_clean(session)


def ordered(outcomes: dict[str, float], scores: dict[str, float]) -> list[tuple[str, str]]:
    """Letters in the order of the run, strategies by their scores, the lowest first."""
    letters = {name: "ABCDEF"[place] for place, name in enumerate(sorted(outcomes))}
    return [(letters[name], name) for name in sorted(scores, key=scores.__getitem__)]


async def test_the_metric_goes_round_at_once(judged: Path, opened: Opener) -> None:
    metrics = list(json.loads(CommandLine(judged)("judge", "--run", "1", "--points", "--json"))["points"][0]["metrics"])
    async with opened(judged, screen="outcomes") as session:
        await loaded(session)
        for name in (*metrics[1:], metrics[0]):
            await session.press("m")
            await session.sees(f"by {name} ─")


async def test_a_metric_without_one_pick_says_so(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await loaded(session)
        for _ in range(30):
            if "cannot choose among" in session.words:
                break
            await session.press("m")
        await session.sees("● tied first")
        await session.sees("% on average")


@pytest.mark.parametrize("size", SIZES)
async def test_the_matrix_is_the_one_of_agree(judged: Path, opened: Opener, size) -> None:  # type: ignore[no-untyped-def]
    answer = json.loads(CommandLine(judged)("agree", "1", "--json"))
    async with opened(judged, size=size, screen="outcomes") as session:
        await session.press("v")
        await loaded(session)
        ids = [metric["id"] for metric in answer["metrics"]]
        assert session.names == [f"{place} {name}" for place, name in enumerate(ids, 1)]
        pairs = {frozenset(pair["metrics"]): pair["spearman"] for pair in answer["pairs"]}
        for row, one in enumerate(ids):
            for column, other in enumerate(ids):
                cell = session.table.source[row].cells[column + 1].plain.strip()
                rho = pairs.get(frozenset((one, other)))
                assert cell.strip("()") == ("·" if one == other else f"{rho['value']:+.2f}" if rho else "–")
                assert ("(" in cell) == bool(rho and rho["low"] <= 0 <= rho["high"] and one != other)
        leaders = {leader["strategies"][0] for leader in answer["leaders"] if len(leader["strategies"]) == 1}
        await session.sees(*(f"{leader} first by" for leader in leaders))
        assert_clean(session)


@pytest.mark.parametrize("size", SIZES)
async def test_the_convergence_is_the_one_of_converge(judged: Path, opened: Opener, size) -> None:  # type: ignore[no-untyped-def]
    answer = json.loads(CommandLine(judged)("converge", "1", "--by", "nll", "--json"))
    async with opened(judged, size=size, screen="outcomes") as session:
        await session.press("v", "v")
        await loaded(session)
        assert [name.split()[1] for name in session.names] == [each["strategy"] for each in answer["strategies"]]
        for place, each in enumerate(answer["strategies"]):
            cells = [cell.plain for cell in session.table.source[place].cells]
            assert cells[1:] == [f"{each['values'][-1]:.3f}", f"[{each['low'][-1]:.3f}, {each['high'][-1]:.3f}]", "30"]
        assert answer["sentences"][0].split(",")[0] in session.words
        await session.sees("questions, in the order of the run")
        assert any("⠀" < character <= "⣿" for character in session.text())
        assert_clean(session)


async def test_the_band_under_the_cursor_is_filled(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await session.press("v", "v")
        await loaded(session)
        await session.until(lambda: "░" in session.text())
        before = [line for line in session.text().splitlines() if "░" in line]
        await session.press("down", "down")
        await session.until(lambda: before != [line for line in session.text().splitlines() if "░" in line])


async def test_the_convergence_of_another_metric_is_computed(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await session.press("v", "v")
        await session.until(lambda: "leads by nll" in session.words)
        await session.press("m")
        await session.until(lambda: "leads by ppl" in session.words)


async def test_views_go_round_by_key_and_by_click(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await session.press("v")
        await session.until(lambda: "first by" in session.words)
        await session.press("tab")
        await session.until(lambda: "leads by" in session.words)
        await session.press("v")
        await session.until(lambda: "Spearman" in session.words)
        await session.pilot.click("ViewTab:last-of-type")
        await session.until(lambda: "leads by" in session.words)


async def test_without_runs_it_says_where_to_begin(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue, screen="outcomes") as session:
        await session.sees("No run yet. Press 1 to choose strategies and score them with n.")
        await session.press("i")
        assert session.said == [
            "Outcomes belong to a task and a target model. Press 1 and score some strategies first."
        ]
        await pressed(session, "v", "m", "o", "y", "v", "down", "question_mark", "escape")


async def test_without_outcomes_it_offers_to_import_them_and_shows_them_then(unjudged: Path, opened: Opener) -> None:
    async with opened(unjudged, screen="outcomes") as session:
        await session.sees("No outcomes yet of arithmetic under tiny-model. Press i to import")
        await session.press("i")
        await session.until(lambda: isinstance(session.app.screen, OutcomesForm))
        assert session.app.screen.query_one("#model", Input).value == "tiny-model"
        session.app.screen.query_one("#path", Input).value = str(SAMPLE / "outcomes.csv")
        await session.sees("tiny-model: 18 outcomes of 6 strategies")
        await session.press("enter")
        await session.until(lambda: isinstance(session.app.screen, OutcomesScreen))
        assert session.said[0].startswith("arithmetic: 18 outcomes of 6 strategies under tiny-model")
        await loaded(session)
        await session.sees("nll picks")


async def test_outcomes_from_elsewhere_are_taken_up(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await loaded(session)
        assert "99.0%" not in session.text()
        change(judged, "UPDATE outcomes SET accuracy = 0.99, created_at = created_at + 1 "
                       "WHERE strategy = (SELECT id FROM strategies WHERE name = 'terse')")  # fmt: skip
        await session.until(lambda: "99.0%" in session.text())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("strategy,accuracy\nterse,2\n", "accuracy"),
        ("strategy,accuracy\nters,0.5\n", "'terse'"),
        ("target_model,strategy,accuracy\nother,terse,0.5\n", "other"),
        (None, "there is no file"),
    ],
)
async def test_a_bad_file_is_named_and_nothing_is_kept(
    content: str | None, message: str, unjudged: Path, opened: Opener, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    if content is not None:
        file.write_text(content)
    async with opened(unjudged, screen="outcomes") as session:
        await session.press("i")
        await session.until(lambda: isinstance(session.app.screen, OutcomesForm) and session.app.focused)
        await session.press("enter")
        await session.sees("Which file?")
        session.app.screen.query_one("#path", Input).value = str(file)
        await session.press("enter")
        await session.until(lambda: message.casefold() in session.words.casefold())
        assert isinstance(session.app.screen, OutcomesForm)
        assert value_of(unjudged, "SELECT count(*) FROM outcomes") == 0
        await session.press("escape")
        assert isinstance(session.app.screen, OutcomesScreen)


async def test_another_run_can_be_chosen(judged: Path, opened: Opener, tmp_path: Path) -> None:
    chosen = ScoreOptions(
        task="arithmetic", model=str(tmp_path / "tiny-model"), metrics=("ppl",), device="cpu", samples=8
    )
    submission = prepare_submission(open_reader(judged), chosen)
    with Writer(judged) as writer:
        number = queue(writer, submission)
    score_here(judged, number)
    async with opened(judged, screen="outcomes") as session:
        await session.press("v", "v")
        await session.until(lambda: "Run 1 ·" in session.text() and "over all 30 questions" in session.words)
        await session.press("o")
        await session.until(lambda: isinstance(session.app.screen, Choose))
        await session.press("up", "enter")
        await session.until(lambda: "Run 2 ·" in session.text() and "over all 8 questions" in session.words)


async def test_a_run_without_scores_says_so_everywhere(catalogue: Path, stand_in_model: Path, opened: Opener) -> None:
    queue_run(catalogue, stand_in_model)
    async with opened(catalogue, screen="outcomes") as session:
        await session.sees("No outcomes yet of sums")
        await session.press("v")
        await session.until(lambda: "Run 1 has no scores to compare yet" in session.words)
        await session.sees("Press o for another run, v for another view.")
        await session.press("v")
        await session.until(lambda: "Run 1 has no scores yet" in session.words)


async def test_a_run_at_work_is_shown_as_far_as_it_is(running: Path, opened: Opener) -> None:
    async with opened(running, screen="outcomes") as session:
        await session.press("v", "v")
        await session.until(lambda: "leads by nll" in session.words)
        change(running, "UPDATE runs SET (state, host, boot, pid, pid_start, beat_at) = (SELECT state, host, boot, "
                        "pid, pid_start, beat_at FROM runs WHERE id = 2) WHERE id = 1")  # fmt: skip
        await session.until(lambda: "12 questions so far." in session.words)
        assert_clean(session)


@pytest.mark.parametrize("payloads", [PAYLOADS[:6], PAYLOADS[6:]])
async def test_hostile_names_move_and_do_nothing(payloads: tuple[str, ...], judged: Path, opened: Opener) -> None:
    for number, payload in enumerate(payloads, 1):
        change(judged, "UPDATE strategies SET name = name || ? WHERE id = ?", payload, number)
        change(judged, "UPDATE tasks SET name = ?", payload)
        change(judged, "UPDATE targets SET name = ?", payload)
        change(judged, "UPDATE outcomes SET model = ?", payload)
    async with opened(judged, screen="outcomes") as session:
        await loaded(session)
        assert {cell_len(line) for line in session.text().splitlines()} == {120}
        await pressed(session, "down", "m", "y", "i", "escape", "o", "escape", "v")
        await loaded(session)
        await pressed(session, "down", "y", "v")
        await loaded(session)
        assert {cell_len(line) for line in session.text().splitlines()} == {120}
        await pressed(session, "down", "down", "y")


async def test_the_theme_can_change_over_a_plot(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await loaded(session)
        dark = session.text()
        for _ in range(3):
            await session.press("T")
            await session.until(lambda: session.text() == dark)
            assert_clean(session)


async def test_the_plot_follows_the_size_of_the_terminal(judged: Path, opened: Opener) -> None:
    async with opened(judged, screen="outcomes") as session:
        await loaded(session)
        for size in ((80, 24), (40, 12), (200, 60), (120, 36)):
            await session.pilot.resize_terminal(*size)
            await session.pilot.pause()
            assert_clean(session)
        await session.until(lambda: "outcome, accuracy in %" in session.text())


def test_the_app_starts_without_plotext() -> None:
    from tests.unit.test_architecture import loaded_after

    assert loaded_after("import sap_tui.app", "plotext", "textual_plotext") == []
