"""Keys as the user wants them: what of the table [keys] is taken over, and what is named instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.settings import Config, read_config
from sap_tui.keymap import Keymap, read_keymap
from sap_tui.keys import ACTIONS, PLACES, actions_of, places_together, shown_key

ACTION = {action.id: action for action in ACTIONS}


def keymap_of(folder: Path, table: str) -> Keymap:
    path = folder / "config.toml"
    path.write_text(f"samples = 3\n[keys]\n{table}\n")
    return read_keymap(read_config(path))


def test_without_a_table_the_keys_are_those_of_the_registry() -> None:
    keymap = read_keymap(Config(Path("none")))
    assert (keymap.changed, keymap.problems) == ({}, ())
    assert all(keymap.keys(action) == action.keys for action in ACTIONS)


def test_a_key_or_a_list_of_keys_takes_the_place_of_all_keys_of_an_action(tmp_path: Path) -> None:
    keymap = keymap_of(tmp_path, 'new_run = "N"\ncursor_down = ["down", "ctrl+n"]\nhelp = "F1"')
    assert keymap.problems == ()
    assert keymap.changed == {"new_run": ("N",), "cursor_down": ("down", "ctrl+n"), "help": ("f1",)}
    assert keymap.of_textual == {"new_run": "N", "cursor_down": "down,ctrl+n", "help": "f1"}
    assert keymap.shown(ACTION["cursor_down"]) == ("↓", "ctrl+n")
    assert keymap.shown_first("quit") == "q"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("?", "question_mark"), ("#", "number_sign"), ("+", "plus"), (",", "comma"), ("é", "é"), ("esc", "escape"),
        ("PgUp", "pageup"), ("↓", "down"), ("Return", "enter"), (" ", "space"), ("shift+a", "A"), ("ctrl+A", "ctrl+a"),
        ("ctrl+shift+up", "ctrl+shift+up"), ("shift+ctrl+up", "ctrl+shift+up"), ("ctrl+i", "tab"), ("f12", "f12"),
        ("question_mark", "question_mark"), ("ctrl+slash", "ctrl+slash"),
    ],
)  # fmt: skip
def test_keys_are_written_as_one_sees_them_or_as_textual_calls_them(tmp_path: Path, written: str, key: str) -> None:
    keymap = keymap_of(tmp_path, f'show_log = "{written}"')
    held = {each for action in actions_of("live", "table", "app") for each in action.keys} - {"L"}
    assert keymap.changed == ({"show_log": (key,)} if key not in held else {})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('new_rum = "N"', "there is no action 'new_rum'. Perhaps: new_run."),
        ('zzz = "N"', "there is no action 'zzz'. See sap-tui keys."),
        ('new_run = "banana"', "there is no key 'banana'"),
        ('new_run = ""', "there is no key ''"),
        ('new_run = "ctrl+"', "there is no key 'ctrl+'"),
        ('new_run = "hyper+x"', "before a + stand ctrl"),
        ('new_run = "\\u001b"', "there is no key"),
        ("new_run = 3", "a list of keys, was expected"),
        ("new_run = []", "a list of keys, was expected"),
        ('new_run = ["N", 3]', "a list of keys, was expected"),
        ('new_run.x = "N"', "a list of keys, was expected"),
        ('new_run = "i"', "new_run cannot have the key i, which import_file has (catalogue)"),
        ('new_run = "T"', "new_run cannot have the key T, which next_theme has (catalogue)"),
        ('new_run = "j"', "new_run cannot have the key j, which cursor_down has (catalogue)"),
        ('close = "k"', "close cannot have the key k"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line_and_the_rest_applies(tmp_path: Path, table: str, words: str) -> None:
    keymap = keymap_of(tmp_path, f'mark = "M"\n{table}')
    (problem,) = keymap.problems
    assert problem.startswith(f"{tmp_path / 'config.toml'}:4: ")
    assert words in problem
    assert keymap.changed == {"mark": ("M",)}


def test_of_two_actions_that_want_one_key_the_first_in_the_file_has_it(tmp_path: Path) -> None:
    keymap = keymap_of(tmp_path, 'cancel_run = "X"\nresume_run = "X"')
    assert keymap.changed == {"cancel_run": ("X",)}
    assert "resume_run cannot have the key X, which cancel_run has (runs)" in keymap.problems[0]


def test_one_key_may_do_two_things_in_two_places(tmp_path: Path) -> None:
    keymap = keymap_of(tmp_path, 'cancel_run = "X"\nexport_csv = "X"')
    assert keymap.problems == ()


def test_two_actions_may_change_keys_with_each_other(tmp_path: Path) -> None:
    keymap = keymap_of(tmp_path, 'new_run = "r"\nshow_run_ranking = "n"')
    assert keymap.problems == ()
    assert len(keymap.changed) == 2


keys = some.one_of(
    some.sampled_from(sorted({key for action in ACTIONS for key in action.keys})),
    some.text(max_size=3),
    some.integers(),
)
tables = some.dictionaries(
    some.one_of(some.sampled_from(sorted(ACTION)), some.text(max_size=5)),
    some.one_of(keys, some.lists(keys, max_size=3)),
)


@given(table=tables)
def test_no_table_leaves_two_actions_of_a_place_on_one_key_or_an_action_without_any(table: dict[str, Any]) -> None:
    keymap = read_keymap(Config(Path("config.toml"), keys=table))
    for places in places_together():
        held: dict[str, str] = {}
        for action in actions_of(*places):
            assert keymap.keys(action)
            for key in keymap.keys(action):
                assert held.setdefault(key, action.id) == action.id
    unknown = [name for name in table if name not in ACTION]
    unchanged = [name for name in table if name in ACTION and name not in keymap.changed]
    assert sum("there is no action" in problem for problem in keymap.problems) == len(unknown)
    assert len(keymap.problems) <= len(table)
    assert set(keymap.changed) | set(unchanged) == set(table) & set(ACTION)


def test_every_key_of_the_registry_can_be_written_as_it_is_shown() -> None:
    for action in ACTIONS:
        shown = [shown_key(key) for key in action.keys]
        keymap = read_keymap(Config(Path("config.toml"), keys={action.id: shown}))
        assert (keymap.changed, keymap.problems) == ({}, ()), shown


def test_the_rows_name_every_action_of_every_place(tmp_path: Path) -> None:
    keymap = keymap_of(tmp_path, 'new_run = "N"')
    rows = keymap.rows()
    assert {(row["action"], row["place"]) for row in rows} == {(a.id, place) for a in ACTIONS for place in a.places}
    assert {row["where"] for row in rows} <= set(PLACES.values())
    assert [row["keys"] for row in rows if row["changed"]] == [["N"]] * len(ACTION["new_run"].places)
