"""The settings screen, the theme that is remembered, and keys that were given other actions."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from core.settings import Settings, config_path, read_config
from sap_tui.app import SapApp
from sap_tui.keymap import Keymap
from sap_tui.screens.help import HelpScreen
from sap_tui.screens.new_run import NewRunForm
from sap_tui.screens.settings import SettingsScreen
from sap_tui.widgets.dialogs import AskNumber
from tests.ui.conftest import Opener, Session


def in_file(session: Session, name: str) -> object:
    """What the file says of a setting; None where it says nothing."""
    config = read_config()
    return getattr(config.settings, name) if name in config.own else None


async def test_the_chosen_theme_is_remembered(catalogue: Path, opened: Opener) -> None:
    config_path().write_text("# mine\nkeep_warm_minutes = 0\n")
    async with opened(catalogue) as session:
        for theme in ("sap-light", "sap-ansi", "sap-dark"):
            await session.press("T")
            assert session.app.theme == theme
            await session.until(lambda theme=theme: in_file(session, "theme") == theme)
    assert config_path().read_text() == '# mine\nkeep_warm_minutes = 0\ntheme = "sap-dark"\n'


async def test_after_a_theme_that_is_not_our_own_comes_the_first_of_ours(catalogue: Path) -> None:
    app = SapApp(catalogue, Settings(theme="nord"))
    async with app.run_test() as pilot:
        await pilot.press("T")
        assert app.theme == "sap-dark"


async def test_a_choice_holds_at_once_and_is_written(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.sees("Colours of the app")
        await session.press("right")
        assert session.app.theme == "sap-light"
        await session.until(lambda: in_file(session, "theme") == "sap-light")
        assert "theme is now sap-light." in session.said


async def test_a_number_is_taken_with_enter_and_used_at_once(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.focus("#refresh_seconds")
        await session.press("ctrl+u", *"2.5", "enter")
        assert session.app.bridge.seconds == 2.5
        await session.until(lambda: in_file(session, "refresh_seconds") == 2.5)


async def test_a_line_that_one_leaves_is_taken_too_and_the_next_form_starts_with_it(
    catalogue: Path, opened: Opener
) -> None:
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.focus("#samples")
        await session.press("ctrl+u", *"17", "tab")
        await session.until(lambda: in_file(session, "samples") == 17)
        await session.press("escape", "n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        assert session.app.screen.query_one("#samples", Input).value == "17"


async def test_what_is_wrong_is_named_while_one_types_and_never_kept(catalogue: Path, opened: Opener) -> None:
    before = config_path().read_text()
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.focus("#samples")
        await session.press("ctrl+u", *"many")
        await session.sees("samples must be a whole number, 1 or more")
        await session.press("enter", "tab")
        assert session.app.settings.samples == 50
    assert config_path().read_text() == before


async def test_escape_leaves_what_was_typed_but_not_taken(catalogue: Path, opened: Opener) -> None:
    before = config_path().read_text()
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.focus("#samples")
        await session.press("ctrl+u", *"12", "escape")
        await session.until(lambda: not isinstance(session.app.screen, SettingsScreen))
        assert session.app.settings.samples == 50
    assert config_path().read_text() == before


async def test_an_empty_line_is_the_default_again_and_leaves_the_file(catalogue: Path, opened: Opener) -> None:
    config_path().write_text("# mine\nsamples = 9\n")
    async with opened(catalogue) as session:
        session.app.settings = Settings(samples=9)
        await session.press("comma")
        await session.focus("#samples")
        await session.press("ctrl+u", "enter")
        assert session.app.settings.samples == 50
        await session.until(lambda: in_file(session, "samples") is None)
    assert config_path().read_text() == "# mine\n"


async def test_a_choice_is_unset_with_its_key(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("comma")
        await session.focus("#quantization")
        await session.press("right")
        await session.until(lambda: in_file(session, "quantization") == "int8")
        await session.press("u")
        await session.until(lambda: in_file(session, "quantization") is None)
        assert session.app.settings.quantization == "none"


async def test_a_file_that_cannot_be_written_is_named_and_the_setting_holds(catalogue: Path, opened: Opener) -> None:
    config_path().write_text("samples = ")
    async with opened(catalogue) as session:
        await session.press("T")
        said = await session.until(lambda: [line for line in session.said if "holds until you quit" in line])
        assert "not changed" in said[0]
        assert session.app.theme == "sap-light"


@pytest.mark.parametrize("theme", ["sap-dark", "sap-light", "sap-ansi"])
async def test_the_settings_fit_into_80_by_24(catalogue: Path, opened: Opener, theme: str) -> None:
    async with opened(catalogue, size=(80, 24)) as session:
        session.app.theme = theme
        await session.press("comma")
        text = session.text()
        assert "Colours of the app" in text
        assert "default sap-dark" in text
        assert "Close" in text
        await session.press("shift+tab", "shift+tab")
        assert session.app.focused is not None
        assert session.app.focused.id == "on_done"
        await session.sees("A shell command")


async def test_problems_of_the_file_are_said_at_the_start(catalogue: Path) -> None:
    problems = [f"config.toml:{line}: \x1b[31m there is no setting" for line in range(5)]
    app = SapApp(catalogue, Settings(), problems=problems)
    async with app.run_test(notifications=True, size=(120, 50)) as pilot:
        await pilot.pause()
        said = [notice.message for notice in app._notifications]
        assert len(said) == 4
        assert said[0].startswith("config.toml:0:")
        assert "\x1b" not in "".join(said)
        assert said[3].startswith("2 more")


async def test_changed_keys_work_and_stand_in_footer_help_palette_and_title(catalogue: Path) -> None:
    keymap = Keymap({"new_run": ("N", "f4"), "import_file": ("n",), "show_live": ("x",), "help": ("exclamation_mark",)})
    app = SapApp(catalogue, Settings(refresh_seconds=0.05), keymap=keymap)
    async with app.run_test(size=(120, 60)) as pilot:
        session = Session(app, pilot)
        await session.until(lambda: app.snapshot.read_at)
        await session.until(lambda: "N Run" in session.text())
        await session.sees("n Import")
        await session.sees("x Runs")
        await session.press("exclamation_mark")
        await session.until(lambda: isinstance(app.screen, HelpScreen))
        await session.until(lambda: "N f4" in session.text())
        await session.sees("! Help")
        await session.press("escape", "colon", *"score")
        await session.until(lambda: "Score strategies under a model  N f4" in session.text())
        await session.press("escape", "f4")
        await session.until(lambda: isinstance(app.screen, NewRunForm))
        await session.press("escape", "2")
        assert app.current_mode == "catalogue"
        await session.press("x")
        assert app.current_mode == "live"


async def test_help_is_about_what_has_the_focus(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue, size=(120, 90)) as session:
        await session.press("question_mark")
        await session.until(lambda: "In focus: the table" in session.text())
        await session.sees("about the row with the cursor")
        await session.press("question_mark")
        await session.until(lambda: not isinstance(session.app.screen, HelpScreen))
        await session.press("n", "f1")
        await session.until(lambda: "In focus: a line to type in" in session.text())
        await session.sees("Help: forms and questions")
        assert "Keys everywhere" not in session.text()
        await session.press("escape")
        await session.focus("#quantization")
        await session.press("question_mark")
        await session.until(lambda: "In focus: a choice" in session.text())
        await session.sees("The option to the right")


async def test_a_number_leads_to_the_run_or_the_row(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        await session.until(lambda: len(session.table.source) == 3)
        for typed, key in (("1", 1), ("3", 3), ("99", 3)):
            await session.press("J")
            await session.until(lambda: isinstance(session.app.screen, AskNumber))
            await session.press(*typed, "enter")
            await session.until(lambda key=key: not session.app.screen.is_modal and session.table.cursor_key == key)
        await session.press("1")
        await session.until(lambda: len(session.names) == 3)
        await session.press("J", "3", "enter")
        await session.until(lambda: not session.app.screen.is_modal)
        assert session.table.source.position(session.table.cursor_key) == 2
        await session.press("J", "escape", "J", "x", "enter", "escape")
        assert session.table.source.position(session.table.cursor_key) == 2


async def test_the_palette_offers_what_the_table_can_do(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("colon", *"sort by")
        await session.until(lambda: "Sort by the next column" in session.text())
        await session.press("enter")
        await session.until(lambda: session.table.sort_column == "name")
