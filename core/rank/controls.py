"""The controls of a ranking: length and accuracy of the responses, families, and copies of the target's own output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.domain import RankRow
from core.errors import SapError
from core.metrics.base import Input
from core.model_files import read_json
from core.rank.arrays import Gathered
from core.rank.compared import Compared, response_digests_of
from core.rank.families import model_families, share_family

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def with_controls(rows: Sequence[RankRow], gathered: Gathered) -> tuple[RankRow, ...]:
    """The rows with mean tokens, accuracy and family."""
    correct = gathered.inputs.get(Input.CORRECT)
    tokens = _means(gathered, gathered.arrays.tokens())
    accuracy = {} if isinstance(correct, SapError) else _means(gathered, correct)
    families = _families(gathered.compared)
    return tuple(
        replace(
            row,
            mean_tokens=tokens.get(row.strategy),
            accuracy=accuracy.get(row.strategy),
            same_family=families.get(row.strategy),
        )
        for row in rows
    )


def copied_shares(compared: Compared) -> dict[str, tuple[int, int]]:
    """Of every strategy how many responses are the target's own prediction, of how many that can be compared."""
    own = {column: response_digests_of(text) for column, text in compared.own_predictions.items() if text.strip()}
    shares = {}
    for row, name in enumerate(compared.run.strategies):
        digests = {column: compared.digests[row, column] for column in own if (row, column) in compared.digests}
        shares[name] = sum(key in own[column] for column, key in digests.items()), len(digests)
    return shares


def _means(gathered: Gathered, values: FloatArray) -> dict[str, float]:
    """The mean over the questions where it is known, (S, Q), by strategy; only those that have any."""
    import numpy as np

    known = np.isfinite(values)
    return {
        name: float(row[is_known].mean())
        for name, row, is_known in zip(gathered.arrays.strategies, values, known, strict=True)
        if is_known.any()
    }


def _families(compared: Compared) -> Mapping[str, bool | None]:
    """Many models of other families call their architecture that of a well-known one, so the name comes first."""
    request = compared.run.request
    kind = read_json(Path(request.path) / "config.json").get("model_type")
    target = model_families(request.model) or model_families(str(kind or ""))
    marks = ",".join("?" * len(compared.strategies))
    rows = compared.reader.execute(
        f"SELECT name, teacher FROM strategies WHERE id IN ({marks})", compared.strategies
    ).fetchall()
    return {row[0]: share_family(row[1], target) for row in rows}
