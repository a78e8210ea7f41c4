"""What was found in files that are to be imported, in words: bad lines first, then a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textual.content import Content

from sap_tui.text import MUTED, plain
from sap_tui.widgets.detail_pane import section
from sap_tui.words import counted

LONGEST_SAMPLE = 400
NOTHING_KEPT = "Nothing is kept of files with bad lines, unless you choose to leave those lines out."


def preview_words(previews: Sequence[dict[str, Any]]) -> Content:
    """The objects that `sap_tui.preview` printed, one for a file."""
    if not previews:
        return plain("There is no file of a known format in that folder.", "$error")
    lines = [line for preview in previews for line in _problems(preview)]
    if any(preview["bad"] for preview in previews):
        lines.append(Content.styled(NOTHING_KEPT, "$warning"))
    lines += [*_findings(previews), *_sample(previews)]
    return Content("\n").join(lines)


def _problems(preview: dict[str, Any]) -> Iterator[Content]:
    if preview["stop"]:
        yield plain(preview["stop"], "$error")
    for problem in preview["problems"]:
        yield plain(problem, "$warning")
    more = preview["bad"] - len(preview["problems"])
    if more:
        yield Content.styled(f"and {counted(more, 'bad line')} more", "$warning")


def _findings(previews: Sequence[dict[str, Any]]) -> Iterator[Content]:
    """A line for every file, and each layout once."""
    readable = [preview for preview in previews if not preview["stop"]]
    if len(readable) > 1:
        records = sum(preview["records"] for preview in readable)
        yield Content(f"{len(readable)} files, {counted(records, 'record')}; each file becomes a strategy.")
    for preview in readable:
        yield Content.assemble(plain(Path(preview["file"]).name, "bold"), f": {counted(preview['records'], 'record')}")
    for layout in dict.fromkeys(preview["detected"] for preview in readable):
        yield plain(layout, MUTED)


def _sample(previews: Sequence[dict[str, Any]]) -> Iterator[Content]:
    first = next((preview for preview in previews if preview.get("question") is not None), None)
    if first:
        yield section("First question", first["question"][:LONGEST_SAMPLE])
        yield section("Its response", first["response"][:LONGEST_SAMPLE] or "(empty)")
