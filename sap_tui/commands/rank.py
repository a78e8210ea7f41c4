"""sap-tui rank: the ranking of a run as a table or a file."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sap_tui.commands.ranking_table import WIDTH, ranking_table

if TYPE_CHECKING:
    from core.export.report import RankingReport

DESCRIPTION = """\
The strategies of a run, best first, with 95% intervals (paired bootstrap over questions) and a verdict.
Without RUN: the last run."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("rank", help="the ranking of a run", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=int, metavar="RUN", help="the run's number")
    parser.add_argument(
        "--by",
        metavar="METRIC",
        help="the metric or imported column to rank by, whether or not the run named it; default: the run's first",
    )
    parser.add_argument(
        "--column", metavar="METRIC", action="append", default=[], help="show this metric too (may be repeated)"
    )
    parser.add_argument(
        "--format", choices=("table", "json", "csv", "markdown", "latex"), default="table", help="default: table"
    )
    parser.add_argument("--output", metavar="FILE", help="write to a file instead of stdout")
    parser.set_defaults(run=rank)


def rank(arguments: argparse.Namespace) -> int:
    from core.export.files import write_atomically
    from core.rank import ranking_report
    from core.store.db import open_reader, prepare
    from core.text import visible

    prepare(arguments.catalogue)
    report = ranking_report(open_reader(arguments.catalogue), arguments.number, arguments.by, arguments.column)
    text = _formatted(report, arguments.format)
    if arguments.output:
        write_atomically(Path(arguments.output), text)
        print(f"Written: {visible(arguments.output)}", file=sys.stderr)
    else:
        sys.stdout.write(text)
    return 0


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
