"""Every key of keys.py does what it says; the help, the footer and the README's table come from the same place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.command import CommandPalette

from sap_tui.keys import ACTIONS, PLACES, Action, Place, actions_of, bindings, markdown_table, places_together
from sap_tui.screens.edit_form import EditTags, EditTask
from sap_tui.screens.help import HelpScreen
from sap_tui.screens.import_form import ImportForm
from sap_tui.screens.log import LogScreen
from sap_tui.screens.new_run import NewRunForm
from sap_tui.screens.outcomes_form import OutcomesForm
from sap_tui.screens.responses import ResponsesScreen
from sap_tui.screens.settings import SettingsScreen
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.dialogs import AskNumber, AskPath, Choose, Confirm
from sap_tui.widgets.filter_bar import FilterBar
from tests.ui.compare_keys import COMPARE_EFFECTS, TEXT_SIZE, come_to
from tests.ui.conftest import Opener, Session, change, stay_loaded, value_of

STARTS: dict[Place, str] = {"table": "catalogue", "dialog": "catalogue", "choices": "catalogue",
                            "ranking": "ranking", "catalogue": "catalogue",
                            "outcomes": "outcomes",
                            "compare": "ranking", "sample": "ranking", "text": "ranking",
                            "responses": "catalogue"}  # fmt: skip


def opens(screen: type) -> Callable[[Session], object]:
    return lambda session: isinstance(session.app.screen, screen)


def mode(name: str) -> Callable[[Session], object]:
    return lambda session: session.app.current_mode == name


def cursor(row: int) -> Callable[[Session], object]:
    return lambda session: session.table.source.position(session.table.cursor_key) == row


def said(words: str) -> Callable[[Session], object]:
    return lambda session: any(words in line for line in session.said)


def wants(run: int, want: str) -> Callable[[Session], object]:
    return lambda session: value_of(session.app.catalogue, f"SELECT want FROM runs WHERE id = {run}") == want


def choices(session: Session) -> Choices:
    focused = session.app.focused
    assert isinstance(focused, Choices)
    return focused


def option(value: str) -> Callable[[Session], object]:
    return lambda session: choices(session).at_cursor == value


def help_scrolled_to(line: int) -> Callable[[Session], object]:
    def reached(session: Session) -> bool:
        screen = session.app.screen
        return isinstance(screen, HelpScreen) and screen.query_one(".window").scroll_offset.y == line

    return reached


def help_scrolled_a_page(session: Session) -> bool:
    return isinstance(session.app.screen, HelpScreen) and session.app.screen.query_one(".window").scroll_offset.y > 5


# So low that the notes of a ranking do not fit.
LOW = (80, 14)
SIZES = {"columns_left": (60, 30), "columns_right": (60, 30), "scroll_pane_down": (90, 20), "scroll_pane_up": (90, 20)}
FREED = "SELECT max(want) FROM scorers"
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
    ("free_models", "live"): ((), lambda session: value_of(session.app.catalogue, FREED) == "end"),
    ("zoom_pane", "live"): ((), lambda session: session.screen.has_class("-zoomed")),
    ("scroll_pane_down", "live"): ((), lambda session: session.screen.pane.scroll_offset.y > 0),
    ("scroll_pane_up", "live"): (("right_square_bracket",), lambda session: session.screen.pane.scroll_offset.y == 0),
    ("follow", "live"): ((), lambda session: "The cursor stays where it is." in session.said),
    ("next_metric", "ranking"): ((), lambda session: "by ppl" in session.text()),
    ("choose_run", "ranking"): ((), opens(Choose)),
    ("next_metric", "outcomes"): ((), lambda session: "by ppl ─" in session.text()),
    ("choose_run", "outcomes"): ((), opens(Choose)),
    ("next_view", "outcomes"): ((), lambda session: "Spearman with" in session.text()),
    ("import_outcomes", "outcomes"): ((), opens(OutcomesForm)),
    ("scroll_pane_down", "outcomes"): ((), lambda session: session.screen.pane.scroll_offset.y > 0),
    ("scroll_pane_up", "outcomes"): (("right_square_bracket",),
                                     lambda session: session.screen.pane.scroll_offset.y == 0),
    ("copy_row", "outcomes"): ((), lambda session: "%" in session.app.clipboard),
    ("scroll_pane_down", "ranking"): ((), lambda session: session.screen.query_one("#below").scroll_offset.y > 0),
    ("scroll_pane_up", "ranking"): (("right_square_bracket",),
                                    lambda session: session.screen.query_one("#below").scroll_offset.y == 0),
    ("by_model", "ranking"): ((), lambda session: "every target model" in session.words),
    ("export_csv", "ranking"): ((), opens(AskPath)),
    ("export_csv", "outcomes"): ((), opens(AskPath)),
    ("previous_choice", "choices"): (("right",), option("none")),
    ("next_choice", "choices"): ((), option("int8")),
    ("choice_above", "choices"): (("down",), option("sap")),
    ("choice_below", "choices"): ((), lambda session: option("sap")(session) is False),
    ("take_choice", "choices"): ((), lambda session: "sap" not in choices(session).chosen),
    ("mark", "catalogue"): (("down",), lambda session: len(session.table.marks) == 1),
    ("mark_all", "catalogue"): ((), lambda session: len(session.table.marks) == 2),
    ("filter", "catalogue"): ((), lambda session: isinstance(session.app.focused, FilterBar)),
    ("filter", "live"): ((), lambda session: isinstance(session.app.focused, FilterBar)),
    ("edit", "catalogue"): ((), opens(EditTask)),
    ("tag", "catalogue"): (("down",), opens(EditTags)),
    ("delete", "catalogue"): (("down",), opens(Confirm)),
    ("delete", "live"): (("G",), opens(Confirm)),
    ("undo", "catalogue"): ((), said("Nothing was deleted")),
    ("undo", "live"): ((), said("Nothing was deleted")),
    ("mark", "responses"): ((), lambda session: len(session.table.marks) == 1),
    ("filter", "responses"): ((), lambda session: isinstance(session.app.focused, FilterBar)),
    ("copy_text", "responses"): ((), lambda session: session.app.clipboard.endswith("0 altogether!")),
    ("copy_rows", "responses"): ((), lambda session: session.app.clipboard.startswith('{"id": "0"')),
    ("scroll_pane_down", "responses"): ((), lambda session: session.screen.pane.scroll_offset.y > 0),
    ("scroll_pane_up", "responses"): (("right_square_bracket",),
                                      lambda session: session.screen.pane.scroll_offset.y == 0),
    ("back", "responses"): ((), lambda session: not isinstance(session.app.screen, ResponsesScreen)),
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
    ("jump", "table"): ((), opens(AskNumber)),
    ("open_row", "table"): ((), mode("ranking")),
    ("next_sort", "table"): ((), lambda session: session.table.sort_column == "name"),
    ("reverse_sort", "table"): ((), lambda session: session.names[1:] == ["plain", "chatty"]),
    ("find", "log"): (("L",), lambda session: isinstance(session.app.focused, FilterBar)),
    ("next_match", "log"): (("L", "g", "slash", *"beta", "enter"), cursor(3)),
    ("previous_match", "log"): (("L", "G", "slash", *"beta", "enter"), cursor(3)),
    ("scroll_help_up", "help"): (("question_mark", "down", "down", "down"), help_scrolled_to(2)),
    ("scroll_help_down", "help"): (("question_mark",), help_scrolled_to(1)),
    ("help_page_up", "help"): (("question_mark", "pagedown"), help_scrolled_to(0)),
    ("help_page_down", "help"): (("question_mark",), help_scrolled_a_page),
    ("close", "log"): (("L",), lambda session: not isinstance(session.app.screen, LogScreen)),
    ("close", "dialog"): (("n",), lambda session: not isinstance(session.app.screen, NewRunForm)),
    ("show_catalogue", "app"): ((), mode("catalogue")),
    ("show_live", "app"): (("1",), mode("live")),
    ("show_ranking", "app"): ((), mode("ranking")),
    ("show_outcomes", "app"): ((), mode("outcomes")),
    ("next_theme", "app"): ((), lambda session: session.app.theme == "sap-light"),
    ("settings", "app"): ((), opens(SettingsScreen)),
    ("unset_setting", "settings"): (("comma", "right"), lambda session: session.app.theme == "sap-dark"),
    ("help", "app"): ((), opens(HelpScreen)),
    ("help", "dialog"): (("down", "d"), opens(HelpScreen)),
    ("command_palette", "app"): ((), opens(CommandPalette)),
    ("quit", "app"): ((), lambda session: session.app._exit),
}  # fmt: skip
EFFECTS |= COMPARE_EFFECTS
CASES = [(action, place) for action in ACTIONS for place in action.places]


@pytest.mark.parametrize(("action", "place"), CASES, ids=[f"{place}-{action.id}" for action, place in CASES])
async def test_every_key_has_its_effect(
    action: Action, place: Place, running: Path, opened: Opener, tmp_path: Path
) -> None:
    log = tmp_path / "attempt.log"
    log.write_text("alpha\nbeta one\ngamma\nbeta two\n")
    change(running, "UPDATE runs SET log = ? WHERE id = 2", str(log))
    change(running, "UPDATE runs SET want = 'pause' WHERE id = 3")
    if place == "outcomes":
        change(running, "INSERT INTO outcomes (task, model, strategy, seed, accuracy, created_at) "
                        "SELECT 1, (SELECT name FROM targets), id, 0, id / 10.0, 0 FROM strategies")  # fmt: skip
    before, effect = EFFECTS[action.id, place]
    if action.id == "free_models":
        stay_loaded(running)
    sizes = {"text": TEXT_SIZE, "outcomes": (110, 20)}
    if place == "ranking" and action.id.startswith("scroll_pane"):
        sizes["ranking"] = LOW
    size = sizes.get(place) or SIZES.get(action.id, (120, 36))
    async with opened(running, size=size, screen=STARTS.get(place, "live")) as session:
        await session.until(lambda: len(session.table.source))
        if place == "ranking":
            await session.until(lambda: "decided" in session.text())
        if place in ("compare", "sample", "text"):
            await come_to(session, place)
        if place == "responses":
            await session.press("down", "enter")
            await session.until(lambda: "Gold answer" in session.text())
        if place == "choices":
            await session.press("n")
            await session.until(lambda: isinstance(session.app.screen, NewRunForm))
            await session.focus("#quantization" if action.id in ("previous_choice", "next_choice") else "#metrics")
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
    for places in places_together():
        keys = [key for action in actions_of(*places) for key in action.keys]
        assert sorted(keys) == sorted(set(keys)), places


def test_every_binding_is_remapped_by_the_name_of_its_action() -> None:
    for place in PLACES:
        assert all(binding.id == binding.action for binding in bindings(place))  # type: ignore[union-attr]


def test_the_readme_table_names_every_key() -> None:
    table = markdown_table()
    for action in ACTIONS:
        assert action.description in table
        for key in action.shown_keys:
            assert f"`{key}`" in table


@pytest.mark.parametrize("place", ["catalogue", "live", "ranking", "outcomes"])
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
