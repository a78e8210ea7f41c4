"""Text of which every terminal makes the same number of cells."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from rich.cells import cell_len, split_graphemes

from core.text import visible, visible_characters

ELLIPSIS = "…"
# A selector makes one cell of two, or two of one, and a skin tone one sign of two, but not in every terminal.
_UNSTEADY = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def on_screen(text: str, *, multiline: bool = False) -> str:
    """As `core.text.visible`, without variation selectors, and with skin tones as their code points."""
    return visible(text if text.isascii() else _UNSTEADY.sub(_steady, text), multiline=multiline)


def on_screen_characters(text: str, *, multiline: bool = False) -> list[str]:
    """What `on_screen` shows for each character of the text: nothing for a variation selector."""
    pieces = [_UNSTEADY.sub(_steady, character) for character in text]
    shown = iter(visible_characters("".join(pieces), multiline=multiline))
    return ["".join(islice(shown, len(piece))) for piece in pieces]


def _steady(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"⟨U+{code:04X}⟩" if code in _SKIN_TONES else ""


def shortened(name: str, cells: int) -> str:
    """The name in so many cells: of one that is wider the beginning and the end, since names differ at either."""
    start, end = kept_ends(name, cells)
    return name if start == end else f"{name[:start]}{ELLIPSIS}{name[end:]}"


@lru_cache(maxsize=4096)
def kept_ends(name: str, cells: int) -> tuple[int, int]:
    """Where the beginning ends and where the end begins of what is kept; the same where all of it is."""
    if cell_len(name) <= cells:
        return len(name), len(name)
    at_the_end = (cells - 1) // 2
    start = end = used = 0
    graphemes, whole = split_graphemes(name)
    for _, behind, width in graphemes:
        if used + width < cells - at_the_end:
            start = behind
        if used < whole - at_the_end:
            end = behind
        used += width
    return start, end
