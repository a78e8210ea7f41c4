"""The catalogues in the pictures: the bundled sample, scored here by the bundled model, then settled in time."""

from __future__ import annotations

import json
import shutil
from math import sin
from pathlib import Path

from core.store.db import Writer, open_reader, prepare

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"
NOW = 1_760_000_000.0
QUESTIONS, QUESTIONS_AT_WORK, QUESTIONS_DONE = 50, 80, 62
STRATEGIES, CONTEXTS = 6, 2
BAD_LINES = (
    {"id": 1, "question": "What is 2 plus 2?", "response": "Final Answer: 4", "answer": "4"},
    {"id": 2, "question": "What is 3 plus 5?", "answer": "8"},
    '{"id": 3, "question": "What is 9 minus 4?", "response": "Final Answer: 5"',
    {"id": 4, "question": "", "response": "Final Answer: 7", "answer": "7"},
    {"id": 5, "question": "What is 6 times 7?", "response": "Final Answer: 42", "answer": "42"},
)


def make_catalogues(folder: Path) -> dict[str, Path]:
    """The sample, the same with a run that failed, and one without anything, each in a home of its own."""
    catalogues = {name: folder / name / "catalogue.db" for name in ("sample", "failed", "empty")}
    for path in catalogues.values():
        path.parent.mkdir()
    prepare(catalogues["empty"])
    _make_sample(catalogues["sample"])
    shutil.copy(catalogues["sample"], catalogues["failed"])
    with Writer(catalogues["failed"]) as writer:
        _let_fail(writer)
    return catalogues


def make_files(folder: Path) -> None:
    """What the import form is shown: the sample, and a file with bad lines."""
    (folder / "sample_data").symlink_to(SAMPLE)
    (folder / "responses").mkdir()
    lines = [line if isinstance(line, str) else json.dumps(line) for line in BAD_LINES]
    (folder / "responses" / "terse.jsonl").write_text("\n".join(lines) + "\n")


def _make_sample(catalogue: Path) -> None:
    """A finished run, one at work, one queued and one that was interrupted."""
    from core.store.importing import import_file
    from core.store.outcomes import import_outcomes

    prepare(catalogue)
    with Writer(catalogue) as writer:
        for file in sorted((SAMPLE / "arithmetic").glob("*.jsonl")):
            import_file(writer, file, task="arithmetic", strategy=file.stem, teacher="sample generator")
        import_outcomes(writer, SAMPLE / "outcomes.csv", task="arithmetic")
        _score(catalogue, writer, _queue(catalogue, writer, QUESTIONS))
        _queue(catalogue, writer, 200)
        _score(catalogue, writer, at_work := _queue(catalogue, writer, QUESTIONS_AT_WORK))
        _queue(catalogue, writer, 150)
        _settle(writer, at_work)
    with Writer(catalogue) as writer:
        writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _queue(catalogue: Path, writer: Writer, samples: int) -> int:
    from core.submission.options import ScoreOptions
    from core.submission.submit import prepare_submission, queue

    options = ScoreOptions(task="arithmetic", model=str(SAMPLE / "tiny-model"), samples=samples, device="cpu")
    return queue(writer, prepare_submission(open_reader(catalogue), options))


def _score(catalogue: Path, writer: Writer, run: int) -> None:
    from core.jobs.claim import claim_run
    from core.scorer import Scorer

    claim = claim_run(writer, run)
    assert claim is not None
    scorer = Scorer(catalogue)
    scorer.work(claim)
    scorer.close()


def _settle(writer: Writer, at_work: int) -> None:
    """What a clock, a machine or its load makes different from one making to the next becomes a fixed value.

    Of the run at work only the first questions stay scored, as if it were there by now.
    """
    from core.processes.identity import own_identity

    me = own_identity()
    done = QUESTIONS_DONE * STRATEGIES * CONTEXTS
    changes: dict[int, dict[str, object]] = {
        1: {"started_at": NOW - 560, "ended_at": NOW - 548, "peak_memory": 402_653_184, "tokens_per_second": 9600},
        2: {"started_at": NOW - 400, "want": "pause", "why": "interrupted: the machine was restarted", "done": 412,
            "total": 2400, "tokens_done": 27_300, "tokens_total": 159_000},
        at_work: {"started_at": NOW - 62, "ended_at": None, "state": "running", "phase": "scoring", "done": done,
                  "total": QUESTIONS_AT_WORK * STRATEGIES * CONTEXTS, "tokens_done": 38_000, "tokens_total": 49_000,
                  "tokens_per_second": 941.7, "peak_memory": 411_041_792, "beat_at": NOW,
                  "host": me.host, "boot": me.boot, "pid": me.pid, "pid_start": me.start},
    }  # fmt: skip
    with writer.transaction() as connection:
        execute = connection.execute
        execute("UPDATE strategies SET updated_at = ?, source = 'arithmetic/' || name || '.jsonl'", (NOW - 7200,))
        execute("UPDATE targets SET path = 'sample_data/tiny-model'")
        execute("UPDATE runs SET created_at = ?, log = '', tokens_per_second = 0", (NOW - 600,))
        execute("UPDATE events SET at = ? + 9 * id", (NOW - 600,))
        execute(
            "UPDATE events SET text = 'model loaded on cpu, engine: packed cascade' WHERE text LIKE 'model loaded%'"
        )
        execute("DELETE FROM events WHERE run = ? AND text LIKE 'done%'", (at_work,))
        execute("UPDATE run_items SET state = 'planned' WHERE run = ? AND question IN (SELECT question FROM"
                " run_questions WHERE run = ? AND position >= ?)", (at_work, at_work, QUESTIONS_DONE))  # fmt: skip
        execute("DELETE FROM run_speeds")
        for second in range(0, 62, 2):
            speed = 941.7 * (1 - 0.8 / (1 + second)) * (1 + 0.12 * sin(second / 3))
            memory = 380_000_000 + 500_000 * second
            row = at_work, NOW - 62 + second, done * second // 62, speed, memory
            execute("INSERT INTO run_speeds VALUES (?, ?, 'scoring', ?, ?, ?)", row)
        for run, columns in changes.items():
            names = ", ".join(f"{name} = ?" for name in columns)
            execute(f"UPDATE runs SET {names} WHERE id = ?", (*columns.values(), run))


def _let_fail(writer: Writer) -> None:
    why = "the model does not fit: it needs 14.2 GiB, cuda:0 has 11.9 GiB free. Free some memory and resume the run."
    with writer.transaction() as connection:
        connection.execute("UPDATE runs SET state = 'failed', want = 'run', why = ?, device = 'cuda:0', started_at = ?,"
                           " ended_at = ? WHERE id = 4", (why, NOW - 30, NOW - 21))  # fmt: skip
        connection.execute("UPDATE runs SET state = 'cancelled', ended_at = ? WHERE id = 3", (NOW - 40,))
        connection.execute("INSERT INTO events (run, at, level, text) VALUES (4, ?, 'error', ?)", (NOW - 21, why))
