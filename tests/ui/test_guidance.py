"""What tells a user where they are and what to press: hints with their own keys, the path in the title, the palette."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette

from core.settings import Settings
from core.store.db import prepare
from sap_tui.app import SapApp
from sap_tui.keymap import KEY_FIELD, Keymap
from sap_tui.keys import ACTIONS
from sap_tui.screens import catalogue as catalogue_screen
from sap_tui.screens import live, outcomes, ranking, responses
from sap_tui.screens.compare import CompareScreen
from sap_tui.screens.responses import ResponsesScreen
from sap_tui.screens.sample import SampleScreen
from sap_tui.widgets.scroll_signs import HANDLE, TRACK
from tests.ui.compare_keys import come_to
from tests.ui.conftest import Opener, Session

OWN = Keymap({"import_file": ("f8",), "show_catalogue": ("f5",), "new_run": ("f6",), "help": ("f7",)})


@pytest.mark.parametrize(
    ("screen", "said"),
    [
        ("catalogue", ["Press f8 to import a file of responses", "Press f7 for help."]),
        ("live", ["Press f5 and then f8 to import a file of responses."]),
        ("ranking", ["Press f6 to start one, or f5 to import responses first."]),
        ("outcomes", ["Press f5 to choose strategies and score them with f6."]),
    ],
)
async def test_hints_name_the_keys_of_the_user(screen: str, said: list[str], tmp_path: Path) -> None:
    catalogue = tmp_path / "new.db"
    prepare(catalogue)
    app = SapApp(catalogue, Settings(refresh_seconds=0.05), keymap=OWN, screen=screen)
    async with app.run_test(size=(120, 36)) as pilot:
        await Session(app, pilot).sees(*said)


def test_every_hint_names_actions_that_exist() -> None:
    ids = {action.id for action in ACTIONS}
    names = ("EMPTY", "NO_MATCH", "NO_RUN", "NOTHING", "NOTHING_TO_SCORE")
    modules = (catalogue_screen, live, outcomes, ranking, responses)
    texts = [getattr(module, name) for module in modules for name in names if hasattr(module, name)]
    texts += [kind.PROSE for kind in (CompareScreen, SampleScreen, ResponsesScreen, live.LiveScreen)]
    named = [name for text in texts if isinstance(text, str) for name in KEY_FIELD.findall(text)]
    assert len(named) > 12
    assert set(named) <= ids


async def test_the_title_says_what_was_opened_from_where(scored: Path, opened: Opener) -> None:
    async with opened(scored, size=(80, 24)) as session:
        await session.until(lambda: len(session.table.source))
        await session.press("down", "enter")
        await session.sees("1 Catalogue › responses")
        await session.press("escape", "3")
        await come_to(session, "sample")
        await session.sees("3 Ranking › sample")
        await session.press("escape")
        await session.sees("3 Ranking › compare")


async def test_the_palette_names_the_place_of_every_command(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await come_to(session, "compare")
        await session.press("colon", *"token")
        await session.until(lambda: isinstance(session.app.screen, CommandPalette))
        await session.sees("One token to the left ← h in every response")
        await session.sees("w compare")


async def test_all_marked_strategies_are_deleted_and_come_back(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.until(lambda: len(session.table.source))
        await session.press("a", "d")
        await session.sees("Delete the 2 marked strategies", "with their 48 responses?")
        await session.press("tab", "enter")
        await session.until(lambda: session.said == ["Deleted 2 strategies. u brings it back."])
        await session.until(lambda: not len(session.table.source) and not session.table.marks)
        await session.press("u")
        await session.until(lambda: session.said[-1] == "2 strategies are back.")
        await session.until(lambda: len(session.table.source) == 3)


async def test_without_marks_the_strategy_under_the_cursor_is_deleted(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.until(lambda: len(session.table.source))
        await session.press("down", "d")
        await session.sees("Delete chatty of sums with its 24 responses?")


async def test_scrollbars_are_signs_where_there_is_no_colour(
    catalogue: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(catalogue, size=(80, 14)) as session:
        await session.press("question_mark")
        await session.sees("Help: catalogue")
        assert TRACK not in session.text()
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(catalogue, size=(80, 14)) as session:
        await session.press("question_mark")
        await session.until(lambda: TRACK in session.text() and HANDLE in session.text())


@pytest.mark.parametrize(("width", "left_out"), [(60, "b Models"), (80, "space Mark"), (120, "")])
async def test_help_menu_and_quit_stay_in_a_narrow_footer(
    width: int, left_out: str, scored: Path, opened: Opener
) -> None:
    async with opened(scored, size=(width, 24), screen="ranking") as session:
        await session.sees("c Compare", "? Help", ": Menu", "q Quit")
        assert left_out == "" or left_out not in session.text()
        await session.pilot.resize_terminal(130, 24)
        await session.sees("space Mark", "q Quit")


async def test_notes_that_do_not_fit_are_reached(scored: Path, opened: Opener) -> None:
    async with opened(scored, size=(80, 14), screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        below = session.screen.query_one("#below")
        last = session.screen._report.ranking.warnings[-1].split()[-1]  # type: ignore[attr-defined]
        for _ in range(10):
            await session.press("right_square_bracket")
        await session.until(lambda: below.scroll_offset.y == below.max_scroll_y)
        await session.sees(last)
