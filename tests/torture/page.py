"""The part of docs/reliability.md that is made from what `make torture` and `make mutants` measured."""

from __future__ import annotations

from typing import Any


def figures_part(measured: dict[str, Any]) -> str:
    """Where and when it was measured, and a table with a row a test, as Markdown."""
    machine, versions = measured["machine"], measured["versions"]
    facts = ", ".join([*(f"{name}: {value}" for name, value in machine.items()), "no GPU used"])
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        f"- `make torture`: {measured['date']}, {measured['seconds']} s in all{_share(measured.get('share', 1))}",
        *_mutants(measured.get("mutants")),
        f"- {facts}",
        f"- {found}",
        "",
        "| what is done to it | figures | seconds | |",
        "|---|---|---|---|",
        *(_row(name, test) for name, test in sorted(measured["tests"].items())),
    ]
    return "\n".join(lines)


def _share(share: float) -> str:
    return "" if share == 1 else f"; a short form with {share:g} of the repetitions"


def _mutants(measured: dict[str, Any] | None) -> list[str]:
    if measured is None:
        return []
    return [
        f"- `make mutants`: {measured['date']}, {measured['found']} of {measured['of']} seeded faults turned a test red"
    ]


def _row(name: str, test: dict[str, Any]) -> str:
    file, _, function = name.removeprefix("tests/torture/").partition("::")
    figures = "; ".join(f"{words}: {_value(value)}" for words, value in test.get("figures", {}).items())
    outcome = {"passed": "passed", "skipped": "**not tested here**"}.get(test["outcome"], "**failed**")
    return f"| {test.get('what', function)} (`{file}::{function}`) | {figures} | {test['seconds']} | {outcome} |"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({_value(each)})" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
