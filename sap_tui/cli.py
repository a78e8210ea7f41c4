"""The command line: stdout is data, stderr is talk.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 130 interrupted.
Heavy imports stand inside the commands, so that `--help` stays quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from core.errors import SapError

DESCRIPTION = """\
Which way of writing training responses fits your model best? sap-tui scores a small sample of every strategy under
the target model and ranks them before any training. Without a verb it opens the app."""

VERBS = {
    "demo": {"demo"},
    "catalogue": {"import", "predictions", "list"},
    "strategy": {"strategy"},
    "task": {"task"},
    "score": {"score"},
    "runs": {"runs", "cancel", "pause", "resume"},
    "rank": {"rank"},
    "compare": {"compare", "show"},
    "agree": {"agree"},
    "converge": {"converge"},
    "report": {"report"},
    "filtering": {"filter"},
    "metrics": {"metrics"},
    "columns": {"column"},
    "outcomes": {"outcomes"},
    "judge": {"judge"},
    "settings": {"settings", "keys"},
    "serve": {"serve"},
    "machine": {"free", "paths", "doctor"},
}
"""The modules of sap_tui.commands, in the order of the help, with their verbs."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return _run(arguments)
    except SapError as error:
        _say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_FULL":
            raise
        _say_error(SapError("The disk is full; nothing of this was kept.", "Free some space and try again."))
        return 1


def _run(arguments: list[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = build_parser(arguments).parse_args(arguments)
    from core.settings import catalogue_path

    parsed.catalogue_option = parsed.catalogue
    parsed.catalogue = catalogue_path(parsed.catalogue)
    result = parsed.run(parsed)
    sys.stdout.flush()
    return int(result)


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The command line; of all verbs, or where the arguments hold one of those alone, which starts quicker."""
    parser = argparse.ArgumentParser(prog="sap-tui", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--catalogue", metavar="FILE", help="the catalogue to use (also SAP_TUI_CATALOGUE)")
    parser.add_argument("--version", action="version", version=f"sap-tui {_version()}")
    parser.set_defaults(run=_open_app)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    named = [module for module, its_verbs in VERBS.items() if not its_verbs.isdisjoint(arguments)]
    for module in named or VERBS:
        import_module(f"sap_tui.commands.{module}").add_parsers(verbs)
    return parser


def _version() -> str:
    from sap_tui import __version__

    return __version__


def _open_app(arguments: argparse.Namespace) -> int:
    # Served to a browser, the app has another driver than a terminal's.
    if "TEXTUAL_DRIVER" not in os.environ and not (sys.stdout.isatty() and sys.stdin.isatty()):
        from sap_tui.commands.catalogue import list_catalogue

        arguments.task, arguments.json = None, False
        return list_catalogue(arguments)
    from sap_tui.app import open_app

    return open_app(arguments.catalogue)


def _say_error(error: SapError) -> None:
    from core.text import visible

    print(f"sap-tui: {visible(str(error))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
