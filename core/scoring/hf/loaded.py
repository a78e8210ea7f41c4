"""What is wrong with a model once it is loaded: weights that are missing, left over or misshapen; no causal model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from core.errors import RunError
from core.scoring.hf.quantization import is_quantized_otherwise

_KEPT_TOKENS = 16
# Largest mean change of a log-probability by what stands behind it. It is 0.0 in all precisions but 8 bits (measured:
# 0.1), where a call's rows mix; a router of experts may change the kernels of a call.
_MOST_NATS, _MOST_NATS_IN_INT8 = 0.05, 0.5


def refuse_incomplete(source: Path, info: Any) -> None:
    """Keys without weights would be filled with random numbers."""
    for problem in ("missing_keys", "mismatched_keys", "error_msgs"):
        found = info.get(problem) or ()
        if found:
            names = sorted(str(key[0]) if isinstance(key, tuple) else str(key) for key in found)
            words = problem.replace("_", " ").replace("msgs", "messages")
            raise RunError(f"The weights of {source} are incomplete, {words}: {shortened(names)}.")


def refuse_unused(source: Path, model: Any, unexpected: Iterable[str]) -> None:
    """Weights of a layer that the configuration leaves out, or a bias or scale that it does not know, would be lost."""
    if is_quantized_otherwise(model):
        return
    lost = sorted(key for key in unexpected if _belongs_to(model, key))
    if lost:
        raise RunError(f"The weights of {source} do not fit its config.json, not used: {shortened(lost)}.")


def _belongs_to(model: Any, key: str) -> bool:
    for name in (key, f"{model.base_model_prefix}.{key}"):
        owner = _module(model, name.rpartition(".")[0])
        if getattr(owner, "weight", None) is not None:
            return True
        numbered = re.match(r"(.+?)\.[0-9]+\.", name)
        if numbered and isinstance(_module(model, numbered[1]), torch.nn.ModuleList):
            # Layers that guess further tokens stand behind the model's own and are no part of it.
            return not getattr(model.config.get_text_config(decoder=True), "num_nextn_predict_layers", 0)
    return False


def _module(model: Any, path: str) -> Any:
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def refuse_misshapen(source: Path, model: Any) -> None:
    """The library compares no shapes of weights that it quantizes."""
    for name, module in model.named_modules():
        if not type(module).__module__.startswith("bitsandbytes"):
            continue
        state = getattr(module.weight, "quant_state", None)
        found = tuple(module.weight.shape if state is None else state.shape)
        if found != (module.out_features, module.in_features):
            raise RunError(f"The weights of {source} are incomplete, mismatched keys: {name}.weight.")


def refuse_two_way(source: Path, model: Any, quantization: str, longest: int) -> None:
    """In a model that also looks ahead (BERT), a token's log-probability would depend on the token itself.

    `longest` is the number of tokens that the model takes.
    """
    kept = max(1, min(_KEPT_TOKENS, longest // 2))
    ids = torch.arange(2 * kept, device=model.device)[None] % model.get_input_embeddings().weight.shape[0]
    other = torch.cat([ids[:, :kept], ids[:, kept:].flip(1)], dim=1)
    with torch.inference_mode():
        one, two = (model(input_ids=each).logits[0, :kept].float().log_softmax(-1) for each in (ids, other))
    allowed = _MOST_NATS_IN_INT8 if quantization == "int8" else _MOST_NATS
    if (one - two).abs().mean() > allowed:
        raise RunError(f"{source} is no causal language model: what it gives a token depends on later ones.")


def shortened(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
