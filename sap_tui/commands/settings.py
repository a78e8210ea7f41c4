"""sap-tui settings and keys: what config.toml says, and changing it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.settings import Config, Setting


def add_parsers(verbs: Any) -> None:
    text = "print or change the settings"
    parser = verbs.add_parser(
        "settings",
        help=text,
        description="Print the settings, or one, or give one a value in config.toml, of which all else stays as it is.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one setting")
    parser.add_argument("value", nargs="?", metavar="VALUE", help="its new value")
    parser.add_argument("--unset", action="store_true", help="take it out of the file: its default holds again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=settings)
    parser = verbs.add_parser(
        "keys",
        help="print the keys of the app, as they are in force",
        description="Print the keys of the app. The table [keys] of config.toml gives actions other ones, by name: "
        'new_run = "n", or a list of keys.',
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=keys)


def settings(arguments: argparse.Namespace) -> int:
    """Exit code 2 when something in the file is wrong, or the value."""
    from core.errors import UsageError
    from core.settings import read_config
    from sap_tui.config_file import parsed, setting, write_setting

    if arguments.name is None:
        if arguments.unset:
            raise UsageError("--unset needs the name of a setting.", "For example: sap-tui settings theme --unset")
        return _list(read_config(), arguments.json)
    declared = setting(arguments.name)
    if arguments.unset and arguments.value is not None:
        raise UsageError("A setting gets a value or is unset, not both.")
    if arguments.value is not None:
        config = write_setting(declared.name, parsed(declared, arguments.value))
    elif arguments.unset:
        config = write_setting(declared.name, None)
    else:
        config = read_config()
    print(json.dumps(_object(config, declared)) if arguments.json else _printed(config, declared))
    return _named(config.problems) if arguments.value is None and not arguments.unset else 0


def keys(arguments: argparse.Namespace) -> int:
    """Exit code 2 when something in the table of keys is wrong."""
    from core.settings import read_config
    from sap_tui.commands.tables import print_table
    from sap_tui.keymap import read_keymap

    keymap = read_keymap(read_config())
    if arguments.json:
        print(json.dumps({"keys": keymap.rows(), "problems": list(keymap.problems)}, ensure_ascii=False, indent=2))
    else:
        rows = [
            (row["where"], " ".join(row["keys"]) + (" *" if row["changed"] else ""), row["action"], row["description"])
            for row in keymap.rows()
        ]
        print_table(("where", "key", "action", "what it does"), rows)
        if keymap.changed:
            print("* by config.toml", file=sys.stderr)
    return _named(keymap.problems)


def _list(config: Config, as_json: bool) -> int:
    from core.settings import SETTINGS
    from core.text import visible
    from sap_tui.commands.tables import print_table
    from sap_tui.keymap import read_keymap

    problems = (*config.problems, *read_keymap(config).problems)
    if as_json:
        listed = [_object(config, declared) for declared in SETTINGS.values()]
        print(json.dumps({"file": str(config.path), "settings": listed, "problems": list(problems)}, indent=2))
    else:
        rows = [
            (each.name, _printed(config, each), "file" if each.name in config.own else "default",
             each.rule.description)
            for each in SETTINGS.values()
        ]  # fmt: skip
        print_table(("setting", "value", "from", "what it is"), rows)
        print(f"File: {visible(str(config.path))}", file=sys.stderr)
    return _named(problems)


def _object(config: Config, declared: Setting) -> dict[str, Any]:
    rule = declared.rule
    limits = {"least": rule.low, "most": rule.high} if declared.type in (int, float) else {}
    return {
        "name": declared.name,
        "value": getattr(config.settings, declared.name),
        "default": declared.default,
        "in_file": declared.name in config.own,
        "type": declared.type.__name__,
        "allowed": list(rule.allowed),
        **{name: limit for name, limit in limits.items() if abs(limit) != float("inf")},
        "description": rule.description,
    }


def _printed(config: Config, declared: Setting) -> str:
    from core.text import visible

    value = getattr(config.settings, declared.name)
    return str(value).lower() if isinstance(value, bool) else visible(str(value))


def _named(problems: Iterable[str]) -> int:
    from core.text import visible

    for problem in problems:
        print(f"sap-tui: {visible(problem)}", file=sys.stderr)
    return 2 if problems else 0
