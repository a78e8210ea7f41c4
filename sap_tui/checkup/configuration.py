"""What is wrong in config.toml, where everything that is wrong has its default."""

from __future__ import annotations

from collections.abc import Iterator

from sap_tui.checkup.finding import Finding, ok, warn


def configuration() -> Iterator[Finding]:
    from core.settings import read_config
    from sap_tui.keymap import read_keymap

    config = read_config()
    problems = (*config.problems, *read_keymap(config).problems)
    for problem in problems:
        yield warn("config.toml", f"{problem.rstrip('.')}, so its default holds", "mend it: sap-tui settings")
    if not problems:
        named = f"{len(config.own)} settings of your own" if config.own else "every setting has its default"
        yield ok("config.toml", f"{config.path}: {named}")
