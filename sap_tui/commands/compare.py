"""sap-tui compare and show: two strategies question by question, and single samples down to their tokens."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import count, integer
from sap_tui.commands.output import add_output_options, settle_output, write_out

if TYPE_CHECKING:
    from core.export.comparison import Comparison, QuestionPair

SHOWN_ROWS = 20
OPENING_WIDTH = 40
COMPARE = """\
Strategies A and B of a run question by question, the largest difference first, with the summary in words: wins, scores,
how far A is ahead with its 95% interval (paired bootstrap) and p value (paired sign-flip test of this pair alone).
With --question the two responses to one question and the tokens that surprised the target model most."""
SHOW = """\
One sample of a run in full: the question, the strategy's response, the gold answer, whether the response's final answer
is right, and its scores behind each context. QUESTION is the question's id, or its place: 1 for the task's first one
('#1' where an id is called 1)."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("compare", help="two strategies question by question", description=COMPARE)
    parser.add_argument("number", type=integer, metavar="RUN", help="the run's number")
    parser.add_argument("a", metavar="A", help="a strategy of the run")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument("--by", metavar="METRIC", help="a metric or imported column; default: the run's first")
    parser.add_argument("--limit", type=count, metavar="N", help=f"questions to list, 0 for all; default: {SHOWN_ROWS}")
    parser.add_argument("--question", metavar="QUESTION", help="one question, by its id or place")
    _add_context(parser)
    add_output_options(parser)
    parser.set_defaults(run=compare)
    parser = verbs.add_parser("show", help="one sample of a run in full", description=SHOW)
    parser.add_argument("number", type=integer, metavar="RUN", help="the run's number")
    parser.add_argument("strategy", metavar="STRATEGY", help="a strategy of the run")
    parser.add_argument("question", metavar="QUESTION", help="the question, by its id or place")
    parser.add_argument("--tokens", action="store_true", help="every token with what the target model made of it")
    _add_context(parser)
    parser.add_argument("--json", action="store_const", const="json", dest="format", default="table", help="print JSON")
    parser.set_defaults(run=show)


def _add_context(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--context",
        choices=("plain", "self-aligned", "alone"),
        default="plain",
        help="what stood before the response when its tokens were scored; default: plain, the question",
    )


def compare(arguments: argparse.Namespace) -> int:
    from core.compare import compare_strategies
    from core.errors import UsageError
    from core.export.comparison import comparison_csv, comparison_object
    from core.store.db import open_reader, prepare

    settle_output(arguments)
    prepare(arguments.catalogue)
    if arguments.question is not None:
        if arguments.format == "csv" or arguments.output:
            raise UsageError("--question prints one question.", "Leave out --format csv and --output.")
        return _show_samples(arguments, [arguments.a, arguments.b])
    found = compare_strategies(
        open_reader(arguments.catalogue), arguments.number, arguments.a, arguments.b, arguments.by
    )
    if arguments.format == "table":
        text = "\n".join(comparison_text(found, SHOWN_ROWS if arguments.limit is None else arguments.limit)) + "\n"
    else:
        found = replace(found, rows=found.rows[: arguments.limit or None])
        as_json = arguments.format == "json"
        text = json.dumps(comparison_object(found), allow_nan=False) + "\n" if as_json else comparison_csv(found)
    write_out(text, arguments.output)
    return 0


def show(arguments: argparse.Namespace) -> int:
    from core.store.db import prepare

    prepare(arguments.catalogue)
    return _show_samples(arguments, [arguments.strategy])


def _show_samples(arguments: argparse.Namespace, strategies: list[str]) -> int:
    from core.compare import question_samples
    from core.domain import ContextKind
    from core.export.comparison import samples_object
    from core.store.db import open_reader
    from sap_tui.commands.sample_text import samples_text

    reader = open_reader(arguments.catalogue)
    context = ContextKind(arguments.context.replace("-", "_"))
    found = question_samples(reader, arguments.number, strategies, arguments.question, context)
    if arguments.format == "json":
        print(json.dumps(samples_object(found), allow_nan=False))
    else:
        print("\n".join(samples_text(found, all_tokens=getattr(arguments, "tokens", False))))
    return 0


def comparison_text(comparison: Comparison, limit: int) -> Iterator[str]:
    """Lines for people: the table of the first `limit` questions (0: all), the summary, notes."""
    from textwrap import wrap

    from core.export.comparison import comparison_sentence
    from core.text import visible
    from sap_tui.commands.tables import aligned

    metric, a, b = comparison.metric, visible(comparison.a), visible(comparison.b)
    rows = comparison.rows[: limit or None]
    better = f"{metric.direction} is better"
    yield f"Run {comparison.run}: {a} (A) and {b} (B) by {metric.id}, {better}; {visible(comparison.model)}"
    header = ("question", "A", "B", "A ahead", "tokens A", "B", "")
    yield from aligned(header, [_row(row, metric.decimals) for row in rows], (1, 2, 3, 4, 5))
    rest = len(comparison.rows) - len(rows)
    yield from [f"({rest:,} more with smaller differences; --limit 0 lists all)"] if rest else []
    yield ""
    yield from wrap(visible(comparison_sentence(comparison)), 100, break_on_hyphens=False)
    for note in comparison.notes:
        yield from wrap(f"! {visible(note)}", 100, subsequent_indent="  ", break_on_hyphens=False)


def _row(row: QuestionPair, decimals: int) -> tuple[str, ...]:
    from rich.cells import set_cell_size

    from core.text import visible

    values = ("-" if value is None else f"{value:.{decimals}f}" for value in (row.a, row.b))
    ahead = "-" if row.ahead is None else f"{row.ahead:+.{decimals}f}"
    tokens = ("-" if count is None else f"{count:,}" for count in (row.tokens_a, row.tokens_b))
    name = f"#{row.position}" if row.key is None else visible(row.key)
    opening = set_cell_size(visible(row.opening), OPENING_WIDTH).rstrip()
    return name, *values, ahead, *tokens, opening
