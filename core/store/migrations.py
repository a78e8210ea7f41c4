"""The catalogue's schema as an append-only list of migrations. A step that was released is never edited."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from core.store.backups import UnsoundError

migrations = Migrations("sap_tui")


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Apply all steps that the catalogue lacks, check it, and mark it with the schema number: wholly or not at all.

    Raises UnsoundError when SQLite's checks fail afterwards.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(Database(connection))
        connection.execute(f"PRAGMA user_version={version:d}")
        _check(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if verdict != "ok" or broken:
        raise UnsoundError(str(verdict) if verdict != "ok" else f"a row of {broken[0]} belongs to nothing")


def _run(db: Database, script: str) -> None:
    # executescript() would commit first, and a failing script would then stay half done.
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m001_catalogue(db: Database) -> None:
    _run(
        db,
        """
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL) STRICT;
CREATE TABLE questions (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE, position INTEGER NOT NULL,
    key TEXT, digest BLOB NOT NULL, turns TEXT NOT NULL, answer TEXT,
    UNIQUE (task, position), UNIQUE (task, key)) STRICT;
CREATE INDEX questions_by_digest ON questions (task, digest);
CREATE TABLE strategies (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE, name TEXT NOT NULL,
    teacher TEXT NOT NULL DEFAULT '', prompt TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '[]', source TEXT NOT NULL DEFAULT '', source_digest BLOB,
    responses INTEGER NOT NULL DEFAULT 0, skipped_lines INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, deleted_at REAL) STRICT;
CREATE UNIQUE INDEX strategies_by_name ON strategies (task, name) WHERE deleted_at IS NULL;
CREATE TABLE responses (
    id INTEGER PRIMARY KEY, strategy INTEGER NOT NULL REFERENCES strategies ON DELETE CASCADE,
    question INTEGER NOT NULL REFERENCES questions ON DELETE CASCADE, text TEXT NOT NULL, digest BLOB NOT NULL,
    UNIQUE (strategy, question)) STRICT;
CREATE INDEX responses_by_question ON responses (question)
""",
    )


@migrations()
def m002_scores(db: Database) -> None:
    _run(
        db,
        """
CREATE TABLE targets (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, revision TEXT NOT NULL DEFAULT '',
    weights_digest TEXT NOT NULL, last_used_at REAL NOT NULL, UNIQUE (weights_digest, path)) STRICT;
CREATE TABLE specs (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, weights_digest TEXT NOT NULL, settings TEXT NOT NULL) STRICT;
CREATE TABLE generated_predictions (
    id INTEGER PRIMARY KEY, spec INTEGER NOT NULL REFERENCES specs, context BLOB NOT NULL, text TEXT NOT NULL,
    token_ids BLOB NOT NULL, finished INTEGER NOT NULL, UNIQUE (spec, context)) STRICT;
CREATE TABLE imported_predictions (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE, weights_digest TEXT NOT NULL,
    position INTEGER NOT NULL, question INTEGER REFERENCES questions, text TEXT NOT NULL, source TEXT NOT NULL,
    UNIQUE (task, weights_digest, position)) STRICT;
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, spec INTEGER NOT NULL REFERENCES specs, context BLOB NOT NULL, response BLOB NOT NULL,
    tokens INTEGER NOT NULL CHECK (tokens > 0), nll_sum REAL NOT NULL CHECK (abs(nll_sum) < 1e300),
    rank_sum REAL CHECK (rank_sum IS NULL OR abs(rank_sum) < 1e300), engine TEXT NOT NULL,
    UNIQUE (spec, context, response)) STRICT;
CREATE TABLE token_scores (
    score INTEGER PRIMARY KEY REFERENCES scores ON DELETE CASCADE, arrays BLOB NOT NULL) STRICT
