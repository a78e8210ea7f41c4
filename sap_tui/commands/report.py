"""sap-tui report: everything about a run in one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sap_tui.commands.numbers import integer
from sap_tui.commands.output import add_force, check_output, write_out

DESCRIPTION = """\
One file about a run: its ranking with intervals and verdict, warnings, agreement of metrics, the methods in words,
what was scored, the target model, versions, digests, and the commands that repeat it. Without RUN: the last run."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("report", help="everything about a run in one file", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=integer, metavar="RUN", help="the run's number")
    parser.add_argument("--by", metavar="METRIC", help="the metric to rank by; default: the run's first")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a file that ends in .md or .html")
    add_force(parser)
    parser.set_defaults(run=report)


def report(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.export.document import to_html, to_markdown
    from core.export.run_report import run_document
    from core.run_report import run_report
    from core.store.db import open_reader, prepare
    from core.text import visible
    from sap_tui import __version__

    file: Path = arguments.output
    writer = {".md": to_markdown, ".html": to_html}.get(file.suffix.lower())
    if writer is None:
        raise UsageError(f"{visible(str(file))} ends neither in .md nor in .html.", "Name the file accordingly.")
    check_output(arguments)
    prepare(arguments.catalogue)
    found = run_report(open_reader(arguments.catalogue), arguments.number, arguments.by, __version__)
    write_out(writer(run_document(found)), file)
    return 0
