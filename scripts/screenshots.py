"""Makes the pictures of the documentation, docs/screens/*.svg, from the bundled sample: the same bytes each time.

Scores the sample with the bundled model in a throw-away catalogue; what a clock, a machine or a load would make
different (times, speeds, names) is set to fixed values before the app is opened on it.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data"
NOW = 1_760_000_000.0
SIZE = (120, 34)
LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Picture:
    """What to press in which screen, and what must stand there before the picture is taken."""

    name: str
    keys: Sequence[str]
    shows: str
    screen: str = "catalogue"
    theme: str = "sap-dark"
    size: tuple[int, int] = SIZE


NAMES = {"/": "slash", "_": "underscore"}
PICTURES = (
    Picture("catalogue", ("down", "down"), "ranked by sap"),
    Picture("import", ("i", *(NAMES.get(each, each) for each in "sample_data/arithmetic")), "6 files, 1,200 records"),
    Picture("new-run", ("n", "tab", "tab", "right", "right"), "scores to compute"),
    Picture("runs", (), "Events", "live"),
    Picture("ranking", (), "P(best)", "ranking"),
    Picture("ranking-light", (), "P(best)", "ranking", "sap-light"),
    Picture("ranking-narrow", (), "95% interval", "ranking", size=(80, 24)),
    Picture("help", ("question_mark",), "Keys here", "ranking"),
)


def main(target: Path) -> None:
    target = target.absolute()
    target.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, TZ="UTC", SAP_TUI_CONFIG=f"{home}/none.toml", OMP_NUM_THREADS="1",
                          SAP_TUI_CATALOGUE=f"{home}/catalogue.db")  # fmt: skip
        time.tzset()
        catalogue = Path(home) / "catalogue.db"
        make_catalogue(catalogue)
        socket.gethostname = lambda: "gpu-box"
        time.time = lambda: NOW
        for picture in PICTURES:
            svg = asyncio.run(taken(picture, catalogue))
            (target / f"{picture.name}.svg").write_text(svg, encoding="utf-8")
            print(target / f"{picture.name}.svg")


def make_catalogue(catalogue: Path) -> None:
    """The sample with a finished run, one at work, one queued and one that was interrupted."""
    from core.jobs.claim import claim_run
    from core.scorer import Scorer
    from core.store.db import Writer, prepare
    from core.store.importing import import_file

    prepare(catalogue)
    with Writer(catalogue) as writer:
        for file in sorted((SAMPLE / "arithmetic").glob("*.jsonl")):
            import_file(writer, file, task="arithmetic", strategy=file.stem, teacher="sample generator")
        first = queue(catalogue, writer, samples=50)
        claim = claim_run(writer, first)
        assert claim is not None
        scorer = Scorer(catalogue)
        scorer.work(claim)
        scorer.close()
        for samples in (200, 100, 150):
            queue(catalogue, writer, samples=samples)
        settle(writer)


def queue(catalogue: Path, writer: object, samples: int) -> int:
    from core.store.db import Writer, open_reader
    from core.submission.options import ScoreOptions
    from core.submission.submit import prepare_submission
    from core.submission.submit import queue as queue_submission

    assert isinstance(writer, Writer)
    options = ScoreOptions(task="arithmetic", model=str(SAMPLE / "tiny-model"), samples=samples, device="cpu")
    return queue_submission(writer, prepare_submission(open_reader(catalogue), options))


def settle(writer: object) -> None:
    """Give everything that differs from one making to the next a fixed value."""
    from core.jobs.identity import own_identity
    from core.store.db import Writer

    assert isinstance(writer, Writer)
    me = own_identity()
    started = {1: NOW - 560, 2: NOW - 400, 3: NOW - 62}
    changes: dict[int, dict[str, object]] = {
        1: {"ended_at": NOW - 548, "peak_memory": 402_653_184, "tokens_per_second": 9600},
        2: {"want": "pause", "why": "interrupted: the machine was restarted", "done": 412, "total": 1200,
            "tokens_done": 27_300, "tokens_total": 79_500},
        3: {"state": "running", "phase": "scoring", "device": "cpu", "engine": "packed cascade", "done": 742,
            "total": 1200, "tokens_done": 49_000, "tokens_total": 79_500, "tokens_per_second": 9417, "reused": 600,
            "peak_memory": 411_041_792, "beat_at": NOW, "host": me.host, "boot": me.boot, "pid": me.pid,
            "pid_start": me.start},
    }  # fmt: skip
    with writer.transaction() as connection:
        connection.execute(
            "UPDATE strategies SET updated_at = ?, source = 'arithmetic/' || name || '.jsonl'", (NOW - 7200,)
        )
        connection.execute("UPDATE targets SET path = 'sample_data/tiny-model'")
        connection.execute("UPDATE runs SET created_at = ?, log = '', tokens_per_second = 0", (NOW - 600,))
        connection.execute("UPDATE events SET at = ? + id", (NOW - 600,))
        for run, columns in changes.items():
            columns["started_at"] = started[run]
            names = ", ".join(f"{name} = ?" for name in columns)
            connection.execute(f"UPDATE runs SET {names} WHERE id = ?", (*columns.values(), run))


async def taken(picture: Picture, catalogue: Path) -> str:
    from textual.widgets import Input

    from core.settings import Settings
    from sap_tui import bridge
    from sap_tui.app import SapApp

    bridge.ensure_runner = lambda catalogue: None
    app = SapApp(catalogue, Settings(theme=picture.theme, refresh_seconds=0.1), screen=picture.screen)
    async with app.run_test(size=picture.size) as pilot:
        await waited(app, pilot, lambda: len(app.screen.query("RecordTable")) and app.snapshot.read_at)
        await waited(app, pilot, lambda: all(worker.is_finished for worker in app.workers))
        await pilot.press(*picture.keys)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await waited(app, pilot, lambda: picture.shows in text_of(app))
        await waited(app, pilot, lambda: all(worker.is_finished for worker in app.workers))
        return without_remote_fonts(app.export_screenshot(title="sap-tui"))


async def waited(app: object, pilot: object, condition: object) -> None:
    for _ in range(int(LONGEST_WAIT_SECONDS / 0.05)):
        await pilot.pause(0.05)  # type: ignore[attr-defined]
        if condition():  # type: ignore[operator]
            return
    raise SystemExit(f"The screen never showed what it should:\n{text_of(app)}")


def text_of(app: object) -> str:
    lines = app.screen._compositor.render_strips()  # type: ignore[attr-defined]
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def without_remote_fonts(svg: str) -> str:
    """A picture that fetches nothing when it is shown."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screens")
