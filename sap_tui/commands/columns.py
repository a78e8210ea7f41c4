"""sap-tui column: scores that another program gave to responses."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.store.score_columns import ScoreColumn

DESCRIPTION = """\
Values that another program gave to the responses of a task; as a column they are a metric of its rankings.
FILE is CSV or JSON with the columns strategy, id and value (weight too, for a weighted mean), a JSON object
{strategy: {id: value}}, LLaMA-Factory's list of perplexities, or a sample file of the rank-surprisal ratio's program.
The column 'reward' is what the metrics 'reward' and 'car' are computed from. Without FILE: the task's columns."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("column", help="scores of another program as a metric", description=DESCRIPTION)
    parser.add_argument("file", nargs="?", metavar="FILE", help="the values")
    parser.add_argument("--task", required=True, metavar="NAME", help="the task whose responses they belong to")
    parser.add_argument("--name", metavar="ID", help="what the column is called in rankings")
    parser.add_argument(
        "--direction", choices=("lower", "higher"), help="which values are better; default: lower, of reward higher"
    )
    parser.add_argument("--strategy", metavar="NAME", help="whose values they are, where the file does not say")
    parser.add_argument("--delete", action="store_true", help="delete the column --name")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=column)


def column(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.store.db import prepare

    if arguments.delete and arguments.file:
        raise UsageError("--delete takes no FILE.", "Name the column with --name.")
    if (arguments.delete or arguments.file) and not arguments.name:
        raise UsageError("Which column? --name is missing.", "Add --name ID.")
    prepare(arguments.catalogue)
    if arguments.delete:
        return _delete(arguments)
    return _import(arguments) if arguments.file else _list(arguments)


def _import(arguments: argparse.Namespace) -> int:
    from core.metrics.registry import all_metrics
    from core.store.column_import import import_column
    from core.store.db import Writer

    with Writer(arguments.catalogue) as writer:
        done = import_column(
            writer,
            Path(arguments.file),
            task=arguments.task,
            name=arguments.name,
            metrics=all_metrics(),
            direction=arguments.direction,
            strategy=arguments.strategy,
        )
    if arguments.json:
        print(json.dumps({**_object(done.column), "stored": done.stored, "replaced": done.replaced}))
    what = f"{done.stored:,} values of {done.strategies} strateg{'y' if done.strategies == 1 else 'ies'}"
    replaced = f", in place of {done.replaced:,}" if done.replaced else ""
    print(f"Column {done.column.name}: {what}{replaced}; {done.column.direction} is better.", file=sys.stderr)
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from core.store.column_import import delete_column
    from core.store.db import Writer

    with Writer(arguments.catalogue) as writer:
        delete_column(writer, arguments.task, arguments.name)
    print(f"Column {arguments.name}: deleted.", file=sys.stderr)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from core.store.db import open_reader
    from core.store.score_columns import score_columns
    from core.text import visible
    from sap_tui.commands.tables import print_table

    found = score_columns(open_reader(arguments.catalogue), arguments.task)
    if arguments.json:
        print(json.dumps([_object(each) for each in found]))
    elif found:
        rows = [
            (each.name, each.direction, f"{each.strategies}", f"{each.values:,}", visible(each.source))
            for each in found
        ]
        print_table(("column", "better", "strategies", "values", "source"), rows, right=(2, 3))
    else:
        print("No column yet. Import one: sap-tui column FILE --task NAME --name ID", file=sys.stderr)
    return 0


def _object(found: ScoreColumn) -> dict[str, Any]:
    return {
        "name": found.name,
        "direction": found.direction,
        "strategies": found.strategies,
        "values": found.values,
        "source": found.source,
    }
