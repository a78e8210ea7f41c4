"""The keys as the user wants them: the table `[keys]` of config.toml, checked against keys.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from core.settings import KEYS_TABLE, Config
from sap_tui.keys import ACTIONS, PLACES, SHOWN_KEYS, Action, actions_of, places_together, shown_key

MODIFIERS = ("ctrl", "alt", "shift", "super")
SPELLINGS = {shown.casefold(): key for key, shown in SHOWN_KEYS.items()} | {
    "esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete", "ctrl+i": "tab",
    "ctrl+m": "enter", " ": "space",
}  # fmt: skip
KEY_FIELD = re.compile(r"\{(\w+)\}")
DEFAULTS = {action.id: action.keys for action in ACTIONS}


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of the actions that have other keys than keys.py gives them, and what was wrong in the table."""

    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def keys(self, action: Action) -> tuple[str, ...]:
        """The keys in force, as Textual calls them."""
        return self.changed.get(action.id, action.keys)

    def shown(self, action: Action) -> tuple[str, ...]:
        """The keys in force, as they are printed."""
        return tuple(shown_key(key) for key in self.keys(action))

    def shown_first(self, action_id: str) -> str:
        """The first key of an action, for a text that tells what to press."""
        return shown_key(self.changed.get(action_id, DEFAULTS[action_id])[0])

    def in_words(self, text: str) -> str:
        """A text of the app's own in which {name_of_an_action} becomes the first key of that action."""
        return KEY_FIELD.sub(lambda field: self.shown_first(field[1]), text)

    @property
    def of_textual(self) -> dict[str, str]:
        """What `App.set_keymap` takes."""
        return {action: ",".join(keys) for action, keys in self.changed.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Every action of every place with its keys, for the command line."""
        return [
            {"place": place, "where": where, "action": action.id, "keys": list(self.shown(action)),
             "changed": action.id in self.changed, "description": action.description}
            for place, where in PLACES.items()
            for action in ACTIONS if place in action.places
        ]  # fmt: skip


def read_keymap(config: Config) -> Keymap:
    """Take over what is right in the table; the rest is named, and those actions keep the keys of keys.py."""
    wanted: dict[str, tuple[str, ...]] = {}
    problems = []
    for name, value in config.keys.items():
        try:
            action = _known_action(name)
            wanted[action] = _known_keys(value)
        except ValueError as error:
            problems.append(f"{config.place(name, KEYS_TABLE)}: {error}")
    for clash in _without_clashes(wanted):
        problems.append(f"{config.place(clash.action, KEYS_TABLE)}: {clash}")
    changed = {name: keys for name, keys in wanted.items() if keys != DEFAULTS[name]}
    return Keymap(changed, tuple(problems))


@dataclass(frozen=True, slots=True)
class Clash:
    """Why the keys that were wanted for an action are not taken over."""

    action: str
    other: str
    key: str
    place: str

    def __str__(self) -> str:
        return f"{self.action} cannot have the key {shown_key(self.key)}, which {self.other} has ({self.place})."


def _without_clashes(wanted: dict[str, tuple[str, ...]]) -> list[Clash]:
    """Take out of `wanted` what would give one key of one place to two actions, and return what was taken out."""
    refused = []
    while clash := next(_clashes(wanted), None):
        del wanted[clash.action]
        refused.append(clash)
    return refused


def _clashes(wanted: Mapping[str, tuple[str, ...]]) -> Iterator[Clash]:
    order = list(wanted)
    for places in places_together():
        holders: dict[str, str] = {}
        for action in actions_of(*places):
            for key in dict.fromkeys(wanted.get(action.id, action.keys)):
                other = holders.setdefault(key, action.id)
                concerned = [name for name in (action.id, other) if name in wanted]
                if other != action.id and concerned:
                    last = max(concerned, key=order.index)
                    yield Clash(last, other if last == action.id else action.id, key, PLACES[places[0]])


def _known_action(name: str) -> str:
    if name in DEFAULTS:
        return name
    near = get_close_matches(name, DEFAULTS, n=3)
    raise ValueError(
        f"there is no action {name!r}. " + (f"Perhaps: {', '.join(near)}." if near else "See sap-tui keys.")
    )


def _known_keys(value: object) -> tuple[str, ...]:
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if not texts or (isinstance(value, list) and len(texts) < len(value)):
        raise ValueError(f'a key such as "n", or a list of keys, was expected; it is {value!r}.')
    return tuple(dict.fromkeys(_known_key(text) for text in texts))


def _known_key(text: str) -> str:
    """Textual's name of a key that is written as in the help, as a character or as Textual writes it."""
    from textual.keys import Keys, _character_to_key

    spelled = SPELLINGS.get(text.casefold(), text)
    *modifiers, key = spelled.split("+") if len(spelled) > 1 else [spelled]
    key = SPELLINGS.get(key.casefold(), key)
    if len(key) == 1 and key.isprintable():
        key = _character_to_key(key)
    elif not re.fullmatch("[a-z0-9_]{2,}", key) or (len(shown_key(key)) != 1 and key not in set(Keys)):
        raise ValueError(f"there is no key {text!r}.")
    if not set(modifiers) <= set(MODIFIERS):
        raise ValueError(f"there is no key {text!r}; before a + stand {', '.join(MODIFIERS)}.")
    return _combined(modifiers, key)


def _combined(modifiers: list[str], key: str) -> str:
    """A terminal sends a capital for shift and a letter, and no capitals together with ctrl."""
    if modifiers == ["shift"] and len(key) == 1:
        return key.upper()
    in_order = [each for each in MODIFIERS if each in modifiers]
    name = "+".join([*in_order, key.lower() if "ctrl" in modifiers and len(key) == 1 else key])
    return SPELLINGS.get(name, name)
