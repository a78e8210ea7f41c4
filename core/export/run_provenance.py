"""What a report says about where its numbers come from: data, model, machine, commands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.domain import Run
from core.export.document import Block, Code, Facts, Grid, Paragraph, Section
from core.export.score_command import (
    CHAT_TEMPLATE_FILE,
    TEMPLATE_FILE,
    is_extended,
    more_command,
    score_command,
    shell_line,
)

if TYPE_CHECKING:
    from core.export.run_report import RunReport, StrategyFacts

_UNKNOWN = "-"


def scored_section(report: RunReport) -> Section:
    """Task, questions, strategies with their sources, and how many samples have a score."""
    run = report.run
    facts = (
        ("Task", run.task),
        ("Questions", f"{run.questions:,} of {report.task_questions:,}: {_selection(run)}"),
        ("Questions in the ranking", f"{report.ranking.ranking.questions:,}"),
        ("Samples", f"{run.total:,}: {run.total - run.errors:,} with a score, {run.errors:,} without"),
        ("Examples of sap", _examples(report)),
    )
    header = ("strategy", "teacher", "source", "source digest", "prompt digest", "responses", "scored", "failed")
    rows = tuple(map(_strategy_row, report.strategies))
    return Section("What was scored", (Facts(facts), Grid(header, rows, frozenset({5, 6}))))


def _selection(run: Run) -> str:
    request = run.request
    if request.until_decided:
        return f"in an order drawn with seed {request.seed or 0}, as far as it took to decide"
    if is_extended(request):
        return f"{request.answered:,}, and then more of those that every strategy answered"
    if request.samples is None:
        return "all that every strategy answered"
    if request.seed is None:
        return "the first ones that every strategy answered, in the task's order"
    return f"of those that every strategy answered, drawn with seed {request.seed}"


def _examples(report: RunReport) -> str:
    request = report.run.request
    parts = [
        f"{request.examples} for each question, by {request.example_choice}",
        f"averaged over {request.example_orders} orders" if request.example_orders > 1 else "",
        "correct answers only, where that can be told" if request.answer_filter else "without the answer filter",
        "with a prompt template of the user's" if request.prompt_template else "",
        report.predictions,
    ]
    return "; ".join(part for part in parts if part)


def _strategy_row(facts: StrategyFacts) -> tuple[str, ...]:
    failed = [f"{count:,} {code.replace('_', ' ')}" for code, count in facts.failed.items()]
    return (
        facts.name,
        facts.teacher or _UNKNOWN,
        facts.source or _UNKNOWN,
        facts.source_digest or _UNKNOWN,
        facts.prompt_digest or _UNKNOWN,
        f"{facts.responses:,}",
        f"{facts.scored:,}",
        ", ".join([*failed, *([facts.out] if facts.out else [])]) or "none",
    )


def model_section(report: RunReport) -> Section:
    """Everything that a score belongs to besides its context and response."""
    request, spec = report.run.request, report.spec
    options = ", ".join(f"{name}={value}" for name, value in spec.template_options)
    facts = (
        ("Name", report.run.model),
        ("Path", request.path),
        ("Digest of the weights", spec.weights_digest),
        ("Revision", spec.revision or _UNKNOWN),
        ("Adapter", f"{request.adapter}, digest {spec.adapter_digest}" if request.adapter else "none"),
        ("Quantization", spec.quantization),
        ("Dtype", spec.dtype),
        ("Digest of the chat template", spec.chat_template_digest or _UNKNOWN),
        ("Options of the chat template", options or "none"),
        ("System prompt", "none" if spec.system is None else spec.system),
        ("Control tokens in the data", "as ordinary text" if spec.control_tokens == "as_text" else spec.control_tokens),
    )
    return Section("Target model", (Facts(facts),))


def run_section(report: RunReport) -> Section:
    """When and where the run was done, with what, and what happened."""
    run = report.run
    facts = (
        ("Run", f"{run.id}, {run.shown}"),
        ("Queued", _time(run.created_at)),
        ("Started", _time(run.started_at)),
        ("Ended", _time(run.ended_at)),
        ("Device", run.device or f"{run.request.device} (asked for)"),
        ("Engine of the scores", ", ".join(f"{name}: {count:,}" for name, count in report.engines.items()) or _UNKNOWN),
        ("Scores that existed before", f"{run.reused:,}"),
        ("Peak memory", f"{run.peak_memory / 2**20:,.0f} MiB" if run.peak_memory else _UNKNOWN),
        ("Report written", f"{_time(report.written_at)} by sap-tui {report.program}"),
    )
    rows = tuple((_time(event.at), event.level, event.text) for event in report.events)
    text = "What happened, with the versions of the libraries where a model was loaded:"
    return Section("Run", (Facts(facts), Paragraph(text), Grid(("time", "level", "event"), rows)))


def _time(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def repeat_section(report: RunReport) -> Section:
    return Section("How to repeat it", tuple(_repeat_blocks(report)))


def _repeat_blocks(report: RunReport) -> Iterator[Block]:
    run, by = report.run, report.ranking.ranking.metric
    yield Paragraph(
        "With the responses imported under the same names, the first command scores them again; scores that exist are "
        "reused. The others show the ranking and write this report."
    )
    commands = [
        score_command(run, report.spec.revision),
        *([more_command(run)] if is_extended(run.request) else []),
        ["sap-tui", "rank", f"{run.id}", "--by", by],
        ["sap-tui", "agree", f"{run.id}"],
        ["sap-tui", "report", f"{run.id}", "--by", by, "--output", "report.html"],
    ]
    yield Code("\n".join(map(shell_line, commands)))
    if is_extended(run.request):
        yield Paragraph("RUN is the number that the first command prints.")
    if run.request.prompt_template:
        yield Paragraph(f"The prompt template, to be stored as {TEMPLATE_FILE}:")
        yield Code(run.request.prompt_template)
    if run.request.chat_template:
        yield Paragraph(f"The chat template, to be stored as {CHAT_TEMPLATE_FILE}:")
        yield Code(run.request.chat_template)
