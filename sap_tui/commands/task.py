"""sap-tui task: the tasks of the catalogue."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser(
        "task", help="list, rename, delete or restore a task", description="The tasks of the catalogue."
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all tasks", description="All tasks by name.")
    listing.add_argument("--deleted", action="store_true", help="those that were deleted and can be restored")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_tasks)
    renaming = _add(actions, "rename", "give it another name", rename)
    renaming.add_argument("new_name", metavar="NEW_NAME", help="its new name")
    _add(actions, "delete", "take it out with its strategies and runs; restore brings it back", delete)
    _add(actions, "restore", "bring a deleted task back, within a week", restore)


def _add(actions: Any, action: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(action, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("name", metavar="NAME", help="the task")
    parser.set_defaults(run=run)
    return parser


def list_tasks(arguments: argparse.Namespace) -> int:
    from core.store.catalogue import strategies, tasks
    from core.store.db import open_reader, prepare
    from core.store.deletion import deleted_tasks
    from core.text import visible
    from sap_tui.commands.tables import print_table

    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    if arguments.deleted:
        names = deleted_tasks(reader)
        print(json.dumps(names, ensure_ascii=False) if arguments.json else "\n".join(map(visible, names)))
        return 0
    of_tasks = [one.task for one in strategies(reader)]
    rows = [(task.name, task.questions, of_tasks.count(task.name)) for task in tasks(reader)]
    if arguments.json:
        objects = [dict(zip(("task", "questions", "strategies"), row, strict=True)) for row in rows]
        print(json.dumps(objects, ensure_ascii=False))
    elif rows:
        cells = [(visible(name), f"{questions:,}", str(count)) for name, questions, count in rows]
        print_table(("task", "questions", "strategies"), cells, right=(1, 2))
    else:
        print("No task yet. Import a file of responses: sap-tui import FILE --task NAME", file=sys.stderr)
    return 0


def rename(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.deletion import rename_task

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        rename_task(writer, arguments.name, arguments.new_name)
    return _say_done(arguments.new_name, "renamed")


def delete(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.deletion import delete_task, sweep_deleted

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        delete_task(writer, arguments.name)
        _say_done(arguments.name, "deleted; sap-tui task restore brings it back, within a week")
        sweep_deleted(writer)
    return 0


def restore(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.deletion import restore_task

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        restore_task(writer, arguments.name)
    return _say_done(arguments.name, "restored")


def _say_done(name: str, what: str) -> int:
    from core.text import visible

    print(f"{visible(name)}: {what}", file=sys.stderr)
    return 0
