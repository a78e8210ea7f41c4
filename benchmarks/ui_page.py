"""What was measured of the app in a terminal, as tables: for the terminal, and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean, median
from typing import Any

from benchmarks.checks import Check
from benchmarks.statistics_page import table

HOW = """\
The installed `sap-tui` runs in a pseudo-terminal of {columns} by {lines} (`TERM=xterm-256color`) on a catalogue with
the bundled sample scored, eleven unfinished runs and a long task, while a real run scores that task with the bundled
model; that it went on was checked for every line (*scored*, responses meanwhile). Keys are pressed one by one at
random moments, at least 0.1 s after the last output. All output goes through a terminal emulator (pyte): a key's
answer is the first byte of the first output that changes a cell which does not change by itself. Which do is learned
by looking at the screen before its first key; on the live screen only colours behind the text count, which a moved
cursor changes and new numbers do not. So a refresh in between is no answer; such outputs are counted (*beside*). A
refresh that keeps the app busy when the key comes counts in full. After every sequence of keys the screen must show
what it should, or the benchmark fails. *Computed* is the processor time of all the app's threads until the answer.
Escape is not among the keys: Textual waits 0.1 s to tell it from the beginning of an arrow key. First paint is the
time from the start of the process to the output that completes the screen with its rows; the first start, which reads
the program from the disk, is not counted. Memory is the peak of resident memory after all screens (MB of 10^6 bytes).
With many responses the answer is the output after which the list has changed and every row of it has been read."""
REPEAT = """\
```
make bench-ui                                        # everything, and this section anew
make bench-ui BENCH_ARGS="--quick --json FILE"       # few keys; the figures as JSON
make bench-ui BENCH_ARGS="--screen live --quick"     # the keys of one screen
```"""


def section(found: dict[str, Any]) -> list[str]:
    """The part of the page about the app."""
    machine = ", ".join(f"{name}: {value}" for name, value in found["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    return [
        "## The app in a terminal",
        f"- date: {found['date']}, {found['seconds']} s in all\n- {machine}\n- versions: {versions}",
        "### What was to be reached", checks_table(found),
        "### From a key to the first changed byte", keys_table(found),
        *_rest(found), "### How it was measured", HOW.format(**found), REPEAT,
    ]  # fmt: skip


def summary(found: dict[str, Any]) -> str:
    """All figures for a terminal."""
    return "\n\n".join([checks_table(found), keys_table(found), *_rest(found)])


def checks(found: dict[str, Any]) -> list[Check]:
    """The goals beside what was measured; of a goal for every screen, the worst screen."""
    found = {"million": {"opened": None, "turned": None}} | found
    worst = {name: max(found["keys"], key=lambda row, name=name: row[name]) for name in ("p50", "p90")}  # type: ignore[misc]
    live = max((found.get(name) or [0] for name in ("live_bytes", "live_bytes_true_colour")), key=mean)
    rows = [
        (f"key, p50 of the slowest screen ({worst['p50']['screen']})", 10, "{:.1f} ms", 1e3 * worst["p50"]["p50"]),
        (f"key, p90 of the slowest screen ({worst['p90']['screen']})", 50, "{:.1f} ms", 1e3 * worst["p90"]["p90"]),
        ("live screen, mean, in the colours that take more", 20, "{:.1f} KiB/s", _part(mean, live, 1 / 1024)),
        ("first paint beside a busy scorer, p50", 0.5, "{:.2f} s", _part(median, found.get("first_paint_beside"))),
        ("first paint alone, p50", 0.5, "{:.2f} s", _part(median, found.get("first_paint_alone"))),
        ("peak memory after all screens", 120, "{:.0f} MB", _part(sum, [found.get("peak_bytes") or 0], 1e-6)),
        ("many responses: open, p50", 300, "{:.0f} ms", _part(median, found["million"]["opened"], 1e3)),
        ("many responses: a page, p50", 20, "{:.1f} ms", _part(median, found["million"]["turned"], 1e3)),
    ]
    return [Check(what, goal, False, style, measured) for what, goal, style, measured in rows]


def _part(of: Callable[[Any], float], values: Sequence[float] | None, unit: float = 1.0) -> float | None:
    return of(values) * unit if values and any(values) else None


def checks_table(found: dict[str, Any]) -> str:
    return table(
        ("what", "goal", "measured", ""),
        [
            (
                check.what,
                "under " + check.style.format(check.goal),
                "-" if check.measured is None else check.style.format(check.measured),
                check.verdict,
            )
            for check in checks(found)
        ],
    )


def keys_table(found: dict[str, Any]) -> str:
    """A line for each screen, in milliseconds; what misses the goal is bold."""
    head = ("screen", "keys", "p50 ms", "p90 ms", "worst ms", "slowest key", "computed p50 ms", "beside", "scored")
    return table(
        head,
        [
            (
                row["screen"], str(row["keys"]), _bold(row["p50"], 0.01), _bold(row["p90"], 0.05),
                f"{1e3 * row['worst']:.0f}", f"`{row['slowest_key']}`", f"{1e3 * row['computed_p50']:.1f}",
                str(row["beside"]), str(row["scored"]),
            )
            for row in found["keys"]
        ],
    )  # fmt: skip


def _bold(seconds: float, goal: float) -> str:
    return f"{1e3 * seconds:.1f}" if seconds < goal else f"**{1e3 * seconds:.1f}**"


def _rest(found: dict[str, Any]) -> list[str]:
    """Live screen, starts and many responses in words."""
    parts = []
    for name, colours in (("live_bytes", "256 colours"), ("live_bytes_true_colour", "16 million colours")):
        if counts := found.get(name):
            parts.append(
                f"Live screen at {found['lines']} rows in {colours}, {len(counts)} s: {mean(counts) / 1024:.1f} KiB/s,"
                f" the worst second {max(counts) / 1024:.1f} KiB."
            )
    for name, beside in (("first_paint_alone", "alone"), ("first_paint_beside", "beside a busy scorer")):
        if paints := found.get(name):
            each = ", ".join(f"{seconds:.2f}" for seconds in paints)
            parts.append(f"First paint {beside}: {median(paints):.2f} s (each start: {each}).")
    if million := found.get("million"):
        opened, turned = (sorted(1e3 * seconds for seconds in million[name]) for name in ("opened", "turned"))
        parts.append(
            f"{million['responses']:,} responses, {million['scored']:,} of them scored: open in {median(opened):.0f} ms"
            f" (the slowest of {len(opened)}: {opened[-1]:.0f}); a page in {median(turned):.1f} ms (p90"
            f" {turned[int(0.9 * len(turned))]:.1f}, the slowest of {len(turned)}: {turned[-1]:.0f})."
        )
    return parts
