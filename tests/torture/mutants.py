"""Seeded faults of the queue, each of which must turn a fast test red: `python -m tests.torture.mutants [NAME ...]`.

A mutant is one replaced piece of text in a copy of the tree; the working tree is never touched. A mutant whose text is
no longer there exactly once is an error: it must be made anew. Without any mutant the tests must be green in the copy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from tests.torture.mutations import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("core", "sap_tui", "tests", "benchmarks", "sample_data", "pyproject.toml")
LANES = 2
DEADLINE_SECONDS = 300


def main() -> int:
    """Print a line a mutant; 0 when every one was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.mutants")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="put how many were found into this JSON file")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these mutants")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    started = time.monotonic()
    tests = tuple(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
    with tempfile.TemporaryDirectory() as folder:
        code, output = in_copy(Path(folder) / "sound", None, tests)
        if code != 0:
            print(f"The tests fail without any mutant:\n{output[-3000:]}")
            return 2
        with ThreadPoolExecutor(LANES) as pool:
            found = list(pool.map(lambda mutant: is_found(Path(folder), mutant), chosen))
    if options.figures:
        record(options.figures, sum(found), len(found))
    print(f"{sum(found)} of {len(found)} mutants found in {time.monotonic() - started:.0f} s")
    return int(not all(found))


def record(path: Path, found: int, of: int) -> None:
    measured = json.loads(path.read_text("utf-8")) | {"mutants": {"date": str(date.today()), "found": found, "of": of}}
    path.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def is_found(folder: Path, mutant: Mutant) -> bool:
    code, output = in_copy(folder / mutant.name.replace(" ", "-"), mutant, mutant.tests)
    failed = next((line for line in output.splitlines() if line.startswith("FAILED ")), "")
    print(f"{'found   ' if code == 1 and failed else 'SURVIVED'}  {mutant.name}  {failed[7:120]}", flush=True)
    return code == 1 and bool(failed)


def in_copy(folder: Path, mutant: Mutant | None, tests: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and output of the tests in a copy of the tree. Raises ValueError for a mutant that does not apply."""
    folder.mkdir()
    for name in COPIED:
        copy_tree(ROOT / name, folder / name)
    if mutant is not None:
        file = folder / mutant.file
        file.write_text(mutant.mutate(file.read_text(encoding="utf-8")), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "120", *tests],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True,
            timeout=DEADLINE_SECONDS,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr
    finally:
        shutil.rmtree(folder)


def copy_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".venv", ".cache"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main())
