"""sap-tui outcomes: what fine-tuning on each strategy gave."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Import what fine-tuning gave: a file with columns strategy and accuracy (0 to 1), and maybe seed. A column target_model
names the models that the file is about; without it --model does. Earlier outcomes of the same model, strategy and seed
are replaced. Without FILE: print the outcomes of the catalogue, or delete some. sap-tui judge judges the metrics by
them."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("outcomes", help="what fine-tuning on each strategy gave", description=DESCRIPTION)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a file of outcomes")
    parser.add_argument("--task", metavar="NAME", help="the task; needed with FILE")
    parser.add_argument("--model", metavar="MODEL", help="the target model, as its runs name it, or its folder")
    parser.add_argument("--dry-run", action="store_true", help="say what is in FILE and every bad line; keep nothing")
    parser.add_argument("--delete", action="store_true", help="delete the outcomes of --task under --model")
    parser.add_argument("--strategy", metavar="NAME", help="with --delete: only those of this strategy")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=outcomes)


def outcomes(arguments: argparse.Namespace) -> int:
    from core.store.db import prepare

    _refuse(arguments)
    prepare(arguments.catalogue)
    if arguments.delete:
        return _delete(arguments)
    if arguments.file is None:
        return _print_outcomes(arguments)
    return _preview(arguments) if arguments.dry_run else _import(arguments)


def _refuse(arguments: argparse.Namespace) -> None:
    from core.errors import UsageError

    if arguments.delete and (arguments.file or arguments.dry_run):
        raise UsageError("--delete takes no FILE and no --dry-run.", "Name the outcomes with --task and --model.")
    if arguments.delete and not (arguments.task and arguments.model):
        raise UsageError("Which outcomes? --delete needs --task and --model.", "sap-tui outcomes prints them.")
    if arguments.strategy and not arguments.delete:
        raise UsageError("--strategy belongs to --delete.", "Leave it out.")


def _delete(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer
    from core.store.outcomes import delete_outcomes
    from sap_tui.words import counted

    model, strategy = str(model_name(arguments.model)), arguments.strategy
    with Writer(arguments.catalogue) as writer:
        deleted = delete_outcomes(writer, arguments.task, model, strategy)
    if arguments.json:
        print(json.dumps({"task": arguments.task, "model": model, "strategy": strategy, "deleted": deleted}))
    _say(
        f"{arguments.task}: {counted(deleted, 'outcome')} under {model}{f' of {strategy}' if strategy else ''} deleted."
    )
    return 0


def model_name(text: str | None) -> str | None:
    """The name that runs of this model have: of a folder or file its own name."""
    if text is None or not Path(text).expanduser().exists():
        return text
    path = Path(text).expanduser().resolve()
    return path.stem if path.is_file() else path.name


def _import(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer
    from core.store.outcomes import import_outcomes
    from core.text import visible
    from sap_tui.words import counted

    _check_task(arguments)
    with Writer(arguments.catalogue) as writer:
        report = import_outcomes(writer, arguments.file, task=arguments.task, model=model_name(arguments.model))
    if report.other_rows:
        _say(f"Left out because they are of other tasks or models: {report.other_rows:,} rows")
    if report.replaced:
        _say(f"Earlier outcomes that were replaced: {report.replaced:,}")
    _say_what_has_no_run(arguments.catalogue, arguments.task, report.models)
    if arguments.json:
        kept = {"stored": report.stored, "replaced": report.replaced, "models": list(report.models)}
        print(json.dumps({"task": arguments.task, **kept, "strategies": report.strategies}))
        return 0
    models = ", ".join(visible(name) for name in report.models)
    what = f"{counted(report.stored, 'outcome')} of {counted(report.strategies, 'strategy')}"
    print(f"{visible(arguments.task)}: {what} under {models}")
    return 0


def _check_task(arguments: argparse.Namespace) -> None:
    from core.errors import UsageError

    if arguments.task is None:
        raise UsageError("Outcomes belong to a task.", "Name it: --task NAME")


def _preview(arguments: argparse.Namespace) -> int:
    """1 where a line is bad, because nothing would be kept then."""
    from core.store.db import open_reader
    from core.store.outcomes import preview_outcomes
    from core.text import visible
    from sap_tui.commands.tables import print_table

    _check_task(arguments)
    name = model_name(arguments.model)
    found = preview_outcomes(open_reader(arguments.catalogue), arguments.file, task=arguments.task, model=name)
    if arguments.json:
        rows = [{"model": model, "strategy": name, "accuracies": values} for model, name, values in found.outcomes]
        counts = {"replaced": found.replaced, "other_rows": found.other_rows}
        print(json.dumps({"task": arguments.task, "outcomes": rows, **counts, "problems": found.problems}))
        return 1 if found.problems else 0
    for problem in found.problems:
        _say(problem)
    if found.outcomes:
        print_table(
            ("target model", "strategy", "outcomes", "mean"),
            [
                (visible(model), visible(name), f"{len(values)}", f"{sum(values) / len(values):.4f}")
                for model, name, values in found.outcomes
            ],
            right=(2, 3),
        )
    _say(f"Nothing was kept. Earlier outcomes that would be replaced: {found.replaced:,}")
    return 1 if found.problems else 0


def _say_what_has_no_run(catalogue: Path, task: str, models: Iterable[str]) -> None:
    """A name that was mistyped would otherwise show only when the metrics are judged."""
    from core.domain import RunState
    from core.store.db import open_reader
    from core.store.runs import runs
    from core.text import visible

    scored = {run.model for run in runs(open_reader(catalogue)) if run.task == task and run.state is RunState.DONE}
    for name in models:
        if name not in scored:
            known = f"; the task has runs of {', '.join(map(visible, sorted(scored)))}" if scored else ""
            _say(f"! No finished run of {visible(task)} under {visible(name)} yet, which sap-tui judge needs{known}.")
            _say(f"  If the name is wrong: {visible(_delete_command(task, name))}")


def _delete_command(task: str, model: str) -> str:
    import shlex

    from sap_tui.twin import option

    return shlex.join(["sap-tui", "outcomes", "--delete", *option("task", task), *option("model", model)])


def _print_outcomes(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from core.store import outcomes as store
    from core.store.db import open_reader
    from core.text import visible
    from sap_tui.commands.tables import print_table

    found = store.outcomes(open_reader(arguments.catalogue), arguments.task, model_name(arguments.model))
    if arguments.json:
        print(json.dumps([asdict(outcome) for outcome in found]))
    elif found:
        rows = [
            (visible(each.task), visible(each.model), visible(each.strategy), f"{each.seed}", f"{each.accuracy:.4f}")
            for each in found
        ]
        print_table(("task", "target model", "strategy", "seed", "accuracy"), rows, right=(3, 4))
    else:
        _say("No outcomes yet. Import some: sap-tui outcomes FILE --task NAME --model MODEL")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)
