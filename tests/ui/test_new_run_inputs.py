"""The form of a new run asks for what the chosen metrics need, and shows the cost where nobody must scroll for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from sap_tui.hub_cache import cached_models
from sap_tui.screens.new_run import NewRunForm
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.metric_inputs import MetricInputs
from tests.ui.conftest import Opener, Session


async def new_run(session: Session, *metrics: str, model: Path | None = None) -> NewRunForm:
    """The form with these metrics chosen."""
    await session.press("n")
    form = await session.until(lambda: isinstance(session.app.screen, NewRunForm) and session.app.screen)
    if model:
        form.query_one("#model", Input).value = str(model)
    choices = form.query_one("#metrics", Choices)
    choices.chosen = set(metrics) or choices.chosen
    choices.post_message(Choices.Changed(choices))
    await session.pilot.pause()
    return form


def asked(form: NewRunForm) -> set[str]:
    return {str(line.id) for line in form.query_one(MetricInputs).children if line.display}


@pytest.mark.parametrize(
    ("metric", "lines"),
    [
        ("sap", set()),
        ("response_accuracy", set()),
        ("ds_weight", {"for-valid-nll"}),
        ("reward", {"for-reward"}),
        ("car", {"for-reward"}),
        ("learnability", {"for-small-model-nll"}),
        ("self_consistency", {"for-target-vote"}),
    ],
)
async def test_a_metric_asks_for_what_it_needs(metric: str, lines: set[str], catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        form = await new_run(session, "nll")
        assert asked(form) == set()
        await session.press("escape")
        form = await new_run(session, "nll", metric)
        await session.until(lambda: asked(form) == lines)


async def test_what_was_filled_in_becomes_options(scored: Path, opened: Opener, tmp_path: Path) -> None:
    async with opened(scored, size=(120, 60)) as session:
        form = await new_run(session, "ds_weight", "reward", "learnability", "self_consistency")
        for name, value in (("valid", "sums/plain"), ("reward-model", "/rm"), ("votes", "7"),
                            ("vote-temperature", "0.9")):  # fmt: skip
            form.query_one(f"#{name}", Input).value = value
        await session.focus("#small-model-run")
        await session.press("right")
        await session.sees(
            "--valid sums/plain", "--reward-model /rm", "--small-model-run 1", "--votes 7", "--vote-temperature 0.9"
        )


async def test_what_is_not_needed_any_more_is_no_option(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue, size=(120, 60)) as session:
        form = await new_run(session, "ds_weight")
        form.query_one("#valid", Input).value = "sums/plain"
        await session.sees("--valid sums/plain")
        form.query_one("#metrics", Choices).chosen = {"nll"}
        form._changed()
        await session.until(lambda: "--valid" not in session.words)


async def test_the_metric_under_the_cursor_says_what_it_needs(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await new_run(session)
        await session.focus("#metrics")
        await session.sees("needs self-aligned scores")
        await session.press("right")
        await session.sees("needs plain scores")
        await session.press(*["right"] * 3)
        await session.sees("needs plain scores, rewards")


async def test_metrics_that_ask_for_more_are_marked(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await new_run(session)
        await session.sees("ds_weight …", "reward …", "learnability …", "self_consistency …")
        assert "nll …" not in session.words


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_the_cost_is_in_sight_whatever_is_chosen(
    size: tuple[int, int], catalogue: Path, stand_in_model: Path, opened: Opener
) -> None:
    async with opened(catalogue, size=size) as session:
        form = await new_run(session, "nll", "ds_weight", "self_consistency", model=stand_in_model)
        await session.sees("2 strategies on 24 questions", "of memory", "ds_weight needs a scored valid set.")
        for name in ("model", "extras", "seed"):
            form.query_one(f"#{name}").focus()
            await session.pilot.pause()
            await session.sees("2 strategies on 24 questions", "Start")


async def test_until_decided_goes_on_for_longer(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue, size=(120, 60)) as session:
        form = await new_run(session, "nll")
        await session.focus("#extras")
        await session.press("space")
        await session.until(lambda: form.query_one("#samples", Input).value == "300")
        await session.sees("--until-decided")
        assert "--samples" not in session.words
        await session.press("space")
        await session.until(lambda: form.query_one("#samples", Input).value == "50")


async def test_models_of_the_hub_cache_are_offered(
    catalogue: Path, opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub" / "models--some--tiny" / "snapshots").mkdir(parents=True)
    (tmp_path / "hub" / "datasets--some--data" / "snapshots").mkdir(parents=True)
    (tmp_path / "hub" / "models--half--fetched").mkdir()
    assert cached_models() == ["some/tiny"]
    async with opened(catalogue) as session:
        form = await new_run(session)
        await session.until(lambda: form.query_one("#model", Input).value == "some/tiny")


def test_without_a_hub_cache_none_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    assert cached_models() == []


async def test_a_folder_can_be_picked(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await new_run(session)
        await session.pilot.click("#browse")
        await session.until(lambda: type(session.app.screen).__name__ == "SelectDirectory")
        await session.press("escape")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
