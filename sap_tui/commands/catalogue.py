"""sap-tui import, predictions, list: bringing files into the catalogue and seeing what it holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.domain import Strategy, Task
    from core.errors import SapError
    from core.store.importing import ImportReport

IMPORT_DESCRIPTION = """\
Import files of responses; every file is one strategy, named after the file. Layouts: fields question and response
(id and answer optional), Alpaca, ShareGPT conversations, OpenAI messages; as JSON Lines, JSON arrays, CSV or Parquet.
The layout is detected and shown. Either all files of one command are imported or none."""
PREDICTIONS_DESCRIPTION = """\
Import answers that the target model itself gave to questions, made elsewhere; self-aligned perplexity uses them as
examples. They take the place of earlier ones for the same task and model."""


def add_parsers(verbs: Any) -> None:
    _add_import(verbs)
    _add_predictions(verbs)
    listing = verbs.add_parser("list", help="tasks and strategies", description="Tasks with their strategies.")
    listing.add_argument("--task", metavar="NAME", help="only this task")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_catalogue)


def _add_import(verbs: Any) -> None:
    parser = verbs.add_parser("import", help="files of responses into the catalogue", description=IMPORT_DESCRIPTION)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a file of one strategy's responses")
    parser.add_argument("--task", required=True, metavar="NAME", help="the task; made if it is new")
    parser.add_argument("--strategy", metavar="NAME", help="the strategy's name, for a single FILE")
    add_description_options(parser)
    _add_map(parser)
    parser.add_argument("--skip-bad", action="store_true", help="leave out lines that cannot be read, and count them")
    parser.add_argument("--replace", action="store_true", help="replace the responses of strategies that have some")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what is in every FILE and what is bad; keep nothing"
    )
    parser.set_defaults(run=import_files)


def _add_predictions(verbs: Any) -> None:
    parser = verbs.add_parser(
        "predictions", help="the target model's own answers, made elsewhere", description=PREDICTIONS_DESCRIPTION
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of questions and the model's answers")
    parser.add_argument("--task", required=True, metavar="NAME", help="the task that they serve")
    parser.add_argument("--model", required=True, metavar="MODEL", help="a folder, a GGUF file or a cached hub id")
    parser.add_argument("--revision", default="", metavar="R", help="the model's revision")
    parser.add_argument("--check", action="store_true", help="drop those whose final answer is not the gold answer")
    _add_map(parser)
    parser.set_defaults(run=import_predictions)


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--map",
        default="",
        metavar="MAP",
        help="question=FIELD,response=FIELD,answer=FIELD,id=FIELD, those that differ",
    )


def add_description_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how a strategy's responses came about."""
    parser.add_argument("--teacher", metavar="NAME", help="the model or the people who wrote the responses")
    parser.add_argument("--prompt-file", type=Path, metavar="FILE", help="the prompt that they were given")
    parser.add_argument("--note", metavar="TEXT", help="a note")


