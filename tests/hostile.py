"""Text that would act on a terminal, on markup or on an eye, and catalogues that hold it wherever they hold text."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from core.domain import response_digest
from core.scoring.answers import gold_kind
from core.store.db import Writer
from core.text import visible, visible_characters
from tests.ui.conftest import change, score_here

PAYLOADS = (
    # What runs into markup.
    "[/INST] [INST] x",
    "[@click=app.quit]press me[/]",
    "[/b] [bold",
    "$error [$x] \\[",
    "[",
    "]",
    "[[b]]",
    "[on red]x[/on red]",
    "[link=https://example.com]x[/link]",
    "[red",
    "{{ 7 * 7 }} {0} %s ${HOME}",
    ":smiley: &amp; <b>x</b>",
    # What steers a terminal.
    "\x1b]0;owned\x07\x1b[2J",
    "\x1b]0;owned\x1b\\",
    "\x1b]8;;https://example.com\x07x\x1b]8;;\x07",
    "\x1b]8;;https://example.com\x1b\\x\x1b]8;;\x1b\\",
    "\x1b]52;c;aGk=\x07",
    "\x1b]52;c;aGk=\x1b\\",
    "\x1bP$q q\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b[31mred\x1b[0m",
    "\x1b[6n\x1b[c\x1b[5n",
    "\x1b[?1049l\x1b[?25h",
    "\x1b[10;10H\x1b[2J\x1b[3J",
    "\x1b[21t\x1b[8;1;1t",
    "\x1bc\x1b(0\x1b#8",
    "\x1b_Gi=1\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\",
    "\x9b31m c1 \x9d52;c;aGk=\x9c",
    "\x90q\x9c \x85 \x9f",
    "\x08\x08\x08over\x7f",
    "\x0e\x0f\x05\x07",
    "\x0b\x0c\x1c\x1d\x1e\x1f",
    "line\r\nbreak\ttab",
    "hidden\roverwritten",
    "a\tb\tc",
    "one\n\n\ntwo",
    # What hides.
    "\u202eevil\u202c \u2066x\u2069",
    "\u202devil \u2067x\u2068",
    "\u200e\u200f\u061c marks",
    "zero\u200bwidth\u2060 \ufeff a\u200db\u200dc 漢\u200d漢 ه\u200d",
    "\ufeffbom",
    "\u2028line\u2029paragraph",
    "soft\xadhyphen \u180e",
    "\U000e0041\U000e007f tag \U000e0001",
    "\ufff9a\ufffab\ufffb",
    # What is wide, narrow or long.
    "漢字ひらがな 한국어",
    "e\u0301 a\u0300\u0302\u0323 n\u0303",
    "\u0301\u0301 starts with marks",
    "Z" + "\u0310\u0344\u032e" * 12,
    "👩‍👩‍👧 👨🏽‍🚀 🏳️‍🌈",
    "👍🏿 🇩🇪 1️⃣ ☺️ ☺︎ ⚠️ ❤️‍🔥 👁️‍🗨️ 👩🏽‍💻 🏃🏽‍♀️",
    "ﷺ 𒈙 ⸻",
    "नमस्ते عربى עברית",
    "می‌خواهم",
    "ｆｕｌｌ　ｗｉｄｔｈ",
    "\x00nul\x00",
    # What other programs take for something else.
    "=cmd|' /C calc'!A0",
    "--output=/tmp/x",
    "../../etc/passwd",
    "' OR 1=1; -- \"",
    "x" * 5000,
    "漢" * 2500,
)
SOME_PAYLOADS = tuple(PAYLOADS[number] for number in (0, 1, 2, 3, 12, 27, 32, 36, 43, 45, 55, 56))
"""One of each kind, for tests that take long with each."""
TOGETHER = "\n".join(payload for payload in PAYLOADS if len(payload) < 100)
FEW_QUESTIONS = 12
POISONED_RESPONSES = 2
COMPARED = tuple(f"{number:02d}" for number in (0, 1, *range(5, len(PAYLOADS), 5)))
TOKENS = 60
# All responses agree, so that no vote hangs on how an answer is spelt.
FINAL = "\nFinal Answer: 7"
Scrub = Callable[[str], str]


def shown(text: str) -> str:
    """The text as it is to be seen."""
    return visible(text, multiline=True)


def poisoned(base: Path, folder: Path, scrub: Scrub, *, together: bool = False) -> Path:
    """A copy of `scored_base` with the scrubbed payloads wherever a file, a model or another program can put text.

    Rows stay in the same order and numbers the same, however the payloads are scrubbed. With `together` every fourth
    question, response and strategy holds all that are not long, one below the other, where a text has several lines.
    """
    payloads = PAYLOADS
    texts = [TOGETHER if together and number % 4 == 0 else payload for number, payload in enumerate(payloads)]
    folder.mkdir(parents=True)
    catalogue = folder / "catalogue.db"
    shutil.copy(base, catalogue)
    (folder / "attempt.log").write_text("\n".join(_log_lines(payloads, scrub)), encoding="utf-8")
    change(catalogue, "DROP INDEX responses_by_characters")
    change(catalogue, "ALTER TABLE responses DROP COLUMN characters")
    change(catalogue, "ALTER TABLE responses ADD COLUMN characters INTEGER")
    _poison_questions(catalogue, texts, scrub)
    _poison_strategies(catalogue, texts, scrub)
    _poison_runs(catalogue, folder / "attempt.log", payloads, scrub)
    change(catalogue, "UPDATE tasks SET name = '! sums ' || ? WHERE id = 1", scrub(payloads[0]))
    return catalogue


def scored_base(folder: Path, model: Path) -> Path:
    """A catalogue with a strategy for every payload, scored in run 1 on a few questions, and some of them with a
    question for every payload, scored in run 2; run 3 has those whose responses stay as they are, so that no metric
    hangs on a payload. Names are numbers that sort."""
    from core.store.db import open_reader, prepare
    from core.store.importing import import_file
    from core.submission.options import ScoreOptions
    from core.submission.submit import prepare_submission, queue

    catalogue = folder / "base.db"
    prepare(catalogue)
    with Writer(catalogue) as writer:
        for number in range(len(PAYLOADS)):
            file = folder / f"{number:02d}.jsonl"
            count = len(PAYLOADS) if f"{number:02d}" in COMPARED else FEW_QUESTIONS
            file.write_text("".join(f"{json.dumps(_row(number, place))}\n" for place in range(count)))
            import_file(writer, file, task="sums", strategy=f"{number:02d}")
        clean = COMPARED[POISONED_RESPONSES:]
        for samples, strategies in ((FEW_QUESTIONS, ()), (len(PAYLOADS), COMPARED), (FEW_QUESTIONS, clean)):
            options = ScoreOptions(task="sums", model=str(model), metrics=("nll", "ppl"), device="cpu",
                                   samples=samples, strategies=strategies)  # fmt: skip
            score_here(catalogue, queue(writer, prepare_submission(open_reader(catalogue), options)))
        writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return catalogue


def _row(strategy: int, place: int) -> dict[str, object]:
    text = f"It is {place} by strategy {strategy}."
    padded = text.ljust(TOKENS - len(FINAL), "!") if strategy < POISONED_RESPONSES else text
    return {"id": f"{place:02d}", "question": f"What is {place}?", "response": padded + FINAL, "answer": str(place)}


def _poison_questions(catalogue: Path, texts: Sequence[str], scrub: Scrub) -> None:
    """Their text, key and gold answer, and the responses to them, with the places of their tokens."""
    with Writer(catalogue) as writer, writer.transaction() as connection:
        execute = connection.execute
        for number, payload in enumerate(texts):
            text, name = scrub(payload), scrub(PAYLOADS[number])
            # The list of responses asks SQLite for the start of a question, and its JSON functions end at a NUL.
            turns = json.dumps([["system", text], ["user", f"{number:02d} {scrub(texts[number].replace(chr(0), ''))}"]])
            gold = f"{number} {PAYLOADS[number]}"
            checked_alike = gold_kind(gold) == gold_kind(shown(gold))
            execute("UPDATE questions SET turns = ?, key = ?, answer = ? WHERE position = ?",
                    (turns, f"{number:02d}{name}", scrub(gold) if checked_alike else str(number), number))  # fmt: skip
            rows = execute(
                "SELECT r.id, strategy, r.digest FROM responses r JOIN questions ON questions.id = question"
                " WHERE position = ? AND strategy <= ?",
                (number, POISONED_RESPONSES),
            ).fetchall()
            for key, strategy, digest in rows:
                raw = f"{strategy}.{number:02d} {payload}{FINAL}"
                new = response_digest(scrub(raw))
                values = (scrub(raw), len(raw), new, key)
                execute("UPDATE responses SET text = ?, characters = ?, digest = ? WHERE id = ?", values)
                packed = zlib.compress(np.asarray(_token_ends(raw, scrub), "<i4").tobytes())
                execute("UPDATE token_ends SET ends = ? WHERE response = ?", (packed, digest))
                for table in ("token_ends", "scores", "run_items"):
                    execute(f"UPDATE {table} SET response = ? WHERE response = ?", (new, digest))
        execute("DELETE FROM answer_checks")
        execute("INSERT INTO answer_checks SELECT DISTINCT responses.digest, answer, 0 FROM responses"
                " JOIN questions ON questions.id = question")  # fmt: skip


def _token_ends(raw: str, scrub: Scrub) -> list[int]:
    """Places of the tokens in the scrubbed text: as many tokens as were scored, over the characters of the raw text."""
    characters = visible_characters(raw, multiline=True) if scrub is shown else raw
    ends = np.cumsum([0, *map(len, characters)])
    return [int(ends[round(place * len(raw) / TOKENS)]) for place in range(1, TOKENS + 1)]


def _poison_strategies(catalogue: Path, texts: Sequence[str], scrub: Scrub) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        for number, payload in enumerate(PAYLOADS):
            # A file's path is kept as it is shown.
            text, name = scrub(texts[number]), scrub(payload)
            connection.execute(
                "UPDATE strategies SET name = ?, teacher = ?, prompt = ?, note = ?, source = ?, tags = json_array(?),"
                " updated_at = 0 WHERE id = ?",
                (f"{number:02d}{name}", name, text, text, shown(payload), name, number + 1),
            )
            connection.execute("INSERT INTO tasks (name, created_at) VALUES (?, 0)", (f"{number:02d}{name}",))
            connection.execute("INSERT INTO outcomes (task, model, strategy, seed, accuracy, source, created_at)"
                               " VALUES (1, 'judged ' || ?, ?, 0, ?, ?, 0)",
                               (scrub(PAYLOADS[0]), number + 1, (number % 37 + 1) / 50, name))  # fmt: skip


def _poison_runs(catalogue: Path, log: Path, payloads: Sequence[str], scrub: Scrub) -> None:
    """A run for every payload, in every state, under a target model of its own; events of all of them in each."""
    with Writer(catalogue) as writer, writer.transaction() as connection:
        execute = connection.execute
        execute("UPDATE targets SET name = 'model ' || ?", (scrub(payloads[0]),))
        execute("INSERT INTO targets (name, path, weights_digest, last_used_at) VALUES (?, '/judged', 'judged', 0)",
                (f"judged {scrub(payloads[0])}",))  # fmt: skip
        execute("UPDATE runs SET target = (SELECT max(id) FROM targets) WHERE id = 3")
        execute("UPDATE runs SET created_at = 0, started_at = 0, ended_at = 60, log = ?", (str(log),))
        execute("DELETE FROM events")
        columns = [row[1] for row in execute("PRAGMA table_info(runs)") if row[1] != "id"]
        for number, payload in enumerate(payloads):
            text, state = scrub(payload), ("failed", "cancelled", "queued", "running")[number % 4]
            execute("INSERT INTO targets (name, path, weights_digest, last_used_at) VALUES (?, ?, ?, ?)",
                    (f"model {text}", f"/models/{number:02d}{text}", f"{number}", number))  # fmt: skip
            run = execute(f"INSERT INTO runs ({', '.join(columns)}) SELECT {', '.join(columns)} FROM runs WHERE id = 1"
                          " RETURNING id").fetchone()[0]  # fmt: skip
            execute("UPDATE runs SET target = (SELECT max(id) FROM targets), want = 'pause', total = 100, done = 0,"
                    " state = ?, why = ?, device = ?, engine = ?, phase = ? WHERE id = ?",
                    (state, *[text] * 4, run))  # fmt: skip
            execute("INSERT INTO run_strategies (run, strategy, position, out) VALUES (?, ?, 0, ?)",
                    (run, number + 1, text))  # fmt: skip
            execute("INSERT INTO run_questions SELECT ?, position, question FROM run_questions WHERE run = 1", (run,))
            execute("INSERT INTO events (run, at, level, text) VALUES (1, 0, 'warning', ?)", (text,))
            execute("INSERT INTO events (run, at, level, text) VALUES (?, 0, 'error', ?)", (run, text))


def _log_lines(payloads: Sequence[str], scrub: Scrub) -> list[str]:
    return [scrub(line) for payload in payloads for line in payload.splitlines()]
