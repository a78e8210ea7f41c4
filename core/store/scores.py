"""Scores keyed by what they depend on (spec, context, response), so that every run reuses what exists."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from math import nan
from typing import TYPE_CHECKING, Any

from core.domain import ContextKind, TokenScores
from core.store.batches import slices, wanted

if TYPE_CHECKING:
    from core.metrics.base import ScoreArrays

RANK_CLIP = 100
_REDONE = ", redone in "
_SMALLER = ", smaller pass"
_LAYOUT = (("log_probability", "<f4"), ("rank", "<i4"), ("entropy", "<f4"), ("sum_of_squares", "<f4"))


def insert_scores(
    connection: sqlite3.Connection, spec: int, engine: str, scores: Mapping[tuple[bytes, bytes], TokenScores]
) -> None:
    """Store scores by context and response, with their per-token arrays, where there is none under that key yet."""
    connection.executemany(
        "INSERT INTO scores (spec, context, response, tokens, nll_sum, rank_sum, engine) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (spec, context, response) DO NOTHING",
        [
            (spec, *key, score.tokens, nll_sum(score), clipped_rank_sum(score), _engine(engine, score))
            for key, score in scores.items()
        ],
    )
    connection.executemany(
        "INSERT INTO token_scores (score, arrays) SELECT id, ? FROM scores"
        " WHERE spec = ? AND context = ? AND response = ? ON CONFLICT (score) DO NOTHING",
        [(pack_arrays(score), spec, *key) for key, score in scores.items()],
    )


def _engine(tier: str, score: TokenScores) -> str:
    return f"{tier}{_REDONE}{score.redone_in}" if score.redone_in else tier


def in_smaller_pass(engine: str) -> str:
    """The engine's name for scores that shared their forward pass with fewer than was planned."""
    return engine + _SMALLER


def nll_sum(scores: TokenScores) -> float:
    """Sum of the surprisals, nats, added up in float64."""
    import numpy as np

    return -float(scores.log_probability.astype(np.float64).sum())


def clipped_rank_sum(scores: TokenScores) -> float | None:
    """Sum over tokens of min(rank, 100) (arXiv 2601.14249); None where ranks were not asked for."""
    import numpy as np

    return None if scores.rank is None else float(np.minimum(scores.rank, RANK_CLIP).sum())


def pack_arrays(scores: TokenScores) -> bytes:
    """The per-token arrays as compressed little-endian bytes, with a first byte that says which are there."""
    import numpy as np

    present, raw = 0, b""
    for place, (name, kind) in enumerate(_LAYOUT):
        array = getattr(scores, name)
        if array is not None:
            present |= 1 << place
            raw += np.ascontiguousarray(array, dtype=kind).tobytes()
    return bytes([present]) + zlib.compress(raw, 6)


