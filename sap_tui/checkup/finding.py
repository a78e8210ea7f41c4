"""One line of what `sap-tui doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is to be taken; only BAD must be mended."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is so, under the name of what was looked at, and what to do about it."""

    level: Level
    about: str
    text: str
    remedy: str = ""


def ok(about: str, text: str) -> Finding:
    return Finding(Level.OK, about, text)


def warn(about: str, text: str, remedy: str) -> Finding:
    return Finding(Level.WARN, about, text, remedy)


def bad(about: str, text: str, remedy: str) -> Finding:
    return Finding(Level.BAD, about, text, remedy)
