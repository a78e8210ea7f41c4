"""What a run would cost, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.content import Content

from sap_tui.commands.progress import duration
from sap_tui.text import plain
from sap_tui.words import counted, gibibytes


def estimate_words(estimate: dict[str, Any], lacks: Sequence[str] = ()) -> Content:
    """What `score --dry-run --json` found, as a few lines; `lacks` are its warnings about what metrics lack."""
    lines = [Content(_amount(estimate)), Content(_cost(estimate))]
    if estimate["predictions"]:
        lines.append(Content(f"The model answers {counted(estimate['predictions'], 'question')} first."))
    skipped = ", ".join(f"{count:,} {code.replace('_', ' ')}" for code, count in estimate["failed"].items())
    lines.append(plain(f"Cannot be scored: {skipped}" if skipped else "", "$warning"))
    # How to get it on the command line stands in the sentences after the first; here there are lines to fill in.
    lines += [plain(f"{each.split('. ')[0]}.", "$warning") for each in lacks]
    return Content("\n").join([line for line in lines if line.plain])


def _amount(estimate: dict[str, Any]) -> str:
    what = f"{counted(estimate['strategies'], 'strategy')} on {counted(estimate['questions'], 'question')}"
    if not estimate["to_score"]:
        return f"{what}: nothing to compute, {counted(estimate['reused'], 'score')} exist already"
    reused = f", {estimate['reused']:,} exist already" if estimate["reused"] else ""
    return f"{what}: {counted(estimate['to_score'], 'score')} to compute{reused}"


def _cost(estimate: dict[str, Any]) -> str:
    if not estimate["to_score"]:
        return ""
    seconds = estimate["seconds"]
    time = "time unknown: it has not run like this here yet" if seconds is None else f"about {duration(seconds)}"
    if seconds is not None and seconds < 1:
        time = "less than a second"
    return f"{counted(estimate['tokens'], 'token')}, {gibibytes(estimate['memory_bytes'])} of memory, {time}"
