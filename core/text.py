"""How text of unknown origin is shown: nothing in it may steer a terminal or hide."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

# Not the zero width non-joiner and variation selectors: scripts and emoji need them.
_HIDDEN = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
    "\ud800-\udfff"
)
_JOINER = "\u200d"
# Arabic to Sinhala, Myanmar, Mongolian: a joiner shapes the letters beside it.
_JOINING_SCRIPT = "\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1800-\u18af"
_PICTOGRAPH = "\u2194\u2195\u2600-\u27bf\u2b1b\U0001f000-\U0001faff"
# Anywhere else terminals do not agree on the cells of what a joiner joins, so it could move what stands behind it.
_JOINS = "|".join((
    f"(?<=[{_JOINING_SCRIPT}]{_JOINER})(?=[{_JOINING_SCRIPT}])",
    f"(?<=[{_PICTOGRAPH}\ufe0f]{_JOINER})(?=[{_PICTOGRAPH}])",
))  # fmt: skip
_ANY_HIDDEN = re.compile(f"[{_HIDDEN}{_JOINER}](?!{_JOINS})")
_HIDDEN_BUT_LAYOUT = re.compile(rf"(?![\n\t])[{_HIDDEN}{_JOINER}](?!{_JOINS})")


def visible(text: str, *, multiline: bool = False) -> str:
    """The text with every control, bidirectional, zero width or surrogate character replaced by a visible sign.

    C0 and DEL become Control Pictures (ESC is ␛), a line break ⏎, the others their code point (⟨U+202E⟩); a zero width
    joiner too unless it joins pictographs or letters of a script that needs it. With `multiline` line breaks and tabs
    stay.
    """
    return _hidden(multiline).sub(_sign, text)


def visible_characters(text: str, *, multiline: bool = False) -> list[str]:
    """What `visible` shows for each character of the text."""
    shown = list(text)
    for match in _hidden(multiline).finditer(text):
        shown[match.start()] = _sign(match)
    return shown


def _hidden(multiline: bool) -> re.Pattern[str]:
    return _HIDDEN_BUT_LAYOUT if multiline else _ANY_HIDDEN


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
