"""Changing config.toml: one setting at a time, with the user's comments, order and other keys left as they are."""

from __future__ import annotations

import threading
import tomllib

from core.errors import NotFoundError, SapError, UsageError
from core.export.files import write_atomically
from core.settings import SETTINGS, Config, Setting, Value, config_path, read_config

_writing = threading.Lock()
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def setting(name: str) -> Setting:
    """The declared setting. NotFoundError names those that are near."""
    if name in SETTINGS:
        return SETTINGS[name]
    from difflib import get_close_matches

    near = get_close_matches(name, SETTINGS, n=3) or list(SETTINGS)
    raise NotFoundError(f"There is no setting {name!r}.", f"Perhaps: {', '.join(near)}.")


def parsed(declared: Setting, text: str) -> Value:
    """The value that somebody typed. UsageError says what the setting may be."""
    value: object = text
    try:
        if declared.type is bool:
            value = WORDS[text.casefold()]
        elif declared.type in (int, float):
            value = declared.type(text)
    except (KeyError, ValueError):
        value = None
    if value is None or not declared.accepts(value):
        raise UsageError(f"{declared.name} must be {declared.wanted}.", f"It was to be {text!r}.")
    assert isinstance(value, (str, bool, int, float))
    return value


def write_setting(name: str, value: Value | None) -> Config:
    """Give a setting a value, or with None its default again, and return what the file says then.

    Raises UsageError when the file is not TOML, which it stays, and SapError when it cannot be written.
    """
    path = config_path()
    with _writing:
        try:
            # Without newline="" the ends of lines would become those of this machine.
            with path.open(encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not changed, for it cannot be read: {error}", "Mend it first.") from error
        _write(changed_text(text, name, value))
    return read_config(path)


def changed_text(text: str, name: str, value: Value | None) -> str:
    """The file's text with one setting changed. UsageError when it is not TOML, or would not be what is wanted."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        expected = tomllib.loads(text)
        expected.pop(name, None)
        if value is None:
            document.pop(name, None)
        else:
            document[name] = expected[name] = value
        changed = document.as_string()
        if tomllib.loads(changed) == expected:
            return changed
    except (TOMLKitError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{config_path()} is not changed, for it cannot be read: {error}", "Mend it first.") from error
    raise UsageError(f"{config_path()} is not changed, for all else in it would not stay.", "Change it by hand.")


def _write(text: str) -> None:
    path = config_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SapError(f"Cannot make the folder {path.parent}: {error.strerror}.") from error
    write_atomically(path, text)
