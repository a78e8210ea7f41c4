"""GGUF files as targets: converted once, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.domain import TokenScores, Turn
from core.errors import RunError
from core.scoring.hf.gguf import converted_folder
from core.scoring.hf.load import load_encoder, load_engine
from core.scoring.protocol import EngineSettings, ScoringGroup
from core.settings import models_folder
from tests.unit.scoring_models import VOCABULARY, engine_of, random_model

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A random Llama whose weights bfloat16 holds exactly, so that the conversion loses nothing."""
    folder = random_model(tmp_path / "model", "llama")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return folder


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection in the order that llama.cpp's rotary embedding wants."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(folder: Path, file: Path) -> Path:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    add_tokenizer(writer, folder)
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = permuted(array, heads)
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, np.ascontiguousarray(array, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def add_tokenizer(writer: Any, folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = dict(tokenizer["model"]["vocab"])
    control = {added["content"]: added["id"] for added in tokenizer["added_tokens"]}
    tokens |= control
    ordered = sorted(tokens, key=lambda token: tokens[token])
    ordered += [f"<unused {number}>" for number in range(len(ordered), VOCABULARY)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(ordered)
    writer.add_token_types([gguf.TokenType.CONTROL if token in control else gguf.TokenType.NORMAL for token in ordered])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


@pytest.fixture
def file(folder: Path, tmp_path: Path) -> Path:
    return write_gguf(folder, tmp_path / "model.gguf")


def test_a_gguf_file_scores_as_the_folder_it_was_made_from(folder: Path, file: Path) -> None:
    phases: list[str] = []
    converted = load_engine(EngineSettings(str(file), device="cpu"), phases.append)
    original = engine_of(folder)
    assert "converting the GGUF file" in phases
    context = original.encode_context((Turn("user", "How many <|end|> eggs?"),))
    response = original.encode_response("There are 12 eggs.")
    assert converted.encode_context((Turn("user", "How many <|end|> eggs?"),)) == context
    assert converted.encode_response("There are 12 eggs.") == response
    results = [engine.score([ScoringGroup(context, (response,))])[0][0] for engine in (original, converted)]
    assert isinstance(results[0], TokenScores)
    assert isinstance(results[1], TokenScores)
    np.testing.assert_allclose(results[0].log_probability, results[1].log_probability, atol=1e-5, rtol=0)


def test_it_is_converted_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EngineSettings(str(file), device="cpu")
    load_encoder(settings)
    assert [path.name.startswith(".") for path in models_folder().iterdir()] == [False]

    def never(*arguments: object) -> None:
        raise AssertionError("converted a second time")

    monkeypatch.setattr("core.scoring.hf.gguf._convert", never)
    assert load_encoder(settings).max_context_tokens == 512


def test_a_changed_file_is_converted_again(folder: Path, file: Path, tmp_path: Path) -> None:
    before = converted_folder(file, tmp_path / "cache")
    write_gguf(random_model(tmp_path / "other", "llama", seed=8), file)
    assert converted_folder(file, tmp_path / "cache") != before


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"GGUF" + b"\xff" * 500, lambda raw: b""]
)
def test_a_damaged_file_leaves_nothing_behind(file: Path, tmp_path: Path, damage: Any) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RunError, match="does not convert") as caught:
        converted_folder(file, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
