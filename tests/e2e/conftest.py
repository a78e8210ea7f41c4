"""A terminal and a catalogue that end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import end_processes
from tests.e2e.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.fixture
def own_catalogue(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "own.db"
    yield path
    end_processes(path)