""",
    )


@migrations()
def m003_runs(db: Database) -> None:
    _run(
        db,
        """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    spec INTEGER NOT NULL REFERENCES specs, target INTEGER NOT NULL REFERENCES targets, request TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    want TEXT NOT NULL DEFAULT 'run' CHECK (want IN ('run', 'pause', 'cancel')),
    phase TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '',
    fence INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0, barren INTEGER NOT NULL DEFAULT 0,
    host TEXT, boot TEXT, pid INTEGER, pid_start INTEGER, beat_at REAL, not_before REAL NOT NULL DEFAULT 0,
    planned INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    tokens_done INTEGER NOT NULL DEFAULT 0, tokens_total INTEGER NOT NULL DEFAULT 0,
    phase_done INTEGER NOT NULL DEFAULT 0, phase_total INTEGER NOT NULL DEFAULT 0,
    tokens_per_second REAL NOT NULL DEFAULT 0, peak_memory INTEGER NOT NULL DEFAULT 0,
    device TEXT NOT NULL DEFAULT '', engine TEXT NOT NULL DEFAULT '', log TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, started_at REAL, ended_at REAL) STRICT;
CREATE TABLE run_strategies (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, strategy INTEGER NOT NULL REFERENCES strategies,
    position INTEGER NOT NULL, PRIMARY KEY (run, strategy)) STRICT, WITHOUT ROWID;
CREATE TABLE run_questions (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL,
    question INTEGER NOT NULL REFERENCES questions, PRIMARY KEY (run, position)) STRICT, WITHOUT ROWID;
CREATE TABLE run_items (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, number INTEGER NOT NULL,
    strategy INTEGER NOT NULL, question INTEGER NOT NULL, context_kind TEXT NOT NULL,
    context BLOB NOT NULL, response BLOB NOT NULL, chunk INTEGER, tokens INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'ok', 'error', 'reused')),
    code TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '', fence INTEGER,
    PRIMARY KEY (run, number)) STRICT, WITHOUT ROWID;
CREATE INDEX run_items_by_chunk ON run_items (run, chunk);
CREATE TABLE chunks (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, number INTEGER NOT NULL, tokens INTEGER NOT NULL,
    fence INTEGER, PRIMARY KEY (run, number)) STRICT, WITHOUT ROWID;
CREATE TABLE attempts (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, number INTEGER NOT NULL, host TEXT NOT NULL,
    boot TEXT NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL, started_at REAL NOT NULL, ended_at REAL,
    outcome TEXT, PRIMARY KEY (run, number)) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, at REAL NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')), text TEXT NOT NULL) STRICT;
CREATE INDEX events_by_run ON events (run, id)
""",
    )


@migrations()
def m004_engine(db: Database) -> None:
    _run(
        db,
        """
ALTER TABLE runs ADD COLUMN token_budget INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chunks ADD COLUMN is_part INTEGER NOT NULL DEFAULT 0;
CREATE TABLE scorers (
    host TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL, device TEXT NOT NULL,
    model TEXT NOT NULL, engine_key TEXT NOT NULL, idle_since REAL, free_at REAL,
    want TEXT NOT NULL DEFAULT 'stay' CHECK (want IN ('stay', 'end')),
    PRIMARY KEY (host, boot, pid, pid_start)) STRICT, WITHOUT ROWID
""",
    )


@migrations()
def m005_metrics(db: Database) -> None:
    _run(
        db,
        """
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE, model TEXT NOT NULL,
    strategy INTEGER NOT NULL REFERENCES strategies ON DELETE CASCADE, seed INTEGER NOT NULL,
    accuracy REAL NOT NULL CHECK (accuracy BETWEEN 0 AND 1), source TEXT NOT NULL DEFAULT '', created_at REAL NOT NULL,
    UNIQUE (task, model, strategy, seed)) STRICT;
CREATE TABLE score_columns (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE, name TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('lower', 'higher')), source TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, UNIQUE (task, name)) STRICT;
CREATE TABLE column_values (
    score_column INTEGER NOT NULL REFERENCES score_columns ON DELETE CASCADE,
    strategy INTEGER NOT NULL REFERENCES strategies ON DELETE CASCADE,
    question INTEGER NOT NULL REFERENCES questions ON DELETE CASCADE, value REAL NOT NULL CHECK (abs(value) < 1e300),
    weight REAL NOT NULL DEFAULT 1 CHECK (weight > 0 AND weight < 1e300),
    PRIMARY KEY (score_column, strategy, question)) STRICT, WITHOUT ROWID;
