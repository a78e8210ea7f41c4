"""sap-tui rank: the ranking of a run as a table or a file."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer
from sap_tui.commands.output import add_output_options, settle_output, write_out
from sap_tui.commands.ranking_table import WIDTH, ranking_table

if TYPE_CHECKING:
    import sqlite3

    from core.export.report import RankingReport

DESCRIPTION = """\
The strategies of a run, best first, with 95% intervals (paired bootstrap over questions) and a verdict.
Without RUN: the last run. With --task and --by-model: the rankings under every target model side by side, each of
the newest finished run among those that scored the most strategies."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("rank", help="the ranking of a run", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=integer, metavar="RUN", help="the run's number")
    parser.add_argument(
        "--by",
        metavar="METRIC",
        help="the metric or imported column to rank by, whether or not the run named it; default: the run's first",
    )
    parser.add_argument(
        "--column", metavar="METRIC", action="append", default=[], help="show this metric too (may be repeated)"
    )
    parser.add_argument("--task", metavar="NAME", help="with --by-model: the task")
    parser.add_argument("--by-model", action="store_true", help="set the task's rankings under its models side by side")
    add_output_options(parser, ("table", "json", "csv", "markdown", "latex"))
    parser.set_defaults(run=rank)


def rank(arguments: argparse.Namespace) -> int:
    from core.rank import ranking_report
    from core.store.db import open_reader, prepare

    settle_output(arguments)
    _check_by_model(arguments)
    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    if arguments.by_model:
        text = _by_model(reader, arguments)
    else:
        report = ranking_report(reader, arguments.number, arguments.by, arguments.column)
        text = _formatted(report, arguments.format)
    write_out(text, arguments.output)
    return 0


def _check_by_model(arguments: argparse.Namespace) -> None:
    from core.errors import UsageError

    if arguments.by_model != (arguments.task is not None):
        raise UsageError("--by-model and --task go together.", "For example: sap-tui rank --task NAME --by-model")
    if arguments.by_model and (arguments.number is not None or arguments.column):
        raise UsageError("--by-model chooses a run of every model.", "Leave out RUN and --column.")
    if arguments.by_model and arguments.format in ("markdown", "latex"):
        raise UsageError(f"--by-model has no format {arguments.format}.", "It has table, json and csv.")


def _by_model(reader: sqlite3.Connection, arguments: argparse.Namespace) -> str:
    from core.export.by_model import by_model_csv, by_model_json
    from core.rank.by_model import rankings_by_model
    from sap_tui.commands.model_table import model_table

    writers = {"table": model_table, "json": by_model_json, "csv": by_model_csv}
    return writers[arguments.format](rankings_by_model(reader, arguments.task, arguments.by))


def _formatted(report: RankingReport, name: str) -> str:
    from core.export import formats

    if name == "table":
        return ranking_table(report, shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH)
    writers = {
        "json": formats.ranking_json,
        "csv": formats.ranking_csv,
        "markdown": formats.ranking_markdown,
        "latex": formats.ranking_latex,
    }
    return writers[name](report)
