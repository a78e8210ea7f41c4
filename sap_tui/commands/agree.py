"""sap-tui agree: whether the metrics of a run order its strategies alike."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer
from sap_tui.commands.output import add_output_options, settle_output, write_out

if TYPE_CHECKING:
    from core.stats.agreement import Agreement

WIDTH = 80
DESCRIPTION = """\
How far the metrics of a run agree: rank correlations between them over its strategies, each metric in its own
direction, with 95% intervals (paired bootstrap over questions), and the leaders that they name.
Without RUN: the last run."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("agree", help="whether the metrics of a run agree", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=integer, metavar="RUN", help="the run's number")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="ID", help="repeatable; default: all that can be computed"
    )
    parser.add_argument("--pairs", action="store_true", help="list every pair with its intervals instead of the matrix")
    add_output_options(parser)
    parser.set_defaults(run=agree)


def agree(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.export.agreement import agreement_csv, agreement_object
    from core.run_report import run_agreement
    from core.store.db import open_reader, prepare

    settle_output(arguments)
    if arguments.pairs and arguments.format != "table":
        raise UsageError("--pairs is about the table.", f"Leave it out: {arguments.format} has every pair.")
    prepare(arguments.catalogue)
    found = run_agreement(open_reader(arguments.catalogue), arguments.number, arguments.metric)
    if arguments.format == "table":
        text = "\n".join(agreement_text(found, pairs=arguments.pairs)) + "\n"
    elif arguments.format == "csv":
        text = agreement_csv(found)
    else:
        text = json.dumps(agreement_object(found), indent=2, allow_nan=False) + "\n"
    write_out(text, arguments.output)
    return 0


def agreement_text(agreement: Agreement, *, pairs: bool = False) -> Iterator[str]:
    """Lines for people: the matrix or every pair, the leaders, and what it means in words."""
    from textwrap import wrap

    from core.export.agreement import LEGEND, agreement_sentences, leader_rows
    from core.text import visible
    from sap_tui.commands.tables import aligned

    if agreement.pairs:
        yield from _pairs(agreement) if pairs else _matrix(agreement)
        yield from ["", *wrap(LEGEND, WIDTH), ""]
    if agreement.leaders:
        leaders = [tuple(map(visible, row)) for row in leader_rows(agreement)]
        yield from aligned(("metric", "questions", "", "leader"), leaders, (1,))
        yield ""
    for sentence in agreement_sentences(agreement):
        yield from wrap(visible(sentence), WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _matrix(agreement: Agreement) -> Iterator[str]:
    """The matrix, in several parts where its columns are too many for one."""
    from core.export.agreement import agreement_matrix
    from core.text import visible
    from sap_tui.commands.tables import aligned

    ids = [visible(metric.id) for metric in agreement.metrics]
    cells = agreement_matrix(agreement)
    for number, columns in enumerate(_parts(ids)):
        header = ("", *(ids[column] for column in columns))
        rows = [(name, *(row[column] for column in columns)) for name, row in zip(ids, cells, strict=True)]
        yield from ([""] if number else []) + aligned(header, rows, range(1, len(header)))


def _parts(ids: list[str]) -> Iterator[list[int]]:
    """The columns in their order, as many at a time as fit beside the rows' names."""
    label, part, used = max(map(len, ids)), list[int](), 0
    for column, name in enumerate(ids):
        cell = max(len(name), len("(-0.00)")) + 2
        if part and label + used + cell > WIDTH:
            yield part
            part, used = [], 0
        part.append(column)
        used += cell
    yield part


def _pairs(agreement: Agreement) -> list[str]:
    from core.export.agreement import pair_rows
    from core.text import visible
    from sap_tui.commands.tables import aligned

    header = ("metrics", "rho, 95% interval", "tau-b, 95% interval", "strategies", "questions")
    return aligned(header, [tuple(map(visible, row)) for row in pair_rows(agreement)], (3, 4))
