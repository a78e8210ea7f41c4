"""Every key of the app, once: bindings, help, command palette and the README's table are made from here.

`python -m sap_tui.keys` prints the table for the README.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

Place = Literal["app", "table", "catalogue", "live", "ranking", "log", "dialog", "help"]
PLACES: dict[Place, str] = {
    "app": "everywhere",
    "table": "in every table",
    "catalogue": "catalogue",
    "live": "runs",
    "ranking": "ranking",
    "log": "log",
    "dialog": "forms and questions",
    "help": "help",
}
SHOWN_KEYS = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "escape": "esc",
    "f1": "F1",
}


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does; `id` is the name to remap it by and the `action_...` method that does it.

    `keys` are Textual's names, the first is the one in the footer; `footer` says whether it is shown there.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    description: str
    places: tuple[Place, ...]
    footer: bool = False

    @property
    def shown_keys(self) -> tuple[str, ...]:
        return tuple(SHOWN_KEYS.get(key, key) for key in self.keys)


ACTIONS = (
    Action("import_file", ("i",), "Import", "Import files of responses", ("catalogue",), True),
    Action("new_run", ("n",), "New run", "Score strategies under a model", ("catalogue", "live", "ranking"), True),
    Action("show_run_ranking", ("r",), "Rank", "Show the ranking of what is chosen", ("catalogue", "live"), True),
    Action("cancel_run", ("x",), "Cancel", "End the run; what is scored is kept", ("live",), True),
    Action("pause_run", ("p",), "Pause", "Stop the run after its chunk and free the device", ("live",), True),
    Action("resume_run", ("R",), "Resume", "Go on with a paused, interrupted, failed or ended run", ("live",), True),
    Action("show_log", ("L",), "Log", "Show the log of the run's last attempt", ("live",)),
    Action("follow", ("f",), "Follow", "Keep the cursor on the run at work", ("live",)),
    Action("next_metric", ("m",), "Metric", "Rank by the next metric of the run", ("ranking",), True),
    Action("choose_run", ("o",), "Other run", "Choose the run to rank", ("ranking",), True),
    Action("export_csv", ("E",), "Export", "Write the ranking to a CSV file", ("ranking",), True),
    Action("mark", ("space",), "Mark", "Mark or unmark the row, on a task all its strategies", ("catalogue",), True),
    Action("mark_all", ("a",), "Mark all", "Mark every row, or none if all are marked", ("catalogue",)),
    Action("filter", ("slash",), "Filter", "Show only the rows that hold some text", ("catalogue", "live"), True),
    Action("delete_strategy", ("d",), "Delete", "Delete the strategy, after a question", ("catalogue",)),
    Action("copy_row", ("y",), "Copy", "Send the row to the clipboard and to a file", ("catalogue", "live", "ranking")),
    Action("cursor_up", ("up", "k"), "Up", "One row up", ("table",)),
    Action("cursor_down", ("down", "j"), "Down", "One row down", ("table",)),
    Action("page_up", ("pageup", "ctrl+u"), "Page up", "One page up", ("table",)),
    Action("page_down", ("pagedown", "ctrl+d"), "Page down", "One page down", ("table",)),
    Action("first_row", ("g", "home"), "First row", "To the first row", ("table",)),
    Action("last_row", ("G", "end"), "Last row", "To the last row", ("table",)),
    Action("columns_left", ("left", "h"), "Columns left", "Scroll the columns to the left", ("table",)),
    Action("columns_right", ("right", "l"), "Columns right", "Scroll the columns to the right", ("table",)),
    Action("open_row", ("enter",), "Open", "Open the row", ("table",)),
    Action("next_sort", ("s",), "Sort", "Sort by the next column", ("table",)),
    Action("reverse_sort", ("S",), "Reverse", "Reverse the order", ("table",)),
    Action("find", ("slash",), "Find", "Find text in the log", ("log",), True),
    Action("next_match", ("n",), "Next", "The next match", ("log",), True),
    Action("previous_match", ("N",), "Previous", "The previous match", ("log",), True),
    Action("scroll_help_up", ("up", "k"), "Up", "Scroll up", ("help",)),
    Action("scroll_help_down", ("down", "j"), "Down", "Scroll down", ("help",)),
    Action("close", ("escape",), "Close", "Leave and change nothing; in a filter, show all again", ("dialog", "log"),
           True),
    Action("show_catalogue", ("1",), "Catalogue", "Show tasks and strategies", ("app",)),
    Action("show_live", ("2",), "Runs", "Show the runs, as they go", ("app",)),
    Action("show_ranking", ("3",), "Ranking", "Show the ranking of a run", ("app",)),
    Action("toggle_theme", ("T",), "Theme", "Switch between the dark and the light theme", ("app",)),
    Action("help", ("question_mark", "f1"), "Help", "Explain this screen and its keys", ("app",), True),
    Action("command_palette", ("colon", "ctrl+p"), "Commands", "Find and run any command", ("app",), True),
    Action("quit", ("q", "ctrl+q"), "Quit", "Leave; runs go on in the background", ("app",), True),
)  # fmt: skip


def actions_of(*places: Place) -> list[Action]:
    return [action for action in ACTIONS if set(places) & set(action.places)]


def bindings(*places: Place) -> list[BindingType]:
    """What a screen or widget of these places takes as its BINDINGS."""
    return [
        Binding(key, action.id, action.label, show=action.footer and position == 0, key_display=SHOWN_KEYS.get(key),
                tooltip=action.description, id=action.id if position == 0 else f"{action.id}.{position + 1}")
        for action in actions_of(*places)
        for position, key in enumerate(action.keys)
    ]  # fmt: skip


def markdown_table() -> str:
    """The README's table of keys."""
    lines = ["| where | key | what it does |", "|---|---|---|"]
    for place, name in PLACES.items():
        for action in actions_of(place):
            keys = " ".join(f"`{key}`" for key in action.shown_keys)
            lines.append(f"| {name} | {keys} | {action.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown_table())
