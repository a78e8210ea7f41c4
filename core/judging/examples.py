"""Which of a metric's scores count where it was computed with several numbers of in-context examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from core.ingest.score_tables import ScoreRow
from core.text import visible

EXAMPLES = 2


def with_examples(scores: Sequence[ScoreRow], examples: int) -> tuple[list[ScoreRow], tuple[str, ...]]:
    """Of metrics with several numbers of examples the scores with this one, of others all; and what to say of it."""
    counts: dict[str, set[int]] = defaultdict(set)
    for row in scores:
        counts[row.metric].add(row.examples)
    notes = []
    for metric, found in counts.items():
        if found not in ({0}, {examples}):
            has = f"{visible(metric)} has scores with {', '.join(map(str, sorted(found)))} in-context examples"
            used = f"those with {examples} are judged" if examples in found else "none of them is judged"
            notes.append(f"{has}: {'these are judged' if len(found) == 1 else used}.")
    return [row for row in scores if len(counts[row.metric]) == 1 or row.examples == examples], tuple(notes)
