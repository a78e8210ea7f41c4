"""How surprising a token is, as a colour and as a glyph."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.content import Content

from sap_tui.text import MUTED

if TYPE_CHECKING:
    from textual.app import App

BOUNDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""From where on the next level begins, nats."""
GLYPHS = "▁▂▃▅▆▇"
# Colours of the 256 that terminals share, of falling lightness on light ground and rising on dark, so that neither few
# colours nor colour blindness mixes them up; the text on them keeps a contrast of 4.5 or more.
_DARK = ((None, None), ("#3a3a3a", None), ("#87005f", "#ffffff"), ("#af005f", "#ffffff"), ("#d75f00", "#000000"),
         ("#ffaf00", "#000000"))  # fmt: skip
_LIGHT = ((None, None), ("#ffffaf", None), ("#ffd787", "#000000"), ("#ffaf5f", "#000000"), ("#d75f00", "#000000"),
          ("#870000", "#ffffff"))  # fmt: skip


def heat_level(surprisal: float) -> int:
    """0 for a token that was expected, up to 5; `surprisal` in nats."""
    return bisect_right(BOUNDS, surprisal)


@cache
def heat_style(level: int, dark: bool) -> Style:
    ground, letters = (_DARK if dark else _LIGHT)[level]
    return Style(color=letters, bgcolor=ground)


def is_coloured(app: App[Any]) -> bool:
    """Whether heat is shown in colours: with none, or none but the terminal's own 16, glyphs stand below the text."""
    return not (app.no_color or app.native_ansi_color)


def scale(app: App[Any]) -> Content:
    """What the levels mean: every level's sign with the nats that it begins at."""
    parts = []
    for level, start in enumerate((0.0, *BOUNDS)):
        style = heat_style(level, app.current_theme.dark)
        words = [style.color.name] if style.color else []
        words += ["on", style.bgcolor.name] if style.bgcolor else []
        plain_sign = Content(f"{GLYPHS[level]} {start:g} ")
        parts.append(Content.styled(f" {start:g} ", " ".join(words)) if is_coloured(app) else plain_sign)
    return Content.assemble(("surprisal from ", MUTED), *parts, (" nats", MUTED))
