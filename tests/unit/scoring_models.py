"""Tiny models with random weights, made on the spot with the bundled model's tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM

from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.load import load_engine
from core.scoring.protocol import EngineSettings
from tests.conftest import TINY_MODEL

VOCABULARY = 1024
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
LAYERS: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "bos_token_id": None,
}
CONFIGS: dict[str, Any] = {
    "llama": lambda: transformers.LlamaConfig(**COMMON, **LAYERS),
    "qwen2": lambda: transformers.Qwen2Config(**COMMON, **LAYERS | {"tie_word_embeddings": True}),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **COMMON,
        **LAYERS,
        sliding_window=16,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        query_pre_attn_scalar=12,
    ),
    "gemma2": lambda: transformers.Gemma2Config(
        **COMMON,
        **LAYERS,
        sliding_window=16,
        final_logit_softcapping=3.0,
        attn_logit_softcapping=2.0,
        query_pre_attn_scalar=12,
    ),
    "cohere": lambda: transformers.CohereConfig(**COMMON, **LAYERS, logit_scale=0.3),
    "granite": lambda: transformers.GraniteConfig(**COMMON, **LAYERS, logits_scaling=4.0),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=512, n_embd=48, n_layer=3, n_head=4, bos_token_id=1, eos_token_id=1
    ),
}


def random_model(folder: Path, architecture: str, seed: int = 7) -> Path:
    """Save a model of this architecture, with weights wide enough that its probabilities are uneven."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture]())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(TINY_MODEL / name, folder / name)
    return folder


def rewrite_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def engine_of(folder: Path, **settings: Any) -> HuggingFaceEngine:
    return load_engine(EngineSettings(str(folder), device="cpu", **settings))