def import_files(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.ingest.fields import parse_field_map
    from core.store import importing
    from core.store.db import Writer, prepare
    from core.store.importing import ImportRequest

    if arguments.strategy and len(arguments.files) > 1:
        raise UsageError("--strategy names one strategy, but there are several files.", "Import them one by one.")
    prompt = read_prompt(arguments.prompt_file) or ""
    requests = [
        ImportRequest(file, arguments.strategy or file.stem, arguments.teacher or "", prompt, arguments.note or "")
        for file in arguments.files
    ]
    options: dict[str, Any] = {
        "task": arguments.task,
        "field_map": parse_field_map(arguments.map) if arguments.map else None,
        "replace": arguments.replace,
        "on_progress": _show_progress if sys.stderr.isatty() else None,
    }
    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        if arguments.dry_run:
            found = importing.rehearse_files(writer, requests, **options)
            return _print_rehearsal(arguments.files, found, arguments.skip_bad)
        reports = importing.import_files(writer, requests, skip_bad=arguments.skip_bad, **options)
    for file, report in zip(arguments.files, reports, strict=True):
        _print_report(file, report)
    return 0


def import_predictions(arguments: argparse.Namespace) -> int:
    from core.ingest.fields import parse_field_map
    from core.models import find_target
    from core.scoring.answers import is_correct
    from core.store import predictions
    from core.store.db import Writer, prepare
    from core.text import visible
    from sap_tui.words import counted

    target = find_target(arguments.model, revision=arguments.revision)
    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        report = predictions.import_predictions(
            writer,
            arguments.file,
            task=arguments.task,
            weights_digest=target.weights_digest,
            check=arguments.check,
            is_correct=is_correct,
            field_map=parse_field_map(arguments.map) if arguments.map else None,
            on_progress=_show_progress if sys.stderr.isatty() else None,
        )
    _say(f"{visible(arguments.file.name)}: {visible(report.detected)}")
    for count, text in (
        (report.replaced, "Earlier predictions that were replaced"),
        (report.unknown_questions, "To questions that the task does not hold, which only serve as examples"),
        (report.wrong, "Dropped because their final answer is not the gold answer"),
        (report.not_checkable, "Kept although they could not be checked"),
    ):
        if count:
            _say(f"  {text}: {count:,}")
    print(f"{visible(report.task)}: {counted(report.stored, 'prediction')} of {visible(target.name)}")
    return 0


def list_catalogue(arguments: argparse.Namespace) -> int:
    from core.store.catalogue import strategies, task_by_name, tasks
    from core.store.db import open_reader, prepare

    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    shown = tasks(reader) if arguments.task is None else [task_by_name(reader, arguments.task)]
    found = strategies(reader, arguments.task)
    if arguments.json:
        print(json.dumps([_task_json(task, found) for task in shown]))
    elif shown:
        _print_tasks(shown, found)
    else:
        _say("Nothing here yet. Import a file of responses: sap-tui import FILE --task NAME; or see: sap-tui demo")
    return 0


def read_prompt(path: Path | None) -> str | None:
    """The text of a prompt file, unchanged. Raises NotFoundError or InputError."""
    from core.errors import InputError
    from core.ingest.files import open_file
    from core.text import visible

    if path is None:
        return None
    with open_file(path) as stream:
        try:
            return stream.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{visible(path.name)} is not UTF-8 at byte {error.start + 1}.") from error


def _task_json(task: Task, found: list[Strategy]) -> dict[str, object]:
    return {
        "task": task.name,
        "questions": task.questions,
        "strategies": [strategy_json(strategy) for strategy in found if strategy.task == task.name],
    }


def strategy_json(strategy: Strategy) -> dict[str, object]:
    """The strategy as the JSON object that `list` prints."""
    return {
        "name": strategy.name, "responses": strategy.responses, "teacher": strategy.teacher,
        "tags": list(strategy.tags), "note": strategy.note, "source": strategy.source,
        "updated_at": strategy.updated_at,
    }  # fmt: skip


def _print_tasks(shown: list[Task], found: list[Strategy]) -> None:
    from core.text import visible
    from sap_tui.commands.tables import print_table

    rows: list[tuple[str, ...]] = []
    for task in shown:
        of_task = [strategy for strategy in found if strategy.task == task.name]
        rows += [(visible(task.name), f"{task.questions:,}", "", "", "", "")] if not of_task else []
        rows += [
            (
                visible(task.name),
                f"{task.questions:,}",
                visible(strategy.name),
                f"{strategy.responses:,}",
                visible(strategy.teacher),
                visible(", ".join(strategy.tags)),
            )
            for strategy in of_task
        ]
    print_table(("task", "questions", "strategy", "responses", "teacher", "tags"), rows, right=(1, 3))


def _print_report(file: Path, report: ImportReport, bad: str = "skipped", fields: str = "") -> None:
    """`bad` is what became of the bad lines, `fields` a line about the fields of the file."""
    from core.text import visible
    from sap_tui.words import counted

    _say(f"{visible(file.name)}: {visible(report.detected)}")
    if fields:
        _say(f"  {visible(fields)}")
    for line in report.skipped_lines:
        _say(f"  {bad} {visible(line)}")
    if report.skipped > len(report.skipped_lines):
        _say(f"  and {report.skipped - len(report.skipped_lines):,} more such lines")
    for warning in report.warnings:
        _say(f"  {visible(warning)}")
    skipped = f", {counted(report.skipped, 'line')} {bad}" if report.skipped else ""
    replaced = " in place of earlier ones" if report.replaced else ""
    print(
        f"{visible(report.task)} / {visible(report.strategy)}: {counted(report.responses, 'response')}{replaced},"
        f" {counted(report.new_questions, 'new question')}{skipped}"
    )


def _print_rehearsal(files: Sequence[Path], found: Sequence[ImportReport | SapError], skip_bad: bool) -> int:
    """1 where the import would be refused."""
    from core.errors import SapError
    from core.ingest.source import names_in_words

    refused = False
    for file, each in zip(files, found, strict=True):
        if isinstance(each, SapError):
            refused = True
            _say(str(each))
            continue
        refused |= not each.responses or bool(each.skipped and not skip_bad)
        _print_report(file, each, "skipped" if skip_bad else "bad", f"fields: {names_in_words(each.fields)}")
    _say("Nothing was kept, and an import would keep nothing of this." if refused else "Nothing was kept.")
    return 1 if refused else 0


def _show_progress(rows: int, share: float) -> None:
    end = "\r" if share < 1 else "\n"
    print(f"  {rows:,} rows read, {share:4.0%}", end=end, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
