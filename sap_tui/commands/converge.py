"""sap-tui converge: how the scores of a run settle with the number of questions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer
from sap_tui.commands.output import add_output_options, settle_output, write_out

if TYPE_CHECKING:
    from core.export.convergence import ConvergenceReport

WIDTH = 100
NAME_CELLS = 34
DESCRIPTION = """\
How the scores of a run settle: every strategy's score and its 95% interval (paired bootstrap) at growing numbers of
questions, in the order in which the run scores them. Without RUN: the last run."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("converge", help="how the scores of a run settle", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=integer, metavar="RUN", help="the run's number")
    parser.add_argument("--by", metavar="METRIC", help="the metric or imported column; default: the run's first")
    add_output_options(parser)
    parser.set_defaults(run=converge)


def converge(arguments: argparse.Namespace) -> int:
    from core.export.convergence import convergence_csv, convergence_object
    from core.rank.convergence import run_convergence
    from core.store.db import open_reader, prepare

    settle_output(arguments)
    prepare(arguments.catalogue)
    report = run_convergence(open_reader(arguments.catalogue), arguments.number, arguments.by)
    if arguments.format == "table":
        text = "\n".join(convergence_text(report)) + "\n"
    elif arguments.format == "csv":
        text = convergence_csv(report)
    else:
        text = json.dumps(convergence_object(report), indent=2, allow_nan=False) + "\n"
    write_out(text, arguments.output)
    return 0


def convergence_text(report: ConvergenceReport) -> Iterator[str]:
    """Lines for people: a table with as many steps as fit, and what they say."""
    from textwrap import wrap

    from core.export.convergence import LEGEND, convergence_rows, convergence_sentences, shown_places
    from core.text import visible
    from sap_tui.commands.judgement_table import name_cell
    from sap_tui.commands.tables import aligned

    run, found = report.run, report.convergence
    yield visible(
        f"Run {run.id}: {run.task} under {run.model}, by {found.metric.id} ({found.metric.direction} is better)"
    )
    yield LEGEND
    yield ""
    rows = convergence_rows(found, list(range(len(found.questions))))
    names = [name_cell(row[0], NAME_CELLS) for row in rows]
    cell = max(len(text) for row in rows for text in row[1:]) + 2
    places = shown_places(len(found.questions), max(2, (WIDTH - max(map(len, names))) // cell))
    header = ("questions", *(f"{found.questions[place]:,}" for place in places))
    shown = [(name, *(row[1 + place] for place in places)) for name, row in zip(names, rows, strict=True)]
    yield from aligned(header, shown, range(1, len(header)))
    yield ""
    for sentence in convergence_sentences(report):
        yield from wrap(visible(sentence), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
