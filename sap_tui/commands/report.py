"""sap-tui report: everything about a run in one file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
One file about a run: its ranking with intervals and verdict, warnings, agreement of metrics, the methods in words,
what was scored, the target model, versions, digests, and the commands that repeat it. Without RUN: the last run."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("report", help="everything about a run in one file", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=int, metavar="RUN", help="the run's number")
    parser.add_argument("--by", metavar="METRIC", help="the metric to rank by; default: the run's first")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a file that ends in .md or .html")
    parser.set_defaults(run=report)


def report(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.export.document import to_html, to_markdown
    from core.export.files import write_atomically
    from core.export.run_report import run_document
    from core.run_report import run_report
    from core.store.db import open_reader, prepare
    from core.text import visible
    from sap_tui import __version__

    file: Path = arguments.output
    writer = {".md": to_markdown, ".html": to_html}.get(file.suffix.lower())
    if writer is None:
        raise UsageError(f"{visible(str(file))} ends neither in .md nor in .html.", "Name the file accordingly.")
    prepare(arguments.catalogue)
    found = run_report(open_reader(arguments.catalogue), arguments.number, arguments.by, __version__)
    write_atomically(file, writer(run_document(found)))
    print(f"Written: {visible(str(file))}", file=sys.stderr)
    return 0
