"""The page docs/benchmarks.md, made from what docs/benchmarks.json holds and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.checks import Check, Measured, checks, outside_model, utilization
from benchmarks.contestants import PAPER
from benchmarks.plan import JOB, PAPER_JOB
from benchmarks.record import Row, typical
from benchmarks.ui_page import section as app_section

NO_GPU = "not measured on a GPU"
HOW = """\
Every contestant gets the same token ids, cut from `sample_data/arithmetic` with the model's own tokenizer and chat
template, and runs in a fresh process of its own. In the first round, which is not timed, its log-probabilities are
compared with those of a plain loop that takes one sequence at a time and reads `logit - logsumexp` at the response's
tokens; whoever is off by more than {gate} prints no time. {rounds} Shown are medians with the minimum in brackets.
*P* is the prompt's number of tokens, *R* a response's mean, *S* the number of strategies. "Operations" is the ratio of
the floating point operations that have to be done: attention, linear layers and head, nothing else. A loss over all
logits, as the others compute it, is not in it, so a measured ratio may lie a few percent above.

In the whole job the paper's loop does the plain, the in-context and, twice, the response-only pass; sap-tui the plain
pass with rank, entropy and sum of squared probabilities of every token, the self-aligned pass, and the responses alone
behind an empty question, whose context is computed once for a whole run."""
ROUNDS = {
    "cpu": """\
Everyone has one thread (`OMP_NUM_THREADS=1`, `OMP_WAIT_POLICY=PASSIVE`) and rounds go through all contestants in turns
(A B C, C B A, A B C); ratios are those of CPU time. Peak memory is that of the process (`ru_maxrss`, MB of 10^6
bytes), loading included.""",
    "gpu": """\
Contestants have the card one after another, each for all its rounds; the clock stops when the card has finished, and
ratios are those of wall time. Peak memory is what torch allocated on the card (MB of 10^6 bytes). Utilization is the
operations that have to be done over those that {card} did in bfloat16 products of 8192 x 8192 matrices
({teraflops:.0f} TFLOP/s).""",
}
REPEAT = """\
```
make bench                                     # everything, and this page anew
make bench BENCH_ARGS="--quick --json FILE"    # the first table only, and its medians as JSON
make bench BENCH_ARGS=--help                   # another model, a GPU, fewer rounds
```"""


def page(records: dict[str, Any]) -> str:
    made = "Made by `make bench` and `make bench-ui` from `benchmarks.json`; do not edit."
    parts = ["# Speed, memory and exactness", made]
    if "cpu" in records:
        parts += _section(records["cpu"], "##")
    on_gpu = [record for key, record in sorted(records.items()) if key not in ("cpu", "ui")]
    parts += ["## GPU", *([] if on_gpu else [NO_GPU])]
    for record in on_gpu:
        parts += [f"### {_precision(record)}", *_section(record, "####")]
    parts += ["## Repeat", REPEAT]
    if "ui" in records:
        parts += app_section(records["ui"])
    return "\n\n".join(parts) + "\n"


def _precision(record: dict[str, Any]) -> str:
    quantization = record["quantization"]
    return str(record["dtype"]) + ("" if quantization == "none" else f", {quantization} weights")


def _section(record: dict[str, Any], level: str) -> list[str]:
    parts = [_conditions(record)]
    if goals := checks(record):
        parts += [f"{level} What was to be reached", checks_table(goals)]
    for measurement in record["measurements"]:
        rows = [row for row in record["rows"] if row["measurement"] == measurement]
        parts += [f"{level} {measurement}", _sizes(rows), contestants_table(record, rows), *_notes(rows)]
    if record["overhead"]:
        parts += [f"{level} Outside the model", _overhead(record["overhead"])]
    parts += [f"{level} How it was measured", _how(record), f"{level} Raw rounds"]
    return [*parts, _raw_rounds(record["rows"])]


def _conditions(record: dict[str, Any]) -> str:
    machine = ", ".join(f"{name}: {value}" for name, value in record["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in record["versions"].items())
    return "\n".join([
        f"- date: {record['date']}, rounds after the warm-up: {record['rounds']}",
        f"- model: {record['model']}, computed in {_precision(record)}",
        *([f"- card: {record['ceiling']['card']}"] if record["ceiling"] else []),
        f"- {machine}",
        f"- versions: {versions}",
    ])  # fmt: skip


def _how(record: dict[str, Any]) -> str:
    ceiling = record["ceiling"]
    if not ceiling:
        return HOW.format(gate=record["gate"], rounds=ROUNDS["cpu"])
    rounds = ROUNDS["gpu"].format(card=ceiling["card"], teraflops=ceiling["operations_per_second"] / 1e12)
    return HOW.format(gate=record["gate"], rounds=rounds)


def checks_table(lines: Iterable[Check]) -> str:
    return _table(
        ("what", "goal", "measured", "operations", ""),
        [
            (
                check.what,
                ("at least " if check.is_floor else "under ") + check.style.format(check.goal),
                _or_dash(check.style, check.measured),
                _or_dash("{:.2f}x", check.bound),
                check.verdict,
            )
            for check in lines
        ],
    )


def _sizes(rows: list[Row]) -> str:
    cases = {row["case"]: row for row in rows}
    return "; ".join(
        f"{case}: P = {row['prompt_tokens']}, R = {row['response_tokens']}, S = {row['strategies']},"
        f" {row['scored_tokens']} scored tokens"
        for case, row in cases.items()
    )


def contestants_table(record: dict[str, Any], rows: list[Row]) -> str:
    """One line for each contestant and case; the cases stand in the lines only where there are several."""
    several = len({row["case"] for row in rows}) > 1
    gpu = record["device"] != "cpu"
    head = [
        "contestant", *(["case"] if several else []), "CPU s", "wall s", "against the paper's loop", "scored tokens/s",
        *(["utilization"] if gpu else []), "peak MB", "over loading", "largest difference of a token", "of a mean",
    ]  # fmt: skip
    return _table(head, [_line(record, row, several, gpu) for row in rows])


def _line(record: dict[str, Any], row: Row, several: bool, gpu: bool) -> list[str]:
    clock = "wall_seconds" if gpu else "cpu_seconds"
    seconds = typical(row[clock])
    paper = _paper_seconds(Measured(record), row)
    return [
        row["contestant"] + ("*" if row["note"] else ""),
        *([row["case"]] if several else []),
        _median_and_minimum(row["cpu_seconds"]),
        _median_and_minimum(row["wall_seconds"]),
        _or_dash("{:.2f}x", paper / seconds if paper and seconds else None),
        _or_dash("{:.0f}", row["scored_tokens"] / seconds if seconds else None),
        *([_or_dash("{:.2f}", utilization(record, row["contestant"], row["case"]))] if gpu else []),
        _or_dash("{:.0f}", row["peak_bytes"] and row["peak_bytes"] / 1e6),
        _or_dash("{:.2f}x", row["peak_bytes"] / row["load_peak_bytes"] if row["load_peak_bytes"] else None),
        _or_dash("{:.1e}", row["token_difference"]),
        _or_dash("{:.1e}", row["mean_difference"]),
    ]


def _paper_seconds(measured: Measured, row: Row) -> float | None:
    """The paper's loop on the same case, for a whole job its own way of doing it."""
    case = PAPER_JOB.name if row["case"] == JOB.name else row["case"]
    return measured.seconds(PAPER.name, case)


