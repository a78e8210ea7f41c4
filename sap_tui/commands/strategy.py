"""sap-tui strategy: one strategy in the catalogue, with or without responses."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from sap_tui.commands.responses import add_options, responses

if TYPE_CHECKING:
    from core.domain import Strategy
    from core.store.catalogue import Sample
    from core.store.strategies import StrategyFields

SHOWN_CHARACTERS = 2000


def add_parsers(verbs: Any) -> None:
    text = "add, show, edit, delete or restore a strategy; its responses"
    parser = verbs.add_parser("strategy", help=text, description="One strategy of a task.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    adding = _add(actions, "add", "a strategy that has no responses yet", add)
    _add_fields(adding)
    showing = _add(actions, "show", "what the catalogue says about it, and a sample", show)
    showing.add_argument("--json", action="store_true", help="print JSON")
    editing = _add(actions, "edit", "change what the catalogue says about it", edit)
    editing.add_argument("--rename", metavar="NAME", help="its new name")
    _add_fields(editing)
    _add(actions, "delete", "take it and its responses out; runs keep what they scored", delete)
    _add(actions, "restore", "bring a deleted strategy back, within a week", restore)
    add_options(_add(actions, "responses", "its responses, a page at a time", responses))


def _add(actions: Any, action: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(action, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("name", metavar="NAME", help="the strategy")
    parser.add_argument("--task", required=True, metavar="NAME", help="its task")
    parser.set_defaults(run=run)
    return parser


def _add_fields(parser: argparse.ArgumentParser) -> None:
    from sap_tui.commands.catalogue import add_description_options

    add_description_options(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="the prompt itself, in place of a file")
    parser.add_argument("--tags", metavar="TAG,...", help="its tags, divided by commas; replaces those it has")


def add(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.strategies import add_strategy

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        strategy = add_strategy(writer, arguments.task, arguments.name, _fields(arguments))
    _say_done(strategy.task, strategy.name, "added")
    return 0


def edit(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.strategies import edit_strategy

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        strategy = edit_strategy(writer, arguments.task, arguments.name, _fields(arguments), new_name=arguments.rename)
    _say_done(strategy.task, strategy.name, "changed")
    return 0


def delete(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.deletion import delete_strategy, sweep_deleted

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        delete_strategy(writer, arguments.task, arguments.name)
        _say_done(arguments.task, arguments.name, "deleted; sap-tui strategy restore brings it back, within a week")
        sweep_deleted(writer)
    return 0


def restore(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.store.deletion import restore_strategy

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        restore_strategy(writer, arguments.task, arguments.name)
    _say_done(arguments.task, arguments.name, "restored")
    return 0


def show(arguments: argparse.Namespace) -> int:
    from core.store.catalogue import responses_page, strategy_by_name
    from core.store.db import open_reader, prepare
    from sap_tui.commands.catalogue import strategy_json

    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    strategy = strategy_by_name(reader, arguments.task, arguments.name)
    if arguments.json:
        print(json.dumps({"task": strategy.task, **strategy_json(strategy), "prompt": strategy.prompt}))
        return 0
    _print_fields(strategy)
    for sample in responses_page(reader, strategy.id, limit=1):
        _print_sample(sample)
    return 0


def _fields(arguments: argparse.Namespace) -> StrategyFields:
    from core.errors import UsageError
    from core.store.strategies import StrategyFields
    from sap_tui.commands.catalogue import read_prompt

    tags = None
    if arguments.tags is not None:
        tags = [tag.strip() for tag in arguments.tags.split(",") if tag.strip()]
    if arguments.prompt is not None and arguments.prompt_file:
        raise UsageError("--prompt and --prompt-file are both the prompt.", "Give one of them.")
    prompt = read_prompt(arguments.prompt_file) if arguments.prompt is None else arguments.prompt
    return StrategyFields(arguments.teacher, prompt, arguments.note, tags)


def _print_fields(strategy: Strategy) -> None:
    from datetime import datetime

    from core.text import visible

    fields = {
        "task": strategy.task,
        "strategy": strategy.name,
        "responses": f"{strategy.responses:,}",
        "teacher": strategy.teacher,
        "tags": ", ".join(strategy.tags),
        "note": strategy.note,
        "source": strategy.source,
        "updated": datetime.fromtimestamp(strategy.updated_at).isoformat(" ", "seconds"),
    }
    for name, value in fields.items():
        if value:
            print(f"{name:<10} {visible(value)}")
    if strategy.prompt:
        _print_text("prompt", strategy.prompt)


def _print_sample(sample: Sample) -> None:
    for turn in sample.question.turns:
        _print_text(f"question ({turn.role})" if len(sample.question.turns) > 1 else "question", turn.content)
    if sample.question.answer is not None:
        _print_text("gold answer", sample.question.answer)
    _print_text("response", sample.response.text)


def _print_text(heading: str, text: str) -> None:
    from core.text import visible

    shown = text[:SHOWN_CHARACTERS]
    cut = f"\n({len(text) - len(shown):,} more characters)" if len(shown) < len(text) else ""
    print(f"\n{heading}:\n{visible(shown, multiline=True)}{cut}")


def _say_done(task: str, name: str, what: str) -> None:
    from core.text import visible

    print(f"{visible(task)} / {visible(name)}: {what}", file=sys.stderr)
