"""Folders that are no model, or not all of it, or not the one that they say: one line, and no score."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
import transformers
from transformers import AutoModelForCausalLM

from core.domain import TokenScores
from core.errors import RunError
from core.run_work.probe import TOLERANCES
from core.scoring.protocol import ScoringGroup
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import COMMON, engine_of, random_model, rewrite_config

UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_model(tmp_path / "model", "llama")


def refusal(folder: Path, **settings: str) -> RunError:
    with pytest.raises(RunError) as caught:
        engine_of(folder, **settings)
    assert "\n" not in str(caught.value)
    return caught.value


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def truncate(folder: Path) -> None:
    content = weights(folder).read_bytes()
    weights(folder).write_bytes(content[: len(content) // 2])


def empty(folder: Path) -> None:
    weights(folder).write_bytes(b"")


def garbage(folder: Path) -> None:
    weights(folder).write_bytes(b"\xff" * 4096)


def split(folder: Path) -> list[Path]:
    """Save the weights in several files with an index."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    weights(folder).unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 3
    return shards


def lose_a_shard(folder: Path) -> None:
    split(folder)[1].unlink()


def truncate_a_shard(folder: Path) -> None:
    shard = split(folder)[1]
    shard.write_bytes(shard.read_bytes()[:5000])


def lose_the_index(folder: Path) -> None:
    split(folder)
    (folder / "model.safetensors.index.json").unlink()


DAMAGES = [truncate, empty, garbage, lose_a_shard, truncate_a_shard, lose_the_index]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    error = refusal(folder)
    assert "damaged" in error.message
    assert str(folder) in error.message


def test_several_files_are_one_model(folder: Path) -> None:
    whole = engine_of(folder)
    split(folder)
    for own, true in zip(engine_of(folder)._model.parameters(), whole._model.parameters(), strict=True):
        assert torch.equal(own, true)


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = safetensors.torch.load_file(weights(folder))
    change(tensors)
    safetensors.torch.save_file(tensors, weights(folder), metadata={"format": "pt"})


@pytest.mark.parametrize("name", [UP, "model.norm.weight", "lm_head.weight", "model.embed_tokens.weight"])
def test_a_missing_tensor_is_never_filled_with_random_numbers(folder: Path, name: str) -> None:
    edit_tensors(folder, lambda tensors: tensors.pop(name))
    error = refusal(folder)
    assert name in error.message
    assert "missing" in error.message


def test_an_index_without_a_file(folder: Path) -> None:
    split(folder)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    places = content["weight_map"]
    content["weight_map"] = {name: file for name, file in places.items() if file != places[UP]}
    index.write_text(json.dumps(content))
    assert UP in refusal(folder).message
    index.write_text("{")
    refusal(folder)


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4"])
def test_a_tensor_of_another_shape_is_refused(tmp_path: Path, quantization: str) -> None:
    folder = tmp_path / "model"
    AutoModelForCausalLM.from_pretrained(TINY_MODEL).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(TINY_MODEL).save_pretrained(folder)
    edit_tensors(folder, lambda tensors: tensors.update({UP: torch.cat([tensors[UP], tensors[UP]], dim=1)}))
    error = refusal(folder, quantization=quantization)
    assert UP in error.message
    assert "mismatched" in error.message


def test_a_configuration_of_another_size(folder: Path) -> None:
    rewrite_config(folder, vocab_size=100)
    assert "model.embed_tokens.weight" in refusal(folder).message


def test_an_embedded_adapter_hides_no_missing_tensor(folder: Path) -> None:
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config).save_pretrained(folder)
    edit_tensors(folder, lambda tensors: tensors.pop(UP))
    assert "--adapter" in refusal(folder).hint


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_layers_that_the_configuration_leaves_out(folder: Path, quantization: str) -> None:
    rewrite_config(folder, num_hidden_layers=2)
    assert "model.layers.2." in refusal(folder, quantization=quantization).message


def test_layers_that_guess_further_tokens_are_no_part_of_the_model(folder: Path) -> None:
    rewrite_config(folder, num_hidden_layers=2, num_nextn_predict_layers=1)
    engine_of(folder)


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.q_proj.bias", "model.norm.bias", UP + "_scale"])
def test_numbers_that_the_architecture_does_not_know(folder: Path, name: str) -> None:
    edit_tensors(folder, lambda tensors: tensors.update({name: torch.ones(48)}))
    assert name in refusal(folder).message