CREATE TABLE token_ends (
    spec INTEGER NOT NULL REFERENCES specs, response BLOB NOT NULL, ends BLOB NOT NULL,
    PRIMARY KEY (spec, response)) STRICT, WITHOUT ROWID;
CREATE TABLE answer_checks (
    response BLOB NOT NULL, gold TEXT NOT NULL, correct INTEGER, PRIMARY KEY (response, gold)) STRICT, WITHOUT ROWID;
CREATE TABLE sampled_answers (
    spec INTEGER NOT NULL REFERENCES specs, context BLOB NOT NULL, temperature REAL NOT NULL, number INTEGER NOT NULL,
    text TEXT NOT NULL, finished INTEGER NOT NULL,
    PRIMARY KEY (spec, context, temperature, number)) STRICT, WITHOUT ROWID;
CREATE TABLE rewards (
    model TEXT NOT NULL, context BLOB NOT NULL, response BLOB NOT NULL, value REAL NOT NULL CHECK (abs(value) < 1e300),
    PRIMARY KEY (model, context, response)) STRICT, WITHOUT ROWID;
ALTER TABLE run_strategies ADD COLUMN out TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN deleted_at REAL;
ALTER TABLE runs ADD COLUMN deleted_at REAL;
ALTER TABLE responses ADD COLUMN characters INTEGER GENERATED ALWAYS AS (length(text)) VIRTUAL;
CREATE INDEX responses_by_characters ON responses (strategy, characters, question);
CREATE INDEX run_items_by_question ON run_items (run, strategy, question);
CREATE TABLE run_speeds (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, at REAL NOT NULL, phase TEXT NOT NULL,
    done INTEGER NOT NULL, tokens_per_second REAL NOT NULL, memory INTEGER NOT NULL,
    PRIMARY KEY (run, at)) STRICT, WITHOUT ROWID;
ALTER TABLE runs ADD COLUMN told_end REAL;
UPDATE runs SET told_end = ended_at;
ALTER TABLE chunks ADD COLUMN stage INTEGER NOT NULL DEFAULT 0
""",
    )


@migrations()
def m006_indexes(db: Database) -> None:
    # Without an index on the columns that refer to it, deleting a row looks through whole tables.
    _run(
        db,
        """
CREATE INDEX runs_by_task ON runs (task);
CREATE INDEX runs_by_spec ON runs (spec);
CREATE INDEX runs_by_target ON runs (target);
CREATE INDEX run_strategies_by_strategy ON run_strategies (strategy);
CREATE INDEX run_questions_by_question ON run_questions (question);
CREATE INDEX imported_predictions_by_question ON imported_predictions (question);
CREATE INDEX outcomes_by_strategy ON outcomes (strategy);
CREATE INDEX column_values_by_strategy ON column_values (strategy);
CREATE INDEX column_values_by_question ON column_values (question)
""",
    )


@migrations()
def m007_faults(db: Database) -> None:
    # Signs of life and waiting times are from now on seconds since the machine started, those of old rows are not.
    _run(
        db,
        """
ALTER TABLE chunks ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_items ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN not_before_boot TEXT NOT NULL DEFAULT '';
UPDATE runs SET beat_at = NULL, not_before = 0
""",
    )


@migrations()
def m008_answers_and_probes(db: Database) -> None:
    _run(
        db,
        """
ALTER TABLE runs ADD COLUMN answer_tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN answering BLOB;
CREATE TABLE unanswered (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, context BLOB NOT NULL, tries INTEGER NOT NULL,
    lately INTEGER NOT NULL DEFAULT 1, why TEXT NOT NULL,
    PRIMARY KEY (run, context)) STRICT, WITHOUT ROWID;
CREATE TABLE probes (
    spec INTEGER NOT NULL REFERENCES specs, engine TEXT NOT NULL, logprobs BLOB NOT NULL, created_at REAL NOT NULL,
    PRIMARY KEY (spec, engine)) STRICT, WITHOUT ROWID
""",
    )
