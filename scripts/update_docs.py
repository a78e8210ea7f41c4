"""Write the generated parts of the README from the program itself, and those of docs/reliability.md from its figures.

--check only compares; --demo runs the demo too, whose part a test of its own compares.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README, RELIABILITY = ROOT / "README.md", ROOT / "docs" / "reliability.md"


def output_of(*module_and_arguments: str) -> str:
    """What a module of ours prints, at a fixed width."""
    command = [sys.executable, "-m", *module_and_arguments]
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def replaced(text: str, name: str, content: str) -> str:
    """The text with what stands between the markers of that part replaced."""
    pattern = re.compile(rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"there is no part called {name}")
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


def readme(text: str) -> str:
    text = replaced(text, "keys", output_of("sap_tui.keys"))
    text = replaced(text, "help", f"```\n{output_of('sap_tui.cli', '--help')}\n```")
    text = replaced(text, "metrics", metrics_table())
    return replaced(text, "demo", demo_table()) if "--demo" in sys.argv[1:] else text


def reliability(text: str) -> str:
    """The page with what the long tests measured last."""
    sys.path.insert(0, str(ROOT))
    from tests.torture.page import figures_part

    return replaced(text, "figures", figures_part(json.loads(RELIABILITY.with_suffix(".json").read_text("utf-8"))))


def main() -> int:
    old = []
    for path, make in ((README, readme), (RELIABILITY, reliability)):
        before = path.read_text(encoding="utf-8")
        after = make(before)
        if before != after:
            old.append(path.name)
            if "--check" not in sys.argv[1:]:
                path.write_text(after, encoding="utf-8")
    if "--check" in sys.argv[1:] and old:
        print(f"{' and '.join(old)}: out of date: python scripts/update_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
