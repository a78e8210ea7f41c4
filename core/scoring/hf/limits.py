"""How long a context with its response may be for a way of computing that is not one by one."""

from __future__ import annotations

from typing import Any

UNLIMITED = 1 << 30
_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}


def packed_limit(config: Any) -> int:
    """Tokens up to which every layer of a decoder sees the whole context; 0 where some layer is no attention.

    Up to the window of a sliding or chunked layer such a layer is the same as one that sees everything.
    """
    kinds = set(getattr(config, "layer_types", None) or ())
    if kinds - _ATTENTION:
        return 0
    limits = [shared_limit(config)]
    if "sliding_attention" in kinds or (not kinds and getattr(config, "use_sliding_window", True)):
        limits.append(getattr(config, "sliding_window", None) or UNLIMITED)
    if "chunked_attention" in kinds:
        limits.append(getattr(config, "attention_chunk_size", None) or 0)
    return min(limits)


def shared_limit(config: Any) -> int:
    """Tokens up to which positions are encoded alike whatever else is in the call.

    Some rotary encodings change for all positions once one lies beyond the length that the model was trained on.
    """
    found = getattr(config, "rope_parameters", None) or {}
    settings = found.values() if all(isinstance(value, dict) for value in found.values()) else [found]
    limits = [UNLIMITED]
    for each in settings:
        if each and ("dynamic" in str(each.get("rope_type")) or each.get("rope_type") == "longrope"):
            known = each.get("original_max_position_embeddings")
            limits.append(known or getattr(config, "original_max_position_embeddings", None) or _trained(config))
    return min(limits)


def _trained(config: Any) -> int:
    return getattr(config, "max_position_embeddings", None) or UNLIMITED
