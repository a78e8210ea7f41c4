"""Where things lie on this machine, and what the user set in config.toml."""

from __future__ import annotations

import math
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from core.text import visible

APP = "sap-tui"


def catalogue_path(option: str | None = None) -> Path:
    """The catalogue to use: the option, else SAP_TUI_CATALOGUE, else the user's own."""
    chosen = option or os.environ.get("SAP_TUI_CATALOGUE")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_data_path(APP) / "catalogue.db"


def state_folder(catalogue: Path) -> Path:
    """Logs and locks of one catalogue lie beside it."""
    return catalogue.with_name(f"{catalogue.name}.d")


def models_folder() -> Path:
    """Converted models, made once."""
    return platformdirs.user_cache_path(APP) / "models"


def config_path() -> Path:
    return Path(os.environ.get("SAP_TUI_CONFIG") or platformdirs.user_config_path(APP) / "config.toml")


Value = str | bool | int | float
OWN_THEMES = ("sap-dark", "sap-light", "sap-ansi")
OTHER_THEMES = (
    "catppuccin-latte", "catppuccin-mocha", "dracula", "flexoki", "gruvbox", "monokai", "nord", "solarized-dark",
    "solarized-light", "tokyo-night",
)  # fmt: skip
KEYS_TABLE = "keys"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting is for and what it may be: one of `allowed` where there are any, else what `pattern` matches
    (`wanted` says that in words), or a finite number from `low` to `high`."""

    description: str
    allowed: tuple[str, ...] = ()
    pattern: str = ""
    wanted: str = ""
    low: float = -math.inf
    high: float = math.inf


def _setting(default: Value, description: str, **limits: Any) -> Any:
    return field(default=default, metadata={"rule": Rule(description, **limits)})


@dataclass(frozen=True, slots=True)
class Settings:
    """What config.toml may hold besides its table of keys; every value has a default."""

    theme: str = _setting(
        "sap-dark",
        "Colours of the app; sap-ansi takes the 16 of the terminal itself.",
        allowed=OWN_THEMES + OTHER_THEMES,
    )
    refresh_seconds: float = _setting(
        0.5, "How often the app looks for news, in seconds; over SSH at most once a second.", low=0.05, high=60
    )
    model: str = _setting("", "The target model that a new run's form starts with; empty for the one used last.")
    quantization: str = _setting(
        "none", "The quantization that a new run's form starts with.", allowed=("none", "int8", "nf4", "fp4")
    )
    device: str = _setting(
        "auto",
        "The device that a new run's form starts with.",
        pattern=r"auto|cpu|cuda(:[0-9]+)?",
        wanted="auto, cpu, cuda, cuda:0, cuda:1, …",
    )
    samples: int = _setting(50, "How many questions a new run's form starts with.", low=1)
    examples: int = _setting(2, "How many examples in the context a new run's form starts with.", low=1)
    allow_network_fs: bool = _setting(
        False,
        "Whether a catalogue may lie on a network file system, where SQLite can lose data; from one machine at a time.",
    )
    auto_resume: bool = _setting(False, "Whether runs that a restart of the machine interrupted go on by themselves.")
    hang_minutes: float = _setting(
        15.0,
        "After how many minutes without a sign of life a scorer is ended and started again, chunks that take long "
        "allowed for; 0 for never.",
        low=0,
        high=1_000_000,
    )
    keep_warm_minutes: float = _setting(
        15.0, "How long a model stays loaded after its last run, in minutes.", low=0, high=1_000_000
    )
    bell: bool = _setting(True, "Whether the terminal's bell rings when a run ends while the app is open.")
    on_done: str = _setting(
        "",
        "A shell command to run when a run ends, the app open or not; it finds SAP_TUI_RUN, SAP_TUI_STATE, "
        "SAP_TUI_TASK and more in its environment.",
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is declared: its name, the type of its value, its default and its rule."""

    name: str
    type: type
    default: Value
    rule: Rule

    @property
    def wanted(self) -> str:
        """What it may be, in words."""
        rule = self.rule
        if rule.allowed:
            return f"one of {', '.join(rule.allowed)}"
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return rule.wanted or "a text"
        kind = "a whole number" if self.type is int else "a number"
        if rule.high < math.inf:
            return f"{kind} from {rule.low:g} to {rule.high:,.15g}"
        return f"{kind}, {rule.low:g} or more" if rule.low > -math.inf else kind

    def accepts(self, value: object) -> bool:
        """Whether the value has the type and keeps the rule; a whole number will do for one with a fraction."""
        if self.type in (int, float):
            if type(value) is not int and type(value) is not self.type:
                return False
            return -math.inf < value < math.inf and self.rule.low <= value <= self.rule.high
        if type(value) is not self.type:
            return False
        if isinstance(value, str) and self.rule.pattern:
            return re.fullmatch(self.rule.pattern, value) is not None
        return not self.rule.allowed or value in self.rule.allowed


