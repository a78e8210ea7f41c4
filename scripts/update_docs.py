"""Write the README's generated parts from the program itself.

--check only compares; --demo runs the demo too, whose part a test of its own compares.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def output_of(*module_and_arguments: str) -> str:
    """What a module of ours prints, at a fixed width."""
    command = [sys.executable, "-m", *module_and_arguments]
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def replaced(text: str, name: str, content: str) -> str:
    """The text with what stands between the markers of that part replaced."""
    pattern = re.compile(rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{README.name} has no part called {name}")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def metrics_table() -> str:
    from core.metrics.registry import own_metrics

    rows = [
        f"| `{each.id}` | {each.direction}{' ?' if each.contested else ''} | {each.description} | {each.source} |"
        for each in own_metrics().values()
    ]
    return "\n".join(["| metric | better | what it is | source |", "|---|---|---|---|", *rows])


def demo_table() -> str:
    """How well each metric's pick did, the last paragraph that the demo prints."""
    with tempfile.TemporaryDirectory() as folder:
        printed = output_of("sap_tui.cli", "--catalogue", f"{folder}/demo.db", "demo", "--plain")
    return f"```\n{printed.rpartition(chr(10) * 2)[2]}\n```"


def main() -> int:
    before = README.read_text(encoding="utf-8")
    after = replaced(before, "keys", output_of("sap_tui.keys"))
    after = replaced(after, "help", f"```\n{output_of('sap_tui.cli', '--help')}\n```")
    after = replaced(after, "metrics", metrics_table())
    if "--demo" in sys.argv[1:]:
        after = replaced(after, "demo", demo_table())
    if "--check" in sys.argv[1:]:
        if before != after:
            print("README.md is out of date: python scripts/update_docs.py", file=sys.stderr)
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