def unpack_arrays(packed: bytes) -> TokenScores:
    """The inverse of pack_arrays."""
    import numpy as np

    present, raw = packed[0], zlib.decompress(packed[1:])
    names = [(name, kind) for place, (name, kind) in enumerate(_LAYOUT) if present & (1 << place)]
    size = len(raw) // len(names)
    arrays: dict[str, Any] = {
        name: np.frombuffer(raw, kind, offset=place * size, count=size // 4) for place, (name, kind) in enumerate(names)
    }
    return TokenScores(**arrays)


def existing_pairs(
    reader: sqlite3.Connection, spec: int, context: bytes, responses: Iterable[bytes]
) -> dict[bytes, int]:
    """Of the responses, those that have a score behind that context: response digest -> tokens."""
    wanted = list(dict.fromkeys(responses))
    marks = ",".join("?" * len(wanted))
    rows = reader.execute(
        f"SELECT response, tokens FROM scores WHERE spec = ? AND context = ? AND response IN ({marks})",
        (spec, context, *wanted),
    )
    return {row[0]: row[1] for row in rows}


def token_scores(reader: sqlite3.Connection, spec: int, context: bytes, response: bytes) -> TokenScores | None:
    """The per-token arrays of one score; None when it does not exist."""
    row = reader.execute(
        "SELECT arrays FROM token_scores JOIN scores ON scores.id = token_scores.score"
        " WHERE spec = ? AND context = ? AND response = ?",
        (spec, context, response),
    ).fetchone()
    return None if row is None else unpack_arrays(row[0])


def score_arrays(reader: sqlite3.Connection, run: int) -> ScoreArrays:
    """The scores of the questions that a run has finished, as arrays over its strategies and those questions."""
    from core.metrics.base import SampleScore, ScoreArrays

    strategies = [
        row[0]
        for row in reader.execute(
            "SELECT strategies.name FROM run_strategies JOIN strategies ON strategies.id = run_strategies.strategy"
            " WHERE run = ? ORDER BY position",
            (run,),
        )
    ]
    questions = finished_questions(reader, run)
    rows = reader.execute(
        "SELECT strategies.name, run_items.question, context_kind, scores.tokens, nll_sum, rank_sum"
        " FROM run_items JOIN runs ON runs.id = run_items.run"
        " JOIN run_strategies ON run_strategies.run = runs.id AND run_strategies.strategy = run_items.strategy"
        " JOIN strategies ON strategies.id = run_items.strategy"
        " LEFT JOIN scores ON run_items.state IN ('ok', 'reused') AND scores.spec = runs.spec"
        " AND scores.context = run_items.context AND scores.response = run_items.response"
        " WHERE run_items.run = ?",
        (run,),
    )
    finished, kinds = set(questions), {str(kind): kind for kind in ContextKind}
    scores = (
        SampleScore(row[0], row[1], kinds[row[2]], row[3] or nan, nan if row[4] is None else row[4], row[5])
        for row in rows
        if row[1] in finished
    )
    return ScoreArrays.collect(strategies, questions, scores)


def finished_questions(reader: sqlite3.Connection, run: int) -> list[int]:
    """Questions of a run with nothing left to score, in task order: a ranking on them compares like with like.

    What a strategy that dropped out lacks does not count.
    """
    rows = reader.execute(
        "WITH items AS (SELECT question, max(state = 'planned' AND ifnull(out, '') = '') AS is_open,"
        " count(DISTINCT CASE out WHEN '' THEN strategy || context_kind END) AS scored"
        " FROM run_items LEFT JOIN run_strategies USING (run, strategy) WHERE run = :run GROUP BY question)"
        " SELECT run_questions.question FROM run_questions JOIN runs ON runs.id = run_questions.run"
        " JOIN items USING (question) WHERE run = :run AND runs.planned = 1 AND NOT is_open"
        " AND scored = (SELECT max(scored) FROM items) ORDER BY run_questions.position",
        {"run": run},
    )
    return [row[0] for row in rows]


def mean_nll_of(
    reader: sqlite3.Connection, spec: int, pairs: Iterable[tuple[bytes, bytes]]
) -> dict[tuple[bytes, bytes], float]:
    """L, nats per token, of those of these pairs of context and response digests that have a score under the spec."""
    found: dict[tuple[bytes, bytes], float] = {}
    for some in slices(list(dict.fromkeys(pairs)), width=2):
        table, values = wanted(some)
        rows = reader.execute(
            f"{table} SELECT context, response, nll_sum / tokens FROM wanted"
            " CROSS JOIN scores ON spec = ? AND context = first AND response = second",
            (*values, spec),
        )
        found.update({(row[0], row[1]): row[2] for row in rows})
    return found


def plain_token_scores(reader: sqlite3.Connection, run: int) -> Iterator[tuple[int, int, bytes, TokenScores]]:
    """Strategy, question, response digest and tokens of what a run's strategies scored behind their questions."""
    rows = reader.execute(
        "SELECT run_items.strategy, question, run_items.response, arrays FROM run_items"
        " JOIN runs ON runs.id = run_items.run JOIN run_strategies USING (run, strategy)"
        " JOIN scores ON scores.spec = runs.spec"
        " AND scores.context = run_items.context AND scores.response = run_items.response"
        " JOIN token_scores ON score = scores.id"
        " WHERE run_items.run = ? AND context_kind = ? AND run_items.state IN ('ok', 'reused')",
        (run, ContextKind.PLAIN),
    )
    for row in rows:
        yield row[0], row[1], row[2], unpack_arrays(row[3])


def sample_errors(reader: sqlite3.Connection, run: int) -> list[tuple[str, str, str, int]]:
    """Failed samples of a run: strategy, context kind, error code and how many, most first."""
    rows = reader.execute(
        "SELECT strategies.name, context_kind, code, count(*) AS failed FROM run_items JOIN strategies"
        " ON strategies.id = run_items.strategy WHERE run = ? AND state = 'error'"
        " GROUP BY 1, 2, 3 ORDER BY failed DESC, 1, 2",
        (run,),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def engine_notes(reader: sqlite3.Connection, run: int) -> list[str]:
    """What a reader of a run should know of how its scores were made, as the engine of each says; a line a kind."""
    found = (
        "FROM run_items JOIN runs ON runs.id = run_items.run"
        " JOIN scores ON scores.spec = runs.spec AND scores.context = run_items.context"
        " AND scores.response = run_items.response"
        " WHERE run = :run AND run_items.state IN ('ok', 'reused') AND instr(scores.engine, :mark)"
    )
    rows = reader.execute(
        "SELECT substr(scores.engine, instr(scores.engine, :mark) + length(:mark)) AS dtype,"
        f" count(DISTINCT run_items.response) {found} GROUP BY dtype",
        {"mark": _REDONE, "run": run},
    )
    notes = [f"{row[1]:,} responses overflowed in float16 and were computed again in {row[0]}." for row in rows]
    smaller = reader.execute(f"SELECT count(DISTINCT scores.id) {found}", {"mark": _SMALLER, "run": run}).fetchone()[0]
    if smaller:
        notes.append(f"{smaller:,} scores come from smaller forward passes than planned: equal but for rounding.")
    return notes
