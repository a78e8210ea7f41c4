"""sap-tui doctor: whether machine and catalogue are sound, and what to do where they are not."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Check this machine and the catalogue. Each line is ok, warn (works, but not as well as it could) or BAD (must be
mended), with what to do. The exit code is 1 when something is BAD."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("doctor", help="check this machine and the catalogue", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--forget-probes", action="store_true",
        help="take the numbers that models compute from now on as the right ones")  # fmt: skip
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    if arguments.forget_probes:
        return _forget_probes(arguments.catalogue)
    from core.text import visible
    from sap_tui.checkup.catalogue import catalogue
    from sap_tui.checkup.configuration import configuration
    from sap_tui.checkup.finding import Level
    from sap_tui.checkup.machine import machine

    findings = [*machine(), *configuration(), *catalogue(arguments.catalogue)]
    if arguments.json:
        rows = [{"level": f.level, "about": f.about, "text": f.text, "remedy": f.remedy} for f in findings]
        print(json.dumps(rows, indent=2))
    else:
        for finding in findings:
            mark = "BAD" if finding.level is Level.BAD else finding.level
            print(f"{mark:4} {visible(finding.text)}{f'; {visible(finding.remedy)}' if finding.remedy else ''}")
    mended = sum(finding.level is Level.BAD for finding in findings)
    if mended:
        print(f"{mended} must be mended, see the lines marked BAD.", file=sys.stderr)
    return 1 if mended else 0


def _forget_probes(catalogue: Path) -> int:
    from core.store.db import Writer, prepare
    from core.store.probes import forget_probes
    from sap_tui.words import counted

    prepare(catalogue)
    with Writer(catalogue) as writer, writer.transaction() as connection:
        print(f"Forgot the first numbers of {counted(forget_probes(connection), 'model')}; the next ones are kept.")
    return 0
