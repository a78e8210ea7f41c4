"""Where data goes, and as what: stdout or a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ENDINGS = {".txt": "table", ".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex", ".html": "html"}
"""What a file of this ending is taken to be."""


def add_output_options(parser: argparse.ArgumentParser, formats: Sequence[str] = ("table", "json", "csv")) -> None:
    """`--format`, of which `--json` is a short form, `--output` and `--force`; `settle_output` reads them."""
    parser.add_argument("--format", choices=formats, help="default: by the ending of --output, else table")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("--output", metavar="FILE", help="write to a file instead of stdout")
    add_force(parser)
    parser.set_defaults(formats=formats)


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace an output that is there already")


def settle_output(arguments: argparse.Namespace) -> None:
    """Give `arguments.format` its value, before anything is computed.

    Raises UsageError for an ending of a format that the verb has not, SapError for a file that must not be written.
    """
    if arguments.format is None:
        arguments.format = _format_of(arguments.output, arguments.formats)
    if arguments.output:
        check_output(arguments)


def check_output(arguments: argparse.Namespace) -> None:
    """Raises SapError for a file that must not be written."""
    from core.export.files import check_target

    check_target(Path(arguments.output), catalogue=arguments.catalogue, force=arguments.force)


def _format_of(path: str | None, formats: Sequence[str]) -> str:
    from core.errors import UsageError
    from core.text import visible

    found = ENDINGS.get(Path(path or "").suffix.lower(), "table")
    if path and found not in formats:
        raise UsageError(
            f"{visible(path)} would be {found}, which this verb does not write.",
            f"Name another file, or say --format {', '.join(formats[:-1])} or {formats[-1]}.",
        )
    return found


def write_out(text: str, path: str | Path | None) -> None:
    """To the file, which is there as a whole or not at all, or to stdout."""
    from core.export.files import write_atomically
    from core.text import visible

    if path:
        write_atomically(Path(path), text)
        print(f"Written: {visible(str(path))}", file=sys.stderr)
    else:
        sys.stdout.write(text)
