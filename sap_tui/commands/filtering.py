"""sap-tui filter: write the responses that pass steps, or per question the best strategy's, for a trainer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer
from sap_tui.commands.output import add_force

if TYPE_CHECKING:
    from core.selection.plan import SelectionPlan
    from core.selection.select import Selection
    from core.selection.writing import Destination

DESCRIPTION = """\
Write the responses of a strategy that pass all the steps, and say how many
each step kept; or with --best-of the response of the best strategy for each
question. Scores come from the newest finished run of the task that has the
strategies. FILE.provenance.json beside the data says where it comes from."""
HELP_WIDTH = 78


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser(
        "filter",
        help="write the responses worth training on",
        description=DESCRIPTION,
        epilog=_steps_in_words(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--task", required=True, metavar="NAME")
    add("--strategy", action="append", default=[], metavar="NAME", help="with --best-of repeatable; default there: all")
    add("--steps", default="", metavar="STEP,...", help="what to keep, see below; quote the signs < and >")
    add("--best-of", default="", metavar="METRIC", help="per question the response with the best value of this metric")
    add("--run", type=integer, dest="number", metavar="N", help="the run whose scores count; default: newest finished")
    add("--format", choices=("tidy", "alpaca", "sharegpt", "messages"), default="tidy", help="default: tidy")
    add("--output", metavar="FILE", help="FILE.jsonl for one object a line, FILE.json for an array")
    add("--dataset-info", metavar="FILE", help="add the output to this dataset_info.json of LLaMA-Factory")
    add_force(parser)
    add("--dry-run", action="store_true", help="say what would be kept, and write nothing")
    add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=filter_responses)


def filter_responses(arguments: argparse.Namespace) -> int:
    from core.selection.plan import SelectionRequest, plan_selection
    from core.selection.select import select
    from core.selection.steps import parse_steps
    from core.selection.writing import write_selection
    from core.store.db import open_reader, prepare
    from sap_tui import __version__

    steps = parse_steps(arguments.steps)
    destination = _destination(arguments)
    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    request = SelectionRequest(arguments.task, tuple(arguments.strategy), steps, arguments.number, arguments.best_of)
    plan = plan_selection(reader, request)
    _say(*plan.notes)
    selection = select(reader, request, plan)
    _print_report(selection, plan, arguments.json)
    if destination is not None:
        _say(*write_selection(reader, selection, destination, __version__))
        _say(f"Written: {destination.path} and {destination.provenance}")
    return 0


def _destination(arguments: argparse.Namespace) -> Destination | None:
    from core.errors import UsageError
    from core.selection.writing import Destination, check_destination

    if arguments.dry_run:
        return None
    if not arguments.output:
        raise UsageError("There is no file to write to.", "Name one with --output, or see what is kept with --dry-run.")
    info = Path(arguments.dataset_info) if arguments.dataset_info else None
    destination = Destination(Path(arguments.output), arguments.format, info, arguments.force)
    check_destination(destination, arguments.catalogue)
    return destination


def _steps_in_words() -> str:
    from textwrap import fill

    from core.selection.steps import steps_in_words

    lines = [
        fill(f"  {usage:<20} {description}", HELP_WIDTH, subsequent_indent=" " * 23)
        for usage, description in steps_in_words()
    ]
    return "\n".join(["a step keeps a response if", *lines])


def _print_report(selection: Selection, plan: SelectionPlan, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_report_object(selection, plan)))
        return
    from core.text import visible
    from sap_tui.commands.tables import print_table

    rows: list[tuple[str, ...]] = []
    for report in selection.reports:
        name = visible(report.strategy)
        rows.append((name, "(all)", f"{report.responses:,}", "", ""))
        for step in report.steps:
            counts = (f"{count:,}" for count in (step.kept, step.dropped, step.without_value))
            rows.append((name, visible(step.step), *counts))
        if selection.request.best_of:
            rows.append((name, f"best by {visible(selection.request.best_of)}", f"{report.written:,}", "", ""))
    print_table(("strategy", "step", "kept", "dropped", "no value"), rows, right=(2, 3, 4))
    _say(*_summary(selection))


def _summary(selection: Selection) -> list[str]:
    from sap_tui.words import counted

    scores = "" if selection.run is None else f", by run {selection.run.id} under {selection.run.model}"
    lost = [f"Questions without a value of {selection.request.best_of}: {selection.undecided:,}."]
    kept = f"Kept: {counted(len(selection.kept), 'response')}{scores}."
    tied = [f"Questions on which strategies tie, the earlier one's response kept: {selection.tied:,}."]
    return [
        kept, *(lost if selection.undecided else []), *(tied if selection.tied else []), *_without_values(selection)
    ]  # fmt: skip


def _without_values(selection: Selection) -> Iterator[str]:
    """Steps that could judge nothing, which is no verdict on the responses."""
    for report in selection.reports:
        for step in report.steps:
            if step.without_value and not step.kept and not step.dropped:
                yield f"! No response of '{report.strategy}' has a value for {step.step}{_gold_answers(step.step)}."


def _gold_answers(step: str) -> str:
    return ": its questions have no gold answers, import them with an 'answer' field" if step == "correct" else ""


def _report_object(selection: Selection, plan: SelectionPlan) -> dict[str, Any]:
    return {
        "task": selection.request.task,
        "run": None if selection.run is None else selection.run.id,
        "best_of": selection.request.best_of or None,
        "strategies": [asdict(report) for report in selection.reports],
        "questions_without_value": selection.undecided,
        "questions_tied": selection.tied,
        "kept": len(selection.kept),
        "notes": list(plan.notes),
    }


def _say(*lines: str) -> None:
    from core.text import visible

    for line in lines:
        print(visible(line), file=sys.stderr)
