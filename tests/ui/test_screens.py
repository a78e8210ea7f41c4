"""Every screen still looks as its picture in docs/screens. After a wanted change, look at the page that a failure names
and run: python scripts/screenshots.py"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from scripts.pictures.listed import PICTURES
from scripts.pictures.report import difference, drawn_with, write_page
from tests.conftest import ROOT

KEPT = ROOT / "docs" / "screens"
NAMES = [picture.name for picture in PICTURES]
DRAWN_WITH = f"textual {version('textual')}, rich {version('rich')}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures as they are made now."""
    folder = tmp_path_factory.mktemp("screens")
    result = subprocess.run(
        [sys.executable, "scripts/screenshots.py", str(folder)], capture_output=True, text=True, cwd=ROOT, timeout=280
    )
    assert result.returncode == 0, result.stdout + result.stderr
    changed = [name for name in NAMES if text(KEPT, name) != text(folder, name)]
    write_page(folder / "index.html", [(name, KEPT / f"{name}.svg", folder / f"{name}.svg") for name in changed])
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_screen_looks_as_in_its_picture(name: str, made: Path) -> None:
    before, after = text(KEPT, name), text(made, name)
    if before and drawn_with(before) != DRAWN_WITH:
        pytest.skip(f"NOT TESTED: the picture was drawn with {drawn_with(before)}, here is {DRAWN_WITH}")
    if before != after:
        how = difference(before, after) if before else "there is no picture of it yet"
        pytest.fail(f"{name} looks different.\n{how}\nSee {made}/index.html; mend with: python scripts/screenshots.py")


def test_every_picture_is_made_here() -> None:
    assert sorted(path.stem for path in KEPT.glob("*")) == sorted(NAMES)


def test_the_readme_shows_pictures_that_are_made_here() -> None:
    import re

    shown = re.findall(r"\(docs/screens/([^)]+)\)", (ROOT / "README.md").read_text())
    assert shown
    assert {Path(name).stem for name in shown} <= set(NAMES)


def test_a_difference_is_said_in_words() -> None:
    picture = text(KEPT, NAMES[0])
    assert difference(picture, picture) == ""
    assert "+ sap-gui" in difference(picture, picture.replace(">sap-tui</text><", ">sap-gui</text><"))
    assert "line 1, 'sap-tui': #6ea8fe bold" in difference(picture, picture.replace("#6ea8fe", "#112233"))


def text(folder: Path, name: str) -> str:
    path = folder / f"{name}.svg"
    return path.read_text(encoding="utf-8") if path.exists() else ""
