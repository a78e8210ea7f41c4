"""What was found in files that are to be imported, in words: bad lines first, then a sample."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from sap_tui.cells import on_screen
from sap_tui.text import MUTED, plain, shortened
from sap_tui.widgets.detail_pane import section
from sap_tui.words import counted

LONGEST_SAMPLE = 400
LONGEST_NAME = 40
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


def outcome_words(found: dict[str, Any], scored: Collection[str]) -> Content:
    """What `outcomes FILE --dry-run --json` printed; `scored` are the target models that the task has runs of."""
    lines = [plain(problem, "$warning") for problem in found["problems"]]
    if lines:
        lines.append(Content.styled("Nothing is kept of a file with bad lines.", "$error"))
    by_model: dict[str, list[dict[str, Any]]] = {}
    for row in found["outcomes"]:
        by_model.setdefault(row["model"], []).append(row)
    for model, rows in by_model.items():
        lines += _under_model(model, rows, model in scored)
    if found["replaced"]:
        lines.append(Content.styled(f"{counted(found['replaced'], 'earlier outcome')} will be replaced.", "$warning"))
    if found["other_rows"]:
        lines.append(
            Content.styled(f"Left out: {counted(found['other_rows'], 'row')} of other tasks or models.", MUTED)
        )
    return Content("\n").join(lines)


def _under_model(model: str, rows: Sequence[dict[str, Any]], is_scored: bool) -> Iterator[Content]:
    outcomes = sum(len(row["accuracies"]) for row in rows)
    what = f": {counted(outcomes, 'outcome')} of {counted(len(rows), 'strategy')}"
    unknown = "" if is_scored else "  no run under this model yet"
    yield Content.assemble(plain(model, "bold"), what, (unknown, "$warning"))
    width = min(LONGEST_NAME, max(cell_len(on_screen(row["strategy"])) for row in rows))
    for row in rows:
        accuracies = row["accuracies"]
        mean = f"{100 * sum(accuracies) / len(accuracies):5.1f}%"
        seeds = f"  mean of {len(accuracies)} seeds" if len(accuracies) > 1 else ""
        name = shortened(plain(row["strategy"]), width)
        name = name.pad_right(width - name.cell_length)
        yield Content.assemble("  ", name, f"  {mean}", (seeds, MUTED))
