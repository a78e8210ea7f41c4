"""The line of keys follows keys.py whatever the keys are, and ctrl+c leaves the app when it is pressed twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from core.settings import Config
from sap_tui.keymap import Keymap, read_keymap
from sap_tui.keys import actions_of
from sap_tui.screens.import_form import ImportForm
from sap_tui.widgets.key_line import with_room
from tests.ui.conftest import Opener, Session


def shown(session: Session) -> list[str]:
    from textual.widgets._footer import FooterKey

    return [f"{key.key_display} {key.description}" for key in session.app.screen.query(FooterKey)]


DEFAULT = ["i Import", "n Run", "r Rank", "c Compare", "space Mark", "/ Find", "? Help", ": Menu", "q Quit"]


def keys(**wanted: str | list[str]) -> Keymap:
    keymap = read_keymap(Config(Path("none"), keys=wanted))
    assert not keymap.problems
    return keymap


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, DEFAULT),
        ({"quit": "Q"}, [*DEFAULT[:-1], "Q Quit"]),
        ({"help": "H", "import_file": ["I", "ctrl+g"]}, ["I Import", *DEFAULT[1:6], "H Help", *DEFAULT[7:]]),
    ],
)
async def test_keys_keep_their_places_when_they_change(
    wanted: dict[str, str | list[str]], expected: list[str], catalogue: Path, opened: Opener
) -> None:
    async with opened(catalogue, keymap=keys(**wanted)) as session:
        await session.until(lambda: shown(session) == expected)
        await session.sees("  ".join(expected))
        await session.press(wanted.get("quit", "q"))
        await session.until(lambda: session.app._exit)


async def test_while_one_types_the_line_shows_keys_that_are_not_typed(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("i")
        await session.until(lambda: shown(session) == ["esc Close", "F1 Help"])


def test_without_room_the_last_keys_go_first_but_not_those_that_find_the_others() -> None:
    possible = [(action.id, action.keys[0], True) for action in actions_of("catalogue", "app") if action.footer]
    assert with_room(possible, 200) == possible
    assert [action for action, _, _ in with_room(possible, 45)] == ["import_file", "new_run", "help", "command_palette",
                                                                    "quit"]  # fmt: skip
    assert [action for action, _, _ in with_room(possible, 0)] == ["help", "command_palette", "quit"]


async def test_ctrl_c_names_the_key_in_force_and_quits_the_second_time(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue, keymap=keys(quit="Q")) as session:
        await session.press("ctrl+c")
        assert session.said == ["Press Q to quit, or ctrl+c once more. Runs go on."]
        assert not session.app._exit
        await session.press("ctrl+c")
        await session.until(lambda: session.app._exit)


async def test_a_late_second_ctrl_c_only_says_it_again(
    catalogue: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sap_tui.leaving.SECONDS_FOR_THE_SECOND", -1.0)
    async with opened(catalogue) as session:
        await session.press("ctrl+c", "ctrl+c")
        assert len(session.said) == 2
        assert not session.app._exit


async def test_in_a_form_ctrl_c_copies_what_is_selected_and_quits_where_nothing_is(
    catalogue: Path, opened: Opener
) -> None:
    async with opened(catalogue) as session:
        await session.press("i")
        await session.until(lambda: isinstance(session.app.screen, ImportForm))
        field = session.app.screen.query_one("#task", Input)
        await session.focus("#task")
        field.select_all()
        await session.press("ctrl+c")
        assert session.app.clipboard == "sums"
        assert session.said == []
        field.cursor_position = 0
        await session.press("ctrl+c")
        assert session.said == ["Press q to quit, or ctrl+c once more. Runs go on."]
        await session.press("ctrl+c")
        await session.until(lambda: session.app._exit)
