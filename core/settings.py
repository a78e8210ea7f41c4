"""Where things lie on this machine, and what the user set in config.toml."""

from __future__ import annotations

import math
import os
import sys
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import platformdirs

from core.errors import UsageError

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


@dataclass(frozen=True, slots=True)
class Settings:
    """What config.toml may hold; every value has a default."""

    theme: str = "sap-dark"
    refresh_seconds: float = 0.5
    model: str = ""
    samples: int = 50
    examples: int = 2
    quantization: str = "none"
    device: str = "auto"
    auto_resume: bool = False
    keep_warm_minutes: float = 15.0


def load_settings(path: Path | None = None) -> Settings:
    """Read config.toml; defaults where it is missing. Raises UsageError naming the file and the setting."""
    path = path or config_path()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Mend it or remove it.") from error
    types = {field.name: type(field.default) for field in fields(Settings)}
    for name, value in values.items():
        if name not in types:
            raise UsageError(f"{path}: there is no setting {name!r}.", f"Known settings: {', '.join(types)}.")
        wanted = types[name]
        if not isinstance(value, wanted) and not (wanted is float and type(value) is int):
            raise UsageError(f"{path}: {name} must be of type {wanted.__name__}.", f"It is {value!r}.")
    settings = Settings(**values)
    if not 0 <= settings.keep_warm_minutes < math.inf:
        raise UsageError(f"{path}: keep_warm_minutes must be 0 or more.", f"It is {settings.keep_warm_minutes}.")
    return settings


def settings_or_defaults() -> Settings:
    """The settings for a background process, which goes on with the defaults and a line in its log."""
    try:
        return load_settings()
    except UsageError as error:
        print(f"settings ignored: {error}", file=sys.stderr)
        return Settings()