def test_parts_that_no_text_needs_may_be_left_over(folder: Path) -> None:
    others = ("vision_tower.patches.weight", "model.layers.0.self_attn.rotary_emb.inv_freq")
    edit_tensors(folder, lambda tensors: tensors.update({name: torch.ones(48) for name in others}))
    engine_of(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_quantized_numbers_without_a_word_about_it(folder: Path, dtype: torch.dtype) -> None:
    edit_tensors(folder, lambda tensors: tensors.update({UP: tensors[UP].to(dtype)}))
    assert "quantization_config" in refusal(folder).message


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "tied", "qwen2")
    assert "lm_head.weight" not in safetensors.torch.load_file(weights(folder))
    (scores,) = engine_of(folder).score([ScoringGroup((5, 6), ((7, 8),))])[0]
    assert isinstance(scores, TokenScores)
    assert np.isfinite(scores.log_probability).all()


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "not found" in refusal(tmp_path / "absent").message


def test_a_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder).message


@pytest.mark.parametrize("content", ["{not json", "[]", "{}"])
def test_a_broken_config(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    assert str(folder) in refusal(folder).message


@pytest.mark.parametrize("change", [{"hidden_size": "big"}, {"num_attention_heads": 0}, {"layer_types": ["a"]}])
def test_a_config_with_impossible_values(folder: Path, change: dict[str, object]) -> None:
    rewrite_config(folder, **change)
    assert str(folder) in refusal(folder).message


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    weights(folder).rename(folder / "pytorch_model.bin")
    error = refusal(folder)
    assert "pickled" in error.message
    assert "safetensors" in error.hint


def test_a_folder_without_weights(folder: Path) -> None:
    weights(folder).unlink()
    assert "no safetensors" in refusal(folder).message


def put_code(folder: Path, tmp_path: Path, name: str) -> Path:
    """A Python file that leaves a mark when it is run."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(f"open({str(tmp_path / 'was run')!r}, 'w').close()")
    return tmp_path / "was run"


OWN_CLASSES = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}


def test_code_of_the_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    mark = put_code(folder, tmp_path, "own.py")
    rewrite_config(folder, model_type="own_thing", auto_map=OWN_CLASSES)
    assert "code of its own" in refusal(folder).message
    assert not mark.exists()


def test_a_known_architecture_needs_no_code_of_the_model(folder: Path, tmp_path: Path) -> None:
    mark = put_code(folder, tmp_path, "own.py")
    put_code(folder, tmp_path, "custom_generate/generate.py")
    rewrite_config(folder, auto_map=OWN_CLASSES)
    assert type(engine_of(folder)._model) is transformers.LlamaForCausalLM
    assert not mark.exists()


def test_code_of_the_tokenizer_is_not_run(folder: Path, tmp_path: Path) -> None:
    mark = put_code(folder, tmp_path, "own.py")
    file = folder / "tokenizer_config.json"
    changes = {"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}, "tokenizer_class": "OwnTokenizer"}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert "code of its own" in refusal(folder).message
    assert not mark.exists()


def test_kernels_of_strangers_are_not_fetched(folder: Path) -> None:
    rewrite_config(folder, attn_implementation="someone/attention")
    assert "code of its own" in refusal(folder).message


def test_an_unknown_architecture(folder: Path) -> None:
    rewrite_config(folder, model_type="own_thing")
    assert "own_thing" in refusal(folder).message


def test_an_encoder_with_a_decoder(folder: Path) -> None:
    config = transformers.T5Config(vocab_size=1024, d_model=48, num_layers=1, num_heads=4, d_kv=12, d_ff=96)
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    assert "no causal language model" in refusal(folder).message


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_a_model_that_looks_ahead(folder: Path, quantization: str) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = transformers.BertForMaskedLM(transformers.BertConfig(**COMMON | sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    assert "no causal language model" in refusal(folder, quantization=quantization).message


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {token: number + 5000 for token, number in tokenizer["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "tokenizer" in refusal(folder).message


def test_a_missing_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert f"The tokenizer of {folder}" in refusal(folder).message


@pytest.mark.parametrize("content", ["{}", "not json", '{"model": {}}'])
def test_a_broken_tokenizer(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert f"The tokenizer of {folder}" in refusal(folder).message


def test_zeroed_weights_show_in_the_probe(tmp_path: Path) -> None:
    """What neither sizes nor headers show: 900 bytes of a tensor that are zeros now."""
    copy = tmp_path / "damaged"
    shutil.copytree(TINY_MODEL, copy)
    whole = engine_of(copy).probe
    assert engine_of(copy).probe == whole
    content = bytearray(weights(copy).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 900] = bytes(900)
    weights(copy).write_bytes(content)
    damaged = engine_of(copy).probe
    assert sum(abs(a - b) for a, b in zip(whole, damaged, strict=True)) / len(whole) > 10 * TOLERANCES["float32"]