def _declared() -> dict[str, Setting]:
    found = {}
    for each in fields(Settings):
        assert each.default is not MISSING
        found[each.name] = Setting(each.name, type(each.default), each.default, each.metadata["rule"])
    return found


SETTINGS: Mapping[str, Setting] = _declared()


@dataclass(frozen=True, slots=True)
class Config:
    """config.toml as it was read: what is wrong in it is named in `problems` and its default holds.

    `own` are the settings that the file gives a value, `keys` its table of keys, not yet checked.
    """

    path: Path
    settings: Settings = Settings()
    own: tuple[str, ...] = ()
    keys: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    text: str = ""

    def place(self, name: str, table: str = "") -> str:
        """The file and, where it can be found, the line in which a name of a table is given a value."""
        number = _line_of(self.text, name, table)
        return f"{self.path}:{number}" if number else str(self.path)


def read_config(path: Path | None = None) -> Config:
    """Read config.toml; never fails."""
    path = path or config_path()
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        return Config(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        return Config(path, problems=(f"{_placed(path, text, error)} cannot be read: {_reason(error)}",))
    keys = values.pop(KEYS_TABLE, {})
    config = Config(path, text=text)
    good = {name: value for name, value in values.items() if name in SETTINGS and SETTINGS[name].accepts(value)}
    problems = [_problem(config, name, value) for name, value in values.items() if name not in good]
    if not isinstance(keys, dict):
        problems.append(f"{config.place(KEYS_TABLE)}: {KEYS_TABLE} must be a table: [{KEYS_TABLE}].")
        keys = {}
    return Config(path, Settings(**good), tuple(good), keys, tuple(problems), text)


def settings_or_defaults() -> Settings:
    """The settings for a background process, which goes on with the defaults and a line in its log."""
    config = read_config()
    for problem in config.problems:
        print(f"settings: {visible(problem)}", file=sys.stderr)
    return config.settings


def _problem(config: Config, name: str, value: object) -> str:
    if name not in SETTINGS:
        return f"{config.place(name)}: there is no setting {name!r}. Known: {', '.join(SETTINGS)}, [{KEYS_TABLE}]."
    return f"{config.place(name)}: {name} must be {SETTINGS[name].wanted}; it is {value!r}."


def _placed(path: Path, text: str, error: Exception) -> str:
    """The file, with the line that the reader of TOML names in its message."""
    line = re.search(r"at line (\d+)", str(error))
    number = line[1] if line else len(text.splitlines()) if "at end of document" in str(error) else ""
    return f"{path}:{number}" if number else str(path)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _line_of(text: str, name: str, table: str) -> int | None:
    """The number of the line that begins with the name, in the part of the text that belongs to the table."""
    quoted = rf"""(?:{re.escape(name)}|"{re.escape(name)}"|'{re.escape(name)}')"""
    within = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line):
            within = header[1].strip("\"'")
            if not table and within == name:
                return number
        elif within == table and re.match(rf"\s*{quoted}\s*[=.]", line):
            return number
    return None
