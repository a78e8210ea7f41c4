"""Write the README's generated parts (keys, command line) from the program itself; --check only compares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


def main() -> int:
    before = README.read_text(encoding="utf-8")
    after = replaced(before, "keys", output_of("sap_tui.keys"))
    after = replaced(after, "help", f"```\n{output_of('sap_tui.cli', '--help')}\n```")
    if "--check" in sys.argv[1:]:
        if before != after:
            print("README.md is out of date: python scripts/update_docs.py", file=sys.stderr)
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
