"""What is found out about responses as texts: whether their final answers are right, and where their tokens end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from core.run_work.samples import Scope, samples_of
from core.run_work.steps import BatchStore, RunWork
from core.run_work.token_ids import PlannedIds
from core.scoring.answers import is_correct
from core.scoring.protocol import Encoder
from core.store.answer_checks import answer_checks, insert_answer_checks
from core.store.token_ends import insert_token_ends, token_ends


def check_answers(work: RunWork, scope: Scope) -> None:
    """Judge every response that has a gold answer and was not judged before."""
    checks = BatchStore(work, 0, insert_answer_checks)
    has_begun = False
    for samples in samples_of(work.reader, scope):
        gold = samples.question.answer
        texts = {} if gold is None else {(response.digest, gold): response.text for response in samples.responses}
        known = answer_checks(work.reader, texts)
        for pair in texts.keys() - known.keys():
            if not has_begun:
                work.begin("checking answers", 0, len(scope.questions) * len(scope.strategies))
                has_begun = True
            work.on_step()
            checks.add([(*pair, is_correct(texts[pair], pair[1]))])
    checks.commit()


def store_token_ends(work: RunWork, ids: PlannedIds, encoder: Callable[[], Encoder]) -> None:
    """Where the tokens of every response end that was scored before, by a run or a version that kept no places."""
    items = work.reader.execute(
        "SELECT * FROM run_items WHERE run = ? AND state IN ('ok', 'reused') GROUP BY response", (work.run.id,)
    ).fetchall()
    missing = without_token_ends(work.reader, work.run.spec, items)
    if not missing:
        return
    known = len(items) - len(missing)
    work.begin("finding tokens", known, len(items))

    def store(connection: sqlite3.Connection, ends: Sequence[tuple[bytes, tuple[int, ...]]]) -> None:
        insert_token_ends(connection, work.run.spec, dict(ends))

    ends = BatchStore(work, known, store)
    for item in missing:
        work.on_step()
        text = ids.text(item)
        if text is not None:
            ends.add([(item["response"], encoder().token_ends(text))])
    ends.commit()


def without_token_ends(reader: sqlite3.Connection, spec: int, items: Iterable[sqlite3.Row]) -> list[sqlite3.Row]:
    """An item for each of the responses whose tokens have no places under this spec yet."""
    by_response = {item["response"]: item for item in items}
    known = token_ends(reader, spec, by_response)
    return [item for response, item in by_response.items() if response not in known]
