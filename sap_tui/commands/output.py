"""Where data goes: stdout or a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """`--format` and `--output`; `--json` is the short form of the first."""
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="default: table")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("--output", metavar="FILE", help="write to a file instead of stdout")


def write_out(text: str, path: str | None) -> None:
    """To the file, which is there as a whole or not at all, or to stdout."""
    from core.export.files import write_atomically
    from core.text import visible

    if path:
        write_atomically(Path(path), text)
        print(f"Written: {visible(path)}", file=sys.stderr)
    else:
        sys.stdout.write(text)
