"""Finding a model and telling it from every other one, without loading it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from core import models
from core.errors import NotFoundError, RunError, UsageError
from core.models import chat_template_digest, find_target, stored_dtype, weights_digest
from tests.conftest import TINY_MODEL


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_MODEL, tmp_path / "copy"))


def test_a_copy_is_the_same_model(copied: Path) -> None:
    original, copy = find_target(str(TINY_MODEL)), find_target(str(copied))
    assert copy.weights_digest == original.weights_digest
    assert copy.chat_template_digest == original.chat_template_digest
    assert (original.name, copy.name) == ("tiny-model", "copy")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_one_changed_byte_is_another_model(copied: Path, name: str) -> None:
    before = weights_digest(copied)
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert weights_digest(copied) != before


def test_a_large_file_is_sampled_at_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "WHOLE_FILE_BYTES", 1000)
    monkeypatch.setattr(models, "BLOCK_BYTES", 10)
    content = bytearray(os.urandom(5000))
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    before = weights_digest(tmp_path)
    for place in (0, 4999):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        assert weights_digest(tmp_path) != before, place


def test_the_chat_template_counts(copied: Path) -> None:
    before = chat_template_digest(copied)
    template = copied / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert chat_template_digest(copied) != before


def test_what_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="/no/such/model"):
        find_target("/no/such/model")
    with pytest.raises(NotFoundError, match="--download"):
        find_target("owner/not-in-the-cache")
    with pytest.raises(RunError, match="no safetensors"):
        find_target(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(RunError, match="pickle"):
        find_target(str(tmp_path))
    with pytest.raises(UsageError, match="GGUF"):
        find_target(str(tmp_path / "pytorch_model.bin"))


def test_a_model_of_the_hub_cache_is_found(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--owner--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(copied, repository / "snapshots" / commit)
    download = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *args, **more: download(*args, cache_dir=tmp_path / "hub", **more)
    )
    target = find_target("owner/tiny")
    assert (target.name, target.revision) == ("owner/tiny", commit)
    assert target.weights_digest == weights_digest(copied)


def test_the_stored_half_type(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    for stored, expected in (("float16", "float16"), ("bfloat16", "bfloat16"), ("float32", "bfloat16")):
        config["dtype"] = stored
        (copied / "config.json").write_text(json.dumps(config))
        assert stored_dtype(str(copied)) == expected
