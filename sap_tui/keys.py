"""Every key of the app, once: bindings, help, command palette and the README's table are made from here.

`python -m sap_tui.keys` prints the table for the README.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType
from textual.keys import format_key

Place = Literal[
    "app", "table", "text", "catalogue", "live", "ranking", "outcomes", "compare", "sample",
    "responses", "log", "dialog", "choices", "settings",
    "help",
]  # fmt: skip
PLACES: dict[Place, str] = {
    "app": "everywhere",
    "table": "in every table",
    "text": "in every response",
    "catalogue": "catalogue",
    "live": "runs",
    "ranking": "ranking",
    "outcomes": "agreement and outcomes",
    "compare": "compare",
    "sample": "sample",
    "responses": "responses",
    "log": "log",
    "dialog": "forms and questions",
    "choices": "in every choice of a form",
    "settings": "settings",
    "help": "help",
}
# Places of windows that lie over a screen, whose own keys do not work meanwhile.
OVER_OTHERS: tuple[Place, ...] = ("log", "dialog", "settings", "help")
INSIDE: dict[Place, Place] = {"log": "table", "dialog": "choices", "settings": "choices"}
WITH_TEXTS: tuple[Place, ...] = ("compare", "sample")
SHOWN_KEYS = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "number_sign": "#",
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
        return tuple(shown_key(key) for key in self.keys)


ACTIONS = (
    Action("import_file", ("i",), "Import", "Import files of responses", ("catalogue",), True),
    Action("new_run", ("n",), "Run", "Score strategies under a model", ("catalogue", "live", "ranking"), True),
    Action("show_run_ranking", ("r",), "Rank", "Show the ranking of what is chosen", ("catalogue", "live"), True),
    Action("cancel_run", ("x",), "Cancel", "End the run; what is scored is kept", ("live",), True),
    Action("pause_run", ("p",), "Pause", "Stop the run after its chunk and free the device", ("live",), True),
    Action("resume_run", ("R",), "Resume", "Go on with a paused, interrupted, failed or ended run", ("live",), True),
    Action("show_log", ("L",), "Log", "Show the log of the run's last attempt", ("live",)),
    Action("free_models", ("F",), "Free", "Free the memory of models that stay loaded", ("live",)),
    Action("zoom_pane", ("z",), "Zoom", "Give the pane most of the room, or take it back", ("live",)),
    Action("scroll_pane_down", ("right_square_bracket",), "Pane down", "Scroll what stands beside the table down",
           ("live", "ranking", "responses", "outcomes")),
    Action("scroll_pane_up", ("left_square_bracket",), "Pane up", "Scroll what stands beside the table up",
           ("live", "ranking", "responses", "outcomes")),
    Action("follow", ("f",), "Follow", "Keep the cursor on the run at work", ("live",)),
    Action("compare", ("c",), "Compare", "Set two marked strategies side by side", ("catalogue", "ranking"), True),
    Action("next_metric", ("m",), "Metric", "By the next metric of the run", ("ranking", "outcomes"), True),
    Action("choose_run", ("o",), "Runs", "Choose another run", ("ranking", "outcomes"), True),
    Action("by_model", ("b",), "Models", "Set the task's rankings under every target model side by side, or not",
           ("ranking",), True),
    Action("export_csv", ("E",), "Export", "Write what is shown to a CSV file", ("ranking", "compare", "outcomes"),
           True),
    Action("next_view", ("v", "tab"), "View", "The next view: outcomes, agreement, convergence", ("outcomes",), True),
    Action("import_outcomes", ("i",), "Import", "Import what fine-tuning gave", ("outcomes",), True),
    Action("mark", ("space",), "Mark", "Mark or unmark the row, on a task all its strategies",
           ("catalogue", "ranking", "responses"), True),
    Action("mark_all", ("a",), "Mark all", "Mark every row, or none if all are marked", ("catalogue",)),
    Action("filter", ("slash",), "Find", "Show only the rows that hold some text", ("catalogue", "live",
           "responses"), True),
    Action("edit", ("e",), "Edit", "Change names and what the catalogue says", ("catalogue",)),
    Action("tag", ("t",), "Tag", "Set the tags of the strategy, or of all that are marked", ("catalogue",)),
    Action("delete", ("d",), "Delete", "Delete what is marked or under the cursor, after a question",
           ("catalogue", "live")),
    Action("undo", ("u",), "Undo", "Bring back what was deleted last", ("catalogue", "live")),
    Action("copy_row", ("y",), "Copy", "Send the row to the clipboard and to a file", ("catalogue", "live", "ranking",
           "outcomes")),
    Action("copy_rows", ("Y",), "Copy all", "Send the row, or all that are marked, as JSON lines", ("responses",)),
    Action("next_question", ("n",), "Next", "The next question of the list", ("compare",), True),
    Action("previous_question", ("N",), "Previous", "The previous question of the list", ("compare",)),
    Action("worst_token", ("w",), "Worst", "The next less surprising token, from the worst on", ("compare", "sample"),
           True),
    Action("back_to_worse", ("W",), "Worse", "Back to the token that is worse by one", ("compare", "sample")),
    Action("next_pane", ("tab",), "Pane", "To the next of the texts and lists", ("compare", "sample"), True),
    Action("numbers", ("number_sign",), "Numbers", "Surprisals in nats below the text, or not", ("compare", "sample"),
           True),
    Action("scroll_together", ("o",), "Together", "Scroll both texts together, or each for itself", ("compare",), True),
    Action("next_context", ("v",), "Context", "What stood before the response when it was scored: the next",
           ("compare", "sample"), True),
    Action("copy_text", ("y",), "Copy", "Send the response to the clipboard and to a file", ("compare", "sample",
           "responses")),
    Action("back", ("escape", "backspace"), "Back", "Back to where one came from", ("compare", "sample", "responses"),
           True),
    Action("previous_token", ("left", "h"), "Token left", "One token to the left", ("text",)),
    Action("next_token", ("right", "l"), "Token right", "One token to the right", ("text",)),
    Action("cursor_up", ("up", "k"), "Up", "One row up", ("table", "text")),
    Action("cursor_down", ("down", "j"), "Down", "One row down", ("table", "text")),
    Action("page_up", ("pageup", "ctrl+u"), "Page up", "One page up", ("table", "text")),
    Action("page_down", ("pagedown", "ctrl+d"), "Page down", "One page down", ("table", "text")),
    Action("first_row", ("g", "home"), "First row", "To the first row", ("table", "text")),
    Action("last_row", ("G", "end"), "Last row", "To the last row", ("table", "text")),
    Action("columns_left", ("left", "h"), "Columns left", "Scroll the columns to the left", ("table",)),
    Action("columns_right", ("right", "l"), "Columns right", "Scroll the columns to the right", ("table",)),
    Action("jump", ("J",), "Go to", "Go to a row by its number, among runs to the run", ("table",)),
    Action("open_row", ("enter",), "Open", "Open the row", ("table", "text")),
    Action("next_sort", ("s",), "Sort", "Sort by the next column", ("table",)),
    Action("reverse_sort", ("S",), "Reverse", "Reverse the order", ("table",)),
    Action("find", ("slash",), "Find", "Find text in the log", ("log",), True),
    Action("next_match", ("n",), "Next", "The next match", ("log",), True),
    Action("previous_match", ("N",), "Previous", "The previous match", ("log",), True),
    Action("unset_setting", ("u",), "Default", "Give the setting its default again", ("settings",), True),
    Action("scroll_help_up", ("up", "k"), "Up", "Scroll up", ("help",)),
    Action("scroll_help_down", ("down", "j"), "Down", "Scroll down", ("help",)),
    Action("help_page_up", ("pageup", "ctrl+u"), "Page up", "One page up", ("help",)),
    Action("help_page_down", ("pagedown", "ctrl+d", "space"), "Page down", "One page down", ("help",)),
    Action("close", ("escape",), "Close", "Leave and change nothing; in a filter, show all again", ("dialog", "log"),
           True),
    Action("previous_choice", ("left", "h"), "Previous", "The option to the left", ("choices",)),
    Action("next_choice", ("right", "l"), "Next", "The option to the right", ("choices",)),
    Action("choice_above", ("up", "k"), "Above", "The option above", ("choices",)),
    Action("choice_below", ("down", "j"), "Below", "The option below", ("choices",)),
    Action("take_choice", ("space",), "Take", "Take or leave the option, where several can be taken", ("choices",)),
    Action("show_catalogue", ("1",), "Catalogue", "Show tasks and strategies", ("app",)),
    Action("show_live", ("2",), "Runs", "Show the runs, as they go", ("app",)),
    Action("show_ranking", ("3",), "Ranking", "Show the ranking of a run", ("app",)),
    Action("show_outcomes", ("4",), "Outcomes", "Show metrics against outcomes and each other", ("app",)),
    Action("next_theme", ("T",), "Theme", "Take the next theme: dark, light, the terminal's own", ("app",)),
    Action("settings", ("comma",), "Settings", "See and change the settings", ("app",)),
    Action("help", ("question_mark", "f1"), "Help", "Explain this screen, what has the focus, and its keys",
           ("app", "dialog"), True),
    Action("command_palette", ("colon", "ctrl+p"), "Menu", "Find and run any command", ("app",), True),
    Action("quit", ("q", "ctrl+q"), "Quit", "Leave; runs go on in the background", ("app",), True),
)  # fmt: skip


def actions_of(*places: Place) -> list[Action]:
    return [action for action in ACTIONS if set(places) & set(action.places)]


def places_together() -> Iterator[tuple[Place, ...]]:
    """The places whose keys work at the same time, a screen or window first."""
    for place in PLACES:
        if place in OVER_OTHERS:
            yield (place, "dialog", INSIDE[place]) if place in INSIDE else (place, "dialog")
        elif place not in ("app", "table", "text", "choices"):
            yield place, "table", "app"
            if place in WITH_TEXTS:
                yield place, "text", "app"


def shown_key(key: str) -> str:
    """A key of Textual's as it is printed: `?` for `question_mark`."""
    drawn = format_key(key)
    is_sign = len(drawn) == 1 and drawn.isascii() and drawn.isprintable() and drawn != " "
    return SHOWN_KEYS.get(key) or (drawn if is_sign else key)


def bindings(*places: Place) -> list[BindingType]:
    """What a screen or widget of these places takes as its BINDINGS; all keys of an action share its id."""
    return [
        Binding(key, action.id, action.label, show=action.footer and position == 0, key_display=shown_key(key),
                tooltip=action.description, id=action.id)
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
