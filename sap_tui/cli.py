"""The command line: stdout is data, stderr is talk.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 130 interrupted.
Heavy imports stand inside the commands, so that `--help` stays quick.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from core.errors import SapError
from sap_tui.streams import guarded_streams, printing

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
    "backup": {"backup"},
    "machine": {"free", "paths"},
    "doctor": {"doctor"},
}
"""The modules of sap_tui.commands, in the order of the help, with their verbs."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # Whoever started this ignores it; of runners and scorers nobody would learn how they ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with guarded_streams():
        try:
            return _run(arguments)
        except SapError as error:
            _say_error(error)
            return error.exit_code
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            return 1
        except Exception as error:
            return _say_fault(error, arguments)


def _run(arguments: list[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    os.umask(os.umask(0o077) | 0o077)
    parsed = build_parser(arguments).parse_args(arguments)
    from core.settings import catalogue_path

    parsed.catalogue_option = parsed.catalogue
    parsed.catalogue = catalogue_path(parsed.catalogue)
    with printing("json" if getattr(parsed, "json", False) else getattr(parsed, "format", None)):
        result = parsed.run(parsed)
        sys.stdout.flush()
    if "core.store.db" in sys.modules:
        from core.store.db import read_only_reason

        if reason := read_only_reason(parsed.catalogue):
            _say_error(reason)
    return int(result)


class _Parser(argparse.ArgumentParser):
    """What it repeats of a command line may come from a file's name."""

    def _print_message(self, message: str, file: Any = None) -> None:
        from core.text import visible

        super()._print_message(visible(message, multiline=True), file)


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The command line; of all verbs, or where the arguments hold one of those alone, which starts quicker."""
    parser = _Parser(prog="sap-tui", description=DESCRIPTION, allow_abbrev=False)
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
    # The app searches for unreachable objects when it has started; until then every search would be in vain.
    gc.disable()
    from sap_tui.app import open_app

    return open_app(arguments.catalogue)


def _say_fault(error: Exception, arguments: list[str] | None) -> int:
    """One line for what SQLite met, and for a fault of the program one that names a log with the traceback."""
    from core.settings import catalogue_path
    from core.store.damage import explained
    from sap_tui.crash import crash_line

    given = sys.argv[1:] if arguments is None else arguments
    catalogue = catalogue_path(build_parser(given).parse_args(given).catalogue)
    if line := explained(error, catalogue):
        _say_error(line)
    else:
        print(f"{crash_line(catalogue, error)}; is the catalogue sound? sap-tui doctor", file=sys.stderr)
    return 1


def _say_error(error: SapError) -> None:
    from core.text import visible

    for line in error.details:
        print(visible(line), file=sys.stderr)
    print(f"sap-tui: {visible(str(error))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
