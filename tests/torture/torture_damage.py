"""Catalogues damaged in a hundred ways, beyond the thirty of every run of the tests."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from core.store.backups import make_backup
from core.store.db import prepare
from tests.unit.test_damage import COPIES, bear_damage
from tests.unit.test_migrations import old_catalogue

DAMAGED = 100


def test_damaged_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str], figures: dict[str, object]) -> None:
    """Copies of a catalogue with flipped bits, lost, foreign and swapped pages, or cut off: a view that can be read, a
    restored backup or one clear line, never a traceback."""
    sound = old_catalogue(tmp_path, 3)
    prepare(sound)
    make_backup(sound)
    endings: Counter[str] = Counter()
    for seed in range(COPIES, COPIES + DAMAGED):
        folder = tmp_path / str(seed)
        folder.mkdir(mode=0o700)
        copied = Path(shutil.copy(sound, folder / "catalogue.db"))
        shutil.copytree(f"{sound}.d/backups", f"{copied}.d/backups")
        endings[bear_damage(copied, capsys, seed)] += 1
        shutil.rmtree(folder)
    figures.update({"damaged copies": DAMAGED, **{f"of these {ending}": count for ending, count in endings.items()}})
