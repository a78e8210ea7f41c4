"""What keeps the answers to keys quick: small repaints, a footer that stays, and no search for garbage under a key."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.segment import Segment
from textual._compositor import Compositor
from textual.color import Color
from textual.widgets import Footer

from sap_tui import pace
from sap_tui.pace import Housekeeping
from sap_tui.screens.catalogue import CatalogueScreen
from sap_tui.text import OutputGuard
from sap_tui.widgets.record_table import RecordTable
from tests.ui.conftest import Opener


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


async def test_moving_the_focus_draws_no_whole_screen(
    catalogue: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.sees("Settings")
        full = []
        draw = Compositor.render_full_update
        monkeypatch.setattr(Compositor, "render_full_update", lambda self, *rest: full.append(1) or draw(self, *rest))
        before = session.app.screen.focused
        await session.press("tab")
        assert session.app.screen.focused is not before
        assert not full


async def test_the_footer_is_made_anew_only_for_other_keys(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.sees("q Quit", "c Compare")
        footer = session.app.screen.query_one(Footer)
        keys = list(footer.children)
        await session.press("down", "up", "G")
        assert list(footer.children) == keys
        await session.press("2")
        await session.until(lambda: session.app.screen.query_one(Footer) is not footer)
        await session.press("1", "slash")
        await session.sees("esc Close")
        assert list(session.app.screen.query_one(Footer).children) != keys


async def test_lines_that_stay_are_not_filtered_again(
    catalogue: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(catalogue) as session:
        await session.sees("─ sums ─")
        filtered: list[str] = []

        def apply(guard: OutputGuard, segments: list[Segment], background: Color) -> list[Segment]:
            filtered.append("".join(segment.text for segment in segments))
            return filtering(guard, segments, background)

        filtering = OutputGuard.apply
        monkeypatch.setattr(OutputGuard, "apply", apply)
        session.app.screen.query_one(RecordTable).action_cursor_down()
        await session.until(lambda: len(filtered) > 1)
        assert all("chatty" in line or "sums" in line for line in filtered[:2])
        assert not any("strategy" in line for line in filtered)


async def test_the_first_screen_is_the_one_that_is_wanted(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        assert isinstance(session.app.screen, CatalogueScreen)
        assert list(session.app._screen_stacks) == ["catalogue"]


async def test_the_pane_follows_the_cursor(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("down", "down")
        await session.sees("─ plain ─")


def test_everything_is_searched_only_when_nobody_presses_keys(monkeypatch: pytest.MonkeyPatch, thawed: None) -> None:
    now = 1000.0
    monkeypatch.setattr(pace.time, "monotonic", lambda: now)
    searches = []
    monkeypatch.setattr(pace.gc, "collect", lambda: searches.append(now))
    keeping = Housekeeping()
    now += pace.LEAST_SECONDS_BETWEEN_SEARCHES + 1
    keeping.note_input()
    keeping.search_when_idle()
    now += 1
    keeping.search_when_idle()
    assert searches == []
    now += pace.IDLE_SECONDS
    keeping.search_when_idle()
    keeping.search_when_idle()
    assert searches == [now]


def test_garbage_that_was_left_out_is_found_after_all(thawed: None) -> None:
    class Ring:
        gone = 0

        def __del__(self) -> None:
            Ring.gone += 1

    gc.disable()
    keeping = Housekeeping()
    ring = Ring()
    ring.itself = ring  # type: ignore[attr-defined]
    keeping.start()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    del ring
    gc.collect()
    assert Ring.gone == 0
    keeping._last_input = keeping._last_search = -1e9
    keeping.search_when_idle()
    assert Ring.gone == 1
    keeping.end()
    assert gc.get_freeze_count() == 0
