"""Every key of keys.py does what it says; the help, the footer and the README's table come from the same place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.command import CommandPalette

from sap_tui.keys import ACTIONS, PLACES, Action, Place, actions_of, bindings, markdown_table
from sap_tui.screens.help import HelpScreen
from sap_tui.screens.import_form import ImportForm
from sap_tui.screens.log import LogScreen
from sap_tui.screens.new_run import NewRunForm
from sap_tui.widgets.dialogs import AskPath, Choose, Confirm
from sap_tui.widgets.filter_bar import FilterBar
from tests.ui.conftest import Opener, Session, change, value_of

STARTS: dict[Place, str] = {"table": "catalogue", "dialog": "catalogue", "ranking": "ranking", "catalogue": "catalogue"}


def opens(screen: type) -> Callable[[Session], object]:
    return lambda session: isinstance(session.app.screen, screen)


def mode(name: str) -> Callable[[Session], object]:
    return lambda session: session.app.current_mode == name


def cursor(row: int) -> Callable[[Session], object]:
    return lambda session: session.table.source.position(session.table.cursor_key) == row


def wants(run: int, want: str) -> Callable[[Session], object]:
    return lambda session: value_of(session.app.catalogue, f"SELECT want FROM runs WHERE id = {run}") == want


def help_scrolled_to(line: int) -> Callable[[Session], object]:
    def reached(session: Session) -> bool:
        screen = session.app.screen
        return isinstance(screen, HelpScreen) and screen.query_one(".window").scroll_offset.y == line

    return reached


# What to press before the key, and what is true afterwards and was not before.
EFFECTS: dict[tuple[str, Place], tuple[tuple[str, ...], Callable[[Session], object]]] = {
    ("import_file", "catalogue"): ((), opens(ImportForm)),
    ("new_run", "catalogue"): ((), opens(NewRunForm)),
    ("new_run", "live"): ((), opens(NewRunForm)),
    ("new_run", "ranking"): ((), opens(NewRunForm)),
    ("show_run_ranking", "catalogue"): ((), mode("ranking")),
    ("show_run_ranking", "live"): ((), mode("ranking")),
    ("cancel_run", "live"): ((), wants(2, "cancel")),
    ("pause_run", "live"): ((), wants(2, "pause")),
    ("resume_run", "live"): (("k",), wants(3, "run")),
    ("show_log", "live"): ((), opens(LogScreen)),
    ("follow", "live"): ((), lambda session: "The cursor stays where it is." in session.said),
    ("next_metric", "ranking"): ((), lambda session: "by ppl" in session.text()),
    ("choose_run", "ranking"): ((), opens(Choose)),
    ("export_csv", "ranking"): ((), opens(AskPath)),
    ("mark", "catalogue"): (("down",), lambda session: len(session.table.marks) == 1),
    ("mark_all", "catalogue"): ((), lambda session: len(session.table.marks) == 2),
    ("filter", "catalogue"): ((), lambda session: isinstance(session.app.focused, FilterBar)),
    ("filter", "live"): ((), lambda session: isinstance(session.app.focused, FilterBar)),
    ("delete_strategy", "catalogue"): (("down",), opens(Confirm)),
    ("copy_row", "catalogue"): (("down",), lambda session: "chatty" in session.app.clipboard),
    ("copy_row", "live"): ((), lambda session: "sums" in session.app.clipboard),
    ("copy_row", "ranking"): ((), lambda session: "[" in session.app.clipboard),
    ("cursor_up", "table"): (("down", "down"), cursor(1)),
    ("cursor_down", "table"): ((), cursor(1)),
    ("page_up", "table"): (("down", "down"), cursor(0)),
    ("page_down", "table"): ((), cursor(2)),
    ("first_row", "table"): (("down", "down"), cursor(0)),
    ("last_row", "table"): ((), cursor(2)),
    ("columns_left", "table"): (("right",), lambda session: session.table.scroll_offset.x == 0),
    ("columns_right", "table"): ((), lambda session: session.table.scroll_offset.x > 0),
    ("open_row", "table"): ((), mode("ranking")),
    ("next_sort", "table"): ((), lambda session: session.table.sort_column == "name"),
    ("reverse_sort", "table"): ((), lambda session: session.names[1:] == ["plain", "chatty"]),
    ("find", "log"): (("L",), lambda session: isinstance(session.app.focused, FilterBar)),
    ("next_match", "log"): (("L", "g", "slash", *"beta", "enter"), cursor(3)),
    ("previous_match", "log"): (("L", "G", "slash", *"beta", "enter"), cursor(3)),
    ("scroll_help_up", "help"): (("question_mark", "down", "down", "down"), help_scrolled_to(2)),
    ("scroll_help_down", "help"): (("question_mark",), help_scrolled_to(1)),
    ("close", "log"): (("L",), lambda session: not isinstance(session.app.screen, LogScreen)),
    ("close", "dialog"): (("n",), lambda session: not isinstance(session.app.screen, NewRunForm)),
    ("show_catalogue", "app"): ((), mode("catalogue")),
    ("show_live", "app"): (("1",), mode("live")),
    ("show_ranking", "app"): ((), mode("ranking")),
    ("toggle_theme", "app"): ((), lambda session: session.app.theme == "sap-light"),
    ("help", "app"): ((), opens(HelpScreen)),
    ("command_palette", "app"): ((), opens(CommandPalette)),
    ("quit", "app"): ((), lambda session: session.app._exit),
}  # fmt: skip
CASES = [(action, place) for action in ACTIONS for place in action.places]


@pytest.mark.parametrize(("action", "place"), CASES, ids=[f"{place}-{action.id}" for action, place in CASES])
async def test_every_key_has_its_effect(
    action: Action, place: Place, running: Path, opened: Opener, tmp_path: Path
) -> None:
    log = tmp_path / "attempt.log"
    log.write_text("alpha\nbeta one\ngamma\nbeta two\n")
    change(running, "UPDATE runs SET log = ? WHERE id = 2", str(log))
    change(running, "UPDATE runs SET want = 'pause' WHERE id = 3")
    before, effect = EFFECTS[action.id, place]
    size = (60, 30) if action.id.startswith("columns") else (120, 36)
    async with opened(running, size=size, screen=STARTS.get(place, "live")) as session:
        await session.until(lambda: len(session.table.source))
        if place == "ranking":
            await session.until(lambda: "decided" in session.text())
        if "L" in before:
            await session.press("L")
            await session.until(lambda: isinstance(session.app.screen, LogScreen) and len(session.table.source) == 4)
        await session.press(*(each for each in before if each != "L"))
        if action.id == "next_match":
            await session.until(cursor_at(session, 1))
        assert not effect(session)
        await session.press(action.keys[0])
        await session.until(lambda: effect(session))


def cursor_at(session: Session, row: int) -> Callable[[], object]:
    return lambda: cursor(row)(session)


def test_every_action_of_the_registry_is_tried() -> None:
    assert {(action.id, place) for action in ACTIONS for place in action.places} == set(EFFECTS)


def test_every_other_key_of_an_action_is_bound_to_it_too() -> None:
    for place in PLACES:
        bound = {(binding.key, binding.action) for binding in bindings(place)}  # type: ignore[union-attr]
        assert bound == {(key, action.id) for action in actions_of(place) for key in action.keys}


def test_nothing_needs_control_alt_or_a_function_key() -> None:
    for action in ACTIONS:
        plain = [key for key in action.keys if "+" not in key and not (key[0] == "f" and key[1:].isdigit())]
        assert plain, action


def test_no_two_actions_of_one_screen_share_a_key() -> None:
    for place in ("catalogue", "live", "ranking"):
        keys = [key for action in actions_of(place, "table", "app") for key in action.keys]
        assert sorted(keys) == sorted(set(keys)), place


def test_every_binding_has_an_id_of_its_own() -> None:
    for place in PLACES:
        ids = [binding.id for binding in bindings(place)]  # type: ignore[union-attr]
        assert len(ids) == len(set(ids))


def test_the_readme_table_names_every_key() -> None:
    table = markdown_table()
    for action in ACTIONS:
        assert action.description in table
        for key in action.shown_keys:
            assert f"`{key}`" in table


@pytest.mark.parametrize("place", ["catalogue", "live", "ranking"])
async def test_help_lists_the_keys_of_its_screen(place: Place, running: Path, opened: Opener) -> None:
    async with opened(running, size=(120, 80), screen=place) as session:
        await session.press("question_mark")
        text = await session.until(lambda: isinstance(session.app.screen, HelpScreen) and session.text())
        for action in actions_of(place, "table", "app"):
            assert action.description in text


async def test_the_palette_offers_only_what_can_be_done(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue, screen="live") as session:
        await session.press("colon")
        text = await session.until(lambda: "runs, as they go" in session.text() and session.text())
        assert "Score strategies under a model" in text
        assert "End the run" not in text
        assert "CSV" not in text


async def test_the_palette_does_what_was_chosen(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("colon", *"import")
        await session.until(lambda: "Import files of responses" in session.text())
        await session.press("enter")
        await session.until(lambda: isinstance(session.app.screen, ImportForm))
