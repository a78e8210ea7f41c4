"""What the command-line twin computed about runs, kept while it is true."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sap_tui.twin import ask


@dataclass(frozen=True, slots=True)
class Study:
    """A question to the twin: its arguments, and what its answer depends on besides, such as a run's progress."""

    arguments: tuple[str, ...]
    depends_on: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The JSON object that the twin printed, or its one line about why there is none."""

    answer: dict[str, Any]
    problem: str = ""


class Studies:
    """Answers by arguments."""

    def __init__(self, catalogue: Path) -> None:
        self._catalogue = catalogue
        self._found: dict[tuple[str, ...], tuple[Study, Found]] = {}

    def known(self, study: Study) -> Found | None:
        """The answer, as long as nothing that it depends on has changed."""
        asked, found = self._found.get(study.arguments, (None, None))
        return found if asked == study else None

    def last_known(self, study: Study) -> Found | None:
        """The last answer to these arguments, whatever has changed since."""
        return self._found.get(study.arguments, (None, None))[1]

    async def compute(self, study: Study) -> None:
        """Ask the twin."""
        answer = await ask(self._catalogue, *study.arguments)
        found = Found({}, answer.problem) if answer.code else Found(json.loads(answer.stdout))
        self._found[study.arguments] = (study, found)