def _notes(rows: list[Row]) -> list[str]:
    lines = [f"- \\* {row['contestant']} ({row['case']}): {_plain(row['note'])}" for row in rows if row["note"]]
    return ["\n".join(lines)] if lines else []


def _overhead(found: dict[str, Any]) -> str:
    runs = found["rounds"]
    raw = "; ".join(f"{run['wall_seconds']:.2f} s, {run['model_seconds']:.2f} s in the model" for run in runs)
    return (
        f"A run of {found['questions']} questions and {found['strategies']} strategies on `sample_data/tiny-model`"
        f" (engine: {runs[0]['tier']}, {runs[0]['scores']} scores, predictions imported), from the model loaded to the"
        f" last commit: {outside_model(runs):.1%} of the wall time is outside the model's forward passes and its head."
        f" Runs: {raw}."
    )


def _raw_rounds(rows: list[Row]) -> str:
    timed = [row for row in rows if row["cpu_seconds"]]
    lines = [[row["contestant"], row["case"], _each(row["cpu_seconds"]), _each(row["wall_seconds"])] for row in timed]
    return _table(("contestant", "case", "CPU s of each round", "wall s of each round"), lines)


def _each(seconds: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)


def _median_and_minimum(seconds: list[float]) -> str:
    return f"{typical(seconds):.2f} ({min(seconds):.2f})" if seconds else "-"


def _or_dash(style: str, value: float | None) -> str:
    return "-" if value is None else style.format(value)


def _plain(text: str) -> str:
    """A tool's own words, so that they stay one line of text on the page."""
    return " ".join(text.split()).replace("|", "/").replace("<", "(").replace(">", ")")


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    names = list(head)
    rows = [names, ["---"] * len(names), *map(list, lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
