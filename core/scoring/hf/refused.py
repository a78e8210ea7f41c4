"""Token ids that a model cannot take."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain import SampleError


def refused_ids(ids: Sequence[int], most_tokens: int, vocabulary: int) -> SampleError | None:
    """Why the model, with so many places and embeddings, cannot take these ids; there is at least one."""
    if len(ids) > most_tokens:
        return SampleError("too_long", f"{len(ids)} tokens, the model takes {most_tokens}.")
    for token in (max(ids), min(ids)):
        if not 0 <= token < vocabulary:
            return SampleError("token_out_of_vocabulary", f"Token id {token}, the model has {vocabulary}.")
    return None
