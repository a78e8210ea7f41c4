"""How text of unknown origin is shown: nothing in it may steer a terminal or hide."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

# Not zero width joiner, non-joiner and variation selectors: scripts and emoji need them.
_HIDDEN = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
    "\ud800-\udfff"
)
_ANY_HIDDEN = re.compile(f"[{_HIDDEN}]")
_HIDDEN_BUT_LAYOUT = re.compile(rf"(?![\n\t])[{_HIDDEN}]")


def visible(text: str, *, multiline: bool = False) -> str:
    """The text with every control, bidirectional, zero width or surrogate character replaced by a visible sign.

    C0 and DEL become Control Pictures (ESC is ␛), a line break ⏎, the others their code point (⟨U+202E⟩).
    With `multiline` line breaks and tabs stay.
    """
    pattern = _HIDDEN_BUT_LAYOUT if multiline else _ANY_HIDDEN
    return pattern.sub(_sign, text)


def visible_lines(text: str) -> str:
    """As `visible` for text of several lines, with the carriage returns that rewrite a line of progress."""
    return "\r".join(visible(part, multiline=True) for part in text.split("\r"))


def escaped_json(text: str) -> str:
    """JSON text with every such character as an escape; they can only stand in its strings."""
    return _HIDDEN_BUT_LAYOUT.sub(_escape, text)


class GuardedStream:
    """A text stream that lets nothing through but what `clean` makes of it."""

    def __init__(self, stream: Any, clean: Callable[[str], str]) -> None:
        self._stream = stream
        self._clean = clean

    def write(self, text: str) -> int:
        self._stream.write(self._clean(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_logs() -> None:
    """From now on nothing that this process writes as text can steer the terminal that its log is read in."""
    for name in ("stdout", "stderr"):
        setattr(sys, name, GuardedStream(getattr(sys, name), lambda text: visible(text, multiline=True)))


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0A:
        return "\u23ce"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"⟨U+{code:04X}⟩"
