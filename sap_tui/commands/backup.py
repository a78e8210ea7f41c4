"""sap-tui backup: copies of the catalogue, going back to one, and saving what a damaged one still holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Copy the catalogue now. That also happens by itself once a day while runs are worked on, and before an update changes
the file; three copies are kept beside it."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("backup", help="copy the catalogue, or go back to a copy", description=DESCRIPTION)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print the copies there are, newest first")
    what.add_argument(
        "--restore",
        metavar="NAME",
        help="put a copy (a name of --list, a file, or latest) in the catalogue's place; what was there is kept beside",
    )
    what.add_argument(
        "--salvage", metavar="NEW", type=Path, help="copy what can be read of a damaged catalogue into a new file"
    )
    parser.add_argument("--json", action="store_true", help="with --list: print JSON")
    parser.set_defaults(run=backup)


def backup(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError

    if arguments.json and not arguments.list:
        raise UsageError("--json goes with --list.")
    if arguments.list:
        return _list(arguments.catalogue, as_json=arguments.json)
    if arguments.restore:
        return _restore(arguments.catalogue, arguments.restore)
    if arguments.salvage:
        return _salvage(arguments.catalogue, arguments.salvage.expanduser().absolute())
    return _make(arguments.catalogue)


def _make(catalogue: Path) -> int:
    from core.store.backups import UnsoundError, make_backup
    from core.store.damage import damage, mark_damaged
    from core.store.db import prepare
    from core.text import visible

    prepare(catalogue)
    if found := damage(catalogue):
        raise found
    try:
        made = make_backup(catalogue)
    except UnsoundError as error:
        raise mark_damaged(catalogue, str(error)) from error
    print(visible(str(made.path)))
    return 0


def _list(catalogue: Path, *, as_json: bool) -> int:
    from core.store.backups import backups
    from core.text import visible

    found = backups(catalogue)
    if as_json:
        rows = [{"file": str(each.path), "made_at": each.made_at, "bytes": each.size} for each in found]
        print(json.dumps(rows, indent=2))
        return 0
    for each in found:
        made = f"{each.shown_time:>16}  {each.size / 2**20:10,.1f} MiB"
        print(f"{each.path.name:<25}  {made}  {visible(str(each.path))}")
    if not found:
        print("No backup was made yet.", file=sys.stderr)
    return 0


def _restore(catalogue: Path, name: str) -> int:
    from core.private_files import check_own_file
    from core.store.backups import find_backup
    from core.store.upkeep import restore
    from core.text import visible

    check_own_file(catalogue)
    chosen = find_backup(catalogue, name)
    kept = restore(catalogue, chosen)
    print(f"{visible(str(catalogue))} is as it was at {chosen.shown_time}.")
    if kept:
        print(f"What was there is now {visible(str(kept))}", file=sys.stderr)
    return 0


def _salvage(catalogue: Path, target: Path) -> int:
    from core.errors import NotFoundError
    from core.store.salvage import salvage
    from core.text import visible

    if not catalogue.exists():
        raise NotFoundError(f"There is no catalogue at {visible(str(catalogue))}.", "Name it with --catalogue FILE.")
    saved = salvage(catalogue, target)
    for table, count in saved.rows.items():
        if count:
            print(f"{count:10,d}  {table}")
    print(f"{saved.gaps:,d} places could not be read; {saved.dropped:,d} rows belonged to lost ones.", file=sys.stderr)
    if saved.replanned:
        print(f"{saved.replanned:,d} runs must be resumed: their plans were damaged.", file=sys.stderr)
    print(f"Look at it: sap-tui --catalogue {visible(str(target))}", file=sys.stderr)
    return 0
