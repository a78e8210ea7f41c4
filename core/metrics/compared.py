"""Questions on which strategies can be compared with each other, for metrics that are only defined among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray


def compared_questions(values: FloatArray) -> BoolArray:
    """(Q,): whether every strategy that has a value at all has one for the question; `values` (S, Q), NaN where none.

    A strategy without any value is not compared, so it does not take the metric from the others.
    """
    import numpy as np

    known = ~np.isnan(values)
    compared = known.any(axis=1)
    return np.asarray(known[compared].all(axis=0) & compared.any(), dtype=np.bool_)
