"""Our themes can be read, in all colours and in the 256 of a terminal that says no more."""

from __future__ import annotations

import pytest
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from sap_tui.themes import ANSI, DARK, LIGHT

TEXTS = ("foreground-muted", "primary", "accent", "success", "warning", "error")
GROUNDS = ("background", "surface", "panel", "row-cursor", "row-cursor-blurred", "footer-background")
APART = (
    ("surface", "row-cursor"),
    ("surface", "row-cursor-blurred"),
    ("row-cursor", "row-cursor-blurred"),
    ("surface", "panel"),
    ("surface", "border-blurred"),
    ("surface", "scrollbar"),
    ("surface", "track"),
    ("row-cursor", "track"),
    ("surface", "background"),
)
COLOURS = [(theme, system) for theme in (DARK, LIGHT) for system in (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT)]


def colour(theme: Theme, name: str, system: ColorSystem) -> Color:
    """As a terminal with so many colours draws it."""
    text = theme.variables.get(name) or getattr(theme, name)
    shown = Color.parse(text).rich_color.downgrade(system).get_truecolor()
    return Color(shown.red, shown.green, shown.blue)


def luminance(one: Color) -> float:
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in one.normalized]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: Color, other: Color) -> float:
    """WCAG 2.1, relative luminance."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("theme", "system"), COLOURS)
def test_texts_stand_out_from_every_ground(theme: Theme, system: ColorSystem) -> None:
    for ground in GROUNDS:
        behind = colour(theme, ground, system)
        assert contrast(colour(theme, "foreground", system), behind) >= 7, ground
        for text in TEXTS:
            assert contrast(colour(theme, text, system), behind) >= 3, (text, ground)


@pytest.mark.parametrize(("theme", "system"), COLOURS)
def test_what_must_look_different_does(theme: Theme, system: ColorSystem) -> None:
    for one, other in APART:
        assert colour(theme, one, system) != colour(theme, other, system), (one, other)
    said = [colour(theme, name, system) for name in TEXTS]
    assert len(set(said)) == len(said)


def test_the_terminal_s_own_theme_has_only_its_colours() -> None:
    colours = [getattr(ANSI, name) for name in ("background", "surface", "panel", "foreground", "primary", "secondary",
                                                "accent", "success", "warning", "error")]  # fmt: skip
    named = [value for name, value in ANSI.variables.items() if not name.endswith("-style")]
    assert all(str(value).startswith("ansi_") for value in [*colours, *named])
