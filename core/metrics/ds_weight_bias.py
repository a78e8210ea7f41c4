"""The direction that the DS weight hides: whether responses are more or less surprising than trusted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Input, Metric, ScoreArrays
from core.metrics.ds_weight import valid_ratios

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def biases(mean_nll: FloatArray, valid_nll: FloatArray) -> FloatArray:
    """ln(L / mean valid L): (S, Q) and (N,) nats per token in, (S, Q) out; above 0 where a response surprises more."""
    import numpy as np

    ratios = valid_ratios(mean_nll, valid_nll)
    return -np.log(ratios, out=np.full_like(ratios, np.nan), where=ratios > 0)


def plain_biases(arrays: ScoreArrays) -> FloatArray:
    """Bias behind the question: (S, Q). SapError without a valid set."""
    return biases(arrays.mean_nll(ContextKind.PLAIN), arrays.input(Input.VALID_NLL))


METRIC = Metric(
    id="ds_weight_bias",
    label="DS bias",
    description=(
        "Mean over questions of the logarithm of a response's mean surprisal divided by that of the trusted responses: "
        "above 0 where it is more surprising than they are, below 0 where less."
    ),
    direction="lower",
    contexts=(ContextKind.PLAIN,),
    source="Jiang et al.: arXiv 2408.09849",
    numerator=plain_biases,
    inputs=(Input.VALID_NLL,),
    contested="Best is 0, as the trusted responses; the order by the signed value only says who surprises less.",
)
